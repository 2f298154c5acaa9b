package v1alpha1_test

import (
	"testing"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }
