package simulation

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
)

// assetRecords is what the invariants know of DaftyAssets. All of it is guarded by env.mu.
type assetRecords struct {
	// latest is the last version of each DaftyAsset that there ever was.
	latest map[types.UID]*v1alpha1.DaftyAsset
	// paid is, by the name of a DaftyAsset and a hash, the DaftyJob that was submitted for it since it came on record.
	paid map[string]map[string]types.UID
	// recorded are the DaftyJobs that were ever on record as pending, and allowed those that could be submitted then.
	recorded, allowed map[types.UID]bool
	// removed are the DaftyJobs that somebody else than their DaftyAsset deleted or took from it.
	removed map[types.UID]bool
	// restored are the DaftyAssets that came from a backup.
	restored map[types.UID]bool
	// restoring is set while one is being restored, in several writes.
	restoring bool
	// requests are what the DaftyJobs of a name ask for, and revisions for which spec.revision they were Ready.
	requests, revisions map[string]string
	// senders are the DaftyJobs that first sent a key that several share.
	senders map[string]types.UID
}

func newAssetRecords() assetRecords {
	return assetRecords{
		latest: map[types.UID]*v1alpha1.DaftyAsset{}, paid: map[string]map[string]types.UID{}, recorded: map[types.UID]bool{},
		allowed: map[types.UID]bool{}, removed: map[types.UID]bool{}, restored: map[types.UID]bool{}, requests: map[string]string{},
		revisions: map[string]string{}, senders: map[string]types.UID{},
	}
}

func assetReady(asset *v1alpha1.DaftyAsset) metav1.Condition {
	if c := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// describeAsset is a DaftyAsset's status in a few words.
func describeAsset(asset *v1alpha1.DaftyAsset) string {
	text := assetReady(asset).Reason
	if c := asset.Status.Current; c != nil {
		text += ", current " + c.Hash
		if c.Result == nil {
			text += " (to be fetched)"
		}
	}
	if p := asset.Status.Pending; p != nil {
		text += ", pending " + p.Hash + " " + string(p.UID)
	}
	for _, h := range asset.Status.History {
		text += ", had " + h.Hash
	}
	return text
}

// onRecord are the hashes that a DaftyAsset has on record: by its status, or where that has no result, by its annotation too.
func onRecord(asset *v1alpha1.DaftyAsset) map[string]bool {
	hashes := map[string]bool{}
	if c := asset.Status.Current; c != nil {
		hashes[c.Hash] = true
	} else if said, is := strings.CutPrefix(asset.Annotations[v1alpha1.CurrentAnnotation], namespace+"/"+asset.Name+":"); is {
		hash, _, _ := strings.Cut(said, "=")
		hashes[hash] = true
	}
	if p := asset.Status.Pending; p != nil {
		hashes[p.Hash] = true
	}
	for _, h := range asset.Status.History {
		hashes[h.Hash] = true
	}
	return hashes
}

// checkAssetVersion checks each version of each DaftyAsset.
func (inv *invariants) checkAssetVersion(was *v1alpha1.DaftyAsset, v assetVersion) {
	asset := v.object
	inv.assets.latest[asset.UID] = asset
	inv.noAPIKey("DaftyAsset "+asset.Name, string(v.raw))
	inv.noteRecord(asset)
	if inv.userWrites || was == nil || was.UID != asset.UID || equality.Semantic.DeepEqual(was.Status, asset.Status) {
		return
	}
	inv.checkNothingLost(was, asset)
	for _, condition := range asset.Status.Conditions {
		if condition.ObservedGeneration != asset.Status.ObservedGeneration || condition.ObservedGeneration != asset.Generation {
			inv.violated("false: %s of DaftyAsset %s is of generation %d, its status of %d, and it is at %d",
				condition.Type, asset.Name, condition.ObservedGeneration, asset.Status.ObservedGeneration, asset.Generation)
		}
	}
	if problem := kstatustest.AssetProblem(asset); problem != "" {
		inv.violated("false: %s: %s", problem, describeAsset(asset))
	}
	available := asset.Status.Current != nil && asset.Status.Current.Result != nil
	if available != meta.IsStatusConditionTrue(asset.Status.Conditions, v1alpha1.ConditionAvailable) {
		inv.violated("false: the condition Available of DaftyAsset %s: %s", asset.Name, describeAsset(asset))
	}
	if assetReady(asset).Status == metav1.ConditionTrue {
		inv.checkReady(asset)
	}
}

// noteRecord follows what a DaftyAsset has on record.
func (inv *invariants) noteRecord(asset *v1alpha1.DaftyAsset) {
	a := &inv.assets
	if p := asset.Status.Pending; p != nil && p.UID != "" {
		a.recorded[p.UID] = true
		if asset.Spec.ChangePolicy != v1alpha1.ChangeManual || asset.Annotations[v1alpha1.ApprovedAnnotation] == p.Hash {
			a.allowed[p.UID] = true
		}
	}
	if a.restoring {
		return
	}
	hashes := onRecord(asset)
	for hash := range a.paid[asset.Name] {
		if !hashes[hash] {
			delete(a.paid[asset.Name], hash)
		}
	}
}

// checkNothingLost checks that the operator forgets no result, but for those beyond the history's limit.
func (inv *invariants) checkNothingLost(was, asset *v1alpha1.DaftyAsset) {
	before, after := was.Status.Current, asset.Status.Current
	if before != nil && before.Result != nil && (after == nil || after.Result == nil) {
		inv.violated("lost: DaftyAsset %s had the result of %s, and has none: %s", asset.Name, before.JobName, describeAsset(asset))
	}
	results := slices.Clone(was.Status.History)
	if before != nil && before.Result != nil {
		results = append(results, *before)
	}
	hashes := onRecord(asset)
	for _, r := range results {
		if !hashes[r.Hash] && len(asset.Status.History) < int(*asset.Spec.HistoryLimit) {
			inv.violated("lost: DaftyAsset %s has forgotten the result of %s: %s", asset.Name, r.JobName, describeAsset(asset))
		}
	}
}

// checkReady holds a DaftyAsset that is Ready against Dafty's books.
func (inv *invariants) checkReady(asset *v1alpha1.DaftyAsset) {
	untrue := func(why string) {
		inv.violated("false: DaftyAsset %s is Ready, and %s: %s", asset.Name, why, describeAsset(asset))
	}
	c := asset.Status.Current
	if c == nil || c.Result == nil {
		untrue("has no result")
		return
	}
	if entry, known := inv.env.sim.Job(c.JobID); known && entry.Status != daftysim.StatusCompleted {
		untrue("at Dafty its job is " + entry.Status)
	} else if image := asset.Spec.Template.Spec.ImageGenerate; known && image != nil && entry.Prompt != string(image.Prompt) {
		untrue("at Dafty its job is of " + entry.Prompt)
	}
	made := false
	for _, job := range inv.latest {
		made = made || job.Status.JobID == c.JobID && job.Status.Result != nil && job.Status.Result.Primary == c.Result.Primary
	}
	if !made {
		untrue("no DaftyJob has that result")
	}
	if asked := inv.assets.requests[c.JobName]; asked != requestOf(&asset.Spec.Template.Spec) {
		untrue("its result is of " + asked)
	}
	if revision, known := inv.assets.revisions[c.JobName]; known && revision != asset.Spec.Revision {
		untrue("its result is of the revision " + revision)
	}
	inv.assets.revisions[c.JobName] = asset.Spec.Revision
	for _, s := range lifecycle.AssetSources(&asset.Spec.Template.Spec) {
		if !slices.ContainsFunc(c.Inputs, func(in v1alpha1.Input) bool { return in.Field == s.Field && in.JobID != "" }) {
			untrue("what " + s.Field + " stood for isn't on record")
		}
	}
}

// requestOf is what a spec asks for.
func requestOf(spec *v1alpha1.DaftyJobSpec) string {
	asked := v1alpha1.DaftyJobSpec{
		ImageGenerate: spec.ImageGenerate, ImageEdit: spec.ImageEdit, ImageUpscale: spec.ImageUpscale, ImageToVideo: spec.ImageToVideo,
		StyleExtract: spec.StyleExtract,
	}
	raw, err := json.Marshal(asked)
	if err != nil {
		panic(err) // it is ours
	}
	return string(raw)
}

// checkCreated notes what a DaftyJob asks for that the operator creates.
func (inv *invariants) checkCreated(job *v1alpha1.DaftyJob) {
	if _, _, made := lifecycle.MadeBy(job); !made {
		inv.violated("paid unasked: the operator creates %s, which belongs to nobody", job.Name)
	}
	if job.Spec.AdoptJobID == "" {
		inv.assets.requests[job.Name] = requestOf(&job.Spec)
	}
}

// checkRelease checks that a DaftyJob that waits is released where that was allowed.
func (inv *invariants) checkRelease(before, after *v1alpha1.DaftyJob) {
	released := before.Spec.DesiredState == v1alpha1.DesiredSuspended && after.Spec.DesiredState == v1alpha1.DesiredCompleted
	if released && !inv.assets.allowed[after.UID] {
		inv.violated("paid unasked: %s is released, and nobody has approved it", after.Name)
	}
}

// checkPayment checks a DaftyJob as its first request is sent: it is on record, and the only one of its request that is paid for
// since that came on record. One that the DaftyAsset itself has called off may be made again.
func (inv *invariants) checkPayment(job *v1alpha1.DaftyJob, key string) {
	if strings.HasPrefix(key, sharedKeys) && inv.assets.senders[key] == "" {
		inv.assets.senders[key] = job.UID
	}
	name, owner, made := lifecycle.MadeBy(job)
	if !made {
		return
	}
	a := &inv.assets
	if !a.recorded[job.UID] {
		inv.violated("paid unasked: DaftyAsset %s never had %s on record, and it is submitted", name, job.Name)
	}
	hash := strings.TrimPrefix(job.Name, name+"-")
	asset := inv.env.api.asset(name)
	if asset == nil || asset.UID != owner || !onRecord(asset)[hash] {
		return
	}
	if a.paid[name] == nil {
		a.paid[name] = map[string]types.UID{}
	}
	before := a.paid[name][hash]
	if first := inv.latest[before]; before != "" && before != job.UID && first.Annotations[v1alpha1.OvertakenAnnotation] != v1alpha1.OvertakenValue {
		inv.violated("paid twice: %s of DaftyAsset %s is submitted by a DaftyJob %s after one %s", hash, name, job.UID, before)
	}
	a.paid[name][hash] = job.UID
}

// present reports whether the object of a UID is there.
func (inv *invariants) present(uid types.UID) bool {
	if asset := inv.assets.latest[uid]; asset != nil {
		is := inv.env.api.asset(asset.Name)
		return is != nil && is.UID == uid
	}
	job := inv.latest[uid]
	return job == nil || !inv.gone(job)
}
