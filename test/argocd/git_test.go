//go:build e2e

package argocd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a clone with a branch main, and the bare repository that it is pushed to. Argo CD reads the latter.
type repository struct {
	t           *testing.T
	dir, origin string
}

func newRepository(t *testing.T, dir string) *repository {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := &repository{t: t, dir: dir, origin: dir + "-origin.git"}
	r.git("init", "--quiet", "--bare", "--initial-branch=main", r.origin)
	r.git("init", "--quiet", "--initial-branch=main")
	r.git("remote", "add", "origin", r.origin)
	// The page's own commands commit too.
	r.git("config", "user.name", "e2e")
	r.git("config", "user.email", "e2e@example.com")
	return r
}

func (r *repository) url() string { return "file://" + r.origin }

func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	output, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output))
}

// write puts a file into the work tree.
func (r *repository) write(path, content string) {
	r.t.Helper()
	file := filepath.Join(r.dir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// remove takes a file out of the work tree.
func (r *repository) remove(path string) {
	r.t.Helper()
	if err := os.Remove(filepath.Join(r.dir, path)); err != nil {
		r.t.Fatal(err)
	}
}

// commit pushes, and returns the commit's id.
func (r *repository) commit(message string) string {
	r.t.Helper()
	r.git("add", "--all")
	r.git("commit", "--quiet", "--allow-empty", "--message", message)
	r.git("push", "--quiet", "origin", "main")
	return r.git("rev-parse", "HEAD")
}
