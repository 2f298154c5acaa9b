//go:build e2e

package helm

import (
	"context"
	"io"
	"os"
	"testing"

	"dafty.ai/dafty-operator/internal/test/e2e"
)

func TestMain(m *testing.M) {
	// The Makefile has built helm.
	os.Exit(e2e.Main(m, []string{"git"}, func(context.Context, io.Writer) error { return nil }))
}
