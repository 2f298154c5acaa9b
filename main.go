// Command manager is the Dafty operator: it makes the jobs that DaftyJob objects describe.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	// Authentication plugins of kubeconfig files.
	_ "k8s.io/client-go/plugin/pkg/client/auth"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/budget"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lease"
	"dafty.ai/dafty-operator/internal/tracing"
)

// A pod is given 60 s to end (config/manager): what is on its way to Dafty gets the most of it, and the manager what is left.
const (
	drainFor = 45 * time.Second
	stopFor  = 10 * time.Second
)

func main() {
	o := &options{}
	o.bindFlags(flag.CommandLine)
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

func run(o *options) error {
	limits, err := o.check(flag.Args())
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("no cluster to connect to; give --kubeconfig or set KUBECONFIG: %w", err)
	}
	mgr, with, err := o.newManager(config)
	if err != nil {
		return err
	}

	// The manager ends only after what is on its way to Dafty has ended: until then it keeps the lease, and writes the answers.
	signalled := ctrl.SetupSignalHandler()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	accounts, err := o.setUpController(ctx, mgr, limits, with)
	if err != nil {
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

// newManager returns a manager with its leader election, and which kinds it can watch.
func (o *options) newManager(config *rest.Config) (mgr ctrl.Manager, with controller.Kinds, err error) {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))

	with, err = o.watchable(config, scheme, ctrl.Log)
	if err != nil {
		return nil, with, err
	}
	managed := o.manager(scheme, with)
	elected, err := lease.New(config, o.leaderNamespace, o.leaderID, o.leaseTiming)
	if err != nil {
		return nil, with, err
	}
	managed.LeaderElectionResourceLockInterface, managed.LeaderElectionID = elected, o.leaderID // the latter for its metric
	mgr, err = ctrl.NewManager(config, managed)
	if err != nil {
		return nil, with, err
	}
	elected.Record(mgr.GetEventRecorderFor(elected.Identity())) //nolint:staticcheck // The leader election knows only the older events.
	return mgr, with, mgr.AddHealthzCheck("leader-election", elected.Healthy)
}

// setUpController adds the controllers and their readiness to the manager, and returns the accounts that make the calls to Dafty until
// ctx ends.
func (o *options) setUpController(ctx context.Context, mgr ctrl.Manager, limits account.Limits, with controller.Kinds) (*account.Registry, error) {
	wakeups, accountWakeups := controller.NewWakeups(), controller.NewWakeups()
	httpClient := tracing.NewClient(dafty.NewHTTPClient(), o.daftyURL)
	userAgent := "dafty-operator/" + buildVersion()
	accounts := account.NewRegistry(ctx, account.Config{
		Client:      func(apiKey string) account.Dafty { return dafty.New(o.daftyURL, apiKey, userAgent, httpClient) },
		Wake:        wakeups.Wake,
		WakeFirst:   wakeups.WakeFirst,
		Limits:      limits,
		WakeAccount: func(name string) { accountWakeups.Wake(types.NamespacedName{Name: name}) },
	})
	reconciler := &controller.Reconciler{
		Client:          mgr.GetClient(),
		Live:            mgr.GetAPIReader(),
		Recorder:        mgr.GetEventRecorder(controller.Name),
		Accounts:        accounts,
		Clock:           clock.RealClock{},
		DeletionTimeout: o.deletionTimeout,
		WithAssets:      with.Assets,
		WithAccounts:    with.Accounts,
	}
	if with.Accounts {
		reconciler.Budgets = budget.NewBook(mgr.GetClient(), controller.ListReader{Reader: mgr.GetAPIReader()}, clock.RealClock{})
	}
	if err := reconciler.SetupWithManager(ctx, mgr, wakeups, o.concurrentReconcile); err != nil {
		return nil, err
	}
	if with.Assets {
		assets := &controller.AssetReconciler{
			Client:   mgr.GetClient(),
			Live:     mgr.GetAPIReader(),
			Recorder: reconciler.Recorder,
			Clock:    reconciler.Clock,
		}
		if err := assets.SetupWithManager(ctx, mgr, o.concurrentReconcile); err != nil {
			return nil, err
		}
	}
	if with.Accounts {
		of := &controller.AccountReconciler{
			Client:   mgr.GetClient(),
			Recorder: reconciler.Recorder,
			Accounts: accounts,
			Budgets:  reconciler.Budgets,
			Clock:    reconciler.Clock,
		}
		if err := of.SetupWithManager(mgr, accountWakeups, o.concurrentReconcile); err != nil {
			return nil, err
		}
	}
	tellMissingRights(ctx, mgr.GetClient(), o.namespaces(), ctrl.Log)
	// Not ready: a takeover would have to wait until all of them are listed. Not healthy: see the check.
	watched := []client.Object{&v1alpha1.DaftyJob{}}
	if with.Assets {
		watched = append(watched, &v1alpha1.DaftyAsset{})
	}
	if with.Accounts {
		watched = append(watched, &v1alpha1.DaftyAccount{}, controller.NamespaceMetadata())
	}
	var informers []cache.Informer
	for _, object := range watched {
		informer, err := mgr.GetCache().GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		informers = append(informers, informer)
	}
	return accounts, mgr.AddReadyzCheck("caches", cachesSynced(informers))
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

// cachesSynced returns a readiness check: whoever is ready has all DaftyJobs, DaftyAssets and DaftyAccounts and their indexes in
// memory, also while it stands by.
func cachesSynced(informers []cache.Informer) healthz.Checker {
	return func(*http.Request) error {
		for _, informer := range informers {
			if !informer.HasSynced() {
				return errors.New("the DaftyJobs, DaftyAssets and DaftyAccounts aren't all listed yet")
			}
		}
		return nil
	}
}
