// Package prometheus_test holds the alerts, the dashboard of config/grafana and the runbooks against the operator as it
// runs and the metrics that it serves.
package prometheus_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// The CRD isn't there beforehand: it comes with the installation.
func TestMain(m *testing.M) {
	kubetest.Main(m, kubetest.Options{CRDs: []string{}, ControllerManager: true})
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// goCommand runs go in a folder of the checkout.
func goCommand(t *testing.T, dir, stdin string, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = filepath.Join(root(t), dir)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// mustGo is goCommand for what has to work.
func mustGo(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	stdout, err := goCommand(t, dir, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return stdout
}
