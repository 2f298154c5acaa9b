//go:build image

package image

import (
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

const (
	namespace  = "dafty-operator-system"
	deployment = "dafty-operator-controller-manager"
	// accountDir is where a Pod finds the token of its service account.
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
	apiKey     = "key-of-the-image-test"
)

// container runs an image with the Deployment's security context: the image's user, a read-only root, and no capabilities. It shares the machine's
// network, as the API server is there.
type container struct {
	t      *testing.T
	root   string // of the image's files
	config imageConfig
	state  string
	env    []string
	mounts []mount
}

type mount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options,omitempty"`
}

func (s *store) container(t *testing.T, name string) *container {
	t.Helper()
	id := s.buildah(t, "from", "--pull-never", name)
	c := &container{t: t, config: s.image(t, name).config, root: s.buildah(t, "mount", id), state: t.TempDir()}
	c.mounts = []mount{{Destination: "/proc", Type: "proc", Source: "proc"}}
	t.Cleanup(func() { // the test's context is over by then
		args := append(s.program(), "rm", id)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("buildah rm: %v\n%s", err, out)
		}
	})
	return c
}

// command returns a command of runc, which passes signals on and ends as the program does.
func (c *container) command(args ...string) *exec.Cmd {
	c.t.Helper()
	uid, gid, _ := strings.Cut(c.config.Config.User, ":")
	user := map[string]int{}
	for name, id := range map[string]string{"uid": uid, "gid": gid} {
		n, err := strconv.Atoi(id)
		if err != nil {
			c.t.Fatalf("runAsNonRoot wants numbers: user %q", c.config.Config.User)
		}
		user[name] = n
	}
	spec, err := json.Marshal(map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user": user, "cwd": c.config.Config.WorkingDir, "noNewPrivileges": true, "capabilities": map[string]any{},
			"args": append(append([]string{}, c.config.Config.Entrypoint...), args...),
			"env":  append(append([]string{}, c.config.Config.Env...), c.env...),
		},
		"root":   map[string]any{"path": c.root, "readonly": true},
		"mounts": c.mounts,
		"linux":  map[string]any{"namespaces": []map[string]string{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	bundle := c.t.TempDir()
	writeFile(c.t, filepath.Join(bundle, "config.json"), spec, 0o600)
	id := "dafty-operator-image-test-" + strconv.Itoa(os.Getpid())
	c.t.Cleanup(func() { // what still runs was not stopped by the test, which has failed then
		_ = exec.Command("runc", "--root", c.state, "delete", "--force", id).Run()
	})
	return exec.Command("runc", "--root", c.state, "run", "--bundle", bundle, id)
}

func (c *container) run(args ...string) (output string, err error) {
	c.t.Helper()
	out, err := c.command(args...).CombinedOutput()
	return string(out), err
}

// daftyCertificate returns the certificate of every https server of httptest.
func daftyCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return server.Certificate()
}

// runsJobs installs the operator with dist/install.yaml, runs its image with the flags and the rights that its Pod would have, and has a job
// made. Dafty is reached by https, so the image's certificates are used.
func runsJobs(t *testing.T, s *store, name string, i image) {
	g := NewWithT(t)
	env := kubetest.Start(t)
	dafty := httptest.NewTLSServer(daftysim.New(daftysim.Options{
		Accounts:      []daftysim.Account{{Name: "studio", APIKeys: []string{apiKey}}},
		PendingFor:    daftysim.Fixed(100 * time.Millisecond),
		ProcessingFor: daftysim.Fixed(100 * time.Millisecond),
	}))
	t.Cleanup(dafty.Close)

	if out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", s.root, "build-installer", "IMG="+i.published()).CombinedOutput(); err != nil {
		t.Fatalf("make build-installer: %v\n%s", err, out)
	}
	env.MustKubectl(t, "apply", "--server-side", "-f", filepath.Join(s.root, "dist", "install.yaml"))
	env.MustKubectl(t, "wait", "--for=condition=Established", "crd/daftyjobs.dafty.ai", "--timeout=30s")
	var d appsv1.Deployment
	g.Expect(env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: deployment}, &d)).To(Succeed())
	pod := d.Spec.Template.Spec
	g.Expect(pod.Containers[0].Image).To(Equal(i.published()))

	c := s.container(t, name)
	c.env = inCluster(t, env, c, pod.ServiceAccountName)
	for _, e := range pod.Containers[0].Env {
		if e.ValueFrom == nil {
			c.env = append(c.env, e.Name+"="+e.Value)
		}
	}
	c.env = append(c.env, "DAFTY_URL="+dafty.URL+daftysim.BasePath)
	probes := operatortest.FreeAddress(t)
	runc := c.command(operatortest.PodArgs(pod.Containers[0].Args, probes, operatortest.FreeAddress(t))...)
	operator := operatortest.Run(t, operatortest.Config{
		Program: runc.Path, Args: runc.Args[1:], APIKeys: []string{apiKey},
		ParentDeath: syscall.SIGTERM, // runc passes it on, while a kill would end only runc
	})
	g.Eventually(func() bool { return operatortest.Ready(t, probes) }).WithTimeout(30*time.Second).Should(BeTrue(), "/readyz answers")
	env.MustApply(t, `apiVersion: v1
kind: Secret
metadata: {name: dafty-credentials}
stringData: {apiKey: `+apiKey+`}
---
apiVersion: dafty.ai/v1alpha1
kind: DaftyJob
metadata: {name: hero}
spec: {imageGenerate: {prompt: A logo}}
`)
	env.MustKubectl(t, "wait", "--for=condition=Complete", "daftyjob/hero", "--timeout=60s")

	g.Expect(operator.Stop(30 * time.Second)).To(Succeed())
}

// inCluster mounts what a Pod has of its cluster, which is its service account's token, and returns the variables with the API server's address.
func inCluster(t *testing.T, env *kubetest.Env, c *container, account string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"token":     strings.TrimSpace(env.MustKubectl(t, "create", "token", account, "-n", namespace)),
		"ca.crt":    string(env.Config.CAData),
		"namespace": namespace,
	} {
		writeFile(t, filepath.Join(dir, name), []byte(content), 0o644)
	}
	c.mounts = append(c.mounts, mount{accountDir, "bind", dir, []string{"bind", "ro"}})
	address := env.Config.Host
	if parsed, err := url.Parse(address); err == nil && parsed.Host != "" {
		address = parsed.Host
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatalf("the API server's address %q: %v", env.Config.Host, err)
	}
	return []string{"KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port}
}
