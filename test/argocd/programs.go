// Package argocd runs a real Argo CD beside the control plane of internal/test/kubetest, for the tests of config/argocd and
// docs/argocd.md: see make e2e-argocd.
package argocd

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

const argoModule = "github.com/argoproj/argo-cd/v3"

// One program has all of Argo CD's servers and its command line, chosen by the name that it is called by.
var argo = gobuild.Set{
	Name:     "argocd",
	Module:   filepath.Join("hack", "argocd"),
	Pin:      argoModule,
	What:     "Argo CD",
	Programs: []gobuild.Program{{Name: "argocd", Package: argoModule + "/cmd"}},
	LDFlags: func(version string) string {
		return "-s -w -X " + argoModule + "/common.version=" + strings.TrimPrefix(version, "v")
	},
	// It needs a later Go. The go command fetches the one that go.mod names.
	Env: []string{"GOTOOLCHAIN=auto"},
}

// Argo CD runs kustomize for a folder with a kustomization.
var kustomize = gobuild.Set{
	Name:     "kustomize",
	Module:   filepath.Join("hack", "tools"),
	Pin:      "sigs.k8s.io/kustomize/kustomize/v5",
	What:     "kustomize",
	Programs: []gobuild.Program{{Name: "kustomize", Package: "sigs.k8s.io/kustomize/kustomize/v5"}},
	LDFlags: func(version string) string {
		return "-s -w -X sigs.k8s.io/kustomize/api/provenance.version=" + version
	},
}

// Programs are what Argo CD needs to run.
type Programs struct {
	// ArgoCD and Kustomize are programs.
	ArgoCD, Kustomize string
	// Source is the folder of Argo CD's module, with its manifests and scripts.
	Source string
}

// Build returns the programs of the versions pinned in hack/. It builds those that are missing, which takes minutes for Argo CD, with progress on
// log.
func Build(ctx context.Context, log io.Writer) (Programs, error) {
	root, err := sourcetree.Root()
	if err != nil {
		return Programs{}, err
	}
	var p Programs
	for _, set := range []struct {
		set  gobuild.Set
		path *string
	}{{argo, &p.ArgoCD}, {kustomize, &p.Kustomize}} {
		dir, err := set.set.Folder(ctx, root, log)
		if err != nil {
			return Programs{}, err
		}
		*set.path = filepath.Join(dir, set.set.Programs[0].Name)
	}
	p.Source, err = argo.Source(ctx, root, argoModule)
	return p, err
}
