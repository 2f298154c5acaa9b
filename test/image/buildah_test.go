//go:build image

package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// caBundle is the file with the trusted certificate authorities, in the base and on Debian.
const caBundle = "/etc/ssl/certs/ca-certificates.crt"

// needPrograms fails if the tests can't run: they aren't skipped, as nothing else tests the Dockerfile.
func needPrograms(t *testing.T) {
	t.Helper()
	for _, program := range []string{"buildah", "runc", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run make image-test, which installs it on Debian", err)
		}
	}
	if os.Geteuid() != 0 {
		t.Fatal("building and running an image needs root here")
	}
}

// store is a store of images that is removed with the test.
type store struct {
	dir, root string
	goroot    string
	modules   string
	cache     string
}

func newStore(t *testing.T, root string) *store {
	t.Helper()
	s := &store{dir: t.TempDir(), root: root}
	s.goroot = s.goEnv(t, "GOROOT")
	s.modules = s.goEnv(t, "GOMODCACHE")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	// Kept from run to run, apart from the user's: the container compiles on its own.
	s.cache = filepath.Join(cache, "dafty-operator", "image-test")
	if err := os.MkdirAll(s.cache, 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *store) goEnv(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "env", name)
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain(t, s.root))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// program returns the command line of buildah with this store. vfs and chroot need neither overlay mounts nor user namespaces.
func (s *store) program() []string {
	return []string{"buildah", "--root", filepath.Join(s.dir, "images"), "--runroot", filepath.Join(s.dir, "run"), "--storage-driver", "vfs"}
}

func (s *store) buildah(t *testing.T, args ...string) string {
	t.Helper()
	args = append(s.program(), args...)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

// standIn builds an image of files, in place of one that the Dockerfile builds on.
func (s *store) standIn(t *testing.T, name, arch, config string, files func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	files(filepath.Join(dir, "root"))
	containerfile := "FROM scratch\nCOPY root/ /\n" + config
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(containerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	s.buildah(t, "build", "--isolation", "chroot", "--timestamp", "0", "--platform", "linux/"+arch, "-t", name, dir)
}

// standInForGo builds an image in place of the Dockerfile's image with Go: a shell and its environment. Go itself and the modules are mounted when
// the image is built.
func (s *store) standInForGo(t *testing.T) {
	t.Helper()
	s.standIn(t, dockerfileDefault(t, s.root, "GO_IMAGE"), runtime.GOARCH, `
ENV PATH=/go/bin:/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local
# As it is mounted, all that the build needs is in the module cache.
ENV GOPROXY=off
`, func(dir string) {
		copyFile(t, "/bin/busybox", filepath.Join(dir, "bin", "busybox"), 0o755)
		writeFile(t, filepath.Join(dir, "etc", "passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644)
		for _, applet := range []string{"sh", "touch"} {
			if err := os.Symlink("busybox", filepath.Join(dir, "bin", applet)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o777); err != nil {
			t.Fatal(err)
		}
	})
}

// baseImage returns the name of the base for a platform: the Dockerfile's own for this machine's, another one for the other, which shows that a base
// can be set, as a release does.
func baseImage(arch string) string {
	if arch == runtime.GOARCH {
		return distroless
	}
	return "localhost/base:" + arch
}

// distroless is the base that the Dockerfile names.
const distroless = "gcr.io/distroless/static-debian13:nonroot"

// standInForBase builds an image in place of distroless' static one: only certificates and users. It trusts the simulated Dafty too.
func (s *store) standInForBase(t *testing.T, arch string, dafty *x509.Certificate) image {
	t.Helper()
	if name := dockerfileDefault(t, s.root, "BASE_IMAGE"); name != distroless {
		t.Fatalf("the Dockerfile builds on %s; is this what %s holds?", name, distroless)
	}
	s.standIn(t, baseImage(arch), arch, `
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SSL_CERT_FILE=`+caBundle+`
USER 65532
WORKDIR /home/nonroot
`, func(dir string) {
		bundle, err := os.ReadFile(caBundle)
		if err != nil {
			t.Fatal(err)
		}
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: dafty.Raw})...)
		for name, content := range map[string]string{
			caBundle:      string(bundle),
			"/etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
			"/etc/group":  "root:x:0:\nnonroot:x:65532:\n",
		} {
			writeFile(t, filepath.Join(dir, name), []byte(content), 0o644)
		}
	})
	return s.image(t, baseImage(arch))
}

// dockerfileDefault returns the default of an argument of the Dockerfile.
func dockerfileDefault(t *testing.T, root, arg string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, "ARG "+arg+"="); found {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("the Dockerfile gives %s no value", arg)
	return ""
}

// build runs make image with further flags of buildah, and returns the image.
func (s *store) build(t *testing.T, name, arch string, flags ...string) image {
	t.Helper()
	flags = append(flags,
		"--isolation", "chroot", "--no-cache", "--pull-never", "--network", "host",
		"--platform", "linux/"+arch, "--build-arg", "BUILDPLATFORM=linux/"+runtime.GOARCH,
		"--volume", s.goroot+":/usr/local/go:ro", "--volume", s.modules+":/go/pkg/mod", "--volume", s.cache+":/root/.cache/go-build",
	)
	cmd := exec.CommandContext(t.Context(), "make", "-s", "-C", s.root, "image",
		"IMAGE_BUILDER="+strings.Join(s.program(), " "), "FLAGS="+strings.Join(flags, " "), "IMG="+name,
		"VERSION="+version, "COMMIT="+commit, "SOURCE="+source, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch.Unix()),
	)
	if arch != runtime.GOARCH {
		cmd.Args = append(cmd.Args, "BASE_IMAGE="+baseImage(arch))
	}
	started := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make image: %v\n%s", err, out)
	}
	t.Logf("built for %s in %s", arch, time.Since(started).Round(time.Second/10))
	return s.image(t, name)
}

// image is an image as a registry would get it.
type image struct {
	layout string
	digest string // of its manifest
	config imageConfig
	layers []descriptor
}

// descriptor and imageConfig have the fields of the OCI image specification that the tests check.
type (
	descriptor struct {
		MediaType, Digest string
	}
	imageConfig struct {
		OS, Architecture string
		Created          time.Time
		Config           struct {
			User, WorkingDir     string
			Env, Entrypoint, Cmd []string
			Labels               map[string]string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
)

// image pushes the image into a folder and reads it there.
func (s *store) image(t *testing.T, name string) image {
	t.Helper()
	i := image{layout: t.TempDir()}
	s.buildah(t, "push", "--quiet", name, "oci:"+i.layout+":it")
	var index struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	i.read(t, "index.json", &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("%s: %d manifests", name, len(index.Manifests))
	}
	i.digest = index.Manifests[0].Digest
	i.read(t, blob(i.digest), &manifest)
	i.read(t, blob(manifest.Config.Digest), &i.config)
	i.layers = manifest.Layers
	return i
}

func blob(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

func (i image) read(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(i.layout, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

type layerFile struct {
	*tar.Header
	content []byte
}

// topLayer returns the files of the last layer, by name.
func (i image) topLayer(t *testing.T) map[string]layerFile {
	t.Helper()
	file, err := os.Open(filepath.Join(i.layout, blob(i.layers[len(i.layers)-1].Digest)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]layerFile{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = layerFile{header, content}
	}
}

func (i image) program(t *testing.T) []byte {
	t.Helper()
	return i.topLayer(t)["manager"].content
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, content, mode)
}

func writeFile(t *testing.T, name string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, mode); err != nil {
		t.Fatal(err)
	}
}
