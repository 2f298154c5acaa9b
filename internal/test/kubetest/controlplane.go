// Package kubetest runs a real Kubernetes control plane (etcd, kube-apiserver and, where asked for,
// kube-controller-manager) on this machine, for tests and the demo, and real kubectl against it.
//
// Tests share one control plane per test binary and get a namespace each:
//
//	func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }
//
//	func TestSomething(t *testing.T) {
//		env := kubetest.Start(t)
//		stdout, stderr, err := env.Kubectl(t, "get", "daftyjobs")
//	}
//
// Programs use [New] and [ControlPlane.Stop].
package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	daftyv1alpha1 "dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubeassets"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// Options of a control plane. The zero value is etcd and kube-apiserver with this repository's CRDs.
type Options struct {
	// CRDs are files and folders of CustomResourceDefinitions to install; nil: config/crd/bases of this repository, if
	// it is there. An empty, non-nil slice installs none.
	CRDs []string

	// ControllerManager starts the kube-controller-manager too: namespaces then really go when they are deleted, owned
	// objects are garbage-collected, service accounts, ReplicaSets and Pods are made, ClusterRoles aggregated. No
	// scheduler and no kubelet run, so Pods stay Pending.
	ControllerManager bool

	// Audit makes kube-apiserver write down each request, for [ControlPlane.AuditEvents].
	Audit bool

	// APIServerFlags are added to kube-apiserver's command line, in place of a default of the same name.
	APIServerFlags map[string]string

	// LogDir gets a log file per program; empty: a folder that Stop removes.
	LogDir string

	// Log gets progress, such as that of a first build of the programs; nil: os.Stderr.
	Log io.Writer

	// StartTimeout is what each program may take to come up; 0: one minute, as several control planes may be starting
	// at once on a small machine.
	StartTimeout time.Duration
}

// ControlPlane is a running Kubernetes control plane.
type ControlPlane struct {
	// Config reaches it as a cluster administrator, without client-side rate limits.
	Config *rest.Config
	// Kubeconfig is a file that does the same for kubectl and for the operator's --kubeconfig.
	Kubeconfig string
	// LogDir holds etcd.log, kube-apiserver.log and kube-controller-manager.log.
	LogDir string

	dir       string // of all that Stop removes
	assets    string
	env       *envtest.Environment
	watchdog  *watchdog
	auditFile string
	audited   *auditLog
	mapper    func() (meta.RESTMapper, error)
}

// Scheme has the types that [ControlPlane.Client] and [Env.Client] know.
var Scheme = runtime.NewScheme()

func init() {
	utilruntime.Must(clientgoscheme.AddToScheme(Scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(Scheme))
	utilruntime.Must(daftyv1alpha1.AddToScheme(Scheme))
}

// New starts a control plane and returns when it serves and the CRDs are established. ctx bounds only the start; the
// caller ends it with [ControlPlane.Stop]. Where the process dies before that, however it does, the control plane is
// stopped and its data removed all the same.
func New(ctx context.Context, opts Options) (_ *ControlPlane, err error) {
	if opts.Log == nil {
		opts.Log = os.Stderr
	}
	if opts.StartTimeout == 0 {
		opts.StartTimeout = time.Minute
	}
	assets, err := kubeassets.Folder(ctx, opts.Log)
	if err != nil {
		return nil, err
	}
	if opts.CRDs == nil {
		if opts.CRDs, err = repositoryCRDs(); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "dafty-kubetest-")
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{dir: dir, assets: assets, LogDir: opts.LogDir, Kubeconfig: filepath.Join(dir, "kubeconfig"), audited: &auditLog{}}
	cp.mapper = sync.OnceValues(cp.newMapper)
	if cp.watchdog, err = startWatchdog(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, cp.Stop())
		}
	}()
	if cp.LogDir == "" {
		cp.LogDir = filepath.Join(dir, "logs")
	}
	if err := os.MkdirAll(cp.LogDir, 0o755); err != nil {
		return nil, err
	}
	if err := cp.startAPIServer(ctx, opts); err != nil {
		return nil, err
	}
	if err := os.WriteFile(cp.Kubeconfig, cp.env.KubeConfig, 0o600); err != nil {
		return nil, err
	}
	if opts.ControllerManager {
		if err := cp.startControllerManager(ctx, opts.StartTimeout); err != nil {
			return nil, err
		}
	}
	return cp, nil
}

func repositoryCRDs() ([]string, error) {
	root, err := sourcetree.Root()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "config", "crd", "bases")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return []string{dir}, nil
}

// startAPIServer starts etcd and kube-apiserver and installs the CRDs.
func (cp *ControlPlane) startAPIServer(ctx context.Context, opts Options) error {
	etcd, apiServer := &envtest.Etcd{}, &envtest.APIServer{}
	for _, p := range []struct {
		name, dir string
		path, at  *string
		out, err  *io.Writer
	}{
		{"etcd", "etcd", &etcd.Path, &etcd.DataDir, &etcd.Out, &etcd.Err},
		{"kube-apiserver", "apiserver", &apiServer.Path, &apiServer.CertDir, &apiServer.Out, &apiServer.Err},
	} {
		log, err := cp.logFile(p.name)
		if err != nil {
			return err
		}
		defer func() { _ = log.Close() }() // the program has its own descriptor
		*p.out, *p.err = log, log
		*p.at = filepath.Join(cp.dir, p.dir)
		if err := os.Mkdir(*p.at, 0o700); err != nil {
			return err
		}
		if *p.path, err = cp.watchdog.wrap(p.name, filepath.Join(cp.assets, p.name)); err != nil {
			return err
		}
	}
	// Nothing has to survive a power cut. The quota is for benchmarks: etcd's default of 2 GiB stops all writes.
	etcd.Configure().Set("unsafe-no-fsync", "true").Set("quota-backend-bytes", "8589934592")
	if opts.ControllerManager {
		// envtest turns the ServiceAccount admission plugin off, as nobody makes the accounts. Here somebody does.
		apiServer.Configure().Disable("disable-admission-plugins")
	}
	if opts.Audit {
		if err := cp.configureAudit(apiServer.Configure()); err != nil {
			return err
		}
	}
	for name, value := range opts.APIServerFlags {
		apiServer.Configure().Set(name, value)
	}

	cp.env = &envtest.Environment{
		// Not BinaryAssetsDirectory: KUBEBUILDER_ASSETS would win over it, and so over the watchdog's wrappers.
		ControlPlane:             envtest.ControlPlane{Etcd: etcd, APIServer: apiServer, KubectlPath: filepath.Join(cp.assets, "kubectl")},
		Scheme:                   Scheme,
		CRDDirectoryPaths:        opts.CRDs,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: opts.StartTimeout,
		UseExistingCluster:       new(bool), // false, whatever USE_EXISTING_CLUSTER says: tests must not touch a user's cluster
	}
	var err error
	started := make(chan struct{})
	go func() {
		defer close(started)
		cp.Config, err = cp.env.Start()
		// It makes certificates for webhooks in a folder elsewhere, although there are no webhooks.
		err = errors.Join(err, cp.env.WebhookInstallOptions.Cleanup())
	}()
	select {
	case <-started:
		if err != nil {
			return fmt.Errorf("starting etcd and kube-apiserver: %w%s%s", err, cp.logTail("etcd"), cp.logTail("kube-apiserver"))
		}
	case <-ctx.Done():
		// Start takes no context; with its programs killed, and none starting any more, it returns.
		stopped := cp.watchdog.stop()
		<-started
		return errors.Join(context.Cause(ctx), stopped)
	}
	cp.Config.QPS = -1 // no limit
	cp.Config.UserAgent = "kubetest"
	return nil
}

// Stop ends all programs and removes their data. It takes their word for nothing: there is nothing to save, so they are
// killed. Calling it twice does no harm.
func (cp *ControlPlane) Stop() error {
	err := cp.watchdog.stop()
	// The watchdog removes the folder from outside; only if it was killed itself is there anything left.
	return errors.Join(err, os.RemoveAll(cp.dir))
}

// Client returns a client for the types of [Scheme], without a cache. All clients of a control plane share what they have learnt
// of its kinds.
func (cp *ControlPlane) Client() (client.WithWatch, error) {
	mapper, err := cp.mapper()
	if err != nil {
		return nil, err
	}
	return client.NewWithWatch(cp.Config, client.Options{Scheme: Scheme, Mapper: mapper})
}

func (cp *ControlPlane) newMapper() (meta.RESTMapper, error) {
	httpClient, err := rest.HTTPClientFor(cp.Config)
	if err != nil {
		return nil, err
	}
	return apiutil.NewDynamicRESTMapper(cp.Config, httpClient)
}

// AddUser makes a user with no rights but those of its groups and of what RBAC gives it.
func (cp *ControlPlane) AddUser(name string, groups ...string) (*rest.Config, error) {
	user, err := cp.env.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1})
	if err != nil {
		return nil, err
	}
	return user.Config(), nil
}

// Guard returns the path of a program that becomes the given one, under the given name, and doesn't outlive the control plane:
// [ControlPlane.Stop] kills it, as does the end of this process, however it comes. One process of a name is guarded at a time.
func (cp *ControlPlane) Guard(name, program string) (string, error) {
	return cp.watchdog.guard(name, program)
}

// Asset returns the path of one of the control plane's programs, such as "kubectl".
func (cp *ControlPlane) Asset(name string) string { return filepath.Join(cp.assets, name) }

// KubectlCommand prepares kubectl with the given arguments as an administrator; the caller sets stdin, stdout and stderr.
// The user's own kubeconfig, preferences and caches are left out of it.
func (cp *ControlPlane) KubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, cp.Asset("kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cp.Kubeconfig, "KUBECACHEDIR="+filepath.Join(cp.dir, "kubectl-cache"), "KUBECTL_KUBERC=false")
	return cmd
}

func (cp *ControlPlane) logFile(name string) (*os.File, error) {
	return os.Create(filepath.Join(cp.LogDir, name+".log"))
}

// logTail returns the end of a program's log for an error message.
func (cp *ControlPlane) logTail(name string) string {
	const most = 2000
	content, err := os.ReadFile(filepath.Join(cp.LogDir, name+".log"))
	if err != nil || len(content) == 0 {
		return ""
	}
	return fmt.Sprintf("\n--- end of %s's log:\n%s", name, content[max(0, len(content)-most):])
}
