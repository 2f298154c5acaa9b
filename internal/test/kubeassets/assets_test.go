package kubeassets

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGivenFolder(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(EnvFolder, dir)
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A file that can't be run is as good as none.
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Folder(t.Context(), os.Stderr)
	if want := EnvFolder + "=" + dir + " has no kube-controller-manager, kubectl"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %q", err, want)
	}

	for _, name := range []string{"kube-controller-manager", "kubectl"} {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, name), nil, 0o755), os.Chmod(filepath.Join(dir, name), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Folder(t.Context(), os.Stderr); err != nil || got != dir {
		t.Errorf("got %s, %v; want %s", got, err, dir)
	}
}

func TestThePinnedModuleHasThePrograms(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "..", set.Module, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range set.Programs {
		if !strings.Contains(string(content), "\t"+p.Package+"\n") {
			t.Errorf("%s is built but isn't a tool of %s", p.Package, set.Module)
		}
	}
	if !strings.Contains(string(content), "\t"+set.Pin+" v1.") {
		t.Errorf("%s doesn't require %s", set.Module, set.Pin)
	}
}
