//go:build image

// Package image builds the image as make image does, checks its content, and runs it as the Deployment would: without a registry, on bases made of
// the machine's Go, busybox and CA certificates. Run it by make image-test.
package image

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// What the image is stamped with. The time is in the past, as for a rebuild of a release.
const (
	version = "v0.0.0-image"
	commit  = "0123456789abcdef0123456789abcdef01234567"
	source  = "https://git.example.com/dafty-operator"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// The CRD isn't there beforehand: dist/install.yaml brings it.
func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{CRDs: []string{}}) }

func TestImage(t *testing.T) {
	needPrograms(t)
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, root)
	native, other := runtime.GOARCH, "arm64"
	if native == other {
		other = "amd64"
	}
	certificate := daftyCertificate(t)
	s.standInForGo(t)
	base := s.standInForBase(t, native, certificate)
	// As BuildKit does for a release.
	reproducible := []string{"--timestamp", fmt.Sprint(epoch.Unix())}
	first := s.build(t, "localhost/dafty-operator:first", native, reproducible...)

	t.Run("the same files make the same image", func(t *testing.T) {
		if second := s.build(t, "localhost/dafty-operator:second", native, reproducible...); second.digest != first.digest {
			t.Errorf("%s, and then %s: %+v and %+v", first.digest, second.digest, first.config, second.config)
		}
		// The layer is the same without that too.
		if third := s.build(t, "localhost/dafty-operator:third", native); !reflect.DeepEqual(third.layers, first.layers) {
			t.Errorf("layers %v, and then %v", first.layers, third.layers)
		}
	})
	t.Run("the release's files are of it", func(t *testing.T) { releaseFiles(t, root, native, first) })
	t.Run(native, func(t *testing.T) { checkImage(t, first, base, native) })
	t.Run(other, func(t *testing.T) {
		base := s.standInForBase(t, other, certificate)
		checkImage(t, s.build(t, "localhost/dafty-operator:other", other, reproducible...), base, other)
	})
	t.Run("it says its version", func(t *testing.T) {
		out, err := s.container(t, "localhost/dafty-operator:first").run("--version")
		want := "dafty-operator " + version + " (commit " + commit + ", " + toolchain(t, root) + ", linux/" + native + ")\n"
		if err != nil || out != want {
			t.Errorf("--version: %v, %q, want %q", err, out, want)
		}
	})
	t.Run("it makes jobs", func(t *testing.T) { runsJobs(t, s, "localhost/dafty-operator:first", first) })
}

// published returns the image's name after a release.
func (i image) published() string { return "registry.example.com/dafty-operator@" + i.digest }

// releaseFiles makes the files of a release: the programs are the same as the image's although they aren't built in a container, and install.yaml and
// the chart install this image and no other.
func releaseFiles(t *testing.T, root, arch string, i image) {
	run := func(dir, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return string(out)
	}
	dist := filepath.Join(root, "dist")
	chart := "dafty-operator-" + strings.TrimPrefix(version, "v") + ".tgz"
	run(root, "make", "-s", "release-files", "VERSION="+version, "COMMIT="+commit, "PLATFORMS=linux/"+arch, "IMG="+i.published())
	binary, err := os.ReadFile(filepath.Join(dist, "manager-linux-"+arch))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(binary, i.program(t)) {
		t.Error("make binaries makes another program than the image has")
	}
	checked := run(dist, "sha256sum", "--check", "checksums.txt")
	for _, file := range []string{"manager-linux-" + arch, "install.yaml", chart} {
		if !strings.Contains(checked, file+": OK\n") {
			t.Errorf("checksums.txt has no %s: %s", file, checked)
		}
	}
	installer, err := os.ReadFile(filepath.Join(dist, "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for what, manifests := range map[string]string{
		"install.yaml": string(installer),
		chart:          run(root, "go", "tool", "-modfile=hack/tools/helm/go.mod", "helm", "template", "it", filepath.Join(dist, chart)),
	} {
		images := regexp.MustCompile(`(?m)^ +image: (\S.*)$`).FindAllStringSubmatch(manifests, -1)
		if len(images) != 1 || strings.Trim(images[0][1], `"`) != i.published() {
			t.Errorf("%s installs %q, want %s", what, images, i.published())
		}
	}
}

// checkImage checks an image against what the Dockerfile promises.
func checkImage(t *testing.T, got, base image, arch string) {
	t.Helper()
	if got.config.OS != "linux" || got.config.Architecture != arch {
		t.Errorf("it is for %s/%s", got.config.OS, got.config.Architecture)
	}
	if c := got.config.Config; c.User != "65532:65532" || !reflect.DeepEqual(c.Entrypoint, []string{"/manager"}) || len(c.Cmd) > 0 {
		t.Errorf("user %q, entry point %q, command %q", c.User, c.Entrypoint, c.Cmd)
	}
	if !reflect.DeepEqual(got.config.Config.Env, base.config.Config.Env) {
		t.Errorf("environment %q, of the base %q: what a build is given doesn't belong into an image", got.config.Config.Env, base.config.Config.Env)
	}
	if !got.config.Created.Equal(epoch) {
		t.Errorf("created %s, want %s", got.config.Created, epoch)
	}
	for label, want := range map[string]string{
		"title":     "dafty-operator",
		"licenses":  "Apache-2.0",
		"source":    source,
		"version":   version,
		"revision":  commit,
		"created":   epoch.Format(time.RFC3339),
		"base.name": baseImage(arch),
	} {
		if label = "org.opencontainers.image." + label; got.config.Config.Labels[label] != want {
			t.Errorf("label %s=%q, want %q", label, got.config.Config.Labels[label], want)
		}
	}

	below := len(base.config.RootFS.DiffIDs)
	if ids := got.config.RootFS.DiffIDs; len(ids) != below+1 || !reflect.DeepEqual(ids[:below], base.config.RootFS.DiffIDs) {
		t.Fatalf("layers %v are not the base's %v and one more", ids, base.config.RootFS.DiffIDs)
	}
	files := got.topLayer(t)
	if len(files) != 1 {
		t.Errorf("%d files in the layer of the program", len(files))
	}
	file, there := files["manager"]
	if !there {
		t.Fatal("no /manager")
	}
	if file.FileInfo().Mode() != 0o755 || file.Uid != 0 || file.Gid != 0 || !file.ModTime.Equal(epoch) {
		t.Errorf("/manager: mode %s, owner %d:%d, time %s", file.FileInfo().Mode(), file.Uid, file.Gid, file.ModTime.UTC())
	}
	checkProgram(t, file.content, arch)
}

// checkProgram checks that a program is static, for its platform, and has nothing in it of the place where it was built.
func checkProgram(t *testing.T, program []byte, arch string) {
	t.Helper()
	binary, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; binary.Machine != want {
		t.Errorf("the program is for %s", binary.Machine)
	}
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("the program is linked dynamically, and the base has no linker")
		}
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
		if strings.HasPrefix(setting.Key, "vcs") {
			t.Errorf("%s=%s: whether there is a checkout changes the program", setting.Key, setting.Value)
		}
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" || settings["GOARCH"] != arch {
		t.Errorf("built with %v", settings)
	}
	for _, path := range []string{"/src/internal/", "/go/pkg/mod/", "/usr/local/go/src/"} {
		if bytes.Contains(program, []byte(path)) {
			t.Errorf("the program knows %s, a path of the build", path)
		}
	}
}

// toolchain returns the Go that go.mod names.
func toolchain(t *testing.T, root string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^toolchain (go\S+)$`).FindSubmatch(content)
	if found == nil {
		t.Fatal("go.mod names no toolchain")
	}
	return string(found[1])
}
