package e2e

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Result returns the address of the current result, empty where there is none.
func Result(of *v1alpha1.DaftyAsset) string {
	if of.Status.Current == nil || of.Status.Current.Result == nil {
		return ""
	}
	return of.Status.Current.Result.Primary
}

// Results watches the assets and ConfigMaps of a namespace: what had a result must never be without one. It returns the results that the
// asset hero had, one after another, once it is called.
func (w *World) Results(namespace string) func() []string {
	w.Helper()
	var mu sync.Mutex
	var seen []string
	var work sync.WaitGroup
	had := map[string]bool{}
	look := func(name, is string) {
		mu.Lock()
		defer mu.Unlock()
		if had[name] && is == "" {
			w.Errorf("%s of %s is without a result", name, namespace)
		}
		had[name] = had[name] || is != ""
		if name == "DaftyAsset hero" && is != "" && (len(seen) == 0 || seen[len(seen)-1] != is) {
			seen = append(seen, is)
		}
	}
	var watches []watch.Interface
	for _, list := range []client.ObjectList{&v1alpha1.DaftyAssetList{}, &corev1.ConfigMapList{}} {
		following, err := w.Client.Watch(w.Context(), list, client.InNamespace(namespace))
		if err != nil {
			w.Fatal(err)
		}
		watches = append(watches, following)
		work.Go(func() {
			for event := range following.ResultChan() {
				switch object := event.Object.(type) {
				case *v1alpha1.DaftyAsset:
					look("DaftyAsset "+object.Name, Result(object))
				case *corev1.ConfigMap:
					if object.Name == "hero" {
						look("ConfigMap hero", object.Data["image_0_url"])
					}
				}
			}
		})
	}
	stop := func() []string {
		for _, following := range watches {
			following.Stop()
		}
		work.Wait()
		return seen
	}
	w.Cleanup(func() { stop() })
	return stop
}
