package config_test

import (
	"testing"

	"dafty.ai/dafty-operator/internal/test/installtest"
)

// A CRD that goes takes all of its objects along: Flux is told not to delete it with the Kustomization that has the operator.
func TestFluxKeepsTheCRDs(t *testing.T) {
	crds := 0
	for _, object := range installtest.Objects(t, installtest.Kustomize(t, "config/default")) {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		crds++
		if object.GetAnnotations()["kustomize.toolkit.fluxcd.io/prune"] != "disabled" {
			t.Errorf("Flux would delete %s", object.GetName())
		}
	}
	if crds != 3 {
		t.Errorf("there are %d CRDs", crds)
	}
}
