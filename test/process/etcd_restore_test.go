package process

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// etcd is set back to a snapshot while an operator runs. The cluster has lost what was done since, but neither Dafty nor the operator has: soon
// all agrees with Dafty's ledger again, and nothing is paid for a second time.
func TestEtcdIsSetBack(t *testing.T) {
	t.Parallel()
	cp, err := kubetest.New(t.Context(), kubetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	e := newEnvIn(t, cp.Env(t), daftysim.Options{})
	e.start("the operator", nil)

	job := func(name string) string { return e.entries(name)[0].JobID }
	suspend := func(name string) {
		held := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: name}}
		held.Spec.DesiredState = v1alpha1.DesiredSuspended
		held.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: v1alpha1.Prompt("A picture of " + name)}
		e.create(held)
		e.waitForPhase(name, v1alpha1.PhasePending)
	}
	for _, name := range []string{"completed", "queued", "processing", "finishes", "called-off", "deleted"} {
		e.createJob(name)
	}
	for _, name := range []string{"completed", "queued", "processing", "finishes", "called-off", "deleted"} {
		e.waitForPhase(name, v1alpha1.PhaseQueued)
	}
	for _, name := range []string{"processing", "finishes", "called-off", "deleted"} {
		if err := e.sim.Start(job(name)); err != nil {
			t.Fatal(err)
		}
		e.waitForPhase(name, v1alpha1.PhaseProcessing)
	}
	if err := e.sim.Finish(job("completed"), daftysim.Succeed); err != nil {
		t.Fatal(err)
	}
	e.waitForPhase("completed", v1alpha1.PhaseCompleted)
	waits := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "waits"}}
	waits.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "finishes"}}}
	e.create(waits)
	e.waitForPhase("waits", v1alpha1.PhasePending)
	suspend("suspended")
	suspend("released")

	snapshot := filepath.Join(t.TempDir(), "etcd")
	if err := cp.Snapshot(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	before := e.get("processing")

	// What the cluster is to lose.
	if err := e.sim.Finish(job("finishes"), daftysim.Succeed); err != nil {
		t.Fatal(err)
	}
	e.waitForPhase("finishes", v1alpha1.PhaseCompleted)
	e.waitForPhase("waits", v1alpha1.PhaseQueued)
	e.patch("called-off", `{"spec":{"desiredState":"Cancelled"}}`)
	e.waitForPhase("called-off", v1alpha1.PhaseCancelled)
	if err := e.Client.Delete(t.Context(), e.get("deleted")); err != nil {
		t.Fatal(err)
	}
	e.waitFor("the deleted one is gone", patience, func() bool { return e.isGone("deleted") })
	e.patch("released", `{"spec":{"desiredState":"Completed"}}`)
	e.waitForPhase("released", v1alpha1.PhaseQueued)
	e.createJob("created")
	e.waitForPhase("created", v1alpha1.PhaseQueued)
	forgotten := job("created")
	made := len(e.sim.Ledger())
	e.patch("processing", `{"metadata":{"labels":{"later":"yes"}}}`)

	if err := cp.SetBack(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	if now := e.get("processing"); now.Labels["later"] != "" || e.resourceVersion(now) != e.resourceVersion(before) {
		t.Fatalf("etcd isn't set back: %s at %s, with %v", now.Name, now.ResourceVersion, now.Labels)
	}
	for name, phase := range map[string]v1alpha1.Phase{
		"completed": v1alpha1.PhaseCompleted, "finishes": v1alpha1.PhaseCompleted, "queued": v1alpha1.PhaseQueued, "processing": v1alpha1.PhaseProcessing,
		"waits": v1alpha1.PhaseQueued, "suspended": v1alpha1.PhasePending, "called-off": v1alpha1.PhaseCancelled, "deleted": v1alpha1.PhaseCancelled,
	} {
		e.waitForPhase(name, phase)
	}
	if !e.isGone("created") {
		t.Error("the one that was created since is still there")
	}
	// The process knows that these were cancelled; their specs, which are set back, ask for something else.
	for _, name := range []string{"called-off", "deleted"} {
		conditions := e.get(name).Status.Conditions
		ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
		if ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonAlreadyCancelled ||
			!meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled) {
			t.Errorf("%s is %+v", name, conditions)
		}
	}

	// All goes on, by new events too: what is suspended again is held, or followed where Dafty has its job.
	e.patch("suspended", `{"spec":{"desiredState":"Completed"}}`)
	e.waitForPhase("suspended", v1alpha1.PhaseQueued)
	e.patch("queued", `{"spec":{"desiredState":"Cancelled"}}`)
	e.waitForPhase("queued", v1alpha1.PhaseCancelled)
	if err := e.Client.Delete(t.Context(), e.get("deleted")); err != nil {
		t.Fatal(err)
	}
	e.waitFor("the deleted one is gone again", patience, func() bool { return e.isGone("deleted") })
	e.patch("released", `{"spec":{"desiredState":"Completed"}}`)
	e.createJob("new")
	e.waitForPhase("new", v1alpha1.PhaseQueued)
	e.sim.FinishAll(daftysim.Succeed)
	for _, name := range []string{"processing", "waits", "suspended", "released", "new"} {
		e.waitForPhase(name, v1alpha1.PhaseCompleted)
	}
	e.checkLedger(forgotten)
	if added := len(e.sim.Ledger()) - made; added != 2 { // suspended and new
		t.Errorf("%d jobs were made after etcd was set back, want 2", added)
	}
}

func (e *env) isGone(name string) bool {
	return apierrors.IsNotFound(e.Client.Get(e.t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, &v1alpha1.DaftyJob{}))
}

// checkLedger checks all DaftyJobs against Dafty's ledger: each has one job there, which ended as its status says, and there is no other job but
// the given ones.
func (e *env) checkLedger(but ...string) {
	e.t.Helper()
	e.checkPaidOnce()
	list := &v1alpha1.DaftyJobList{}
	if err := e.Client.List(e.t.Context(), list, client.InNamespace(e.Namespace)); err != nil {
		e.t.Fatal(err)
	}
	owned := map[string]*v1alpha1.DaftyJob{}
	for i := range list.Items {
		owned[list.Items[i].Status.JobID] = &list.Items[i]
	}
	for _, entry := range e.sim.Ledger() {
		job := owned[entry.JobID]
		delete(owned, entry.JobID)
		switch {
		case job == nil && !entry.Cancelled && !slices.Contains(but, entry.JobID):
			e.t.Errorf("nobody knows of %+v", entry)
		case job == nil:
		case entry.Cancelled != (job.Status.Phase == v1alpha1.PhaseCancelled) ||
			(entry.Status == daftysim.StatusCompleted) != (job.Status.Phase == v1alpha1.PhaseCompleted):
			e.t.Errorf("%s is %s, and Dafty has %+v", job.Name, job.Status.Phase, entry)
		}
	}
	if len(owned) > 0 {
		e.t.Errorf("Dafty has no job of %s", strings.Join(slices.Sorted(maps.Keys(owned)), ", "))
	}
}
