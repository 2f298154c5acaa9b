// Command manager is the Dafty operator: it makes the jobs that DaftyJob objects describe.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	// Authentication plugins of kubeconfig files.
	_ "k8s.io/client-go/plugin/pkg/client/auth"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lease"
	"dafty.ai/dafty-operator/internal/tracing"
)

// version is stamped by the build.
var version = ""

// leaderElectionID is the lease of whoever leads, by default.
const leaderElectionID = "dafty-operator.dafty.ai"

// A pod is given 60 s to end (config/manager): what is on its way to Dafty gets the most of it, and the manager what is left.
const (
	drainFor = 45 * time.Second
	stopFor  = 10 * time.Second
)

type options struct {
	daftyURL            string
	allowInsecure       bool
	leaderElect         bool
	leaderID            string
	leaderNamespace     string
	leaseTiming         lease.Timing
	metricsAddress      string
	metricsSecure       bool
	metricsCertPath     string
	metricsCertName     string
	metricsCertKey      string
	probeAddress        string
	watchNamespaces     string
	rateLimits          string
	deletionTimeout     time.Duration
	concurrentReconcile int
}

func main() {
	o := options{}
	flag.StringVar(&o.daftyURL, "dafty-url", envOr("DAFTY_URL", dafty.DefaultURL), "base URL of the Dafty API (environment: DAFTY_URL)")
	flag.BoolVar(&o.allowInsecure, "allow-insecure-dafty-url", false, "allow a plain http --dafty-url that is no loopback address; API keys and uploads then cross the network in the clear")
	flag.BoolVar(&o.leaderElect, "leader-elect", false, "run only while holding the leader lease, so that several replicas can stand by")
	flag.StringVar(&o.leaderID, "leader-election-id", leaderElectionID, "name of the leader lease; operators that have it in common stand by for each other, so those that look after different namespaces need a name each")
	flag.StringVar(&o.leaderNamespace, "leader-election-namespace", "", "namespace of the leader lease; the pod's own by default, and \"default\" outside a cluster")
	flag.DurationVar(&o.leaseTiming.Duration, "leader-elect-lease-duration", lease.DefaultTiming.Duration, "how long a standby waits for a leader that has stopped renewing its lease without giving it back")
	flag.DurationVar(&o.leaseTiming.RenewDeadline, "leader-elect-renew-deadline", lease.DefaultTiming.RenewDeadline, "how long a leader tries to renew its lease before it gives up and ends")
	flag.DurationVar(&o.leaseTiming.RetryPeriod, "leader-elect-retry-period", lease.DefaultTiming.RetryPeriod, "the time between two tries to renew the lease, or to get it: a standby takes over within this time after a leader that has ended in good order")
	flag.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "address that serves Prometheus metrics, such as :8443; 0 serves none")
	flag.BoolVar(&o.metricsSecure, "metrics-secure", false, "serve metrics by https, to those alone whom the cluster lets read them")
	flag.StringVar(&o.metricsCertPath, "metrics-cert-path", "", "folder with the certificate of --metrics-secure, which is read again when it changes; without it, one is made at the start that nobody has signed")
	flag.StringVar(&o.metricsCertName, "metrics-cert-name", "tls.crt", "file of the certificate in --metrics-cert-path")
	flag.StringVar(&o.metricsCertKey, "metrics-cert-key", "tls.key", "file of the certificate's private key in --metrics-cert-path")
	flag.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address that serves /healthz and /readyz; 0 serves none")
	flag.StringVar(&o.watchNamespaces, "watch-namespaces", "", "namespaces to look after, separated by commas; all by default")
	flag.DurationVar(&o.deletionTimeout, "deletion-timeout", 5*time.Minute, "how long a deleted DaftyJob waits for its cancel to be confirmed, once that was tried, before it is let go with an event that says so")
	flag.IntVar(&o.concurrentReconcile, "max-concurrent-reconciles", 16, "how many DaftyJobs are worked on at the same moment; none of them waits for Dafty")
	flag.StringVar(&o.rateLimits, "rate-limits", "", "calls that Dafty allows an API key each minute, by class, such as image_create=20,video_create=5,style_extract=3,upload=30,other=120; what Dafty's answers say goes before it")
	showVersion := flag.Bool("version", false, "print the version and end")
	logging := bindLogFlags(flag.CommandLine)
	flag.Parse()
	if *showVersion {
		fmt.Println(versionLine())
		return
	}
	if os.Getenv("GOGC") == "" {
		// A little more work for the collector, for a quarter less memory where thousands of jobs are watched.
		debug.SetGCPercent(50)
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(logging)))
	klog.SetLogger(ctrl.Log) // client-go's lines are of the same form

	if err := run(o); err != nil {
		if !errors.Is(err, errEnded) {
			fmt.Fprintln(os.Stderr, "dafty-operator:", err)
		}
		os.Exit(1)
	}
}

// errEnded is for an end whose cause is in the log.
var errEnded = errors.New("the operator has ended")

func run(o options) error {
	limits, limitsErr := account.ParseLimits(o.rateLimits)
	timingErr := o.leaseTiming.Check()
	certErr := o.checkMetricsCert()
	leaderIDErrs := validation.IsDNS1123Subdomain(o.leaderID)
	switch err := dafty.CheckURL(o.daftyURL, o.allowInsecure); {
	case err != nil:
		return fmt.Errorf("--dafty-url (or DAFTY_URL): %w", err)
	case o.deletionTimeout <= 0:
		return errors.New("--deletion-timeout must be more than 0, such as 5m")
	case o.concurrentReconcile < 1:
		return errors.New("--max-concurrent-reconciles must be at least 1")
	case timingErr != nil:
		return timingErr
	case len(leaderIDErrs) > 0:
		return fmt.Errorf("--leader-election-id: %s", leaderIDErrs[0])
	case certErr != nil:
		return fmt.Errorf("--metrics-cert-path: %w", certErr)
	case limitsErr != nil:
		return fmt.Errorf("--rate-limits: %w", limitsErr)
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: all options begin with --", flag.Arg(0))
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("no cluster to connect to; give --kubeconfig or set KUBECONFIG: %w", err)
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))

	managed := o.manager(scheme)
	elected, err := lease.New(config, o.leaderNamespace, o.leaderID, o.leaseTiming)
	if err != nil {
		return err
	}
	managed.LeaderElectionResourceLockInterface, managed.LeaderElectionID = elected, o.leaderID // the latter for its metric
	mgr, err := ctrl.NewManager(config, managed)
	if err != nil {
		return err
	}
	elected.Record(mgr.GetEventRecorderFor(elected.Identity())) //nolint:staticcheck // The leader election knows the older events alone.

	// The manager ends only after what is on its way to Dafty has ended: until then it keeps the lease, and writes the answers.
	signalled := ctrl.SetupSignalHandler()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	wakeups := controller.NewWakeups()
	httpClient := tracing.NewClient(dafty.NewHTTPClient(), o.daftyURL)
	userAgent := "dafty-operator/" + buildVersion()
	accounts := account.NewRegistry(ctx, account.Config{
		Client: func(apiKey string) account.Dafty { return dafty.New(o.daftyURL, apiKey, userAgent, httpClient) },
		Wake:   wakeups.Wake,
		Limits: limits,
	})
	reconciler := &controller.Reconciler{
		Client:          mgr.GetClient(),
		Live:            mgr.GetAPIReader(),
		Recorder:        mgr.GetEventRecorder(controller.Name),
		Accounts:        accounts,
		Clock:           clock.RealClock{},
		DeletionTimeout: o.deletionTimeout,
	}
	if err := reconciler.SetupWithManager(ctx, mgr, wakeups, o.concurrentReconcile); err != nil {
		return err
	}
	tellMissingRights(ctx, mgr.GetClient(), managed.Cache.DefaultNamespaces, ctrl.Log)
	// Not ready: a takeover would have to wait until all DaftyJobs are listed. Not healthy: see the check.
	informer, err := mgr.GetCache().GetInformer(ctx, &v1alpha1.DaftyJob{}, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("caches", cachesSynced(informer)); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("leader-election", elected.Healthy); err != nil {
		return err
	}
	go func() {
		select {
		case <-signalled.Done():
			drain(accounts)
			end()
		case <-ctx.Done():
		}
	}()
	stopTracing, err := tracing.Start(ctx, buildVersion(), ctrl.Log.WithName("tracing"))
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	defer stopTracing()
	ctrl.Log.Info("starting", "version", buildVersion(), "daftyURL", o.daftyURL)
	err = mgr.Start(ctx)
	end() // no call goes on while the last traces are sent
	if err != nil {
		ctrl.Log.Error(err, "the operator has ended")
		return errEnded
	}
	return nil
}

// drain lets the calls that are on their way to Dafty run out.
func drain(accounts *account.Registry) {
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	ctrl.Log.Info("ending: waiting for the answers to creates and cancels that are on their way", "atMost", drainFor.String())
	if left := accounts.Drain(ctx); left > 0 {
		ctrl.Log.Info("ending, though answers are missing in status: the next process asks for them again", "daftyJobs", left)
	}
}

// cachesSynced is a readiness check: whoever is ready has all DaftyJobs and their indexes in memory, also while it stands by.
func cachesSynced(informer cache.Informer) healthz.Checker {
	return func(*http.Request) error {
		if !informer.HasSynced() {
			return errors.New("the DaftyJobs aren't all listed yet")
		}
		return nil
	}
}

// checkMetricsCert is because metrics would otherwise be served with a certificate that is made for want of this one.
func (o options) checkMetricsCert() error {
	if o.metricsCertPath == "" {
		return nil
	}
	if !o.metricsSecure {
		return errors.New("a certificate is of use with --metrics-secure alone")
	}
	_, err := tls.LoadX509KeyPair(filepath.Join(o.metricsCertPath, o.metricsCertName), filepath.Join(o.metricsCertPath, o.metricsCertKey))
	return err
}

// manager are the options of the controller manager.
func (o options) manager(scheme *runtime.Scheme) ctrl.Options {
	m := ctrl.Options{
		Scheme:                        scheme,
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: controller.ReadLive}},
		Cache:                         cache.Options{NewInformer: controller.NewInformer, ByObject: controller.ByObject()},
		HealthProbeBindAddress:        o.probeAddress,
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure},
		LeaderElection:                o.leaderElect,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.leaseTiming.Duration,
		RenewDeadline:                 &o.leaseTiming.RenewDeadline,
		RetryPeriod:                   &o.leaseTiming.RetryPeriod,
		GracefulShutdownTimeout:       new(stopFor),
	}
	if o.metricsCertPath != "" {
		m.Metrics.CertDir, m.Metrics.CertName, m.Metrics.KeyName = o.metricsCertPath, o.metricsCertName, o.metricsCertKey
	}
	if o.metricsSecure {
		m.Metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	for namespace := range strings.SplitSeq(o.watchNamespaces, ",") {
		if namespace = strings.TrimSpace(namespace); namespace != "" {
			if m.Cache.DefaultNamespaces == nil {
				m.Cache.DefaultNamespaces = map[string]cache.Config{}
			}
			m.Cache.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return m
}

// buildVersion is the version stamped by the build, else the module's.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func envOr(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
