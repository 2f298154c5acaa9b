// Package kubeassets provides the programs of a Kubernetes control plane for tests and the demo. They are built with the
// Go toolchain from the module hack/controlplane, which pins their versions, so no prebuilt binary has to be fetched from
// anywhere; and kept in the user's cache folder, so that is done once per version.
//
// It uses the standard library alone: whoever asks for the folder shouldn't wait for the compiler first.
package kubeassets

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/sourcetree"
)

// EnvFolder names the environment variable that overrides the cache: a folder that already holds the programs. It is
// the variable of controller-runtime's envtest.
const EnvFolder = "KUBEBUILDER_ASSETS"

// program is one of the control plane's, and the main package it is built from.
type program struct{ name, pkg string }

var programs = []program{
	{"etcd", "go.etcd.io/etcd/server/v3"},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
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
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep the control plane's programs in: %w (or set %s to a folder that has them)", err, EnvFolder)
	}
	b := builder{
		module:  filepath.Join(root, "hack", "controlplane"),
		cache:   filepath.Join(cache, "dafty-operator", "kube-assets"),
		log:     log,
		goBuild: goBuild,
		tick:    30 * time.Second,
		poll:    200 * time.Millisecond,
	}
	return b.folder(ctx)
}

func given(dir string) (string, error) {
	if missing := missing(dir); len(missing) > 0 {
		return "", fmt.Errorf("%s=%s has no %s: unset it to have them built, or add them",
			EnvFolder, dir, strings.Join(missing, ", "))
	}
	return filepath.Abs(dir)
}

// missing names the programs that aren't in dir, or can't be run.
func missing(dir string) []string {
	var names []string
	for _, p := range programs {
		info, err := os.Stat(filepath.Join(dir, p.name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			names = append(names, p.name)
		}
	}
	return names
}

type builder struct {
	module  string // folder of the module that pins the versions
	cache   string // parent of the folders that are built
	log     io.Writer
	goBuild buildFunc
	tick    time.Duration // between two lines of progress
	poll    time.Duration // between two looks at a lock that another process holds
}

// buildFunc builds the packages, with ldflags, into the folder out. It may use the folder work for anything, and calls
// progress with each package that it compiled.
type buildFunc func(ctx context.Context, module, ldflags string, packages []string, out, work string, progress func(string)) error

func (b *builder) folder(ctx context.Context) (string, error) {
	version, err := b.kubernetesVersion()
	if err != nil {
		return "", err
	}
	key, err := b.key(version)
	if err != nil {
		return "", err
	}
	final := filepath.Join(b.cache, key)
	// A folder gets its name when all is in it, so the usual case needs no lock.
	if len(missing(final)) == 0 {
		return final, nil
	}

	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := b.lock(ctx, final+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if len(missing(final)) == 0 { // built by whoever had the lock
		return final, nil
	}
	return final, b.build(ctx, version, final)
}

// build makes the folder final. The caller holds its lock, so what an earlier, killed build left is nobody's.
func (b *builder) build(ctx context.Context, version, final string) (err error) {
	leftovers, err := filepath.Glob(final + ".tmp-*")
	if err != nil {
		return err
	}
	for _, dir := range append(leftovers, final) {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp(b.cache, filepath.Base(final)+".tmp-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()

	out, work := filepath.Join(tmp, "bin"), filepath.Join(tmp, "work")
	for _, dir := range []string{out, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	var packages []string
	for _, p := range programs {
		packages = append(packages, p.pkg)
	}

	fmt.Fprintf(b.log, "kube-assets: building etcd and Kubernetes %s (kube-apiserver, kube-controller-manager, kubectl) from source.\n"+
		"kube-assets: the first build takes minutes; the result is kept in %s\n", version, final)
	start := time.Now()
	progress, stop := b.report(start)
	err = b.goBuild(ctx, b.module, ldflags(version), packages, out, work, progress)
	stop()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %s; what was compiled so far is in Go's build cache, so the next run goes on from there: %w",
			since(start), context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("building the control plane: %w", err)
	}

	// go build names a program after its package, which for etcd's is "server".
	if err := os.Rename(filepath.Join(out, "server"), filepath.Join(out, "etcd")); err != nil {
		return err
	}
	if missing := missing(out); len(missing) > 0 {
		return fmt.Errorf("go build ended well but made no %s", strings.Join(missing, ", "))
	}
	if err := os.Rename(out, final); err != nil {
		return err
	}
	fmt.Fprintf(b.log, "kube-assets: done in %s\n", since(start))
	return nil
}

// report writes a line now and then, so that nobody takes a long build for a hang.
func (b *builder) report(start time.Time) (progress func(string), stop func()) {
	compiled := make(chan string)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(b.tick)
		defer ticker.Stop()
		count, last := 0, ""
		for {
			select {
			case last = <-compiled:
				count++
			case <-ticker.C:
				if count == 0 {
					fmt.Fprintf(b.log, "kube-assets: %s: fetching modules, or linking\n", since(start))
				} else {
					fmt.Fprintf(b.log, "kube-assets: %s: %d packages compiled, the last was %s\n", since(start), count, last)
				}
			case <-done:
				return
			}
		}
	}()
	progress = func(pkg string) {
		select {
		case compiled <- pkg:
		case <-stopped:
		}
	}
	return progress, func() { close(done); <-stopped }
}

func since(start time.Time) time.Duration { return time.Since(start).Round(time.Second) }

var kubernetesRequirement = regexp.MustCompile(`(?m)^\s*(?:require\s+)?k8s\.io/kubernetes\s+(v\d+\.\d+\.\d+\S*)`)

func (b *builder) kubernetesVersion() (string, error) {
	file := filepath.Join(b.module, "go.mod")
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	found := kubernetesRequirement.FindSubmatch(content)
	if found == nil {
		return "", fmt.Errorf("%s doesn't require k8s.io/kubernetes", file)
	}
	return string(found[1]), nil
}

// key names the folder for all that decides what is in it, so that a changed pin is built anew and two checkouts share
// what they have in common.
func (b *builder) key(version string) (string, error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(b.module, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s\n", name, len(content), content)
	}
	fmt.Fprintf(hash, "%q %q %q\n", buildFlags, buildEnv, ldflags(version))
	return fmt.Sprintf("%s-%x-%s-%s", version, hash.Sum(nil)[:6], runtime.GOOS, runtime.GOARCH), nil
}
