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

// stage is all that runs, and how to stop it.
type stage struct {
	screen   *screen
	root     string // of the checkout
	folder   string // of what is kept
	samples  *samples
	sim      *daftysim.Server
	cp       *kubetest.ControlPlane
	operator *operatortest.Process
	board    *board
	album    *album
	stops    []func() error
}

func (st *stage) logs() string       { return filepath.Join(st.folder, "logs") }
func (st *stage) pictures() string   { return filepath.Join(st.folder, "pictures") }
func (st *stage) bin() string        { return filepath.Join(st.folder, "bin") }
func (st *stage) kubeconfig() string { return filepath.Join(st.folder, "kubeconfig") }

// stopping remembers what to do in the end; the last comes first.
func (st *stage) stopping(stop func() error) { st.stops = append(st.stops, stop) }

func (st *stage) stop() error {
	if len(st.stops) == 0 {
		return nil
	}
	st.screen.freeze()
	stopped := st.screen.step("stop")
	var errs []error
	for _, stop := range slices.Backward(st.stops) {
		errs = append(errs, stop())
	}
	err := errors.Join(errs...)
	said := "nothing is left running"
	if _, err := os.Stat(st.folder); err == nil {
		said += "; kept: " + st.folder
	}
	stopped(said, err)
	return err
}

// start brings everything up.
func (st *stage) start(ctx context.Context) (err error) {
	if st.root, err = sourcetree.Root(); err != nil {
		return err
	}
	if st.samples, err = readSamples(st.root); err != nil {
		return err
	}
	if st.folder, err = os.MkdirTemp("", "dafty-demo-"); err != nil {
		return err
	}
	st.stopping(st.tidy)
	for _, dir := range []string{st.logs(), st.pictures(), st.bin()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	st.startSimulator()
	if err := st.startKubernetes(ctx); err != nil {
		return err
	}
	return st.startOperator(ctx)
}

// tidy leaves what a user may still want to look at: folders with something in them.
func (st *stage) tidy() error {
	err := errors.Join(os.RemoveAll(st.bin()), os.RemoveAll(st.kubeconfig()))
	for _, dir := range []string{st.logs(), st.pictures(), st.folder} {
		_ = os.Remove(dir) // which only works where it is empty
	}
	return err
}

func (st *stage) startSimulator() {
	started := st.screen.step("Dafty")
	st.sim = daftysim.Serve(daftysim.New(daftysim.Options{
		Accounts: []daftysim.Account{st.samples.account()}, Manual: true, StrictRequests: true, Admin: true,
	}))
	ctx, cancel := context.WithCancel(context.Background())
	work := &studio{sim: st.sim, plans: map[string]plan{}, long: map[string]bool{
		prompt(st.samples.jobs[sampleCancelled].Spec): true,
		prompt(st.samples.jobs[sampleDeleted].Spec):   true,
	}}
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		work.work(ctx)
	}()
	st.stopping(func() error {
		cancel()
		<-worked
		st.sim.Close()
		return writeRequests(filepath.Join(st.logs(), "dafty.log"), st.sim.Requests())
	})
	started("simulated at "+st.sim.URL, nil)
}

// startKubernetes starts the control plane while the operator is compiled; whatever fails ends both.
func (st *stage) startKubernetes(ctx context.Context) error {
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		built := st.screen.step("build")
		err := gobuild.Operator(ctx, st.root, filepath.Join(st.bin(), "manager"))
		built("the operator, from this checkout", err)
		return err
	})
	both.Go(func() (err error) {
		version := ""
		started := st.screen.step("Kubernetes")
		defer func() { started(version+": etcd, kube-apiserver, kube-controller-manager", err) }()
		st.cp, err = kubetest.New(ctx, kubetest.Options{ControllerManager: true, LogDir: st.logs(), Log: st.screen.progress()})
		if err != nil {
			return err
		}
		st.stopping(st.cp.Stop)
		version, err = serverVersion(st.cp)
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

// startOperator starts the operator, and what looks on.
func (st *stage) startOperator(ctx context.Context) (err error) {
	started := st.screen.step("operator")
	defer func() { started("watches every namespace", err) }()

	// Short paths for the user to paste.
	content, err := os.ReadFile(st.cp.Kubeconfig)
	if err != nil {
		return err
	}
	if err := os.WriteFile(st.kubeconfig(), content, 0o600); err != nil {
		return err
	}
	if err := os.Symlink(st.cp.Asset("kubectl"), filepath.Join(st.bin(), "kubectl")); err != nil {
		return err
	}

	if st.operator, err = operatortest.Start(operatortest.Config{
		Program: filepath.Join(st.bin(), "manager"),
		LogFile: filepath.Join(st.logs(), "operator.log"),
		Args: []string{
			"--kubeconfig=" + st.kubeconfig(), "--dafty-url=" + st.sim.URL,
			// No port is taken that a second demo would want.
			"--metrics-bind-address=0", "--health-probe-bind-address=0",
		},
	}); err != nil {
		return err
	}
	st.stopping(st.stopOperator)
	if err := st.waitForOperator(ctx); err != nil {
		return err
	}

	st.board = newBoard(st.screen)
	st.album = newAlbum(st.pictures())
	stop, err := st.board.follow(ctx, st.cp.Config)
	if err != nil {
		return err
	}
	st.stopping(stop)
	st.stopping(st.album.keepUp(st.board))
	return nil
}

func (st *stage) waitForOperator(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not within %s", readyWithin))
	defer cancel()
	return st.operator.WaitWorking(ctx)
}

// stopOperator ends the operator in good order, or at once if that takes long.
func (st *stage) stopOperator() error {
	if st.operator.Ended() {
		return nil
	}
	_ = st.operator.Stop(stopWithin) // or else it is killed
	return st.operator.Kill()
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
