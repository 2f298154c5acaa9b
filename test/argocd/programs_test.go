package argocd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/gobuild"
)

func TestThePinnedModulesHaveThePrograms(t *testing.T) {
	for _, set := range []gobuild.Set{argo, kustomize} {
		content, err := os.ReadFile(filepath.Join("..", "..", set.Module, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range set.Programs {
			if !strings.Contains(string(content), p.Package+"\n") {
				t.Errorf("%s is built but isn't a tool of %s", p.Package, set.Module)
			}
		}
		if !strings.Contains(string(content), set.Pin+" v") {
			t.Errorf("%s doesn't require %s", set.Module, set.Pin)
		}
	}
}
