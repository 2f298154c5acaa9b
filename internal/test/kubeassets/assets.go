// Package kubeassets provides the programs of a Kubernetes control plane for tests and the demo. They are built with the
// Go toolchain from the module hack/controlplane, which pins their versions, so no prebuilt binary has to be fetched from
// anywhere; and kept in the user's cache folder, so that is done once per version.
//
// It uses only the standard library: whoever asks for the folder shouldn't wait for the compiler first.
package kubeassets

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// EnvFolder names the environment variable that overrides the cache: a folder that already holds the programs. It is
// the variable of controller-runtime's envtest.
const EnvFolder = "KUBEBUILDER_ASSETS"

// set is the control plane's programs.
var set = gobuild.Set{
	Name:   "kube-assets",
	Module: filepath.Join("hack", "controlplane"),
	Pin:    "k8s.io/kubernetes",
	What:   "etcd and Kubernetes (kube-apiserver, kube-controller-manager, kubectl)",
	Programs: []gobuild.Program{
		{Name: "etcd", Package: "go.etcd.io/etcd/server/v3"},
		{Name: "kube-apiserver", Package: "k8s.io/kubernetes/cmd/kube-apiserver"},
		{Name: "kube-controller-manager", Package: "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{Name: "kubectl", Package: "k8s.io/kubernetes/cmd/kubectl"},
	},
	LDFlags: ldflags,
}

// Folder returns the folder with etcd, kube-apiserver, kube-controller-manager and kubectl, after building them where
// they are missing: minutes for the first time, with progress on log. It is safe to cancel and to call from many
// processes at once; one of them builds and the others wait.
func Folder(ctx context.Context, log io.Writer) (string, error) {
	if dir := os.Getenv(EnvFolder); dir != "" {
		return given(dir)
	}
	root, err := sourcetree.Root()
	if err != nil {
		return "", err
	}
	dir, err := set.Folder(ctx, root, log)
	if err != nil {
		return "", fmt.Errorf("%w (or set %s to a folder that has the programs)", err, EnvFolder)
	}
	return dir, nil
}

func given(dir string) (string, error) {
	if missing := set.Missing(dir); len(missing) > 0 {
		return "", fmt.Errorf("%s=%s has no %s: unset it to have them built, or add them",
			EnvFolder, dir, strings.Join(missing, ", "))
	}
	return filepath.Abs(dir)
}

// ldflags stamp the version as a Kubernetes release does: without it kube-apiserver doesn't know which version it is
// compatible with.
func ldflags(version string) string {
	const pkg = "k8s.io/component-base/version"
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", pkg, version, parts[0], parts[1])
}
