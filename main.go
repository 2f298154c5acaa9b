// Command manager is the Dafty operator: it makes the jobs that DaftyJob objects describe.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	// Authentication plugins of kubeconfig files.
	_ "k8s.io/client-go/plugin/pkg/client/auth"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
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
)

// version is stamped by the build.
var version = ""

// serviceAccountNamespace is there in every pod that has a service account.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

type options struct {
	daftyURL            string
	allowInsecure       bool
	leaderElect         bool
	leaderNamespace     string
	metricsAddress      string
	metricsSecure       bool
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
	flag.StringVar(&o.leaderNamespace, "leader-election-namespace", "", "namespace of the leader lease; the pod's own by default, and \"default\" outside a cluster")
	flag.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "address that serves Prometheus metrics, such as :8443; 0 serves none")
	flag.BoolVar(&o.metricsSecure, "metrics-secure", false, "serve metrics by https, to those alone whom the cluster lets read them")
	flag.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address that serves /healthz and /readyz; 0 serves none")
	flag.StringVar(&o.watchNamespaces, "watch-namespaces", "", "namespaces to look after, separated by commas; all by default")
	flag.DurationVar(&o.deletionTimeout, "deletion-timeout", 5*time.Minute, "how long a deleted DaftyJob waits for its cancel to be confirmed before it is let go with an event that says so")
	flag.IntVar(&o.concurrentReconcile, "max-concurrent-reconciles", 16, "how many DaftyJobs are worked on at the same moment; none of them waits for Dafty")
	flag.StringVar(&o.rateLimits, "rate-limits", "", "calls that Dafty allows an API key each minute, by class, such as image_create=20,video_create=5,style_extract=3,upload=30,other=120; what Dafty's answers say goes before it")
	showVersion := flag.Bool("version", false, "print the version and end")
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	if *showVersion {
		fmt.Println(versionLine())
		return
	}
	if os.Getenv("GOGC") == "" {
		// A little more work for the collector, for a quarter less memory where thousands of jobs are watched.
		debug.SetGCPercent(50)
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))

	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "dafty-operator:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	limits, limitsErr := account.ParseLimits(o.rateLimits)
	switch err := dafty.CheckURL(o.daftyURL, o.allowInsecure); {
	case err != nil:
		return fmt.Errorf("--dafty-url (or DAFTY_URL): %w", err)
	case o.deletionTimeout <= 0:
		return errors.New("--deletion-timeout must be more than 0, such as 5m")
	case o.concurrentReconcile < 1:
		return errors.New("--max-concurrent-reconciles must be at least 1")
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

	mgr, err := ctrl.NewManager(config, o.manager(scheme))
	if err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	wakeups := controller.NewWakeups()
	httpClient := dafty.NewHTTPClient()
	userAgent := "dafty-operator/" + buildVersion()
	accounts := account.NewRegistry(ctx, account.Config{
		Client: func(apiKey string) account.Dafty { return dafty.New(o.daftyURL, apiKey, userAgent, httpClient) },
		Wake:   wakeups.Wake,
		Limits: limits,
	})
	reconciler := &controller.Reconciler{
		Client:          mgr.GetClient(),
		Recorder:        mgr.GetEventRecorder(controller.Name),
		Accounts:        accounts,
		Clock:           clock.RealClock{},
		DeletionTimeout: o.deletionTimeout,
	}
	if err := reconciler.SetupWithManager(ctx, mgr, wakeups, o.concurrentReconcile); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("readyz", healthz.Ping); err != nil {
		return err
	}
	ctrl.Log.Info("starting", "version", buildVersion(), "daftyURL", o.daftyURL)
	return mgr.Start(ctx)
}

// manager are the options of the controller manager.
func (o options) manager(scheme *runtime.Scheme) ctrl.Options {
	m := ctrl.Options{
		Scheme:                        scheme,
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: controller.ReadLive}},
		Cache:                         cache.Options{ByObject: map[client.Object]cache.ByObject{&v1alpha1.DaftyJob{}: {Transform: controller.Lean}}},
		HealthProbeBindAddress:        o.probeAddress,
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure},
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "dafty-operator.dafty.ai",
		LeaderElectionNamespace:       o.leaderNamespace,
		LeaderElectionReleaseOnCancel: true,
	}
	if o.metricsSecure {
		m.Metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	if _, err := os.Stat(serviceAccountNamespace); err != nil && m.LeaderElectionNamespace == "" {
		m.LeaderElectionNamespace = "default"
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
