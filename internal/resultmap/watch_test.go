package resultmap_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/internal/resultmap"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// patience is for what takes moments, on a slow machine.
const patience = time.Minute

func TestOwnerOf(t *testing.T) {
	other := reference("DaftyAsset", "hero", "1")
	other.APIVersion = "example.com/v1"
	plain := reference("DaftyAsset", "hero", "1")
	plain.Controller = nil
	newer := reference("DaftyAsset", "hero", "1")
	newer.APIVersion = "dafty.ai/v2"
	for _, tt := range []struct {
		name       string
		references []metav1.OwnerReference
		want       string
	}{
		{"none", nil, ""},
		{"one of the kind", owned(reference("DaftyAsset", "hero", "1")), "hero"},
		{"one of another version of the API", owned(newer), "hero"},
		{"one of the other kind", owned(reference("DaftyJob", "hero", "1")), ""},
		{"one of another group", owned(other), ""},
		{"one that doesn't control it", owned(plain), ""},
		{"two", []metav1.OwnerReference{plain, reference("DaftyJob", "hero", "2")}, ""},
	} {
		if got := resultmap.OwnerOf(labelled("ns", "result", tt.references...), "DaftyAsset"); got != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// watcher is what a controller has of a Watch.
type watcher struct {
	*resultmap.Watch
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// told waits until owners are told, and returns the names of all that are.
func (w *watcher) told(g Gomega) (names []string) {
	g.Eventually(w.queue.Len).WithTimeout(patience).ShouldNot(BeZero())
	for w.queue.Len() > 0 {
		request, _ := w.queue.Get()
		w.queue.Done(request)
		names = append(names, request.Name)
	}
	return names
}

// Two controllers share one watch of the ConfigMaps, and each is told of its own kind's owners.
func TestWatchesOfTwoKinds(t *testing.T) {
	g, env := NewWithT(t), kubetest.Start(t)
	var watches atomic.Int32
	config := rest.CopyConfig(env.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripFunc(func(request *http.Request) (*http.Response, error) {
			if strings.HasSuffix(request.URL.Path, "/configmaps") && request.URL.Query().Get("watch") != "" {
				watches.Add(1)
			}
			return next.RoundTrip(request)
		})
	})
	kept, err := cache.New(config, cache.Options{
		Scheme:            kubetest.Scheme,
		DefaultNamespaces: map[string]cache.Config{env.Namespace: {}},
		ByObject:          map[client.Object]cache.ByObject{resultmap.Metadata(): resultmap.ByObject()},
	})
	g.Expect(err).NotTo(HaveOccurred())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- kept.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	// Of each kind, two owners.
	create := func(name string, by metav1.OwnerReference) *corev1.ConfigMap {
		configMap := labelled(env.Namespace, name, by)
		g.Expect(env.Client.Create(ctx, configMap)).To(Succeed())
		return configMap
	}
	jobsHero, jobsPoster := create("jobs-hero", reference("DaftyJob", "hero", "1")), create("jobs-poster", reference("DaftyJob", "poster", "2"))
	assetsHero, assetsBanner := create("assets-hero", reference("DaftyAsset", "hero", "3")), create("assets-banner", reference("DaftyAsset", "banner", "4"))
	create("shops", metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "hero", UID: "5", Controller: new(true)})

	newWatcher := func(kind string) *watcher {
		w := &watcher{resultmap.NewWatch(kept, kind), workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())}
		t.Cleanup(w.queue.ShutDown)
		return w
	}
	jobs, assets := newWatcher("DaftyJob"), newWatcher("DaftyAsset")
	version := func(w *watcher, configMap, owner string) (string, bool) {
		return w.Version(ctx, types.NamespacedName{Namespace: env.Namespace, Name: configMap}, types.NamespacedName{Namespace: env.Namespace, Name: owner})
	}

	// Who asks before all are listed is brought back, and nobody else is.
	for _, w := range []*watcher{jobs, assets} {
		g.Expect(w.Start(ctx, w.queue)).To(Succeed())
	}
	g.Expect(watches.Load()).To(BeZero(), "nobody has asked")
	_, known := version(jobs, "jobs-poster", "poster")
	g.Expect(known).To(BeFalse())
	g.Expect(jobs.told(g)).To(Equal([]string{"poster"}))
	_, known = version(assets, "assets-banner", "banner")
	g.Expect(known).To(BeFalse())
	g.Expect(assets.told(g)).To(Equal([]string{"banner"}))
	for configMap, owner := range map[*corev1.ConfigMap]string{jobsHero: "hero", jobsPoster: "poster"} {
		got, known := version(jobs, configMap.Name, owner)
		g.Expect(got).To(Equal(configMap.ResourceVersion))
		g.Expect(known).To(BeTrue())
	}
	got, known := version(assets, assetsHero.Name, "hero")
	g.Expect(got).To(Equal(assetsHero.ResourceVersion))
	g.Expect(known).To(BeTrue())
	g.Expect(watches.Load()).To(BeEquivalentTo(1))

	// What changes is told to its owner's controller alone: the other would have been told of hero first.
	change := func(configMap *corev1.ConfigMap, change func()) {
		change()
		g.Expect(env.Client.Update(ctx, configMap)).To(Succeed())
	}
	edit := func(configMap *corev1.ConfigMap) {
		change(configMap, func() { configMap.Data = map[string]string{"a": configMap.ResourceVersion} })
	}
	edit(assetsHero)
	edit(jobsPoster)
	g.Expect(jobs.told(g)).To(Equal([]string{"poster"}))
	g.Expect(assets.told(g)).To(Equal([]string{"hero"}))
	edit(jobsHero)
	edit(assetsBanner)
	g.Expect(assets.told(g)).To(Equal([]string{"banner"}))
	g.Expect(jobs.told(g)).To(Equal([]string{"hero"}))

	// One that changes hands is told to both.
	change(jobsHero, func() { jobsHero.OwnerReferences = owned(reference("DaftyAsset", "hero", "3")) })
	g.Expect(jobs.told(g)).To(Equal([]string{"hero"}))
	g.Expect(assets.told(g)).To(Equal([]string{"hero"}))
	g.Expect(env.Client.Delete(ctx, jobsHero)).To(Succeed())
	g.Expect(env.Client.Delete(ctx, jobsPoster)).To(Succeed())
	g.Expect(assets.told(g)).To(Equal([]string{"hero"}))
	g.Expect(jobs.told(g)).To(Equal([]string{"poster"}))
	got, known = version(jobs, "jobs-poster", "poster")
	g.Expect(got).To(BeEmpty())
	g.Expect(known).To(BeTrue())
	g.Expect(watches.Load()).To(BeEquivalentTo(1))
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
