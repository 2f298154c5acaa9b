package simulation

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// allFinished reports whether all has ended, or waits rightly.
func (inv *invariants) allFinished() bool {
	return len(inv.unfinished()) == 0 && len(inv.unfinishedAssets()) == 0
}

// unrecordedByAsset reports whether a DaftyAsset made a job and doesn't have it on record.
func (inv *invariants) unrecordedByAsset(job *v1alpha1.DaftyJob) bool {
	name, uid, made := lifecycle.MadeBy(job)
	if !made {
		return false
	}
	of := inv.env.api.asset(name)
	if of == nil || of.UID != uid {
		return true
	}
	p, c := of.Status.Pending, of.Status.Current
	return !(p != nil && p.UID == job.UID || c != nil && c.JobName == job.Name)
}

// waitsForAsset reports whether a DaftyJob that a DaftyAsset made waits to come on record, and rightly so: what is wanted isn't known, or
// nothing is to be made.
func (inv *invariants) waitsForAsset(job *v1alpha1.DaftyJob) bool {
	name, uid, made := lifecycle.MadeBy(job)
	of := inv.env.api.asset(name)
	if !made || of == nil || of.UID != uid || readyOf(job).Reason != v1alpha1.ReasonWaitingForDependency {
		return false
	}
	switch assetReady(of).Reason {
	case v1alpha1.ReasonWaitingForDependency, v1alpha1.ReasonDependencyCycle, v1alpha1.ReasonInvalidReference:
		return true
	case v1alpha1.ReasonJobDeleted:
		return inv.assets.restored[of.UID] // it was created before the status was back
	}
	return of.Spec.Suspend
}

// unfinishedAssets returns the DaftyAssets that aren't Ready, and don't say why, or say what isn't true.
func (inv *invariants) unfinishedAssets() (found []string) {
	for _, of := range all(inv.env.api.assets) {
		if problem := inv.problemOf(of); problem != "" {
			found = append(found, fmt.Sprintf("DaftyAsset %s %s: %s", of.Name, problem, describeAsset(of)))
		}
	}
	return found
}

// problemOf returns what is wrong with what a DaftyAsset says, empty where nothing is.
func (inv *invariants) problemOf(of *v1alpha1.DaftyAsset) string {
	ready := assetReady(of)
	api := inv.env.api
	cycle := lifecycle.FindCycle(lifecycle.AssetNode(of.Name), lifecycle.Edges(api.get, api.asset)) != nil
	switch {
	case of.DeletionTimestamp != nil:
		return "is still there, and deleted"
	case of.Status.ObservedGeneration != of.Generation:
		return "hasn't been looked at"
	case cycle != (ready.Reason == v1alpha1.ReasonDependencyCycle):
		return fmt.Sprintf("is in a cycle: %t", cycle)
	case ready.Status == metav1.ConditionTrue:
		return inv.problemOfReady(of)
	case of.Status.Pending != nil:
		if job := api.get(of.Status.Pending.JobName); job != nil && job.UID == of.Status.Pending.UID {
			return inv.problemOfPending(of, job)
		}
	}
	if c := of.Status.Current; c != nil && c.Result == nil {
		if job := api.get(c.JobName); job != nil && inv.waitsForUser(job) {
			return unless(ready.Reason == readyOf(job).Reason, "doesn't say what its DaftyJob waits for, which is "+describe(job))
		}
	}
	switch ready.Reason {
	case v1alpha1.ReasonDependencyCycle:
		return ""
	case v1alpha1.ReasonSuspended:
		return unless(of.Spec.Suspend, "isn't suspended")
	case v1alpha1.ReasonJobDeleted:
		p := of.Status.Pending
		return unless(p != nil && (inv.assets.removed[p.UID] || inv.assets.restored[of.UID]), "lost a DaftyJob that nobody deleted")
	case v1alpha1.ReasonWaitingForDependency:
		return unless(inv.upstreamMissing(of), "waits for nothing")
	case v1alpha1.ReasonInvalidReference:
		return unless(inv.upstreamUnusable(of) || hasFailed(of), "refers to what it may")
	case v1alpha1.ReasonJobNameTaken:
		return unless(slices.ContainsFunc(inv.objects(), func(job *v1alpha1.DaftyJob) bool {
			_, uid, made := lifecycle.MadeBy(job)
			return asset.NameFrom(job.Name) == of.Name && (!made || uid != of.UID)
		}), "finds no name taken")
	}
	return unless(hasFailed(of) && ready.Status == metav1.ConditionFalse, "doesn't go on")
}

func unless(ok bool, problem string) string {
	if ok {
		return ""
	}
	return problem
}

// hasFailed reports whether the pending DaftyJob has ended.
func hasFailed(of *v1alpha1.DaftyAsset) bool {
	return of.Status.Pending != nil && of.Status.Pending.FinishedAt != nil
}

// problemOfReady checks a DaftyAsset that is Ready and at rest: what it was made from is as followInputs says.
func (inv *invariants) problemOfReady(of *v1alpha1.DaftyAsset) string {
	if of.Status.Current == nil {
		return "is Ready, and has no result"
	}
	outdated := false
	for _, in := range of.Status.Current.Inputs {
		for _, s := range lifecycle.AssetSources(&of.Spec.Template.Spec) {
			up := inv.env.api.asset(s.Name)
			if s.Field == in.Field && up != nil && up.Status.Current != nil && up.Status.Current.JobID != in.JobID {
				outdated = true
			}
		}
	}
	switch {
	case outdated && of.Spec.FollowInputs:
		return "is Ready, and doesn't follow its inputs"
	case outdated != meta.IsStatusConditionTrue(of.Status.Conditions, v1alpha1.ConditionOutdated):
		return fmt.Sprintf("is Ready, and is Outdated: %t", outdated)
	}
	return ""
}

// problemOfPending checks a DaftyAsset whose pending DaftyJob is there, and that isn't Ready.
func (inv *invariants) problemOfPending(of *v1alpha1.DaftyAsset, job *v1alpha1.DaftyJob) string {
	ready, p := assetReady(of), of.Status.Pending
	suspended := isSuspended(job) && !maybeSubmitted(job)
	switch {
	case job.Status.Phase == v1alpha1.PhaseCompleted:
		return "doesn't take a result"
	case ready.Reason == v1alpha1.ReasonWaitingForDependency:
		return unless(inv.upstreamMissing(of) || inv.waitsForOther(job, 0), "waits for nothing")
	case ready.Reason == v1alpha1.ReasonInvalidReference && inv.upstreamUnusable(of), ready.Reason == v1alpha1.ReasonDependencyCycle:
		return ""
	case job.DeletionTimestamp != nil:
		return "has a DaftyJob that is still being deleted"
	case ready.Reason == v1alpha1.ReasonWaitingForApproval:
		approved := of.Spec.ChangePolicy != v1alpha1.ChangeManual || of.Annotations[v1alpha1.ApprovedAnnotation] == p.Hash
		return unless(suspended && p.ChangePolicy == v1alpha1.ChangeManual && !approved, "waits for no approval")
	case ready.Reason == v1alpha1.ReasonSuspended:
		return unless(isSuspended(job) || of.Spec.Suspend, "isn't suspended") // also between two attempts
	case job.Status.Phase.Final():
		return unless(ready.Status == metav1.ConditionFalse && ready.Reason == readyOf(job).Reason, "doesn't say that its DaftyJob is "+describe(job))
	}
	return unless(inv.waitsForUser(job) || inv.waitsForOther(job, 0), "doesn't go on, with a DaftyJob that is "+describe(job))
}

// upstreamMissing reports whether something that the template refers to isn't there, or not Ready.
func (inv *invariants) upstreamMissing(of *v1alpha1.DaftyAsset) bool {
	for _, name := range lifecycle.DependsOnAssets(&of.Spec.Template.Spec) {
		if up := inv.env.api.asset(name); up == nil || !lifecycle.AssetReady(up) {
			return true
		}
	}
	for _, name := range lifecycle.DependsOn(&of.Spec.Template.Spec) {
		if job := inv.env.api.get(name); job == nil || job.Status.Phase != v1alpha1.PhaseCompleted {
			return true
		}
	}
	return false
}

// upstreamUnusable reports whether the result of a DaftyAsset that the template refers to can't be used there.
func (inv *invariants) upstreamUnusable(of *v1alpha1.DaftyAsset) bool {
	for _, s := range lifecycle.AssetSources(&of.Spec.Template.Spec) {
		if up := inv.env.api.asset(s.Name); up != nil {
			if _, problem := s.Pick(up); problem != "" {
				return true
			}
		}
	}
	return false
}

// checkAssetsEnd holds what DaftyAssets say of their results against their ConfigMaps, at the end.
func (inv *invariants) checkAssetsEnd() {
	for _, of := range all(inv.env.api.assets) {
		name, c := of.Spec.ResultConfigMap, of.Status.Current
		if name == "" || c == nil || c.Result == nil {
			continue
		}
		configMap := inv.env.api.configMaps[name]
		says := meta.FindStatusCondition(of.Status.Conditions, v1alpha1.ConditionResultStored)
		switch {
		case says == nil:
			inv.violated("stuck: DaftyAsset %s doesn't say whether its result is in ConfigMap %s", of.Name, name)
		case says.Status == metav1.ConditionTrue && !rightResult(configMap, of, c.Result):
			inv.violated("false: DaftyAsset %s says that its result is in ConfigMap %s, and it isn't", of.Name, name)
		}
	}
	for _, what := range inv.unstoredAssetResults() {
		inv.violated("stuck: %s", what)
	}
}

// unstoredAssetResults is what unstoredResults is of DaftyJobs.
func (inv *invariants) unstoredAssetResults() (found []string) {
	for _, of := range all(inv.env.api.assets) {
		if name, c := of.Spec.ResultConfigMap, of.Status.Current; name != "" && c != nil && c.Result != nil {
			found = append(found, inv.unstored(of, of.Status.Conditions, name, c.JobID, c.Result)...)
		}
	}
	return found
}

// restFor is how long nothing is written at the end, and mostReconciles how often a DaftyAsset is reconciled in that time at most: those
// whose DaftyJob's name is taken, and whose ConfigMap is, look at it again.
const (
	restFor        = 10 * time.Minute
	mostReconciles = 60
)

// expectRest checks that nothing is written any more at the end of a history with DaftyAssets.
func (e *env) expectRest() {
	before, reconciles := 0, 0
	e.do(func() {
		if len(e.invariants.problems) > 0 {
			return
		}
		before, reconciles = len(e.api.assetHistory), e.assetReconciles
	})
	if before == 0 {
		return
	}
	e.advance(restFor)
	e.do(func() {
		if n := len(e.api.assetHistory) - before; n > 0 {
			last := e.api.assetHistory[len(e.api.assetHistory)-1]
			e.invariants.violated("stuck: DaftyAssets don't come to rest: %d writes, the last of %s", n, last.name)
		}
		if n := e.assetReconciles - reconciles; n > mostReconciles*len(e.api.assets) {
			e.invariants.violated("stuck: %d DaftyAssets are reconciled %d times in %s in which nothing happens", len(e.api.assets), n, restFor)
		}
	})
}
