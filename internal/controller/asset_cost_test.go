package controller_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// assetReads counts the reads of DaftyAssets by name, of which each reconcile of one without upstream takes one.
type assetReads struct {
	client.Client
	count *atomic.Int64
}

func (c assetReads) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if _, is := into.(*v1alpha1.DaftyAsset); is {
		c.count.Add(1)
	}
	return c.Client.Get(ctx, key, into, opts...)
}

// liveReads counts the reads past the cache.
type liveReads struct {
	client.Reader
	count *atomic.Int64
}

func (r liveReads) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	r.count.Add(1)
	return r.Reader.List(ctx, list, opts...)
}

// A change takes a reconcile for the spec, one for the submission, one for the end and one for the ConfigMap; not one for each of the some
// twelve writes that it and its DaftyJob take. What it takes beside is where the cache is behind.
func TestAssetReconcilesOfAChange(t *testing.T) {
	t.Parallel()
	w := prepareWorld(t, kubetest.Start(t), daftysim.Options{ProcessingFor: daftysim.Fixed(100 * time.Millisecond)})
	var reconciles, live atomic.Int64
	w.extraAssets = func(r *controller.AssetReconciler) {
		r.Client, r.Live = assetReads{r.Client, &reconciles}, liveReads{r.Live, &live}
	}
	w.putSecret(apiKey)
	w.startOperator()
	const changes = 6
	prompts := []string{"A", "B", "C", "D", "E", "F"}
	for _, prompt := range prompts {
		w.applyAsset("hero", aHero(prompt))
		w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	}
	w.Expect(w.sim.Ledger()).To(HaveLen(changes))
	w.Expect(live.Load()).To(BeZero(), "reads past the cache")
	t.Logf("%d reconciles of %d changes", reconciles.Load(), changes)
	// DaftyJobs beyond the history are deleted, which takes two more each.
	w.Expect(reconciles.Load()).To(BeNumerically("<=", 6*changes), "reconciles of %d changes", changes)
}
