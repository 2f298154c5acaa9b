package e2e

import (
	"net/http/cgi" //nolint:gosec // The flaw that it is listed for was mended in Go 1.6.3.
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Repository is a clone with a branch main, and the bare repository that it is pushed to. The tool reads the latter.
type Repository struct {
	T *testing.T
	// Dir is the folder of the clone.
	Dir    string
	origin string
}

func newRepository(t *testing.T, dir string) *Repository {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := &Repository{T: t, Dir: dir, origin: dir + "-origin.git"}
	r.Git("init", "--quiet", "--bare", "--initial-branch=main", r.origin)
	r.Git("init", "--quiet", "--initial-branch=main")
	r.Git("remote", "add", "origin", r.origin)
	// The page's own commands commit too.
	r.Git("config", "user.name", "e2e")
	r.Git("config", "user.email", "e2e@example.com")
	return r
}

// URL is the address of the folder.
func (r *Repository) URL() string { return "file://" + r.origin }

// Serve serves the repository at an address of http, for as long as the test runs.
func (r *Repository) Serve() string {
	r.T.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		r.T.Fatal(err)
	}
	server := httptest.NewServer(&cgi.Handler{
		Path: program, Args: []string{"http-backend"},
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.origin), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"},
	})
	r.T.Cleanup(server.Close)
	return server.URL + "/" + filepath.Base(r.origin)
}

// Git runs git in the clone, and returns what it prints.
func (r *Repository) Git(args ...string) string {
	r.T.Helper()
	cmd := exec.CommandContext(r.T.Context(), "git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	output, err := cmd.CombinedOutput()
	if err != nil {
		r.T.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output))
}

// Write puts a file into the work tree.
func (r *Repository) Write(path, content string) {
	r.T.Helper()
	file := filepath.Join(r.Dir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		r.T.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		r.T.Fatal(err)
	}
}

// Remove takes a file out of the work tree.
func (r *Repository) Remove(path string) {
	r.T.Helper()
	if err := os.Remove(filepath.Join(r.Dir, path)); err != nil {
		r.T.Fatal(err)
	}
}

// Commit pushes, and returns the commit's id.
func (r *Repository) Commit(message string) string {
	r.T.Helper()
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--allow-empty", "--message", message)
	r.Git("push", "--quiet", "origin", "main")
	return r.Git("rev-parse", "HEAD")
}
