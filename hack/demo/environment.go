package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/discovery"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

const (
	readyWithin = time.Minute
	stopWithin  = 5 * time.Second
)

// environment is all that runs, with how to stop it.
type environment struct {
	screen    *screen
	root      string // of the checkout
	folder    string // of what is kept
	samples   *samples
	sim       *daftysim.Server
	cp        *kubetest.ControlPlane
	operator  *operatortest.Process
	jobs      *jobTracker
	assets    assets
	sharing   *sharing
	downloads *downloads
	stops     []func() error
}

func (e *environment) logs() string       { return filepath.Join(e.folder, "logs") }
func (e *environment) pictures() string   { return filepath.Join(e.folder, "pictures") }
func (e *environment) bin() string        { return filepath.Join(e.folder, "bin") }
func (e *environment) kubeconfig() string { return filepath.Join(e.folder, "kubeconfig") }

// atEnd has stop call a function; the last one is called first.
func (e *environment) atEnd(stop func() error) { e.stops = append(e.stops, stop) }

func (e *environment) stop() error {
	if len(e.stops) == 0 {
		return nil
	}
	e.screen.freeze()
	stopped := e.screen.step("stop")
	var errs []error
	for _, stop := range slices.Backward(e.stops) {
		errs = append(errs, stop())
	}
	err := errors.Join(errs...)
	said := "nothing is left running"
	if _, err := os.Stat(e.folder); err == nil {
		said += "; kept: " + e.folder
	}
	stopped(said, err)
	return err
}

// start starts everything.
func (e *environment) start(ctx context.Context) (err error) {
	if e.root, err = sourcetree.Root(); err != nil {
		return err
	}
	if e.samples, err = readSamples(e.root); err != nil {
		return err
	}
	if e.sharing, err = readSharing(e.root); err != nil {
		return err
	}
	e.assets.stages.of = assetOf
	if e.folder, err = os.MkdirTemp("", "dafty-demo-"); err != nil {
		return err
	}
	e.atEnd(e.removeFiles)
	for _, dir := range []string{e.logs(), e.pictures(), e.bin()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	e.startSimulator()
	if err := e.startKubernetes(ctx); err != nil {
		return err
	}
	return e.startOperator(ctx)
}

// removeFiles removes what is of no use after the demo, and empty folders.
func (e *environment) removeFiles() error {
	err := errors.Join(os.RemoveAll(e.bin()), os.RemoveAll(e.kubeconfig()))
	for _, dir := range []string{e.logs(), e.pictures(), e.folder} {
		_ = os.Remove(dir) // which only works where it is empty
	}
	return err
}

func (e *environment) startSimulator() {
	started := e.screen.step("Dafty")
	e.sim = daftysim.Serve(daftysim.New(daftysim.Options{
		Accounts: []daftysim.Account{e.samples.account(), e.sharing.payer()}, Manual: true, StrictRequests: true, Admin: true,
	}))
	ctx, cancel := context.WithCancel(context.Background())
	work := &driver{sim: e.sim, plans: map[string]plan{}, slow: map[string]bool{
		prompt(e.samples.jobs[sampleCancelled].Spec): true,
		prompt(e.samples.jobs[sampleDeleted].Spec):   true,
	}}
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		work.run(ctx)
	}()
	e.atEnd(func() error {
		cancel()
		<-worked
		e.sim.Close()
		return writeRequests(filepath.Join(e.logs(), "dafty.log"), e.sim.Requests())
	})
	started("simulated at "+e.sim.URL, nil)
}

// startKubernetes starts the control plane while the operator is compiled; whatever fails ends both.
func (e *environment) startKubernetes(ctx context.Context) error {
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		built := e.screen.step("build")
		err := gobuild.Operator(ctx, e.root, filepath.Join(e.bin(), "manager"))
		built("the operator, from this checkout", err)
		return err
	})
	both.Go(func() (err error) {
		version := ""
		started := e.screen.step("Kubernetes")
		defer func() { started(version+": etcd, kube-apiserver, kube-controller-manager", err) }()
		e.cp, err = kubetest.New(ctx, kubetest.Options{ControllerManager: true, LogDir: e.logs(), Log: e.screen.progress()})
		if err != nil {
			return err
		}
		e.atEnd(e.cp.Stop)
		version, err = serverVersion(e.cp)
		return err
	})
	return both.Wait()
}

func serverVersion(cp *kubetest.ControlPlane) (string, error) {
	client, err := discovery.NewDiscoveryClientForConfig(cp.Config)
	if err != nil {
		return "", err
	}
	info, err := client.ServerVersion()
	if err != nil {
		return "", err
	}
	return info.GitVersion, nil
}

// startOperator starts the operator and the watch of its DaftyJobs.
func (e *environment) startOperator(ctx context.Context) (err error) {
	started := e.screen.step("operator")
	defer func() { started("watches every namespace", err) }()

	// Short paths for the user to paste.
	content, err := os.ReadFile(e.cp.Kubeconfig)
	if err != nil {
		return err
	}
	if err := os.WriteFile(e.kubeconfig(), content, 0o600); err != nil {
		return err
	}
	if err := os.Symlink(e.cp.Asset("kubectl"), filepath.Join(e.bin(), "kubectl")); err != nil {
		return err
	}

	if e.operator, err = operatortest.Start(operatortest.Config{
		Program: filepath.Join(e.bin(), "manager"),
		LogFile: filepath.Join(e.logs(), "operator.log"),
		Args: []string{
			"--kubeconfig=" + e.kubeconfig(), "--dafty-url=" + e.sim.URL,
			// No port is taken that a second demo would want.
			"--metrics-bind-address=0", "--health-probe-bind-address=0",
		},
	}); err != nil {
		return err
	}
	e.atEnd(e.stopOperator)
	if err := e.waitForOperator(ctx); err != nil {
		return err
	}

	e.jobs = newJobTracker(e.screen)
	e.downloads = newDownloads(e.pictures())
	stop, err := e.jobs.follow(ctx, e.cp.Config)
	if err != nil {
		return err
	}
	e.atEnd(stop)
	e.atEnd(e.downloads.keepUp(e.jobs))
	return nil
}

func (e *environment) waitForOperator(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not within %s", readyWithin))
	defer cancel()
	return e.operator.WaitWorking(ctx)
}

// stopOperator ends the operator in good order, or at once if that takes long.
func (e *environment) stopOperator() error {
	if e.operator.Ended() {
		return nil
	}
	_ = e.operator.Stop(stopWithin) // or else it is killed
	return e.operator.Kill()
}

// writeRequests writes down what Dafty was asked, one request a line.
func writeRequests(file string, requests []daftysim.Request) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	for _, r := range requests {
		fmt.Fprintf(f, "%s %3d %-4s %s", r.Time.Format(time.RFC3339Nano), r.Status, r.Method, r.Path)
		if r.Query != "" {
			fmt.Fprintf(f, "?%s", r.Query)
		}
		if key := r.IdempotencyKey(); key != "" {
			fmt.Fprintf(f, "  Idempotency-Key: %s", key)
		}
		fmt.Fprintln(f)
	}
	return f.Close()
}
