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

const leaderElect = "--leader-elect"

// leaseTiming differs from the default, to show that the flags count. It isn't shorter, as a busy machine may keep a leader from renewing its lease
// for some seconds.
var leaseTiming = []string{leaderElect, "--leader-elect-lease-duration=16s", "--leader-elect-renew-deadline=11s", "--leader-elect-retry-period=1s"}

// startPair starts a leader, and a standby that is ready.
func (e *env) startPair(args ...string) (leader, standby *operator) {
	e.t.Helper()
	leader = e.start("the leader", nil, args...)
	e.waitFor("the leader leads", patience, leader.IsWorking)
	standby = e.start("the standby", nil, args...)
	e.waitFor("the standby is ready", patience, standby.ready)
	return leader, standby
}

// createWithoutAnswer creates a DaftyJob whose job Dafty makes at once, but doesn't answer until answer is called. A repeat of the request is
// answered at once.
func (e *env) createWithoutAnswer(name string) (answer func()) {
	e.t.Helper()
	heldBack := make(chan struct{})
	e.mu.Lock()
	e.unanswered["A picture of "+name] = heldBack
	e.mu.Unlock()
	e.createJob(name)
	e.waitFor(name+" is made at Dafty, and isn't answered", patience, func() bool { return len(e.entries(name)) == 1 })
	return func() { close(heldBack) }
}

func (e *env) patch(name, patch string) {
	e.t.Helper()
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: name}}
	if err := e.Client.Patch(e.t.Context(), job, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		e.t.Error(err)
	}
}

// A node is drained: the leader is asked to end while jobs are in every phase, and one create isn't answered yet.
func TestHandover(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	leader, standby := e.startPair(leaderElect)
	held, at := e.waitForLease("the leader holds the lease", 0, patience, func(l *coordinationv1.Lease) bool { return holderOf(l) != "" })

	for _, name := range []string{"completed", "failed", "queued", "processing", "cancelling", "deleted"} {
		e.createJob(name)
		e.waitForPhase(name, v1alpha1.PhaseQueued)
	}
	job := func(name string) string { return e.entries(name)[0].JobID }
	for _, err := range []error{
		e.sim.Finish(job("completed"), daftysim.Succeed), e.sim.Finish(job("failed"), daftysim.Fail),
		e.sim.Start(job("processing")), e.sim.Start(job("cancelling")), e.sim.Start(job("deleted")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	e.waitForPhase("completed", v1alpha1.PhaseCompleted)
	e.waitForPhase("failed", v1alpha1.PhaseFailed)
	e.waitForPhase("processing", v1alpha1.PhaseProcessing)
	e.patch("cancelling", `{"spec":{"desiredState":"Cancelled"}}`)
	e.waitForPhase("cancelling", v1alpha1.PhaseCancelling)
	if err := e.Client.Delete(t.Context(), e.get("deleted")); err != nil {
		t.Fatal(err)
	}
	e.waitForPhase("deleted", v1alpha1.PhaseCancelling)
	waits := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "waits"}}
	waits.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "processing"}}}
	e.create(waits)
	suspended := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "suspended"}}
	suspended.Spec.DesiredState = v1alpha1.DesiredSuspended
	suspended.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "A picture of suspended"}
	e.create(suspended)
	e.waitForPhase("waits", v1alpha1.PhasePending)
	e.waitForPhase("suspended", v1alpha1.PhasePending)
	answer := e.createWithoutAnswer("late")
	if calls := standby.dafty.requestsSince(time.Time{}); len(calls) > 0 {
		t.Errorf("the standby called Dafty: %v", calls)
	}

	asked := time.Now()
	leader.signal(syscall.SIGTERM)
	e.waitFor("the leader is asked to end", patience, func() bool { return strings.Contains(leader.Log.String(), "ending: waiting") })
	e.waitFor("the leader gives up what is held", patience, func() bool { return leader.dafty.inFlight() == 1 })
	deaf := time.Now()
	e.createJob("new")
	if leader.Ended() {
		t.Error("the leader ended before the create was answered")
	}
	answer()
	answered := time.Now()
	if code := leader.ends(patience); code != 0 {
		t.Errorf("the leader ended with code %d", code)
	}
	released, at := e.waitForLease("the leader gives the lease back", at, patience, func(l *coordinationv1.Lease) bool { return holderOf(l) == "" })
	taken, _ := e.waitForLease("the standby takes the lease", at, patience, func(l *coordinationv1.Lease) bool {
		return holderOf(l) != "" && holderOf(l) != holderOf(held)
	})
	acquired := taken.Spec.AcquireTime.Time
	e.waitFor("the standby leads", patience, standby.IsWorking)
	t.Logf("asked to end, the leader ended after %s, with a create that was answered after %s; the standby had the lease %s later",
		leader.EndedAt().Sub(asked).Round(time.Millisecond), answered.Sub(asked).Round(time.Millisecond), acquired.Sub(leader.EndedAt()).Round(time.Millisecond))

	if calls := leader.dafty.requestsSince(deaf); len(calls) > 0 {
		t.Errorf("the leader began new calls after it was asked to end: %v", calls)
	}
	if calls := standby.dafty.requestsSince(time.Time{}); len(calls) > 0 && calls[0].at.Before(acquired.Add(-time.Millisecond)) {
		t.Errorf("the standby called Dafty before it had the lease: %v", calls[0])
	}
	written := e.firstVersion("late", func(job *v1alpha1.DaftyJob) bool { return job.Status.JobID != "" })
	switch {
	case written == nil:
		t.Error("the job id of the create that was on its way is in no status")
	case e.resourceVersion(written) > e.resourceVersion(released):
		t.Errorf("the job id was written as %s, after the lease was given back as %s", written.ResourceVersion, released.ResourceVersion)
	}

	// Takeovers list nothing again.
	events, err := e.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if ref := event.ObjectRef; ref != nil && ref.Resource == "daftyjobs" && ref.Namespace == e.Namespace && strings.HasPrefix(event.UserAgent, "manager/") &&
			event.RequestReceivedTimestamp.After(asked) && (event.Verb == "list" || event.Verb == "watch") {
			t.Errorf("the standby lists or watches the DaftyJobs again: %s", event.RequestURI)
		}
	}

	// All goes on, and comes to its end.
	e.waitForPhase("new", v1alpha1.PhaseQueued)
	e.patch("suspended", `{"spec":{"desiredState":"Completed"}}`)
	e.waitForPhase("suspended", v1alpha1.PhaseQueued)
	e.sim.FinishAll(daftysim.Succeed)
	e.waitForPhase("waits", v1alpha1.PhaseQueued)
	e.sim.FinishAll(daftysim.Succeed)
	for _, name := range []string{"queued", "processing", "waits", "suspended", "late", "new"} {
		e.waitForPhase(name, v1alpha1.PhaseCompleted)
	}
	e.waitForPhase("cancelling", v1alpha1.PhaseCancelled)
	e.waitFor("the deleted one is gone", patience, func() bool {
		return client.IgnoreNotFound(e.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: "deleted"}, &v1alpha1.DaftyJob{})) == nil &&
			!strings.Contains(e.describe(), "deleted ")
	})
	e.checkPaidOnce()
	posts := map[string]int{}
	for _, r := range e.sim.Requests() {
		if key := r.IdempotencyKey(); key != "" {
			if posts[key]++; posts[key] > 1 {
				t.Errorf("%s was sent %d times: none was in doubt", key, posts[key])
			}
		}
	}
	standby.signal(syscall.SIGTERM)
	began := time.Now()
	if code := standby.ends(patience); code != 0 {
		t.Errorf("the standby ended with code %d", code)
	}
	t.Logf("with nothing on its way, a process ends within %s", time.Since(began).Round(time.Millisecond))
}

// A node dies.
func TestLeaderIsKilled(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	leader, standby := e.startPair(leaseTiming...)
	held, at := e.waitForLease("the leader holds the lease", 0, patience, func(l *coordinationv1.Lease) bool { return holderOf(l) != "" })
	e.createJob("queued")
	e.waitForPhase("queued", v1alpha1.PhaseQueued)
	e.createWithoutAnswer("late")

	killed := time.Now()
	leader.signal(syscall.SIGKILL)
	leader.ends(patience)
	taken, _ := e.waitForLease("the standby takes the lease", at, patience, func(l *coordinationv1.Lease) bool {
		return holderOf(l) != "" && holderOf(l) != holderOf(held)
	})
	e.waitFor("the standby leads", patience, standby.IsWorking)
	t.Logf("the standby had the lease of 16s after %s", taken.Spec.AcquireTime.Sub(killed).Round(time.Millisecond))
	if calls := standby.dafty.requestsSince(time.Time{}); len(calls) > 0 && calls[0].at.Before(taken.Spec.AcquireTime.Add(-time.Millisecond)) {
		t.Errorf("the standby called Dafty before it had the lease: %v", calls[0])
	}

	// The create was cut off: it is sent again with its own key, once the first can't be under way any more.
	e.waitFor("late has its job", 2*patience, func() bool { return e.get("late").Status.JobID != "" })
	t.Logf("the create that was cut off had its job id after %s", time.Since(killed).Round(time.Second))
	e.sim.FinishAll(daftysim.Succeed)
	e.waitForPhase("queued", v1alpha1.PhaseCompleted)
	e.waitForPhase("late", v1alpha1.PhaseCompleted)
	if entries := e.entries("late"); len(entries) != 1 || entries[0].JobID != e.get("late").Status.JobID {
		t.Errorf("late has %s of %+v", e.get("late").Status.JobID, entries)
	}
	e.checkPaidOnce()
}

// A leader that has lost its lease ends at once, whatever calls are in flight.
func TestLeaseIsLost(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	leader := e.start("the leader", nil, leaseTiming...)
	e.waitFor("the leader leads", patience, leader.IsWorking)
	e.createJob("queued")
	e.waitForPhase("queued", v1alpha1.PhaseQueued)
	e.createWithoutAnswer("late")
	if status, body := leader.probe("/healthz"); status != http.StatusOK {
		t.Errorf("a leader isn't healthy: %d %s", status, body)
	}

	lost := time.Now()
	other, now, hour := "another", metav1.NowMicro(), int32(3600)
	e.waitFor("the lease is another's", patience, func() bool {
		list := &coordinationv1.LeaseList{}
		if err := e.Client.List(t.Context(), list, client.InNamespace(e.Namespace)); err != nil || len(list.Items) != 1 {
			t.Fatalf("%d leases, %v", len(list.Items), err)
		}
		lease := &list.Items[0]
		if duration := lease.Spec.LeaseDurationSeconds; duration == nil || *duration != 16 && *duration != hour {
			t.Fatalf("the lease is %+v, and the flag says 16s", lease.Spec)
		}
		lease.Spec.HolderIdentity, lease.Spec.RenewTime, lease.Spec.LeaseDurationSeconds = &other, &now, &hour
		return e.Client.Update(t.Context(), lease) == nil
	})
	if code := leader.ends(patience); code != 1 {
		t.Errorf("the leader ended with code %d, want 1", code)
	}
	t.Logf("a leader that has lost its lease, with 11s to renew it, ended after %s", leader.EndedAt().Sub(lost).Round(time.Millisecond))
	if !strings.Contains(leader.Log.String(), "leader election lost") {
		t.Error("it doesn't say why it ended")
	}
	list := &coordinationv1.LeaseList{}
	if err := e.Client.List(t.Context(), list, client.InNamespace(e.Namespace)); err != nil {
		t.Fatal(err)
	}
	if holder := holderOf(&list.Items[0]); holder != other {
		t.Errorf("the lease that was another's is %q's", holder)
	}

	// It has no answer, and is in doubt for the next leader.
	if late := e.get("late"); late.Status.JobID != "" || !late.Status.InDoubt() {
		t.Errorf("late is %+v", late.Status)
	}
	e.createJob("new")
	e.sim.FinishAll(daftysim.Succeed)
	if calls := leader.dafty.requestsSince(leader.EndedAt()); len(calls) > 0 {
		t.Errorf("calls of a process that has ended: %v", calls)
	}
	if phase := e.get("queued").Status.Phase; phase != v1alpha1.PhaseQueued {
		t.Errorf("queued is %s: who wrote that?", phase)
	}
	e.checkPaidOnce()
}

// A second signal ends the process at once.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	alone := e.start("the operator", nil)
	e.waitFor("it is at work", patience, alone.IsWorking)
	e.createWithoutAnswer("late")
	alone.signal(syscall.SIGTERM)
	e.waitFor("it waits for the answer", patience, func() bool { return strings.Contains(alone.Log.String(), "ending: waiting") })
	began := time.Now()
	alone.signal(syscall.SIGINT)
	if code := alone.ends(patience); code != 1 {
		t.Errorf("it ended with code %d, want 1", code)
	}
	t.Logf("it ended %s after the second signal", time.Since(began).Round(time.Millisecond))
	if e.get("late").Status.JobID != "" {
		t.Error("it waited for the answer")
	}
}

// A process is ready once it has all DaftyJobs in its cache. It is healthy before: a restart wouldn't help.
func TestProbes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	listed := make(chan struct{})
	e.delayLists(listed)
	p := e.start("the operator", nil, leaderElect)
	var status int
	var body string
	e.waitFor("it answers", patience, func() bool { status, body = p.probe("/readyz"); return status != 0 })
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
	e.waitFor("it is ready", patience, p.ready)
}
