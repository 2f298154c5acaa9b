package main

import (
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lease"
)

// Options that can't be meant are refused before anything is connected to.
func TestRunRefusesBadOptions(t *testing.T) {
	good := options{daftyURL: dafty.DefaultURL, deletionTimeout: time.Minute, concurrentReconcile: 1, leaderID: leaderElectionID, leaseTiming: lease.DefaultTiming}
	for _, tc := range []struct {
		name   string
		change func(*options)
		want   string
	}{
		{"plain http", func(o *options) { o.daftyURL = "http://dafty.example.com/api/v1" }, "use https, or --allow-insecure-dafty-url if you mean it"},
		{"plain http to a private address", func(o *options) { o.daftyURL = "http://10.0.0.7/api/v1" }, "use https"},
		{"no URL", func(o *options) { o.daftyURL = "dafty" }, "must begin with https://"},
		{"a password in the URL", func(o *options) { o.daftyURL = "https://user:pa55@dafty.example.com" }, "must hold no user name or password"},
		{"no deletion timeout", func(o *options) { o.deletionTimeout = 0 }, "--deletion-timeout must be more than 0"},
		{"a limit of no class", func(o *options) { o.rateLimits = "images=20" }, "the classes are image_create, other, style_extract, upload, video_create"},
		{"a limit of nothing", func(o *options) { o.rateLimits = "image_create=0" }, "a number of at least 1"},
		{"two leaders at once", func(o *options) { o.leaseTiming.Duration = o.leaseTiming.RenewDeadline }, "a leader must give up before another may take over"},
		{"a lease without a name", func(o *options) { o.leaderID = "" }, "--leader-election-id: a lowercase RFC 1123 subdomain"},
		{"a lease that can't be called so", func(o *options) { o.leaderID = "team_a" }, "--leader-election-id: a lowercase RFC 1123 subdomain"},
		{"a certificate that isn't there", func(o *options) { o.metricsSecure, o.metricsCertPath, o.metricsCertName = true, t.TempDir(), "tls.crt" }, "--metrics-cert-path: open "},
		{"a certificate for metrics by http", func(o *options) { o.metricsCertPath = t.TempDir() }, "--metrics-cert-path: a certificate is of use with --metrics-secure alone"},
		{"no workers", func(o *options) { o.concurrentReconcile = 0 }, "--max-concurrent-reconciles must be at least 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := good
			tc.change(&o)
			err := run(&o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("run: %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "pa55") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

func TestManagerOptions(t *testing.T) {
	m := (&options{watchNamespaces: " team-a, team-b,", metricsSecure: true}).manager(runtime.NewScheme(), controller.Kinds{Assets: true, Accounts: true})
	if len(m.Cache.DefaultNamespaces) != 2 {
		t.Errorf("namespaces: %v", m.Cache.DefaultNamespaces)
	}
	if m.Metrics.FilterProvider == nil {
		t.Error("metrics that are served securely are guarded")
	}
	if all := (&options{}).manager(runtime.NewScheme(), controller.Kinds{Assets: true, Accounts: true}); all.Cache.DefaultNamespaces != nil {
		t.Error("without --watch-namespaces all namespaces are watched")
	}
}

func TestVersionLine(t *testing.T) {
	version, commit = "v1.2.3", "0123abc"
	t.Cleanup(func() { version, commit = "", "" })
	if want := "dafty-operator v1.2.3 (commit 0123abc, " + goruntime.Version() + ", " + goruntime.GOOS + "/" + goruntime.GOARCH + ")"; versionLine() != want {
		t.Errorf("--version prints %q, want %q", versionLine(), want)
	}
	version, commit = "", ""
	if got := versionLine(); !strings.HasPrefix(got, "dafty-operator dev (commit unknown, ") {
		t.Errorf("of a build that stamps nothing, --version prints %q", got)
	}
}
