// Package installtest builds what a user installs, by kustomize and by Helm, as the Makefile does, and puts it on a real API
// server.
package installtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// Root is the top of the checkout.
func Root(t testing.TB) string {
	t.Helper()
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// tool is a program of a module of hack/tools. The go command builds it where that wasn't done before, and prints its path.
func tool(modfile, name string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		root, err := sourcetree.Root()
		if err != nil {
			return "", err
		}
		stdout, err := output(context.Background(), root, "go", "tool", "-n", "-modfile="+modfile, name)
		return strings.TrimSpace(stdout), err
	})
}

var (
	kustomize       = tool("hack/tools/go.mod", "kustomize")
	helm            = tool("hack/tools/helm/go.mod", "helm")
	helm3           = tool("hack/tools/helm3/go.mod", "helm")
	kubeconform     = tool("hack/tools/kubeconform/go.mod", "kubeconform")
	kubectlValidate = tool("hack/tools/kubectl-validate/go.mod", "kubectl-validate")
)

func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Kustomize builds a folder, named from the top of the checkout.
func Kustomize(t testing.TB, dir string) string {
	t.Helper()
	manifests, err := output(t.Context(), Root(t), program(t, kustomize), "build", dir)
	if err != nil {
		t.Fatal(err)
	}
	return manifests
}

// Overlay writes a user's own folders outside of the checkout, and builds the one named ".". files are their
// kustomization.yaml by folder; CONFIG in them becomes the path of this repository's config.
func Overlay(t testing.TB, files map[string]string) string {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for folder, content := range files {
		dir := filepath.Join(top, folder)
		// kustomize takes folders only by relative paths.
		config, err := filepath.Rel(dir, filepath.Join(Root(t), "config"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		content = strings.ReplaceAll(content, "CONFIG", filepath.ToSlash(config))
		if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Kustomize(t, top)
}

// HelmProgram is the path of the pinned helm.
func HelmProgram(t testing.TB) string { return program(t, helm) }

// Helm3Program is the path of the pinned helm of version 3.
func Helm3Program(t testing.TB) string { return program(t, helm3) }

// KubectlValidateProgram is the path of the pinned kubectl-validate.
func KubectlValidateProgram(t testing.TB) string { return program(t, kubectlValidate) }

// KubeconformProgram is the path of the pinned kubeconform.
func KubeconformProgram(t testing.TB) string { return program(t, kubeconform) }

func program(t testing.TB, tool func() (string, error)) string {
	t.Helper()
	path, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Helm runs the pinned helm at the top of the checkout. Plugins and settings of the user's own are left out of it.
func Helm(t testing.TB, args ...string) (stdout string, err error) {
	t.Helper()
	program := HelmProgram(t)
	home := t.TempDir()
	command := []string{"HELM_CONFIG_HOME=" + home, "HELM_CACHE_HOME=" + home, "HELM_DATA_HOME=" + home, program}
	return output(t.Context(), Root(t), "env", append(command, args...)...)
}

// Objects takes manifests apart.
func Objects(t testing.TB, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096)
	for {
		object := map[string]any{}
		switch err := documents.Decode(&object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("%v in\n%s", err, manifests)
		case len(object) > 0:
			objects = append(objects, &unstructured.Unstructured{Object: object})
		}
	}
}

// Find returns the one object of a kind among manifests whose name ends so.
func Find[T any](t testing.TB, manifests, kind, suffix string) *T {
	t.Helper()
	var found []*unstructured.Unstructured
	for _, object := range Objects(t, manifests) {
		if object.GetKind() == kind && strings.HasSuffix(object.GetName(), suffix) {
			found = append(found, object)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d of kind %s end in %q; want 1", len(found), kind, suffix)
	}
	typed := new(T)
	// Strictly: a field that the type doesn't have is a field misspelt.
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(found[0].Object, typed, true); err != nil {
		t.Fatal(err)
	}
	return typed
}

// Apply has a real kubectl apply manifests on a real API server, which knows every field of theirs and has nothing to warn of.
func Apply(t testing.TB, env *kubetest.Env, manifests string, args ...string) {
	t.Helper()
	stdout, stderr, err := env.Apply(t, manifests, append([]string{"--server-side", "--validate=strict"}, args...)...)
	if err != nil || stderr != "" {
		t.Fatalf("kubectl apply: %v\n%s%s", err, stdout, stderr)
	}
}
