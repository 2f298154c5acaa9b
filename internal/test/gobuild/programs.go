// Package gobuild builds the operator, and programs of others, for tests and the demo. The latter are built with the Go toolchain from a
// module under hack/, which pins their versions, so no prebuilt binary has to be fetched from anywhere; and kept in the user's cache
// folder, so that is done once per version.
//
// It uses only the standard library: whoever asks for a program shouldn't wait for the compiler first.
package gobuild

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Set is programs that are built and kept together.
type Set struct {
	// Name is the name of the set's folder in the cache, and begins each line of its log.
	Name string
	// Module is the folder, from the top of the checkout, of the module that pins the versions.
	Module string
	// Pin is the required module whose version is the set's.
	Pin string
	// What is built, in words.
	What     string
	Programs []Program
	// LDFlags are the linker's, for this version of Pin.
	LDFlags func(version string) string
	// Env is added to the environment of go build.
	Env []string
}

// Program is one of a set, and the main package it is built from.
type Program struct{ Name, Package string }

// built is the name that go build gives it: the package's, without a major version.
func (p Program) built() string {
	name := path.Base(p.Package)
	if majorVersion.MatchString(name) {
		name = path.Base(path.Dir(p.Package))
	}
	return name
}

var majorVersion = regexp.MustCompile(`^v\d+$`)

// Folder returns the folder with the programs, after building them where they are missing: minutes for the first time,
// with progress on log. root is the top of the checkout. It is safe to cancel and to call from many processes at once; one of
// them builds and the others wait.
func (s Set) Folder(ctx context.Context, root string, log io.Writer) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep %s in: %w", s.What, err)
	}
	b := builder{
		Set:     s,
		module:  filepath.Join(root, s.Module),
		cache:   filepath.Join(cache, "dafty-operator", s.Name),
		log:     log,
		goBuild: goBuild,
		tick:    30 * time.Second,
		poll:    200 * time.Millisecond,
	}
	return b.folder(ctx)
}

// Missing names the programs that aren't in dir, or can't be run.
func (s Set) Missing(dir string) []string {
	var names []string
	for _, p := range s.Programs {
		info, err := os.Stat(filepath.Join(dir, p.Name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			names = append(names, p.Name)
		}
	}
	return names
}

type builder struct {
	Set
	module  string // folder of the module that pins the versions
	cache   string // parent of the folders that are built
	log     io.Writer
	goBuild buildFunc
	tick    time.Duration // between two lines of progress
	poll    time.Duration // between two looks at a lock that another process holds
}

// command is what go build is to do.
type command struct {
	module, ldflags string
	packages        []string
	env             []string
	// out gets the programs; work may be used for anything.
	out, work string
	// progress is called with each package that was compiled.
	progress func(string)
}

type buildFunc func(context.Context, command) error

func (b *builder) folder(ctx context.Context) (string, error) {
	version, err := b.version()
	if err != nil {
		return "", err
	}
	key, err := b.key(version)
	if err != nil {
		return "", err
	}
	final := filepath.Join(b.cache, key)
	// A folder gets its name when all is in it, so the usual case needs no lock.
	if len(b.Missing(final)) == 0 {
		return final, nil
	}

	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, final+".lock", b.poll, func() {
		fmt.Fprintf(b.log, "%s: another process is building them; waiting for it\n", b.Name)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if len(b.Missing(final)) == 0 { // built by whoever had the lock
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
	for _, p := range b.Programs {
		packages = append(packages, p.Package)
	}

	fmt.Fprintf(b.log, "%[1]s: building %[2]s %[3]s from source.\n"+
		"%[1]s: the first build takes minutes; the result is kept in %[4]s\n", b.Name, b.What, version, final)
	start := time.Now()
	progress, stop := b.report(start)
	err = b.goBuild(ctx, command{
		module: b.module, ldflags: b.LDFlags(version), packages: packages, env: b.Env, out: out, work: work, progress: progress,
	})
	stop()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %s; what was compiled so far is in Go's build cache, so the next run goes on from there: %w",
			since(start), context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("building %s: %w", b.What, err)
	}

	for _, p := range b.Programs {
		if p.built() == p.Name {
			continue
		}
		if err := os.Rename(filepath.Join(out, p.built()), filepath.Join(out, p.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if missing := b.Missing(out); len(missing) > 0 {
		return fmt.Errorf("go build ended well but made no %s", strings.Join(missing, ", "))
	}
	if err := os.Rename(out, final); err != nil {
		return err
	}
	fmt.Fprintf(b.log, "%s: done in %s\n", b.Name, since(start))
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
					fmt.Fprintf(b.log, "%s: %s: fetching modules, or linking\n", b.Name, since(start))
				} else {
					fmt.Fprintf(b.log, "%s: %s: %d packages compiled, the last was %s\n", b.Name, since(start), count, last)
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

// version is the one that the module requires of Pin.
func (b *builder) version() (string, error) {
	file := filepath.Join(b.module, "go.mod")
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	requirement := regexp.MustCompile(`(?m)^\s*(?:require\s+)?` + regexp.QuoteMeta(b.Pin) + `\s+(v\d+\.\d+\.\d+\S*)`)
	found := requirement.FindSubmatch(content)
	if found == nil {
		return "", fmt.Errorf("%s doesn't require %s", file, b.Pin)
	}
	return string(found[1]), nil
}

// key names the folder for all that decides what is in it, so that a changed pin is built again and two checkouts share
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
	fmt.Fprintf(hash, "%q %q %q\n", buildFlags, slices.Concat(buildEnv, b.Env), b.LDFlags(version))
	return fmt.Sprintf("%s-%x-%s-%s", version, hash.Sum(nil)[:6], runtime.GOOS, runtime.GOARCH), nil
}
