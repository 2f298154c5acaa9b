// Package flux runs Flux's source-controller and kustomize-controller beside the control plane of internal/test/kubetest, for the tests of
// docs/flux.md: see make e2e-flux.
package flux

import (
	"context"
	"io"
	"path/filepath"

	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

const (
	kustomizeController = "kustomize-controller"
	sourceController    = "source-controller"
	// modules is where the modules of Flux are.
	modules = "github.com/fluxcd/"
)

var controllers = gobuild.Set{
	Name:   "flux",
	Module: filepath.Join("hack", "flux"),
	Pin:    modules + kustomizeController,
	What:   "Flux's controllers",
	Programs: []gobuild.Program{
		{Name: kustomizeController, Package: modules + kustomizeController},
		{Name: sourceController, Package: modules + sourceController},
	},
	LDFlags: func(string) string { return "-s -w" },
}

// Programs are Flux's controllers.
type Programs struct {
	// Dir is the folder with the programs.
	Dir string
	// Sources has the folder of each one's module, with its manifests.
	Sources map[string]string
}

// Build returns the controllers of the versions pinned in hack/flux. It builds those that are missing, which takes minutes, with progress on log.
func Build(ctx context.Context, log io.Writer) (Programs, error) {
	root, err := sourcetree.Root()
	if err != nil {
		return Programs{}, err
	}
	p := Programs{Sources: map[string]string{}}
	if p.Dir, err = controllers.Folder(ctx, root, log); err != nil {
		return Programs{}, err
	}
	for _, controller := range controllers.Programs {
		if p.Sources[controller.Name], err = controllers.Source(ctx, root, controller.Package); err != nil {
			return Programs{}, err
		}
	}
	return p, nil
}

// path returns the path of a program.
func (p Programs) path(name string) string { return filepath.Join(p.Dir, name) }
