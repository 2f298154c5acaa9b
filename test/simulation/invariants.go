package simulation

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
)

// invariants holds what happens against the invariants.
type invariants struct {
	env *env

	// Guarded by env.mu.
	latest    map[types.UID]*v1alpha1.DaftyJob // the last version of each object there ever was
	abandoned map[types.UID]bool
	// What users took into their own hands. stripped objects have lost their finalizer, and forced ones
	// are gone without it. Objects that lostStatus know of their job by its annotation alone; heirs came
	// with that annotation, and what they hold is the job that they must not pay for again.
	stripped, forced, lostStatus map[types.UID]bool
	inheritedJobs                map[types.UID]string
	// refusedSince are the writes that are refused, and toldRefused those of which that was told; cancels are when the
	// last cancel of a job left, by its id.
	refusedSince     map[refusedWrite]refusedSince
	reportedRefusals map[refusedWrite]bool
	cancels          map[string]cancelSent
	// cancelRecorded are the objects of which it was ever on record that their job is being cancelled.
	cancelRecorded map[types.UID]bool
	// sentKeys are the idempotency keys that a request was ever sent with.
	sentKeys map[string]bool
	// inheritedKeys are the objects that were restored with a request in doubt, by its idempotency key.
	inheritedKeys map[string]types.UID
	// restored are the backups that came back with their status, by the uid of the new object.
	restored map[types.UID]*v1alpha1.DaftyJob
	// resultData is what was last written of an object's result.
	resultData map[types.UID]map[string]string
	// userWrites is set while a user writes what is the operator's.
	userWrites bool

	mu       sync.Mutex
	problems []string
	bodies   map[string][]byte // of creates, see posted
}

func newInvariants(e *env) *invariants {
	return &invariants{
		env: e, latest: map[types.UID]*v1alpha1.DaftyJob{}, abandoned: map[types.UID]bool{},
		stripped: map[types.UID]bool{}, forced: map[types.UID]bool{}, lostStatus: map[types.UID]bool{}, inheritedJobs: map[types.UID]string{},
		refusedSince: map[refusedWrite]refusedSince{}, reportedRefusals: map[refusedWrite]bool{}, cancels: map[string]cancelSent{}, cancelRecorded: map[types.UID]bool{},
		sentKeys:      map[string]bool{},
		inheritedKeys: map[string]types.UID{}, restored: map[types.UID]*v1alpha1.DaftyJob{},
		resultData: map[types.UID]map[string]string{},
		bodies:     map[string][]byte{},
	}
}

// violated notes that an invariant is broken.
func (inv *invariants) violated(format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	inv.env.trace.add("JUDGE", "%s", problem)
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.problems = append(inv.problems, problem)
}

// noAPIKey finds API keys where none may be.
func (inv *invariants) noAPIKey(where, text string) {
	for _, key := range allKeys {
		if strings.Contains(text, key) {
			inv.violated("leaked: an API key is in %s", where)
		}
	}
}

// checkRequest looks at a request that leaves.
func (inv *invariants) checkRequest(req *http.Request) {
	if req.URL.Host != daftyHost || req.URL.Scheme != "https" {
		inv.violated("leaked: a request goes to %s://%s", req.URL.Scheme, req.URL.Host)
	}
	storage := req.Method == http.MethodPut
	for name, values := range req.Header {
		if name != "X-Api-Key" || storage {
			inv.noAPIKey("header "+name, strings.Join(values, " "))
		}
	}
}

// checkEvent takes an event of the operator's. It says nothing of itself about the world.
func (inv *invariants) checkEvent(job *v1alpha1.DaftyJob, reason, message string) {
	inv.noAPIKey("an event", message)
	if entry, known := inv.env.sim.Job(job.Status.JobID); reason == v1alpha1.EventJobOrphaned && known && entry.Cancelled {
		inv.violated("false: job %s of %s is said to run on, and was cancelled", shortID(entry.JobID), job.Name)
	}
	if reason == v1alpha1.EventCancelAbandoned {
		inv.abandoned[job.UID] = true
		inv.checkAbandoned(job, message)
		if waited := time.Since(job.DeletionTimestamp.Time); waited < deletionTimeout-maxSkew-time.Second && !inv.env.clocksJumped {
			inv.violated("left running: the cancel of %s was given up after %s", job.Name, waited)
		}
	}
}

// checkVersion looks at each version of each object.
func (inv *invariants) checkVersion(before, after version) {
	job := after.job
	inv.latest[job.UID] = job
	inv.noAPIKey("object "+job.Name, string(after.raw))
	switch held := slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer); {
	case held:
		delete(inv.stripped, job.UID)
	case job.DeletionTimestamp != nil && inv.stripped[job.UID]:
		inv.forced[job.UID] = true
	}
	if job.Status.Phase == v1alpha1.PhaseCancelling {
		delete(inv.lostStatus, job.UID) // that it was called off is on record again
		inv.cancelRecorded[job.UID] = true
	}
	// A status that somebody emptied says nothing until the operator has seen it.
	if emptied := job.Status.Phase == "" && job.Status.ObservedGeneration == 0; !emptied && !inv.userWrites {
		if problem := kstatustest.Problem(job); problem != "" {
			inv.violated("false: %s: %s", problem, describe(job))
		}
	}
	was := before.job
	if was == nil || was.UID != job.UID || inv.userWrites {
		return
	}
	inv.checkDesiredState(was, job)
	if !was.Status.Phase.Final() {
		if job.Status.Phase.Final() {
			inv.checkReason(job)
		}
		return
	}
	old, changed := fixedAfterEnd(was), fixedAfterEnd(job)
	for _, condition := range changingAfterEnd(was, job) {
		meta.RemoveStatusCondition(&old.Conditions, condition)
		meta.RemoveStatusCondition(&changed.Conditions, condition)
	}
	if !reflect.DeepEqual(old, changed) {
		inv.violated("false: %s changed after its end: %s, then %s", job.Name, describe(was), describe(job))
	}
}

// fixedAfterEnd is what of a status never changes after the end.
func fixedAfterEnd(job *v1alpha1.DaftyJob) v1alpha1.DaftyJobStatus {
	status := *job.Status.DeepCopy()
	status.ObservedGeneration, status.ResultConfigMap, status.ResultConfigMapVersion = 0, "", ""
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionResultStored)
	for i := range status.Conditions {
		status.Conditions[i].ObservedGeneration = 0
	}
	if status.Result != nil && status.Result.Video != nil {
		status.Result.Video.ThumbnailURL = "" // may come late
	}
	return status
}

// changingAfterEnd are the conditions that may change between two versions of an object that has ended: that a deleted one can't be
// let go is told, and taken back, and so is that the spec asks again for what was cancelled.
func changingAfterEnd(was, job *v1alpha1.DaftyJob) []string {
	before, after := readyOf(was).Reason, readyOf(job).Reason
	refusal := func(reason string) bool {
		return reason == v1alpha1.ReasonWriteRefused || reason == v1alpha1.ReasonWriteFailed
	}
	already := before == v1alpha1.ReasonAlreadyCancelled || after == v1alpha1.ReasonAlreadyCancelled
	switch {
	case job.DeletionTimestamp != nil && (refusal(before) || refusal(after)):
		return []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled}
	case job.Status.Phase == v1alpha1.PhaseCancelled && already && endOf(was) == endOf(job):
		return []string{v1alpha1.ConditionReady, v1alpha1.ConditionStalled}
	}
	return nil
}

// checkBody looks at each create that leaves: requests with one key and one API key have one body.
func (inv *invariants) checkBody(req *http.Request, body []byte) {
	key := req.Header.Get("Idempotency-Key")
	if key == "" {
		return
	}
	of := req.Header.Get("X-Api-Key") + " " + key
	inv.mu.Lock()
	was, again := inv.bodies[of]
	inv.bodies[of] = body
	inv.mu.Unlock()
	if again && !bytes.Equal(was, body) {
		inv.violated("contract: %s is sent with another body: %s, and before %s", describeRequest(req), body, was)
	}
}
