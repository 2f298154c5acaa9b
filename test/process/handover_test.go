package process

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const elect = "--leader-elect"

// ownTiming isn't the default one, so that it is seen to count. It is no shorter, as a busy machine may keep a leader from
// renewing its lease for some seconds.
var ownTiming = []string{elect, "--leader-elect-lease-duration=16s", "--leader-elect-renew-deadline=11s", "--leader-elect-retry-period=1s"}

// pair starts a leader, and a standby that is ready.
func (s *stage) pair(args ...string) (leader, standby *operator) {
	s.t.Helper()
	leader = s.start("the leader", nil, args...)
	s.waitFor("the leader leads", soon, leader.IsWorking)
	standby = s.start("the standby", nil, args...)
	s.waitFor("the standby is ready", soon, standby.ready)
	return leader, standby
}

// late has Dafty make the job of a DaftyJob at once, and hold its answer back until answer is called. A repeat of the
// request is answered at once.
func (s *stage) late(name string) (answer func()) {
	s.t.Helper()
	heldBack := make(chan struct{})
	s.mu.Lock()
	s.heldBack["A picture of "+name] = heldBack
	s.mu.Unlock()
	s.generate(name)
	s.waitFor(name+" is made at Dafty, and isn't answered", soon, func() bool { return len(s.entries(name)) == 1 })
	return func() { close(heldBack) }
}

func (s *stage) patch(name, patch string) {
	s.t.Helper()
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}}
	if err := s.Client.Patch(s.t.Context(), job, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		s.t.Error(err)
	}
}

// A node is drained: the leader is asked to end while jobs are in every phase, and one create isn't answered yet.
func TestHandover(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	leader, standby := s.pair(elect)
	held, at := s.holder("the leader holds the lease", 0, soon, func(l *coordinationv1.Lease) bool { return holderOf(l) != "" })

	for _, name := range []string{"completed", "failed", "queued", "processing", "cancelling", "deleted"} {
		s.generate(name)
		s.reaches(name, v1alpha1.PhaseQueued)
	}
	job := func(name string) string { return s.entries(name)[0].JobID }
	for _, err := range []error{
		s.sim.Finish(job("completed"), daftysim.Succeed), s.sim.Finish(job("failed"), daftysim.Fail),
		s.sim.Start(job("processing")), s.sim.Start(job("cancelling")), s.sim.Start(job("deleted")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.reaches("completed", v1alpha1.PhaseCompleted)
	s.reaches("failed", v1alpha1.PhaseFailed)
	s.reaches("processing", v1alpha1.PhaseProcessing)
	s.patch("cancelling", `{"spec":{"desiredState":"Cancelled"}}`)
	s.reaches("cancelling", v1alpha1.PhaseCancelling)
	if err := s.Client.Delete(t.Context(), s.get("deleted")); err != nil {
		t.Fatal(err)
	}
	s.reaches("deleted", v1alpha1.PhaseCancelling)
	waits := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "waits"}}
	waits.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "processing"}}}
	s.create(waits)
	suspended := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "suspended"}}
	suspended.Spec.DesiredState = v1alpha1.DesiredSuspended
	suspended.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "A picture of suspended"}
	s.create(suspended)
	s.reaches("waits", v1alpha1.PhasePending)
	s.reaches("suspended", v1alpha1.PhasePending)
	answer := s.late("late")
	if calls := standby.dafty.since(time.Time{}); len(calls) > 0 {
		t.Errorf("the standby called Dafty: %v", calls)
	}

	asked := time.Now()
	leader.signal(syscall.SIGTERM)
	s.waitFor("the leader is asked to end", soon, func() bool { return strings.Contains(leader.Log.String(), "ending: waiting") })
	s.waitFor("the leader gives up what is held", soon, func() bool { return leader.dafty.underway() == 1 })
	deaf := time.Now()
	s.generate("new")
	if leader.Ended() {
		t.Error("the leader ended before the create was answered")
	}
	answer()
	answered := time.Now()
	if code := leader.ends(soon); code != 0 {
		t.Errorf("the leader ended with code %d", code)
	}
	released, at := s.holder("the leader gives the lease back", at, soon, func(l *coordinationv1.Lease) bool { return holderOf(l) == "" })
	taken, _ := s.holder("the standby takes the lease", at, soon, func(l *coordinationv1.Lease) bool { return holderOf(l) != "" && holderOf(l) != holderOf(held) })
	acquired := taken.Spec.AcquireTime.Time
	s.waitFor("the standby leads", soon, standby.IsWorking)
	t.Logf("asked to end, the leader ended after %s, with a create that was answered after %s; the standby had the lease %s later",
		leader.EndedAt().Sub(asked).Round(time.Millisecond), answered.Sub(asked).Round(time.Millisecond), acquired.Sub(leader.EndedAt()).Round(time.Millisecond))

	if calls := leader.dafty.since(deaf); len(calls) > 0 {
		t.Errorf("the leader began new calls after it was asked to end: %v", calls)
	}
	if calls := standby.dafty.since(time.Time{}); len(calls) > 0 && calls[0].at.Before(acquired.Add(-time.Millisecond)) {
		t.Errorf("the standby called Dafty before it had the lease: %v", calls[0])
	}
	written := s.firstVersion("late", func(job *v1alpha1.DaftyJob) bool { return job.Status.JobID != "" })
	switch {
	case written == nil:
		t.Error("the job id of the create that was on its way is in no status")
	case s.version(written) > s.version(released):
		t.Errorf("the job id was written as %s, after the lease was given back as %s", written.ResourceVersion, released.ResourceVersion)
	}

	// Takeovers list nothing anew.
	events, err := s.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if ref := event.ObjectRef; ref != nil && ref.Resource == "daftyjobs" && ref.Namespace == s.Namespace && strings.HasPrefix(event.UserAgent, "manager/") &&
			event.RequestReceivedTimestamp.After(asked) && (event.Verb == "list" || event.Verb == "watch") {
			t.Errorf("the standby lists or watches the DaftyJobs anew: %s", event.RequestURI)
		}
	}

	// All goes on, and comes to its end.
	s.reaches("new", v1alpha1.PhaseQueued)
	s.patch("suspended", `{"spec":{"desiredState":"Completed"}}`)
	s.reaches("suspended", v1alpha1.PhaseQueued)
	s.sim.FinishAll(daftysim.Succeed)
	s.reaches("waits", v1alpha1.PhaseQueued)
	s.sim.FinishAll(daftysim.Succeed)
	for _, name := range []string{"queued", "processing", "waits", "suspended", "late", "new"} {
		s.reaches(name, v1alpha1.PhaseCompleted)
	}
	s.reaches("cancelling", v1alpha1.PhaseCancelled)
	s.waitFor("the deleted one is gone", soon, func() bool {
		return client.IgnoreNotFound(s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "deleted"}, &v1alpha1.DaftyJob{})) == nil &&
			!strings.Contains(s.describe(), "deleted ")
	})
	s.paidOnce()
	posts := map[string]int{}
	for _, r := range s.sim.Requests() {
		if key := r.IdempotencyKey(); key != "" {
			if posts[key]++; posts[key] > 1 {
				t.Errorf("%s was sent %d times: none was in doubt", key, posts[key])
			}
		}
	}
	standby.signal(syscall.SIGTERM)
	began := time.Now()
	if code := standby.ends(soon); code != 0 {
		t.Errorf("the standby ended with code %d", code)
	}
	t.Logf("with nothing on its way, a process ends within %s", time.Since(began).Round(time.Millisecond))
}

// A node dies.
func TestLeaderIsKilled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	leader, standby := s.pair(ownTiming...)
	held, at := s.holder("the leader holds the lease", 0, soon, func(l *coordinationv1.Lease) bool { return holderOf(l) != "" })
	s.generate("queued")
	s.reaches("queued", v1alpha1.PhaseQueued)
	s.late("late")

	killed := time.Now()
	leader.signal(syscall.SIGKILL)
	leader.ends(soon)
	taken, _ := s.holder("the standby takes the lease", at, soon, func(l *coordinationv1.Lease) bool { return holderOf(l) != "" && holderOf(l) != holderOf(held) })
	s.waitFor("the standby leads", soon, standby.IsWorking)
	t.Logf("the standby had the lease of 16s after %s", taken.Spec.AcquireTime.Sub(killed).Round(time.Millisecond))
	if calls := standby.dafty.since(time.Time{}); len(calls) > 0 && calls[0].at.Before(taken.Spec.AcquireTime.Add(-time.Millisecond)) {
		t.Errorf("the standby called Dafty before it had the lease: %v", calls[0])
	}

	// The create was cut off: it is asked for again under its own key, when the first has surely passed.
	s.waitFor("late has its job", 2*soon, func() bool { return s.get("late").Status.JobID != "" })
	t.Logf("the create that was cut off had its job id after %s", time.Since(killed).Round(time.Second))
	s.sim.FinishAll(daftysim.Succeed)
	s.reaches("queued", v1alpha1.PhaseCompleted)
	s.reaches("late", v1alpha1.PhaseCompleted)
	if entries := s.entries("late"); len(entries) != 1 || entries[0].JobID != s.get("late").Status.JobID {
		t.Errorf("late has %s of %+v", s.get("late").Status.JobID, entries)
	}
	s.paidOnce()
}

// A leader that finds its lease in other hands ends at once, whatever is on its way.
func TestLeaseIsLost(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	leader := s.start("the leader", nil, ownTiming...)
	s.waitFor("the leader leads", soon, leader.IsWorking)
	s.generate("queued")
	s.reaches("queued", v1alpha1.PhaseQueued)
	s.late("late")
	if status, body := leader.probe("/healthz"); status != http.StatusOK {
		t.Errorf("a leader isn't healthy: %d %s", status, body)
	}

	lost := time.Now()
	other, now, hour := "another", metav1.NowMicro(), int32(3600)
	s.waitFor("the lease is another's", soon, func() bool {
		list := &coordinationv1.LeaseList{}
		if err := s.Client.List(t.Context(), list, client.InNamespace(s.Namespace)); err != nil || len(list.Items) != 1 {
			t.Fatalf("%d leases, %v", len(list.Items), err)
		}
		lease := &list.Items[0]
		if duration := lease.Spec.LeaseDurationSeconds; duration == nil || *duration != 16 && *duration != hour {
			t.Fatalf("the lease is %+v, and the flag says 16s", lease.Spec)
		}
		lease.Spec.HolderIdentity, lease.Spec.RenewTime, lease.Spec.LeaseDurationSeconds = &other, &now, &hour
		return s.Client.Update(t.Context(), lease) == nil
	})
	if code := leader.ends(soon); code != 1 {
		t.Errorf("the leader ended with code %d, want 1", code)
	}
	t.Logf("a leader that has lost its lease, with 11s to renew it, ended after %s", leader.EndedAt().Sub(lost).Round(time.Millisecond))
	if !strings.Contains(leader.Log.String(), "leader election lost") {
		t.Error("it doesn't say why it ended")
	}
	list := &coordinationv1.LeaseList{}
	if err := s.Client.List(t.Context(), list, client.InNamespace(s.Namespace)); err != nil {
		t.Fatal(err)
	}
	if holder := holderOf(&list.Items[0]); holder != other {
		t.Errorf("the lease that was another's is %q's", holder)
	}

	// It was answered by nobody, and stands in doubt for whoever leads.
	if late := s.get("late"); late.Status.JobID != "" || !late.Status.InDoubt() {
		t.Errorf("late is %+v", late.Status)
	}
	s.generate("new")
	s.sim.FinishAll(daftysim.Succeed)
	if calls := leader.dafty.since(leader.EndedAt()); len(calls) > 0 {
		t.Errorf("calls of a process that has ended: %v", calls)
	}
	if phase := s.get("queued").Status.Phase; phase != v1alpha1.PhaseQueued {
		t.Errorf("queued is %s: who wrote that?", phase)
	}
	s.paidOnce()
}

// Whoever is in a hurry asks twice.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	alone := s.start("the operator", nil)
	s.waitFor("it is at work", soon, alone.IsWorking)
	s.late("late")
	alone.signal(syscall.SIGTERM)
	s.waitFor("it waits for the answer", soon, func() bool { return strings.Contains(alone.Log.String(), "ending: waiting") })
	began := time.Now()
	alone.signal(syscall.SIGINT)
	if code := alone.ends(soon); code != 1 {
		t.Errorf("it ended with code %d, want 1", code)
	}
	t.Logf("it ended %s after the second signal", time.Since(began).Round(time.Millisecond))
	if s.get("late").Status.JobID != "" {
		t.Error("it waited for the answer")
	}
}

// Ready is who has all DaftyJobs in memory. Who isn't yet is healthy all the same: to be killed would help nobody.
func TestProbes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	listed := make(chan struct{})
	s.behind(listed)
	p := s.start("the operator", nil, elect)
	var status int
	var body string
	s.waitFor("it answers", soon, func() bool { status, body = p.probe("/readyz"); return status != 0 })
	if status != http.StatusInternalServerError || !strings.Contains(body, "[-]caches") {
		t.Errorf("before the DaftyJobs are listed: %d %s", status, body)
	}
	if status, body = p.probe("/healthz"); status != http.StatusOK {
		t.Errorf("while it starts: %d %s", status, body)
	}
	if p.IsWorking() {
		t.Error("it leads before the DaftyJobs are listed")
	}
	close(listed)
	s.waitFor("it is ready", soon, p.ready)
}
