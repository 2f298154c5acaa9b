package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const (
	// changesEach is how often each asset changes, its first template among them.
	changesEach = 10
	// assetKeys are enough for their limits, 20 creates a minute each, not to hold anything up.
	assetKeys = 100
	// plainAtOnce is how many DaftyJobs are made at once that the assets' are compared with.
	plainAtOnce = 16
)

// assetLoad is a share of the assets that is changed together.
type assetLoad struct {
	// atOnce is how many change at once, each again as soon as it has its result; of is how many of 20 assets they are.
	atOnce, of int
	// judged reports whether what must be reached is meant for this load.
	judged bool
}

// assetLoads go from one that leaves most of a machine of two cores free to one at which each write waits for others.
var assetLoads = []assetLoad{{atOnce: 4, of: 3, judged: true}, {atOnce: 8, of: 5}, {atOnce: 16, of: 12}}

// assets: what a change of a DaftyAsset costs beyond its DaftyJob, and how soon its result is the current one.
func assets(ctx context.Context, e *environment) error {
	count := e.scaled(1_000, 20)
	if err := e.serve(daftysim.Options{
		PendingFor: daftysim.Fixed(200 * time.Millisecond), ProcessingFor: daftysim.Fixed(time.Second), Limits: daftysim.NoLimits,
	}, false); err != nil {
		return err
	}
	if err := e.kube.prepare(ctx, namespace, assetKeys); err != nil {
		return err
	}
	o, err := e.startWorking(ctx)
	if err != nil {
		return err
	}
	plain, err := e.writesOfPlainJobs(ctx, count, assetKeys)
	if err != nil {
		return err
	}
	w, err := e.watchResults(ctx, namespace)
	if err != nil {
		return err
	}
	jobs, err := e.watch(ctx, namespace)
	if err != nil {
		return err
	}
	before, err := e.apiRequests(ctx)
	if err != nil {
		return err
	}
	made := 0
	for _, load := range assetLoads {
		n := max(load.atOnce, count*load.of/20)
		if err := e.changeAssets(ctx, o, w, jobs, load, made, n); err != nil {
			return err
		}
		made += n
	}
	after, err := e.apiRequests(ctx)
	if err != nil {
		return err
	}
	e.measureChanges(after, before, float64(made*changesEach), float64(made), plain)
	if paid := len(e.dafty.Ledger()); paid != made*changesEach+count {
		return fmt.Errorf("%d jobs were paid for, of %d changes and %d DaftyJobs", paid, made*changesEach, count)
	}
	return nil
}

// changeAssets has n assets changed, from the first on, and measures what that takes.
func (e *environment) changeAssets(ctx context.Context, o *operator, w *resultWatch, jobs *watcher, load assetLoad, first, n int) error {
	before, err := e.cpuTimes(ctx, o)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := each(ctx, n, load.atOnce, func(ctx context.Context, i int) error { return e.changeAsset(ctx, w, first+i, assetKeys) }); err != nil {
		return err
	}
	took := time.Since(began)
	pause(ctx, afterwards)
	after, err := e.cpuTimes(ctx, o)
	if err != nil {
		return err
	}
	at, changes := fmt.Sprintf("%d at once: ", load.atOnce), float64(n*changesEach)
	e.measure(at+"changes a second", changes/took.Seconds(), "")
	e.measure(at+"CPU of the operator per change", milliseconds(after.operator-before.operator)/changes, "ms")
	e.measure(at+"CPU of the API server per change", milliseconds(after.apiServer-before.apiServer)/changes, "ms")
	e.measureResults(w, jobs.snapshot(), at, began, load.judged)
	return nil
}

// cpuTimes are what processes have used since their start.
type cpuTimes struct{ operator, apiServer time.Duration }

func (e *environment) cpuTimes(ctx context.Context, o *operator) (used cpuTimes, err error) {
	if used.operator, err = o.CPUTime(); err != nil {
		return used, err
	}
	used.apiServer, err = e.apiServerCPU(ctx)
	return used, err
}

// writesOfPlainJobs has DaftyJobs made that are as those of the assets, with a ConfigMap each, and returns the writes per job, but for
// those of its status.
func (e *environment) writesOfPlainJobs(ctx context.Context, n, keys int) (writes float64, err error) {
	before, err := e.apiRequests(ctx)
	if err != nil {
		return 0, err
	}
	if err := each(ctx, n, plainAtOnce, func(ctx context.Context, i int) error {
		job := newJob(namespace, jobName(i), i%keys)
		job.Spec.ResultConfigMap = job.Name
		if err := e.kube.client.Create(ctx, job); err != nil {
			return err
		}
		return waitFor(ctx, 2*time.Minute, job.Name+" to complete", func() bool {
			err := e.kube.client.Get(ctx, client.ObjectKeyFromObject(job), job)
			return err == nil && job.Status.Phase == v1alpha1.PhaseCompleted
		})
	}); err != nil {
		return 0, err
	}
	pause(ctx, afterwards)
	after, err := e.apiRequests(ctx)
	if err != nil {
		return 0, err
	}
	writes = writesSince(after, before) / float64(n)
	status := jobStatusSince(after, before) / float64(n)
	e.measure("writes per DaftyJob with a ConfigMap, its create among them", writes+status, "")
	e.measure("… of them of its status", status, "")
	return writes, nil
}

// writesSince returns the writes to DaftyJobs, DaftyAssets and ConfigMaps that succeeded, but for the status of DaftyJobs: whether
// that says Processing in between is a matter of chance.
func writesSince(after, before requests) (sum float64) {
	for _, resource := range []string{"daftyjobs", "daftyassets", "configmaps"} {
		for _, write := range []string{`verb="POST",201`, `verb="PATCH",200`, `verb="DELETE",200`} {
			verb, code, _ := strings.Cut(write, ",")
			sum += after.since(before, `resource="`+resource+`"`, verb, `code="`+code+`"`)
		}
	}
	return sum - jobStatusSince(after, before)
}

func jobStatusSince(after, before requests) float64 {
	return after.since(before, `resource="daftyjobs"`, `verb="PATCH"`, `code="200"`, `subresource="status"`)
}

// newAsset returns a DaftyAsset that uses the key-th API key.
func newAsset(namespace, name string, key int) *v1alpha1.DaftyAsset {
	spec := newJob(namespace, name, key).Spec
	return &v1alpha1.DaftyAsset{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DaftyAsset"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.DaftyAssetSpec{Template: v1alpha1.DaftyJobTemplate{Spec: spec}, ResultConfigMap: name},
	}
}

func assetName(n int) string { return fmt.Sprintf("asset-%06d", n) }

// changeAsset creates an asset, and gives it another template each time it has the result of the last.
func (e *environment) changeAsset(ctx context.Context, w *resultWatch, i, keys int) error {
	asset := newAsset(namespace, assetName(i), i%keys)
	for change := range changesEach {
		var err error
		if change == 0 {
			err = e.kube.client.Create(ctx, asset)
		} else {
			patch := fmt.Appendf(nil, `{"spec":{"template":{"spec":{"imageGenerate":{"prompt":"%s, take %d"}}}}}`, prompt, change)
			err = e.kube.client.Patch(ctx, asset, client.RawPatch(types.MergePatchType, patch))
		}
		if err != nil {
			return err
		}
		generation := asset.Generation
		if err := waitFor(ctx, 2*time.Minute, fmt.Sprintf("change %d of %s", change, asset.Name), func() bool {
			return w.readyGeneration(asset.Name) >= generation
		}); err != nil {
			return err
		}
	}
	return nil
}

// measureChanges adds the writes per change: the users' own templates aren't counted, and the deletion of a DaftyJob that is beyond
// the history, which takes two, is counted apart, as it is a DaftyJob's.
func (e *environment) measureChanges(after, before requests, changes, assets, plain float64) {
	deleted := after.since(before, `resource="daftyjobs"`, `verb="DELETE"`, `code="200"`)
	all := writesSince(after, before) - changes - 2*deleted
	status := jobStatusSince(after, before) / changes
	e.measure("writes per change, its DaftyJob's among them", all/changes+status, "")
	e.measure("… of them of its DaftyJob's status", status, "")
	e.atMost("… beyond those of a DaftyJob with a ConfigMap", all/changes-plain, "", 2)
	e.measure("… of the asset's status", after.since(before, `resource="daftyassets"`, `verb="PATCH"`, `code="200"`, `subresource="status"`)/changes, "")
	e.measure("… of its annotation", (after.since(before, `resource="daftyassets"`, `verb="PATCH"`, `code="200"`, `subresource=""`)-(changes-assets))/changes, "")
	e.measure("DaftyJobs deleted beyond the history, per change", deleted/changes, "")
	for _, resource := range []string{"daftyjobs", "daftyassets", "configmaps"} {
		e.measure("writes of "+resource+" lost to a conflict per change", after.since(before, `resource="`+resource+`"`, `code="409"`)/changes, "")
	}
	for _, verb := range []string{"LIST", "GET"} {
		reads := 0.0
		for _, resource := range []string{"daftyjobs", "daftyassets", "configmaps", "secrets"} {
			reads += after.since(before, `resource="`+resource+`"`, `verb="`+verb+`"`)
		}
		e.measure("reads by "+verb+" per change", reads/changes, "")
	}
	e.measure("events written per change", after.since(before, `group="events.k8s.io"`, `resource="events"`)/changes, "")
}
