package simulation

import (
	"net/http"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// assetMutants break what DaftyAssets promise.
var assetMutants = []mutant{
	{name: "a DaftyJob is submitted that its DaftyAsset doesn't have on record", mutation: mutation{readMaker: func(job *v1alpha1.DaftyJob, asset *v1alpha1.DaftyAsset) {
		if job != nil {
			asset.Status.Pending = &v1alpha1.PendingJob{JobName: job.Name, UID: job.UID}
		}
	}}, finds: "paid unasked|paid twice"},
	{name: "the result is dropped as a change begins", mutation: mutation{patchAsset: func(_ *v1alpha1.DaftyAsset, patch map[string]any) bool {
		if status, _ := patch["status"].(map[string]any); status["pending"] != nil {
			status["current"] = nil
		}
		return false
	}}, finds: "lost"},
	{name: "what is overtaken isn't called off", mutation: mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		metadata, _ := patch["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		return annotations[v1alpha1.OvertakenAnnotation] != nil
	}, play: overtaken}, finds: "left running", where: "a change that is overtaken"},
	{name: "what is overtaken isn't called off while status can't be written", mutation: mutation{noLiveReads: true, play: func(e *env) {
		overtakenWhileRefused(e, http.StatusUnprocessableEntity)
	}}, finds: "left running", where: "a change that is overtaken while status is refused"},
	{name: "earlier results are forgotten", mutation: mutation{readAsset: func(_ *env, asset *v1alpha1.DaftyAsset) {
		asset.Status.History = nil
	}}, finds: "lost|paid twice"},
	{name: "the resourceVersion is left out of what a DaftyAsset records", mutation: mutation{patchAsset: func(_ *v1alpha1.DaftyAsset, patch map[string]any) bool {
		if metadata, ok := patch["metadata"].(map[string]any); ok && patch["status"] != nil {
			delete(metadata, "resourceVersion")
		}
		return false
	}}, finds: "paid twice|paid unasked|lost|false|stuck"},
	{name: "a DaftyJob that somebody deleted is made again", mutation: mutation{readAsset: func(e *env, asset *v1alpha1.DaftyAsset) {
		if p := asset.Status.Pending; p != nil && e.api.get(p.JobName) == nil {
			p.UID = ""
		}
	}, play: jobDeleted}, finds: "paid twice", where: "a DaftyJob that is deleted"},
	{name: "a DaftyAsset that is restored pays instead of adopting", mutation: mutation{create: func(job *v1alpha1.DaftyJob) {
		job.Spec.AdoptJobID = ""
	}, readMaker: func(job *v1alpha1.DaftyJob, asset *v1alpha1.DaftyAsset) {
		if job != nil && asset.Status.Current != nil && asset.Status.Current.JobName == job.Name {
			asset.Status.Pending = &v1alpha1.PendingJob{JobName: job.Name, UID: job.UID}
		}
	}, play: func(e *env) { restoredAs(e, "a mountain", false) }}, finds: "paid twice", where: "restored without status"},
	{name: "a DaftyAsset that is restored makes again what may have been made since", mutation: mutation{readAsset: func(_ *env, asset *v1alpha1.DaftyAsset) {
		if p := asset.Status.Pending; p != nil && p.UID == "" {
			p.AssetUID = asset.UID
		}
	}, play: restoredBetween}, finds: "paid twice", where: "restored while a DaftyJob was to be made again"},
	{name: "the ConfigMap keeps the first result", mutation: mutation{keepResults: true, play: changedInConfigMap}, finds: "false|stuck", where: "a change with a ConfigMap"},
	{name: "Ready is said while a change is made", mutation: mutation{patchAsset: func(_ *v1alpha1.DaftyAsset, patch map[string]any) bool {
		status, _ := patch["status"].(map[string]any)
		conditions, _ := status["conditions"].([]any)
		for _, condition := range conditions {
			if c, is := condition.(map[string]any); is && c["type"] == v1alpha1.ConditionReady {
				c["status"] = "True"
			}
		}
		return false
	}}, finds: "false"},
	{name: "inputs aren't followed", mutation: mutation{readAsset: func(_ *env, asset *v1alpha1.DaftyAsset) {
		asset.Spec.FollowInputs = false
	}, play: followed}, finds: "stuck", where: "a change upstream that is followed"},
	{name: "a change is taken for approved", mutation: mutation{readAsset: func(_ *env, asset *v1alpha1.DaftyAsset) {
		if p := asset.Status.Pending; p != nil {
			asset.Annotations = map[string]string{v1alpha1.ApprovedAnnotation: p.Hash}
		}
	}, play: func(e *env) {
		e.createHero(manual)
		e.advance(time.Minute)
	}}, finds: "paid unasked", where: "a change that nobody approves"},
}
