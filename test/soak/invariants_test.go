package soak

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// settling is how the soak came to rest.
type settling struct {
	took      time.Duration
	unsettled []string // what never came to its end
}

// settle waits until every DaftyJob is final, waits for its user or a budget, or is gone, every DaftyAsset has what it wants or waits for
// somebody, and nothing is reserved.
func (r *run) settle(ctx context.Context) settling {
	start := time.Now()
	for {
		open := slices.Concat(r.unsettled(), r.unsettledAssets(), r.unsettledAccounts())
		took := time.Since(start)
		if len(open) == 0 || took > settleWithin || !pause(ctx, 200*time.Millisecond) {
			return settling{took: took, unsettled: open}
		}
	}
}

// unsettled returns the objects that must still change.
func (r *run) unsettled() []string {
	var open []string
	there := map[types.NamespacedName]*v1alpha1.DaftyJob{}
	for _, h := range r.records.histories() {
		if !h.gone {
			there[client.ObjectKeyFromObject(h.newest)] = h.newest
		}
	}
	for _, h := range r.records.histories() {
		job := h.newest
		waits := waitsForUser(job, there) || r.waitsForAsset(job) || r.waitsForAccount(job)
		if !h.gone && (job.DeletionTimestamp != nil || !job.Status.Phase.Final() && !waits) {
			open = append(open, job.Namespace+"/"+job.Name+" is "+describe(job))
		}
	}
	return open
}

// waitsForUser reports whether a job waits for nothing but its user: it is suspended, or refers to one that is, or that doesn't exist.
func waitsForUser(job *v1alpha1.DaftyJob, there map[types.NamespacedName]*v1alpha1.DaftyJob) bool {
	switch reason(job) {
	case v1alpha1.ReasonSuspended:
		return job.Spec.DesiredState == v1alpha1.DesiredSuspended
	case v1alpha1.ReasonWaitingForDependency:
		for _, name := range lifecycle.DependsOn(&job.Spec) {
			other := there[types.NamespacedName{Namespace: job.Namespace, Name: name}]
			if other == nil || other.DeletionTimestamp == nil && waitsForUser(other, there) {
				return true
			}
		}
	}
	return false
}

// checkInvariants checks all that happened against the operator's promises.
func (r *run) checkInvariants(end settling) {
	t := r.t
	for _, open := range end.unsettled {
		t.Errorf("stuck: %s, %s after all is well", open, end.took.Round(time.Second))
	}
	r.records.mu.Lock()
	for _, problem := range r.records.problems {
		t.Error(problem)
	}
	r.records.mu.Unlock()
	for _, violation := range r.dafty.Violations() {
		t.Errorf("Dafty's contract was broken: %s", violation)
	}

	paid := map[types.UID]daftysim.Entry{}
	for _, entry := range r.dafty.Ledger() {
		uid := owner(entry)
		if first, twice := paid[uid]; twice {
			t.Errorf("paid twice: %s as %s and as %s", uid, first.IdempotencyKey, entry.IdempotencyKey)
		}
		paid[uid] = entry
	}
	alive := map[types.UID]bool{}
	for _, h := range r.records.histories() {
		entry, made := paid[h.newest.UID]
		delete(paid, h.newest.UID)
		r.checkJob(h, entry, made)
		alive[h.newest.UID] = !h.gone
	}
	for uid, entry := range paid {
		t.Errorf("paid for nobody: job %s of %s", entry.JobID, uid)
	}

	// The watch must have seen all objects.
	list := &v1alpha1.DaftyJobList{}
	if err := r.env.client.List(t.Context(), list); err != nil {
		t.Error(err)
	}
	for _, job := range list.Items {
		if !alive[job.UID] {
			t.Errorf("the watch of the test missed %s/%s", job.Namespace, job.Name)
		}
	}
	r.checkAssets()
	r.checkBudgets()
	r.checkEventsAndLogs()
}

// owner returns the object that a job was made for, from its idempotency key UID-ATTEMPT.
func owner(entry daftysim.Entry) types.UID {
	const uuid = 36
	return types.UID(entry.IdempotencyKey[:min(uuid, len(entry.IdempotencyKey))])
}

// checkJob checks one object against Dafty's ledger.
func (r *run) checkJob(h history, entry daftysim.Entry, made bool) {
	job := h.newest
	wrong := func(promise, why string) {
		r.t.Errorf("%s: %s/%s (%s) is %s: %s; in Dafty's books: %+v", promise, job.Namespace, job.Name, job.UID, describe(job), why, entry)
	}
	calledOff := job.Spec.DesiredState == v1alpha1.DesiredCancelled || job.DeletionTimestamp != nil ||
		h.final != nil && h.final.Status.CancelRequestedAt != nil // and wanted again since
	if made && entry.Cancelled && !calledOff {
		wrong("false", "nobody has called it off, but it was cancelled")
	}
	if id := job.Status.JobID; id != "" && id != entry.JobID {
		wrong("false", "that isn't its job")
	}
	if h.gone && made && job.Spec.DeletionPolicy != v1alpha1.DeletionOrphan && (!entry.Terminal() || entry.Finished.After(h.goneAt)) {
		wrong("left running", "it ran on after its DaftyJob was gone at "+h.goneAt.Format(time.RFC3339Nano))
	}
	if h.final == nil {
		if made && !h.gone {
			wrong("stuck", "it was paid for, and has no end")
		}
		return
	}
	if made && (!entry.Terminal() || entry.Finished.After(h.finalAt)) {
		wrong("false", "it had not ended when status said so at "+h.finalAt.Format(time.RFC3339Nano))
	}
	job = h.final
	switch reason(job) {
	case v1alpha1.ReasonCompleted, v1alpha1.ReasonCompletedBeforeCancel:
		if job.Status.Phase != v1alpha1.PhaseCompleted || !made || entry.Status != daftysim.StatusCompleted {
			wrong("false", "it did not complete")
		}
	case v1alpha1.ReasonGenerationFailed:
		if job.Status.Phase != v1alpha1.PhaseFailed || !made || entry.Status != daftysim.StatusFailed || entry.Cancelled {
			wrong("false", "it did not fail")
		}
	case v1alpha1.ReasonCancelled:
		// One that failed while it was being cancelled looks the same at Dafty.
		if job.Status.Phase != v1alpha1.PhaseCancelled || !made || entry.Status != daftysim.StatusFailed || !calledOff {
			wrong("false", "it was not cancelled")
		}
	case v1alpha1.ReasonCancelledBeforeSubmission:
		if job.Status.Phase != v1alpha1.PhaseCancelled || made || !calledOff {
			wrong("false", "it was submitted, or not called off")
		}
	case v1alpha1.ReasonDependencyFailed:
		if job.Status.Phase != v1alpha1.PhaseFailed || made || len(lifecycle.DependsOn(&job.Spec)) == 0 {
			wrong("false", "it was submitted, or depends on nothing")
		}
	default:
		wrong("false", "nothing ends so here")
	}
}

// checkEventsAndLogs checks that events and logs have no key in them, and that no cancel was given up.
func (r *run) checkEventsAndLogs() {
	t := r.t
	events := &eventsv1.EventList{}
	if err := r.env.client.List(t.Context(), events); err != nil {
		t.Error(err)
	}
	told := 0
	for _, event := range events.Items {
		raw, err := json.Marshal(event)
		if err != nil {
			t.Error(err)
		}
		if key, form := operatortest.FindKey(string(raw), r.env.keys()...); key != "" {
			t.Errorf("leaked: %s is in the event %s, %s", key, raw, form)
		}
		if event.Regarding.Kind == "DaftyJob" {
			told++
		}
		if event.Reason == v1alpha1.EventCancelAbandoned {
			t.Errorf("left running: %s", event.Note)
		}
	}
	if told == 0 {
		t.Error("there are no events of DaftyJobs to look at")
	}
	for _, p := range r.fleet.all() {
		log := p.Log.String()
		if key, form := operatortest.FindKey(log, r.env.keys()...); key != "" {
			t.Errorf("leaked: %s is in the log of %s, %s", key, p.Name, form)
		}
		for line := range strings.Lines(log) {
			if strings.Contains(line, "panic:") || strings.Contains(line, "Observed a panic") {
				t.Errorf("%s panicked: %s", p.Name, line)
			}
		}
	}
}
