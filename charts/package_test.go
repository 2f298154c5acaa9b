package charts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/installtest"
)

// A released chart is of its version, has its image, and its page has no link that leads out of the package.
func TestPackage(t *testing.T) {
	root, checkout := installtest.Root(t), t.TempDir()
	for _, path := range []string{"charts/dafty-operator", "hack/tools/helm"} {
		if err := os.CopyFS(filepath.Join(checkout, path), os.DirFS(filepath.Join(root, path))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"Makefile", "go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(checkout, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := "registry.example.com/team/dafty-operator@sha256:" + strings.Repeat("a", 64)
	packaged := func(img string) error {
		cmd := exec.CommandContext(t.Context(), "make", "-s", "release-chart", "VERSION=v1.2.3", "IMG="+img)
		cmd.Dir = checkout
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	if packaged("dafty-operator:latest") == nil {
		t.Error("an image without a digest goes into a release")
	}
	if err := packaged(image); err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(checkout, "dist", "dafty-operator-1.2.3.tgz")
	manifests, err := installtest.Helm(t, "template", release, chart)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"image: " + image + "\n", `app.kubernetes.io/version: "v1.2.3"`, "helm.sh/chart: dafty-operator-1.2.3\n"} {
		if !strings.Contains(manifests, part) {
			t.Errorf("the package installs no %q", part)
		}
	}
	page, err := installtest.Helm(t, "show", "readme", chart)
	if err != nil {
		t.Fatal(err)
	}
	about, err := installtest.Helm(t, "show", "chart", chart)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(about, "artifacthub.io/license: Apache-2.0\n") {
		t.Errorf("the package has no license:\n%s", about)
	}
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(page, -1)
	links = append(links, regexp.MustCompile(`url: (https://dafty\.ai/.+)`).FindAllStringSubmatch(about, -1)...)
	if len(links) == 0 {
		t.Error("the page has no links")
	}
	for _, link := range links {
		path, ours := strings.CutPrefix(link[1], "https://dafty.ai/dafty-operator/")
		if _, err := os.Stat(filepath.Join(root, path)); !ours || err != nil {
			t.Errorf("the page of the package links to %s: %v", link[1], err)
		}
	}
}
