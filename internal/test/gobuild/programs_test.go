package gobuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The test binary is also the process that gets killed in the middle of a build.
const envBuildForever = "GOBUILD_TEST_BUILD_FOREVER_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envBuildForever); dir != "" {
		b := testBuilder(dir, os.Stderr, func(ctx context.Context, out string) error {
			if err := os.WriteFile(filepath.Join(out, "kubectl"), []byte("half of it"), 0o755); err != nil {
				return err
			}
			fmt.Println("building")
			<-ctx.Done()
			return ctx.Err()
		})
		_, err := b.folder(context.Background())
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// testBuilder has the folders module and cache inside of dir, and makes programs by calling build.
func testBuilder(dir string, log *os.File, build func(ctx context.Context, out string) error) *builder {
	return &builder{
		Set: Set{
			Name: "kube-assets", Pin: "k8s.io/kubernetes", What: "Kubernetes", LDFlags: func(version string) string { return "-X version=" + version },
			Programs: []Program{
				{"etcd", "go.etcd.io/etcd/server/v3"}, {"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
				{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"}, {"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
			},
		},
		module: filepath.Join(dir, "module"), cache: filepath.Join(dir, "cache"), log: log,
		tick: time.Hour, poll: time.Millisecond,
		goBuild: func(ctx context.Context, c command) error {
			if err := os.WriteFile(filepath.Join(c.work, "object"), nil, 0o644); err != nil {
				return err
			}
			return build(ctx, c.out)
		},
	}
}

// module makes a folder with a module in it that pins Kubernetes.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "module", "go.mod"), "module x\n\nrequire (\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n")
	write(t, filepath.Join(dir, "module", "go.sum"), "sums\n")
	return dir
}

// missing asks a builder of the programs that are built here.
func missing(folder string) []string { return testBuilder("", nil, nil).Missing(folder) }

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// buildAll makes what go build does: etcd's program is called server.
func buildAll(_ context.Context, out string) error {
	var errs []error
	for _, name := range []string{"server", "kube-apiserver", "kube-controller-manager", "kubectl"} {
		errs = append(errs, os.WriteFile(filepath.Join(out, name), []byte("made"), 0o755))
	}
	return errors.Join(errs...)
}

func logFile(t *testing.T) (*os.File, func() string) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, func() string {
		content, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
}

// entries of the cache but for lock files, which stay.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, "cache"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestFolderIsBuiltOnce(t *testing.T) {
	dir := module(t)
	log, logged := logFile(t)
	builds := 0
	b := testBuilder(dir, log, func(ctx context.Context, out string) error { builds++; return buildAll(ctx, out) })
	first, err := b.folder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if missing := missing(first); len(missing) > 0 {
		t.Errorf("no %v in %s", missing, first)
	}
	if name := filepath.Base(first); !strings.HasPrefix(name, "v1.37.2-") || !strings.HasSuffix(name, "-"+runtime.GOOS+"-"+runtime.GOARCH) {
		t.Errorf("folder %s isn't named for its version and platform", name)
	}
	for _, want := range []string{"v1.37.2", "takes minutes", "done in"} {
		if !strings.Contains(logged(), want) {
			t.Errorf("the log doesn't say %q:\n%s", want, logged())
		}
	}
	if second, err := b.folder(t.Context()); err != nil || second != first || builds != 1 {
		t.Errorf("second call: %s, %v after %d builds; want %s after 1", second, err, builds, first)
	}
	if got := entries(t, dir); len(got) != 1 {
		t.Errorf("left in the cache: %v", got)
	}
}

func TestFolderIsNamedForWhatDecidesItsContent(t *testing.T) {
	dir := module(t)
	log, _ := logFile(t)
	b := testBuilder(dir, log, buildAll)
	seen := map[string]string{}
	for _, change := range []struct{ what, file, content string }{
		{"nothing", "go.sum", "sums\n"},
		{"a dependency", "go.sum", "other sums\n"},
		{"the version", "go.mod", "module x\n\nrequire k8s.io/kubernetes v1.37.3\n"},
	} {
		write(t, filepath.Join(dir, "module", change.file), change.content)
		got, err := b.folder(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := seen[got]; ok {
			t.Errorf("after changing %s the folder is the same as after %s", change.what, before)
		}
		seen[got] = change.what
	}
}

func TestFolderThatLostAProgramIsBuiltAgain(t *testing.T) {
	dir := module(t)
	log, _ := logFile(t)
	b := testBuilder(dir, log, buildAll)
	folder, err := b.folder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, "etcd")); err != nil {
		t.Fatal(err)
	}
	if again, err := b.folder(t.Context()); err != nil || again != folder || len(missing(folder)) > 0 {
		t.Errorf("got %s, %v, missing %v", again, err, missing(folder))
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		build func(ctx context.Context, out string) error
		want  string
	}{
		"go build fails": {func(context.Context, string) error { return errors.New("no such package") }, "no such package"},
		"go build made too little": {func(_ context.Context, out string) error {
			return os.WriteFile(filepath.Join(out, "server"), nil, 0o755)
		}, "kubectl"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := module(t)
			log, _ := logFile(t)
			if _, err := testBuilder(dir, log, test.build).folder(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v doesn't say %q", err, test.want)
			}
			if got := entries(t, dir); len(got) > 0 {
				t.Errorf("left in the cache: %v", got)
			}
		})
	}
}

func TestInterruptedBuildLeavesNothingAndTheNextOneWorks(t *testing.T) {
	dir := module(t)
	log, _ := logFile(t)
	ctx, interrupt := context.WithCancelCause(t.Context())
	b := testBuilder(dir, log, func(ctx context.Context, out string) error {
		if err := os.WriteFile(filepath.Join(out, "kubectl"), []byte("half of it"), 0o755); err != nil {
			return err
		}
		interrupt(errors.New("interrupt signal received"))
		<-ctx.Done()
		return ctx.Err()
	})
	_, err := b.folder(ctx)
	if err == nil || !strings.Contains(err.Error(), "interrupt signal received") || !strings.Contains(err.Error(), "next run goes on") {
		t.Errorf("error %v doesn't say that it was interrupted", err)
	}
	if got := entries(t, dir); len(got) > 0 {
		t.Errorf("left in the cache: %v", got)
	}
	if folder, err := testBuilder(dir, log, buildAll).folder(t.Context()); err != nil || len(missing(folder)) > 0 {
		t.Errorf("the next build: %v, missing %v", err, missing(folder))
	}
}

func TestKilledBuildGivesTheLockBackAndIsSweptUp(t *testing.T) {
	dir := module(t)
	log, _ := logFile(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envBuildForever+"="+dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("building"))
	if _, err := stdout.Read(line); err != nil || string(line) != "building" {
		t.Fatalf("the build didn't start: %q, %v", line, err)
	}
	if got := entries(t, dir); len(got) != 1 {
		t.Fatalf("a build in progress shows as %v; want one folder under another name", got)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	folder, err := testBuilder(dir, log, buildAll).folder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := entries(t, dir); len(got) != 1 || got[0] != filepath.Base(folder) {
		t.Errorf("left in the cache: %v; want %s alone", got, filepath.Base(folder))
	}
}

func TestManyAtOnceBuildOnceAndTheOthersSayThatTheyWait(t *testing.T) {
	dir := module(t)
	log, logged := logFile(t)
	var builds, running atomic.Int32
	var once sync.Once
	started, finish := make(chan struct{}), make(chan struct{})
	build := func(ctx context.Context, out string) error {
		builds.Add(1)
		if running.Add(1) > 1 {
			t.Error("two builds at once")
		}
		defer running.Add(-1)
		once.Do(func() { close(started) })
		<-finish
		return buildAll(ctx, out)
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if folder, err := testBuilder(dir, log, build).folder(t.Context()); err != nil || len(missing(folder)) > 0 {
				t.Errorf("%v, missing %v", err, missing(folder))
			}
		})
	}
	<-started
	for deadline := time.Now().Add(10 * time.Second); strings.Count(logged(), "waiting for it") < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("not every waiting process says so:\n%s", logged())
			break
		}
	}
	close(finish)
	all.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("%d builds; want 1", n)
	}
}

func TestInterruptWhileAnotherProcessBuilds(t *testing.T) {
	dir := module(t)
	log, _ := logFile(t)
	started, finish := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_, err := testBuilder(dir, log, func(ctx context.Context, out string) error {
			close(started)
			<-finish
			return buildAll(ctx, out)
		}).folder(t.Context())
		if err != nil {
			t.Error(err)
		}
	})
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := testBuilder(dir, log, buildAll).folder(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v; want that it was interrupted", err)
	}
	close(finish)
	all.Wait()
}

func TestLongBuildReportsProgress(t *testing.T) {
	log, logged := logFile(t)
	b := &builder{Set: Set{Name: "kube-assets"}, log: log, tick: time.Millisecond}
	progress, stop := b.report(time.Now())
	progress("k8s.io/api/core/v1")
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(logged(), "1 packages compiled, the last was k8s.io/api/core/v1"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no progress:\n%s", logged())
		}
	}
	stop()
	progress("after the end") // must not block
}

func TestBuildOutput(t *testing.T) {
	var packages []string
	o := &buildOutput{progress: func(pkg string) { packages = append(packages, pkg) }}
	for chunk := range bytes.SplitSeq([]byte("go: downloading k8s.io/api v0.37.2\nk8s.io/a|pi/core/v1\n# k8s.io/x\nx.go:1:2: undefined: y\nunsafe\n"), []byte("|")) {
		if n, err := o.Write(chunk); n != len(chunk) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got, want := strings.Join(packages, " "), "k8s.io/api/core/v1 unsafe"; got != want {
		t.Errorf("packages %q; want %q", got, want)
	}
	if got, want := strings.Join(o.messages, " | "), "# k8s.io/x | x.go:1:2: undefined: y"; got != want {
		t.Errorf("messages %q; want %q", got, want)
	}
}

// The real go, a tiny module: the flags are accepted, the program lands in out, and a compiler's error reaches the user.
func TestGoBuild(t *testing.T) {
	dir := t.TempDir()
	out, work := filepath.Join(dir, "out"), t.TempDir()
	tiny := command{
		module: dir, ldflags: "-s -w -X main.version=v1", packages: []string{"."}, env: []string{"GOFLAGS=-tags=tiny"},
		out: out, work: work, progress: func(string) {},
	}
	write(t, filepath.Join(dir, "go.mod"), "module example.com/tiny\n")
	write(t, filepath.Join(dir, "main.go"), "//go:build tiny\n\npackage main\n\nfunc main() {}\n")
	if err := goBuild(t.Context(), tiny); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), filepath.Join(out, "tiny")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	write(t, filepath.Join(dir, "main.go"), "//go:build tiny\n\npackage main\n\nfunc main() { nonsense() }\n")
	if err := goBuild(t.Context(), tiny); err == nil || !strings.Contains(err.Error(), "undefined: nonsense") {
		t.Errorf("error %v doesn't have the compiler's message", err)
	}
}
