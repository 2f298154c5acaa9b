package soak

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

type resultWatcher struct{ client client.WithWatch }

func (w resultWatcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.LabelSelector = v1alpha1.ResultLabel + "=" + v1alpha1.ResultLabelValue
	return w.client.Watch(ctx, &corev1.ConfigMapList{}, &client.ListOptions{Raw: &options})
}

// watchResults watches the ConfigMaps of results until the test ends. Nobody deletes one of an asset that is there, and each version has a
// result.
func (r *run) watchResults() {
	r.t.Helper()
	list := &corev1.ConfigMapList{}
	if err := r.env.client.List(r.t.Context(), list); err != nil {
		r.t.Fatal(err)
	}
	events, err := watchtools.NewRetryWatcherWithContext(r.t.Context(), list.ResourceVersion, resultWatcher{r.env.client})
	if err != nil {
		r.t.Fatal(err)
	}
	go func() {
		for event := range events.ResultChan() {
			configMap, ok := event.Object.(*corev1.ConfigMap)
			if !ok {
				r.assets.report("the watch of the test broke: %v", event.Object)
				continue
			}
			owner := metav1.GetControllerOf(configMap)
			if owner == nil || owner.Kind != asset.Kind {
				continue
			}
			name := fmt.Sprintf("ConfigMap %s/%s of DaftyAsset %s (%s)", configMap.Namespace, configMap.Name, owner.Name, owner.UID)
			url := configMap.Data["image_0_url"]
			switch {
			case event.Type == watch.Deleted && r.isThere(configMap.Namespace, owner):
				r.assets.report("missing: %s is gone, and the asset is there", name)
			case event.Type != watch.Deleted && url == "":
				r.assets.report("missing: %s has no result: %v", name, configMap.Data)
			case event.Type != watch.Deleted:
				r.assets.saw(name, url)
			}
		}
	}()
}

// isThere reports whether the API server has the owner of an object, and it isn't being deleted.
func (r *run) isThere(namespace string, owner *metav1.OwnerReference) bool {
	is := &v1alpha1.DaftyAsset{}
	err := r.env.client.Get(r.t.Context(), types.NamespacedName{Namespace: namespace, Name: owner.Name}, is)
	return err == nil && is.UID == owner.UID && is.DeletionTimestamp == nil
}

func (rs *assetRecords) report(format string, args ...any) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.problems = append(rs.problems, fmt.Sprintf(format, args...))
}

// saw records what a version of a ConfigMap had.
func (rs *assetRecords) saw(configMap, url string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.stored[url] = configMap
}

// checkStored checks that each result that a ConfigMap ever had is of a job that completed.
func (r *run) checkStored(completed map[string]daftysim.Entry) {
	r.assets.mu.Lock()
	defer r.assets.mu.Unlock()
	urls := map[string]bool{}
	for _, h := range r.records.histories() {
		if result := h.newest.Status.Result; result != nil && completed[h.newest.Status.JobID].Status == daftysim.StatusCompleted {
			urls[result.Primary] = true
		}
	}
	for url, configMap := range r.assets.stored {
		if !urls[url] {
			r.t.Errorf("%s had %s, which no job has made", configMap, url)
		}
	}
	if len(r.assets.stored) == 0 {
		r.t.Error("no ConfigMap of a DaftyAsset was ever seen")
	}
}

// wantResults has nobody hold an asset back any more, so that each comes to what its template asks for.
func (r *run) wantResults() {
	for _, of := range r.assets.all() {
		for _, tenant := range r.env.tenants {
			if tenant.namespace == of.Namespace {
				r.patchAsset(tenant, of.Name, `{"spec":{"suspend":false,"changePolicy":"Automatic"}}`)
			}
		}
	}
}
