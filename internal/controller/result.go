package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// storeResult writes a result to the ConfigMap that the spec names, or gives the problem why it can't, for the user. No
// failure of it may keep the job from its end.
func (r *Reconciler) storeResult(ctx context.Context, job *v1alpha1.DaftyJob, result *v1alpha1.JobResult) (problem string) {
	name, data := job.Spec.ResultConfigMap, resultData(result)
	stored := &corev1.ConfigMap{}
	err := r.Get(ctx, types.NamespacedName{Namespace: job.Namespace, Name: name}, stored)
	switch {
	case apierrors.IsNotFound(err):
		owner := metav1.NewControllerRef(job, v1alpha1.GroupVersion.WithKind("DaftyJob"))
		owner.BlockOwnerDeletion = nil // which some clusters let nobody set who may not write finalizers
		err = r.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: job.Namespace, OwnerReferences: []metav1.OwnerReference{*owner}},
			Data:       data,
		})
	case err == nil && !metav1.IsControlledBy(stored, job):
		return fmt.Sprintf("ConfigMap %q is there already and doesn't belong to this DaftyJob, so it is left alone; delete it, or name another in spec.resultConfigMap", name)
	case err == nil && !maps.Equal(stored.Data, data):
		base := stored.DeepCopy()
		stored.Data = data
		err = r.Patch(ctx, stored, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
	}
	if err != nil {
		// The reason alone: a text that is another each time would be written each time.
		log.FromContext(ctx).Error(err, "writing the result", "configMap", name)
		return fmt.Sprintf("ConfigMap %q can't be written (%s; the operator's log has more); it is tried again", name, cmp.Or(apierrors.ReasonForError(err), "no answer"))
	}
	return ""
}

// resultData are the keys of a result's ConfigMap. They are fit for files and for environment variables.
func resultData(result *v1alpha1.JobResult) map[string]string {
	data := map[string]string{}
	put := func(key, value string) {
		if value != "" {
			data[key] = value
		}
	}
	number := func(key string, value *int32) {
		if value != nil {
			data[key] = strconv.Itoa(int(*value))
		}
	}
	for i, image := range result.Images {
		prefix := fmt.Sprintf("image_%d_", i)
		put(prefix+"url", image.URL)
		put(prefix+"id", image.ID)
		number(prefix+"width", image.Width)
		number(prefix+"height", image.Height)
	}
	if video := result.Video; video != nil {
		put("video_url", video.URL)
		put("video_id", video.ID)
		put("video_thumbnail_url", video.ThumbnailURL)
		number("video_width", video.Width)
		number("video_height", video.Height)
		number("video_duration_seconds", video.DurationSeconds)
	}
	if result.Style != nil {
		put("style_id", result.Style.ID)
	}
	return data
}
