package simulation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// checkAssetConfigMap checks each ConfigMap that the operator writes for a DaftyAsset.
func (inv *invariants) checkAssetConfigMap(owner *metav1.OwnerReference, before, after *corev1.ConfigMap) {
	asset := inv.assets.latest[owner.UID]
	if asset == nil {
		inv.violated("false: ConfigMap %s belongs to nobody", after.Name)
		return
	}
	if before != nil && !metav1.IsControlledBy(before, asset) {
		inv.checkTakeover(before, after)
	}
	url := after.Data["image_0_url"]
	made := url == "" || slices.ContainsFunc(inv.resultsOf(asset), func(r *v1alpha1.JobResult) bool { return len(r.Images) > 0 && r.Images[0].URL == url })
	if !made {
		inv.violated("false: ConfigMap %s says %q, which is no result of DaftyAsset %s", after.Name, url, asset.Name)
	}
}

// resultsOf are the results that a DaftyAsset has on record, or that its DaftyJobs have.
func (inv *invariants) resultsOf(asset *v1alpha1.DaftyAsset) (results []*v1alpha1.JobResult) {
	if c := asset.Status.Current; c != nil && c.Result != nil {
		results = append(results, c.Result)
	}
	for i := range asset.Status.History {
		results = append(results, asset.Status.History[i].Result)
	}
	for _, job := range inv.latest {
		_, uid, made := lifecycle.MadeBy(job)
		pending := asset.Status.Pending != nil && asset.Status.Pending.UID == job.UID // after a restore it is of the one before
		if (made && uid == asset.UID || pending) && job.Status.Result != nil {
			results = append(results, job.Status.Result)
		}
	}
	return results
}
