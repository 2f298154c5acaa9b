package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// assetNames are those of each tenant's DaftyAssets. The poster is made of the hero.
var assetNames = []string{"hero", "poster"}

// historyLimit is more than there are different templates, so that each result stays on record.
const historyLimit = 20

// playAssets acts as the people who look after DaftyAssets.
func (r *run) playAssets(ctx context.Context, chance *rand.Rand) {
	for pause(ctx, between(chance, 100*time.Millisecond, 1200*time.Millisecond)) {
		// Most changes overtake the last; now and then somebody waits for what comes of it.
		if chance.IntN(6) == 0 && !pause(ctx, between(chance, 5*time.Second, 8*time.Second)) {
			return
		}
		tenant := r.env.tenants[chance.IntN(len(r.env.tenants))]
		name := assetNames[chance.IntN(len(assetNames))]
		switch dice := chance.IntN(100); {
		case dice < 55:
			// One of a few, so that it is often a revert.
			r.applyAsset(tenant, name, []string{"A mountain", "A lake", "A river", daftysim.DefaultFailWord + " A coast"}[min(chance.IntN(10)/3, 3)])
		case dice < 62:
			r.patchAsset(tenant, name, fmt.Sprintf(`{"spec":{"revision":"r%d"}}`, chance.IntN(2)))
		case dice < 72:
			r.patchAsset(tenant, name, fmt.Sprintf(`{"spec":{"suspend":%t}}`, chance.IntN(3) == 0))
		case dice < 80:
			r.patchAsset(tenant, name, fmt.Sprintf(`{"spec":{"changePolicy":%q}}`, []string{"Automatic", "Manual"}[chance.IntN(2)]))
		case dice < 95:
			r.approve(ctx, tenant, name)
		default:
			asset := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: name}}
			r.recordUserAction(tenant, "deletes asset "+name, r.env.client.Delete(r.t.Context(), asset))
		}
	}
}

// applyAsset has an asset ask for a prompt, and creates it if need be.
func (r *run) applyAsset(tenant *tenant, name, prompt string) {
	spec := v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: v1alpha1.Prompt(prompt)}}
	switch name {
	case frontPage:
		spec.AccountRef = &v1alpha1.AccountReference{Name: agency}
	case "poster":
		spec = v1alpha1.DaftyJobSpec{ImageEdit: &v1alpha1.ImageEdit{
			Prompt: v1alpha1.Prompt(prompt), Image: v1alpha1.ImageTarget{AssetRef: &v1alpha1.AssetReference{Name: "hero"}},
		}}
	}
	template, err := json.Marshal(spec)
	if err != nil {
		r.t.Error(err)
	}
	asset := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: name}}
	patch := fmt.Appendf(nil, `{"spec":{"template":{"spec":%s}}}`, template)
	err = r.env.client.Patch(r.t.Context(), asset, client.RawPatch(types.MergePatchType, patch))
	if client.IgnoreNotFound(err) == nil && err != nil {
		asset.Spec.Template.Spec, asset.Spec.HistoryLimit, asset.Spec.ResultConfigMap = spec, new(int32), name
		*asset.Spec.HistoryLimit = historyLimit
		err = r.env.client.Create(r.t.Context(), asset)
	}
	r.recordUserAction(tenant, "wants asset "+name+" to be "+prompt, err)
}

func (r *run) patchAsset(tenant *tenant, name, patch string) {
	asset := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: name}}
	err := r.env.client.Patch(r.t.Context(), asset, client.RawPatch(types.MergePatchType, []byte(patch)))
	r.recordUserAction(tenant, "patches asset "+name+" "+patch, err)
}

// approve approves what an asset waits with, if it does.
func (r *run) approve(ctx context.Context, tenant *tenant, name string) {
	asset := &v1alpha1.DaftyAsset{}
	err := r.env.client.Get(ctx, types.NamespacedName{Namespace: tenant.namespace, Name: name}, asset)
	if err != nil || asset.Status.Pending == nil {
		return
	}
	r.patchAsset(tenant, name, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ApprovedAnnotation, asset.Status.Pending.Hash))
}

// assetRecords has the newest version of each DaftyAsset that the watch has shown, by UID, without those that are gone.
type assetRecords struct {
	mu       sync.Mutex
	newest   map[types.UID]*v1alpha1.DaftyAsset
	problems []string
	// changes counts how often another result became current, and reverts how often it was one that was on record.
	changes, reverts int
	// stored are the results that ConfigMaps had, by url, each with one of these.
	stored map[string]string
}

type assetWatcher struct{ client client.WithWatch }

func (w assetWatcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return w.client.Watch(ctx, &v1alpha1.DaftyAssetList{}, &client.ListOptions{Raw: &options})
}

// watchAssets watches the DaftyAssets until the test ends.
func (r *run) watchAssets() *assetRecords {
	r.t.Helper()
	list := &v1alpha1.DaftyAssetList{}
	if err := r.env.client.List(r.t.Context(), list); err != nil {
		r.t.Fatal(err)
	}
	events, err := watchtools.NewRetryWatcherWithContext(r.t.Context(), list.ResourceVersion, assetWatcher{r.env.client})
	if err != nil {
		r.t.Fatal(err)
	}
	records := &assetRecords{newest: map[types.UID]*v1alpha1.DaftyAsset{}, stored: map[string]string{}}
	go func() {
		for event := range events.ResultChan() {
			if asset, ok := event.Object.(*v1alpha1.DaftyAsset); ok {
				records.observe(asset, event.Type == watch.Deleted, r)
			} else {
				records.report("the watch of the test broke: %v", event.Object)
			}
		}
	}()
	return records
}

// observe records a version of an asset, and what must never be seen: a result that was there and isn't.
func (rs *assetRecords) observe(asset *v1alpha1.DaftyAsset, gone bool, r *run) {
	raw, err := json.Marshal(asset)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	problem := func(format string, args ...any) {
		rs.problems = append(rs.problems, fmt.Sprintf(format, args...)+": "+string(raw))
	}
	if err != nil {
		problem("%v", err)
	}
	if key, form := operatortest.FindKey(string(raw), r.env.keys()...); key != "" {
		problem("leaked: %s, %s", key, form)
	}
	before := rs.newest[asset.UID]
	has := func(a *v1alpha1.DaftyAsset) bool {
		return a != nil && a.Status.Current != nil && a.Status.Current.Result != nil
	}
	switch {
	case has(before) && !has(asset):
		problem("unavailable: the result of %s/%s is gone", asset.Namespace, asset.Name)
	case has(asset) && (!has(before) || before.Status.Current.Hash != asset.Status.Current.Hash):
		rs.changes++
		rs.checkRevert(before, asset, problem)
	}
	if before == nil || describeAsset(before) != describeAsset(asset) {
		r.timeline.add("asset", "%s/%s is %s", asset.Namespace, asset.Name, describeAsset(asset))
	}
	rs.newest[asset.UID] = asset
	if gone {
		delete(rs.newest, asset.UID)
	}
}

// checkRevert checks that what was on record as it became current is what was made then.
func (rs *assetRecords) checkRevert(before, asset *v1alpha1.DaftyAsset, problem func(string, ...any)) {
	if before == nil {
		return
	}
	current := asset.Status.Current
	for _, had := range before.Status.History {
		if had.Hash != current.Hash {
			continue
		}
		rs.reverts++
		if had.JobID != current.JobID || had.Result.Primary != current.Result.Primary {
			problem("paid twice: DaftyAsset %s/%s goes back to %s, which job %s made, and has %s", asset.Namespace, asset.Name, had.Hash, had.JobID, current.JobID)
		}
	}
}

func (rs *assetRecords) all() []*v1alpha1.DaftyAsset {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var all []*v1alpha1.DaftyAsset
	for _, asset := range rs.newest {
		all = append(all, asset)
	}
	return all
}

func (rs *assetRecords) changed() (changes, reverts int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.changes, rs.reverts
}

func assetReason(asset *v1alpha1.DaftyAsset) string {
	if c := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Reason
	}
	return ""
}

func describeAsset(asset *v1alpha1.DaftyAsset) string {
	text := fmt.Sprintf("%s of generation %d, seen %d", assetReason(asset), asset.Generation, asset.Status.ObservedGeneration)
	if c := asset.Status.Current; c != nil {
		text += ", current " + c.Hash
	}
	if p := asset.Status.Pending; p != nil {
		text += ", pending " + p.Hash
	}
	return text
}

// readyAssets returns the assets that have what they want.
func (r *run) readyAssets() map[types.NamespacedName]bool {
	ready := map[types.NamespacedName]bool{}
	for _, asset := range r.assets.all() {
		ready[client.ObjectKeyFromObject(asset)] = assetReason(asset) == v1alpha1.ReasonCompleted
	}
	return ready
}

// waitsForAsset reports whether a job refers to an asset that isn't ready. Whether that must still change is told of the asset.
func (r *run) waitsForAsset(job *v1alpha1.DaftyJob) bool {
	ready := r.readyAssets()
	return reason(job) == v1alpha1.ReasonWaitingForDependency && slices.ContainsFunc(lifecycle.DependsOnAssets(&job.Spec), func(name string) bool {
		return !ready[types.NamespacedName{Namespace: job.Namespace, Name: name}]
	})
}

// unsettledAssets returns the assets that must still change.
func (r *run) unsettledAssets() (open []string) {
	ready := r.readyAssets()
	for _, asset := range r.assets.all() {
		settled := false
		switch assetReason(asset) {
		case v1alpha1.ReasonCompleted, v1alpha1.ReasonGenerationFailed:
			settled = true // nobody holds one back in the end
		case v1alpha1.ReasonWaitingForDependency:
			settled = !ready[types.NamespacedName{Namespace: asset.Namespace, Name: "hero"}]
		case v1alpha1.ReasonBudgetExhausted:
			settled = r.waitsForBudget(agency, asset.Namespace, asset.Status.Conditions)
		}
		if !settled || asset.Status.ObservedGeneration != asset.Generation || asset.DeletionTimestamp != nil {
			open = append(open, fmt.Sprintf("DaftyAsset %s/%s is %s", asset.Namespace, asset.Name, describeAsset(asset)))
		}
	}
	return open
}

// checkAssets checks the DaftyAssets against Dafty's ledger: no request that is on record was paid for twice, what is Ready is what
// the newest spec asks for, it is in its ConfigMap, and what was overtaken doesn't run.
func (r *run) checkAssets() {
	r.assets.mu.Lock()
	for _, problem := range r.assets.problems {
		r.t.Error(problem)
	}
	r.assets.mu.Unlock()
	byUID, byID := map[types.UID][]daftysim.Entry{}, map[string]daftysim.Entry{}
	for _, entry := range r.dafty.Ledger() {
		byUID[owner(entry)] = append(byUID[owner(entry)], entry)
		byID[entry.JobID] = entry
	}
	results := map[string]string{} // the job that completed, by the asset's UID and the DaftyJob's name
	for _, h := range r.records.histories() {
		_, of, made := lifecycle.MadeBy(h.newest)
		if !made {
			continue
		}
		for _, entry := range byUID[h.newest.UID] {
			request := string(of) + " " + h.newest.Name
			if entry.Status == daftysim.StatusCompleted && results[request] != "" {
				r.t.Errorf("paid twice: %s of DaftyAsset %s, as %s and as %s", h.newest.Name, of, results[request], entry.JobID)
			}
			if entry.Status == daftysim.StatusCompleted {
				results[request] = entry.JobID
			}
		}
	}
	for _, asset := range r.assets.all() {
		r.checkAsset(asset, byID)
	}
	r.checkStored(byID)
	for _, entry := range r.dafty.Running() {
		r.t.Errorf("left running: %s, job %s of %s", entry.Prompt, entry.JobID, owner(entry))
	}
}

func (r *run) checkAsset(asset *v1alpha1.DaftyAsset, byID map[string]daftysim.Entry) {
	wrong := func(format string, args ...any) {
		r.t.Errorf("%s/%s (%s) is %s: %s", asset.Namespace, asset.Name, asset.UID, describeAsset(asset), fmt.Sprintf(format, args...))
	}
	for _, on := range append(slices.Clone(asset.Status.History), deref(asset.Status.Current)...) {
		if entry := byID[on.JobID]; entry.Status != daftysim.StatusCompleted {
			wrong("its record has job %s, which Dafty has as %+v", on.JobID, entry)
		}
	}
	if assetReason(asset) != v1alpha1.ReasonCompleted {
		return
	}
	current, spec := asset.Status.Current, asset.Spec.Template.Spec
	prompt := ""
	switch {
	case spec.ImageGenerate != nil:
		prompt = string(spec.ImageGenerate.Prompt)
	case spec.ImageEdit != nil:
		prompt = string(spec.ImageEdit.Prompt)
	}
	if entry := byID[current.JobID]; entry.Prompt != prompt {
		wrong("the newest spec asks for %q, and the result is of %q", prompt, entry.Prompt)
	}
	stored := &corev1.ConfigMap{}
	if err := r.env.client.Get(r.t.Context(), types.NamespacedName{Namespace: asset.Namespace, Name: asset.Spec.ResultConfigMap}, stored); err != nil {
		wrong("its ConfigMap: %v", err)
	} else if stored.Data["image_0_url"] != current.Result.Primary {
		wrong("its ConfigMap has %v", stored.Data)
	}
}

// deref returns what a pointer points to, if to anything.
func deref(current *v1alpha1.AssetResult) []v1alpha1.AssetResult {
	if current == nil {
		return nil
	}
	return []v1alpha1.AssetResult{*current}
}
