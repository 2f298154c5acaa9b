//go:build e2e

package flux

import (
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

func (e *env) waitForAsset(namespace string, is func(*v1alpha1.DaftyAsset) bool) {
	e.Helper()
	e.Eventually("hero of "+namespace, func(g Gomega) {
		hero := &v1alpha1.DaftyAsset{}
		g.Expect(e.Client.Get(e.Context(), client.ObjectKey{Namespace: namespace, Name: "hero"}, hero)).To(Succeed())
		g.Expect(is(hero)).To(BeTrue(), "%+v %+v", hero.Spec, hero.Status)
	})
}

// isMade reports whether an asset has the result of its newest spec.
func isMade(asset *v1alpha1.DaftyAsset) bool {
	ready := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == "True" && ready.ObservedGeneration == asset.Generation
}

func reason(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

// byKubectl suspends the asset hero and the DaftyJob held, and cancels the DaftyJob clip, with the commands of the documentation.
func (e *env) byKubectl(namespace string) {
	e.Helper()
	e.waitForAsset(namespace, isMade)
	e.WaitForPhase(namespace, "clip", v1alpha1.PhaseProcessing)
	for _, to := range []struct{ command, name, here string }{
		{e.suspendAsset, "launch-hero", "hero"}, {e.cancelJob, "launch-clip", "clip"}, {e.suspendJob, "launch-clip", "held"},
	} {
		e.shell(e.Replace(to.command, "--namespace shop", "--namespace "+namespace, to.name, to.here))
	}
	e.Kubectl("annotate", "daftyasset", "hero", "--namespace", namespace, v1alpha1.ApprovedAnnotation+"=0123456789")
	e.CheckCancelled(e.WaitForPhase(namespace, "clip", v1alpha1.PhaseCancelled).Status.JobID)
	e.reconcile(namespace)
}

func (e *env) takenBack() {
	e.suspendAsset = e.Docs.Example("kubectl patch daftyasset launch-hero ")
	e.cancelJob = e.Docs.Example("kubectl patch daftyjob launch-clip ")
	e.suspendJob = e.Docs.Example("kubectl patch daftyjob launch-clip ")
	e.Folder(taken, e2e.Hero("A harbour in the morning"), e2e.Endless("clip"), e2e.Waiting("held"))
	e.push("What kubectl will change")
	e.create(taken, set("commonMetadata", nil))
	e.waitForAsset(taken, isMade)
	first := e2e.Result(e.Asset(taken, "hero"))
	e.Kubectl("patch", "daftyasset", "hero", "--namespace", taken, "--type=merge", "--patch", `{"spec":{"revision":"2"}}`)
	e.waitForAsset(taken, func(hero *v1alpha1.DaftyAsset) bool { return isMade(hero) && e2e.Result(hero) != first })
	e.reconcile(taken)
	e.waitForAsset(taken, func(hero *v1alpha1.DaftyAsset) bool {
		return isMade(hero) && hero.Spec.Revision == "" && e2e.Result(hero) == first
	})

	e.byKubectl(taken)
	if hero := e.Asset(taken, "hero"); hero.Spec.Suspend || hero.Annotations[v1alpha1.ApprovedAnnotation] != "" {
		e.Errorf("the asset is still suspended or approved: %+v", hero)
	}
	// What is cancelled stays so, and isn't healthy until Git agrees; what is suspended stays so too.
	for name, want := range map[string]string{"clip": v1alpha1.ReasonAlreadyCancelled, "held": v1alpha1.ReasonSuspended} {
		e.Eventually(name+" is told of", func(g Gomega) {
			job := e.MustJob(taken, name)
			g.Expect(job.Spec.DesiredState).To(BeEmpty())
			g.Expect(reason(job.Status.Conditions)).To(Equal(want))
		})
	}
	e.CheckPaid(taken, 3)
	// The asset was to hold its changes back.
	e.Folder(taken, e2e.Hero("A harbour in a storm"), e2e.Endless("clip", "desiredState: Cancelled"))
	e.waitForReady(taken, e.push("Another prompt"))
	e.waitForAsset(taken, isMade)
	e.CheckPaid(taken, 4)
	e.Eventually("the cancelled job is healthy", func(g Gomega) {
		g.Expect(reason(e.MustJob(taken, "clip").Status.Conditions)).To(Equal(v1alpha1.ReasonCancelled))
	})
}

func (e *env) keptByMerge() {
	e.Folder(kept, e2e.Hero("A harbour in the morning"), e2e.Endless("clip"), e2e.Endless("other"), e2e.Waiting("held"), e2e.Waiting("stated", "desiredState: Completed"))
	e.push("What kubectl will change")
	e.create(kept)
	e.WaitForPhase(kept, "stated", v1alpha1.PhasePending)
	e.Kubectl("patch", "daftyjob", "stated", "--namespace", kept, "--type=merge", "--patch", `{"spec":{"desiredState":"Suspended"}}`)
	e.byKubectl(kept)
	isKept := func() {
		e.Helper()
		if hero := e.Asset(kept, "hero"); !hero.Spec.Suspend || hero.Annotations[v1alpha1.ApprovedAnnotation] == "" {
			e.Errorf("the asset isn't suspended or approved any more: %+v", hero)
		}
		for name, want := range map[string]v1alpha1.DesiredState{"clip": v1alpha1.DesiredCancelled, "held": v1alpha1.DesiredSuspended} {
			if is := e.MustJob(kept, name).Spec.DesiredState; is != want {
				e.Errorf("%s is desired to be %q; want %q", name, is, want)
			}
		}
	}
	isKept()
	if is := e.MustJob(kept, "stated").Spec.DesiredState; is != v1alpha1.DesiredCompleted {
		e.Errorf("what Git states isn't put back: %q", is)
	}
	id := e.WaitForPhase(kept, "other", v1alpha1.PhaseProcessing).Status.JobID
	e.CheckPaid(kept, 3)

	e.Folder(kept, e2e.Hero("A harbour in a storm"), e2e.Endless("other", "desiredState: Cancelled"))
	e.waitForReady(kept, e.push("Another prompt, and a cancel"))
	isKept()
	e.WaitForPhase(kept, "other", v1alpha1.PhaseCancelled)
	e.CheckCancelled(id)
	e.waitForAsset(kept, func(hero *v1alpha1.DaftyAsset) bool {
		return hero.Spec.Template.Spec.ImageGenerate.Prompt == "A harbour in a storm" && reason(hero.Status.Conditions) == v1alpha1.ReasonSuspended
	})
	e.CheckPaid(kept, 3)
	e.Kubectl("patch", "daftyasset", "hero", "--namespace", kept, "--type=merge", "--patch", `{"spec":{"suspend":false}}`)
	e.waitForAsset(kept, isMade)
	e.CheckPaid(kept, 4)
}
