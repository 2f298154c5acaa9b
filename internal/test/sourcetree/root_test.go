package sourcetree_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

func TestRootIsFoundFromAnyFolderOfTheCheckout(t *testing.T) {
	want, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", "../../..", "../../../hack/controlplane"} { // the last is a module of its own
		t.Run(dir, func(t *testing.T) {
			t.Chdir(dir)
			if got, err := sourcetree.Root(); err != nil || got != want {
				t.Errorf("Root() = %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestRootOutsideOfACheckout(t *testing.T) {
	t.Chdir(os.TempDir())
	if got, err := sourcetree.Root(); err == nil || !strings.Contains(err.Error(), "not inside a checkout") {
		t.Errorf("Root() = %q, %v; want an error that says where it looked", got, err)
	}
}
