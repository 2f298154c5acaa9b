package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lease"
)

// leaderElectionID is the lease of whoever leads, by default.
const leaderElectionID = "dafty-operator.dafty.ai"

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

// bindFlags defines the operator's own flags.
func (o *options) bindFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.daftyURL, "dafty-url", envOr("DAFTY_URL", dafty.DefaultURL), "base URL of the Dafty API (environment: DAFTY_URL)")
	flags.BoolVar(&o.allowInsecure, "allow-insecure-dafty-url", false,
		"allow a plain http --dafty-url that is no loopback address; API keys and uploads then cross the network in the clear")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "run only while holding the leader lease, so that several replicas can stand by")
	flags.StringVar(&o.leaderID, "leader-election-id", leaderElectionID,
		"name of the leader lease; operators that have it in common stand by for each other, so those that look after different namespaces "+
			"need a name each")
	flags.StringVar(&o.leaderNamespace, "leader-election-namespace", "",
		"namespace of the leader lease; the pod's own by default, and \"default\" outside a cluster")
	flags.DurationVar(&o.leaseTiming.Duration, "leader-elect-lease-duration", lease.DefaultTiming.Duration,
		"how long a standby waits for a leader that has stopped renewing its lease without giving it back")
	flags.DurationVar(&o.leaseTiming.RenewDeadline, "leader-elect-renew-deadline", lease.DefaultTiming.RenewDeadline,
		"how long a leader tries to renew its lease before it gives up and ends")
	flags.DurationVar(&o.leaseTiming.RetryPeriod, "leader-elect-retry-period", lease.DefaultTiming.RetryPeriod,
		"the time between two tries to renew the lease, or to get it: a standby takes over within this time after a leader that has ended "+
			"in good order")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "address that serves Prometheus metrics, such as :8443; 0 serves none")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", false, "serve metrics by https, to those alone whom the cluster lets read them")
	flags.StringVar(&o.metricsCertPath, "metrics-cert-path", "",
		"folder with the certificate of --metrics-secure, which is read again when it changes; without it, one is made at the start that "+
			"nobody has signed")
	flags.StringVar(&o.metricsCertName, "metrics-cert-name", "tls.crt", "file of the certificate in --metrics-cert-path")
	flags.StringVar(&o.metricsCertKey, "metrics-cert-key", "tls.key", "file of the certificate's private key in --metrics-cert-path")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address that serves /healthz and /readyz; 0 serves none")
	flags.StringVar(&o.watchNamespaces, "watch-namespaces", "", "namespaces to look after, separated by commas; all by default")
	flags.DurationVar(&o.deletionTimeout, "deletion-timeout", 5*time.Minute,
		"how long a deleted DaftyJob waits for its cancel to be confirmed, once that was tried, before it is let go with an event that "+
			"says so")
	flags.IntVar(&o.concurrentReconcile, "max-concurrent-reconciles", 16, "how many DaftyJobs are worked on at the same moment; none of them waits for Dafty")
	flags.StringVar(&o.rateLimits, "rate-limits", "",
		"calls that Dafty allows an API key each minute, by class, such as "+
			"image_create=20,video_create=5,style_extract=3,upload=30,other=120; what Dafty's answers say goes before it")
}

// check returns the rate limits that the options set, or an error that names the first option that is wrong.
func (o *options) check(args []string) (account.Limits, error) {
	limits, limitsErr := account.ParseLimits(o.rateLimits)
	timingErr := o.leaseTiming.Check()
	certErr := o.checkMetricsCert()
	leaderIDErrs := validation.IsDNS1123Subdomain(o.leaderID)
	switch err := dafty.CheckURL(o.daftyURL, o.allowInsecure); {
	case err != nil:
		return nil, fmt.Errorf("--dafty-url (or DAFTY_URL): %w", err)
	case o.deletionTimeout <= 0:
		return nil, errors.New("--deletion-timeout must be more than 0, such as 5m")
	case o.concurrentReconcile < 1:
		return nil, errors.New("--max-concurrent-reconciles must be at least 1")
	case timingErr != nil:
		return nil, timingErr
	case len(leaderIDErrs) > 0:
		return nil, fmt.Errorf("--leader-election-id: %s", leaderIDErrs[0])
	case certErr != nil:
		return nil, fmt.Errorf("--metrics-cert-path: %w", certErr)
	case limitsErr != nil:
		return nil, fmt.Errorf("--rate-limits: %w", limitsErr)
	case len(args) > 0:
		return nil, fmt.Errorf("unexpected argument %q: all options begin with --", args[0])
	}
	return limits, nil
}

// checkMetricsCert reports a certificate that can't be read: controller-runtime would make one of its own in its place.
func (o *options) checkMetricsCert() error {
	if o.metricsCertPath == "" {
		return nil
	}
	if !o.metricsSecure {
		return errors.New("a certificate is of use with --metrics-secure alone")
	}
	_, err := tls.LoadX509KeyPair(filepath.Join(o.metricsCertPath, o.metricsCertName), filepath.Join(o.metricsCertPath, o.metricsCertKey))
	return err
}

// manager returns the options of the controller manager. assets reports whether DaftyAssets are watched.
func (o *options) manager(scheme *runtime.Scheme, with controller.Kinds) ctrl.Options {
	m := ctrl.Options{
		Scheme:                        scheme,
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: controller.ReadLive}},
		Cache:                         cache.Options{NewInformer: controller.NewInformer, ByObject: controller.ByObject(with), DefaultNamespaces: o.namespaces()},
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
	return m
}

// namespaces returns those of --watch-namespaces, nil for all.
func (o *options) namespaces() map[string]cache.Config {
	var watched map[string]cache.Config
	for namespace := range strings.SplitSeq(o.watchNamespaces, ",") {
		if namespace = strings.TrimSpace(namespace); namespace != "" {
			if watched == nil {
				watched = map[string]cache.Config{}
			}
			watched[namespace] = cache.Config{}
		}
	}
	return watched
}

func envOr(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
