package simulation

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
)

// checkConfigMap checks each ConfigMap that the operator writes.
func (inv *invariants) checkConfigMap(before, after *corev1.ConfigMap) {
	owner := metav1.GetControllerOf(after)
	if owner != nil {
		inv.resultData[owner.UID] = after.Data
	}
	if owner != nil && owner.Kind == asset.Kind {
		inv.checkAssetConfigMap(owner, before, after)
		return
	}
	if owner == nil || inv.latest[owner.UID] == nil {
		inv.violated("false: ConfigMap %s belongs to nobody", after.Name)
		return
	}
	if before != nil && !metav1.IsControlledBy(before, inv.latest[owner.UID]) {
		inv.checkTakeover(before, after)
	}
	if result := inv.latest[owner.UID].Status.Result; result != nil && len(result.Images) > 0 && after.Data["image_0_url"] != result.Images[0].URL {
		inv.violated("false: ConfigMap %s says %q", after.Name, after.Data["image_0_url"])
	}
}

// checkTakeover checks a ConfigMap that the operator takes for a DaftyJob's own: nobody else who is there may have it, and what somebody
// else has put into it must not be lost.
func (inv *invariants) checkTakeover(before, after *corev1.ConfigMap) {
	if owner := metav1.GetControllerOf(before); owner != nil {
		if inv.present(owner.UID) {
			inv.violated("false: ConfigMap %s of another is changed", after.Name)
		}
	}
	was, is := before.Annotations[v1alpha1.ResultOfAnnotation], after.Annotations[v1alpha1.ResultOfAnnotation]
	if owner := metav1.GetControllerOf(after); owner.Kind == asset.Kind {
		// A DaftyAsset goes from the result of one job to the next.
		was, _, _ = strings.Cut(was, ":")
		is, _, _ = strings.Cut(is, ":")
	}
	ours := labelled(before) && was == is
	if !ours && !(maps.Equal(before.Data, after.Data) && len(before.BinaryData) == 0) {
		inv.violated("false: what somebody put into ConfigMap %s is lost", after.Name)
	}
}

// checkResults holds what DaftyJobs say of their ConfigMaps against these, at the end.
func (inv *invariants) checkResults() {
	for _, job := range inv.objects() {
		name := job.Spec.ResultConfigMap
		if name == "" || job.Status.Phase != v1alpha1.PhaseCompleted || job.Status.Result == nil || job.DeletionTimestamp != nil {
			continue
		}
		configMap := inv.env.api.configMaps[name]
		says := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionResultStored)
		switch {
		case says == nil:
			inv.violated("stuck: %s doesn't say whether its result is in ConfigMap %s", job.Name, name)
		case says.Status == metav1.ConditionTrue && !rightResult(configMap, job, job.Status.Result):
			inv.violated("false: %s says that its result is in ConfigMap %s, and it isn't", job.Name, name)
		}
	}
	for _, what := range inv.unstoredResults() {
		inv.violated("stuck: %s", what)
	}
}

// unstoredResults returns which DaftyJobs say that their results aren't stored, though they can be.
func (inv *invariants) unstoredResults() (found []string) {
	for _, job := range inv.objects() {
		name := job.Spec.ResultConfigMap
		if name == "" || job.Status.Phase != v1alpha1.PhaseCompleted || job.Status.Result == nil || job.DeletionTimestamp != nil {
			continue
		}
		found = append(found, inv.unstored(job, job.Status.Conditions, name, job.Status.JobID, job.Status.Result)...)
	}
	return found
}

// unstored says that the result of an object isn't stored by what its conditions say, though the ConfigMap of that name is its own, or is
// there to be taken.
func (inv *invariants) unstored(of client.Object, conditions []metav1.Condition, name, jobID string, result *v1alpha1.JobResult) []string {
	configMap, says := inv.env.api.configMaps[name], meta.FindStatusCondition(conditions, v1alpha1.ConditionResultStored)
	switch {
	case says == nil || says.Status == metav1.ConditionTrue:
		return nil
	case configMap == nil || metav1.IsControlledBy(configMap, of):
		return []string{fmt.Sprintf("the result of %s isn't in ConfigMap %s: %s", of.GetName(), name, says.Message)}
	case inv.adoptable(configMap, of, jobID, result):
		return []string{fmt.Sprintf("ConfigMap %s has no owner, and is the one of %s: %s", name, of.GetName(), says.Message)}
	}
	return nil
}

// adoptable reports whether a ConfigMap without an owner is to be taken for an object's: it has what was written of its result, or was
// written for the same job at Dafty.
func (inv *invariants) adoptable(configMap *corev1.ConfigMap, of metav1.Object, jobID string, result *v1alpha1.JobResult) bool {
	if metav1.GetControllerOf(configMap) != nil {
		return false
	}
	written := inv.resultData[of.GetUID()]
	return labelled(configMap) && configMap.Annotations[v1alpha1.ResultOfAnnotation] == namespace+"/"+of.GetName()+":"+jobID ||
		len(written) > 0 && maps.Equal(configMap.Data, written) && hasResult(configMap, result)
}

// rightResult reports whether a ConfigMap is an object's, and has its result and nothing else.
func rightResult(configMap *corev1.ConfigMap, of metav1.Object, result *v1alpha1.JobResult) bool {
	return labelled(configMap) && metav1.IsControlledBy(configMap, of) && hasResult(configMap, result)
}

// hasResult reports whether a ConfigMap has a result and nothing else.
func hasResult(configMap *corev1.ConfigMap, result *v1alpha1.JobResult) bool {
	if configMap.Data[tamperedKey] != "" || len(configMap.BinaryData) > 0 {
		return false
	}
	switch {
	case len(result.Images) > 0:
		return configMap.Data["image_0_url"] == result.Images[0].URL
	case result.Video != nil:
		return configMap.Data["video_url"] == result.Video.URL && configMap.Data["video_thumbnail_url"] == result.Video.ThumbnailURL
	case result.Style != nil:
		return configMap.Data["style_id"] == result.Style.ID
	}
	return true
}
