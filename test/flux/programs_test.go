package flux

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThePinnedModuleHasTheControllers(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", controllers.Module, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range controllers.Programs {
		if !strings.Contains(string(content), "\t"+p.Package+"\n") {
			t.Errorf("%s is built but isn't a tool of %s", p.Package, controllers.Module)
		}
		if !strings.Contains(string(content), "\t"+p.Package+" v") {
			t.Errorf("%s doesn't require %s", controllers.Module, p.Package)
		}
	}
}
