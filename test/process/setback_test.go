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

// etcd is set back to a snapshot beneath a running operator. What was done since is forgotten by the cluster, but neither by Dafty nor by the
// operator: soon all agrees with Dafty's ledger again, and nothing is paid for a second time.
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
	s := newStageIn(t, cp.Env(t), daftysim.Options{})
	s.start("the operator", nil)

	job := func(name string) string { return s.entries(name)[0].JobID }
	suspend := func(name string) {
		held := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: name}}
		held.Spec.DesiredState = v1alpha1.DesiredSuspended
		held.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: v1alpha1.Prompt("A picture of " + name)}
		s.create(held)
		s.reaches(name, v1alpha1.PhasePending)
	}
	for _, name := range []string{"completed", "queued", "processing", "finishes", "called-off", "deleted"} {
		s.generate(name)
	}
	for _, name := range []string{"completed", "queued", "processing", "finishes", "called-off", "deleted"} {
		s.reaches(name, v1alpha1.PhaseQueued)
	}
	for _, name := range []string{"processing", "finishes", "called-off", "deleted"} {
		if err := s.sim.Start(job(name)); err != nil {
			t.Fatal(err)
		}
		s.reaches(name, v1alpha1.PhaseProcessing)
	}
	if err := s.sim.Finish(job("completed"), daftysim.Succeed); err != nil {
		t.Fatal(err)
	}
	s.reaches("completed", v1alpha1.PhaseCompleted)
	waits := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "waits"}}
	waits.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "finishes"}}}
	s.create(waits)
	s.reaches("waits", v1alpha1.PhasePending)
	suspend("suspended")
	suspend("released")

	snapshot := filepath.Join(t.TempDir(), "etcd")
	if err := cp.Snapshot(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	before := s.get("processing")

	// What the cluster is to forget.
	if err := s.sim.Finish(job("finishes"), daftysim.Succeed); err != nil {
		t.Fatal(err)
	}
	s.reaches("finishes", v1alpha1.PhaseCompleted)
	s.reaches("waits", v1alpha1.PhaseQueued)
	s.patch("called-off", `{"spec":{"desiredState":"Cancelled"}}`)
	s.reaches("called-off", v1alpha1.PhaseCancelled)
	if err := s.Client.Delete(t.Context(), s.get("deleted")); err != nil {
		t.Fatal(err)
	}
	s.waitFor("the deleted one is gone", soon, func() bool { return s.isGone("deleted") })
	s.patch("released", `{"spec":{"desiredState":"Completed"}}`)
	s.reaches("released", v1alpha1.PhaseQueued)
	s.generate("created")
	s.reaches("created", v1alpha1.PhaseQueued)
	forgotten := job("created")
	made := len(s.sim.Ledger())
	s.patch("processing", `{"metadata":{"labels":{"later":"yes"}}}`)

	if err := cp.SetBack(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	if now := s.get("processing"); now.Labels["later"] != "" || s.version(now) != s.version(before) {
		t.Fatalf("etcd isn't set back: %s at %s, with %v", now.Name, now.ResourceVersion, now.Labels)
	}
	for name, phase := range map[string]v1alpha1.Phase{
		"completed": v1alpha1.PhaseCompleted, "finishes": v1alpha1.PhaseCompleted, "queued": v1alpha1.PhaseQueued, "processing": v1alpha1.PhaseProcessing,
		"waits": v1alpha1.PhaseQueued, "suspended": v1alpha1.PhasePending, "called-off": v1alpha1.PhaseCancelled, "deleted": v1alpha1.PhaseCancelled,
	} {
		s.reaches(name, phase)
	}
	if !s.isGone("created") {
		t.Error("the one that was created since is still there")
	}
	// The process remembers that these were called off; their specs, which are set back, ask for something else.
	for _, name := range []string{"called-off", "deleted"} {
		conditions := s.get(name).Status.Conditions
		ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
		if ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonAlreadyCancelled || !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled) {
			t.Errorf("%s is %+v", name, conditions)
		}
	}

	// All goes on, by new events too: what is suspended again is held, or followed where Dafty has its job.
	s.patch("suspended", `{"spec":{"desiredState":"Completed"}}`)
	s.reaches("suspended", v1alpha1.PhaseQueued)
	s.patch("queued", `{"spec":{"desiredState":"Cancelled"}}`)
	s.reaches("queued", v1alpha1.PhaseCancelled)
	if err := s.Client.Delete(t.Context(), s.get("deleted")); err != nil {
		t.Fatal(err)
	}
	s.waitFor("the deleted one is gone again", soon, func() bool { return s.isGone("deleted") })
	s.patch("released", `{"spec":{"desiredState":"Completed"}}`)
	s.generate("new")
	s.reaches("new", v1alpha1.PhaseQueued)
	s.sim.FinishAll(daftysim.Succeed)
	for _, name := range []string{"processing", "waits", "suspended", "released", "new"} {
		s.reaches(name, v1alpha1.PhaseCompleted)
	}
	s.agrees(forgotten)
	if added := len(s.sim.Ledger()) - made; added != 2 { // suspended and new
		t.Errorf("%d jobs were made after etcd was set back, want 2", added)
	}
}

func (s *stage) isGone(name string) bool {
	return apierrors.IsNotFound(s.Client.Get(s.t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: name}, &v1alpha1.DaftyJob{}))
}

// agrees holds all DaftyJobs against Dafty's ledger: each has one job there, which ended as it says, and but for those that are named there is no
// other.
func (s *stage) agrees(but ...string) {
	s.t.Helper()
	s.paidOnce()
	list := &v1alpha1.DaftyJobList{}
	if err := s.Client.List(s.t.Context(), list, client.InNamespace(s.Namespace)); err != nil {
		s.t.Fatal(err)
	}
	owned := map[string]*v1alpha1.DaftyJob{}
	for i := range list.Items {
		owned[list.Items[i].Status.JobID] = &list.Items[i]
	}
	for _, entry := range s.sim.Ledger() {
		job := owned[entry.JobID]
		delete(owned, entry.JobID)
		switch {
		case job == nil && !entry.Cancelled && !slices.Contains(but, entry.JobID):
			s.t.Errorf("nobody knows of %+v", entry)
		case job == nil:
		case entry.Cancelled != (job.Status.Phase == v1alpha1.PhaseCancelled) ||
			(entry.Status == daftysim.StatusCompleted) != (job.Status.Phase == v1alpha1.PhaseCompleted):
			s.t.Errorf("%s is %s, and Dafty has %+v", job.Name, job.Status.Phase, entry)
		}
	}
	if len(owned) > 0 {
		s.t.Errorf("Dafty has no job of %s", strings.Join(slices.Sorted(maps.Keys(owned)), ", "))
	}
}
