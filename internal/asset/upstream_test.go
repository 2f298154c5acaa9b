package asset_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
)

func TestUpstreamIsResolvedOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.follows("brand", "job-1")
	e.run()
	e.expectPaid("A")
	if in := e.asset.Status.Current.Inputs; len(in) != 1 || in[0].JobID != "job-1" || in[0].ID != "style-job-1" {
		t.Errorf("the inputs on record are %v", in)
	}
	e.upstream["brand"] = upstreamOf("brand", "job-2")
	e.run()
	e.expect("Completed: current A jobs A")
	if !meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionOutdated) {
		t.Error("nobody is told that there is a newer style")
	}
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.FollowInputs = true })
	e.expect("Progressing: current A pending A jobs A A(running)")
	e.run()
	if meta.FindStatusCondition(e.asset.Status.Conditions, v1alpha1.ConditionOutdated) != nil {
		t.Error("it is still said to be outdated")
	}
	e.upstream["brand"] = upstreamOf("brand", "job-3")
	e.run()
	e.expect("Completed: current A history A A jobs A A A")
	// Back to what was: nothing is paid.
	e.upstream["brand"] = upstreamOf("brand", "job-1")
	e.run()
	e.expectPaid("A", "A", "A")
}

// The style that a search is made in is taken as any other: what the template stands for is on record before anything is made.
func TestUpstreamOfASearch(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.upstream["brand"] = upstreamOf("brand", "job-1")
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) {
		spec.FollowInputs = true
		spec.Template.Spec.ImageGenerate.References = []v1alpha1.ImageReference{{StyleSearch: &v1alpha1.StyleSearch{
			Style: v1alpha1.StyleSource{AssetRef: &v1alpha1.StyleAssetReference{Name: "brand"}}, Query: "logo",
		}}}
	})
	e.run()
	e.expectPaid("A")
	const field = "imageGenerate.references[0].styleSearch.style"
	if in := e.asset.Status.Current.Inputs; len(in) != 1 || in[0].Field != field || in[0].JobID != "job-1" || in[0].ID != "style-job-1" {
		t.Errorf("the inputs on record are %v", in)
	}
	e.upstream["brand"] = upstreamOf("brand", "job-2")
	e.run()
	e.expectPaid("A", "A")
	if in := e.asset.Status.Current.Inputs; len(in) != 1 || in[0].ID != "style-job-2" {
		t.Errorf("the inputs on record are %v", in)
	}
}

func TestUpstreamIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*env)
		reason string
		words  string
	}{
		"isn't there": {func(e *env) { delete(e.upstream, "brand") }, v1alpha1.ReasonWaitingForDependency, "isn't there"},
		"isn't Ready": {func(e *env) {
			meta.SetStatusCondition(&e.upstream["brand"].Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse,
				Reason: v1alpha1.ReasonGenerationFailed})
		}, v1alpha1.ReasonWaitingForDependency, "isn't Ready (GenerationFailed)"},
		"has a newer spec": {func(e *env) { e.upstream["brand"].Generation = 2 }, v1alpha1.ReasonWaitingForDependency, "isn't Ready yet"},
		"has no style": {func(e *env) {
			e.upstream["brand"].Status.Current.Result = &v1alpha1.JobResult{Images: []v1alpha1.Image{{ID: "i", URL: "https://example.com/i.png"}}}
		}, v1alpha1.ReasonInvalidReference, "and no style"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.follows("brand", "job-1")
			right := e.upstream["brand"].DeepCopy()
			tt.change(e)
			e.run()
			e.expect(tt.reason + ":")
			if !strings.Contains(e.ready().Message, tt.words) {
				t.Errorf("%q isn't in %q", tt.words, e.ready().Message)
			}
			stalled := meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionStalled)
			if want := tt.reason == v1alpha1.ReasonInvalidReference; stalled != want {
				t.Errorf("Stalled is %t", stalled)
			}
			e.expectPaid()
			e.upstream["brand"] = right
			e.run()
			e.expect("Completed: current A jobs A")
		})
	}
}

// A commit that changes two assets is applied as one object after the other: what follows waits a moment for what it follows.
func TestOneCommitIsPaidOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.FollowInputs = true })
	e.follows("brand", "job-1")
	e.run()
	e.prompt("B")
	e.known.SpecSince = e.now
	clear(e.writes)
	decision := e.reconcile()
	if len(e.writes) > 0 || decision.After <= 0 || decision.After > 10*time.Second {
		t.Errorf("it doesn't wait: %v, again after %s", e.writes, decision.After)
	}
	e.upstream["brand"].Generation = 2 // which is applied a second later
	e.now = e.now.Add(decision.After)
	e.expect("WaitingForDependency: current A jobs A")
	e.upstream["brand"] = upstreamOf("brand", "job-2")
	e.run()
	e.expect("Completed: current B history A jobs A B")
	e.expectPaid("A", "B")
}

func TestCycle(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.follows("brand", "job-1")
	in := asset.Snapshot{Asset: e.asset, Upstream: e.upstream, Cycle: "these DaftyAssets wait for each other: hero → brand → hero", Now: e.now}
	decision := asset.Next(in)
	ready := meta.FindStatusCondition(decision.Status.Conditions, v1alpha1.ConditionReady)
	if ready.Reason != v1alpha1.ReasonDependencyCycle || !strings.Contains(ready.Message, "hero → brand → hero") || decision.First != nil {
		t.Errorf("got %v, first %v", ready, decision.First)
	}
}
