package simulation

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
)

// invariants checks what happens, and notes what is broken.
type invariants struct {
	env *env

	// latest is the last version of each object that there ever was. This and all fields up to mu are guarded by env.mu.
	latest map[types.UID]*v1alpha1.DaftyJob
	// abandoned are the objects whose cancel was given up, as an event told.
	abandoned map[types.UID]bool
	// stripped are the objects whose finalizer a user took off.
	stripped map[types.UID]bool
	// forced are the objects that are gone without a finalizer, after a user took it off.
	forced map[types.UID]bool
	// lostStatus are the objects that know of their job only by its annotation.
	lostStatus map[types.UID]bool
	// inheritedJobs are the jobs that objects came with, by annotation: they must not pay for them again.
	inheritedJobs map[types.UID]string
	// inheritedKeys are the objects that were restored with a request in doubt, by its idempotency key.
	inheritedKeys map[string]types.UID
	// refusedBefore are those that Dafty had refused when their backup was restored.
	refusedBefore map[string]bool
	// releaseRefused is when the API server last refused to let the finalizer of an object that has ended be taken off.
	releaseRefused map[types.UID]time.Time
	// superseded are those of them whose attempt has made a job under a later key that the backup doesn't know.
	superseded map[string]bool
	// restored are the backups that came back with their status, by the UID of the new object.
	restored map[types.UID]*v1alpha1.DaftyJob
	// refusedSince is how long writes have been refused.
	refusedSince map[refusedWrite]refusedSince
	// reportedRefusals are the refused writes that an event told of.
	reportedRefusals map[refusedWrite]bool
	// cancels are the last cancels that left, by the job's id.
	cancels map[string]cancelSent
	// cancelRecorded are the objects whose status ever said that their job is being cancelled.
	cancelRecorded map[types.UID]bool
	// sentKeys are the idempotency keys that a request was ever sent with.
	sentKeys map[string]bool
	// resultData is what was last written of an object's result.
	resultData map[types.UID]map[string]string
	// userWrites is set while a user writes what is the operator's.
	userWrites bool
	// writer is the process whose write is checked.
	writer *process
	// assets is what is known of DaftyAssets, and accounts of DaftyAccounts.
	assets   assetRecords
	accounts accountRecords

	mu       sync.Mutex
	problems []string
	bodies   map[string][]byte // of creates, see checkBody
	// searched are the assets of styles that the creates of objects went by, see checkSearched.
	searched map[string]string
}

func newInvariants(e *env) *invariants {
	return &invariants{
		env: e, latest: map[types.UID]*v1alpha1.DaftyJob{}, abandoned: map[types.UID]bool{},
		stripped: map[types.UID]bool{}, forced: map[types.UID]bool{}, lostStatus: map[types.UID]bool{},
		inheritedJobs: map[types.UID]string{}, inheritedKeys: map[string]types.UID{}, restored: map[types.UID]*v1alpha1.DaftyJob{},
		superseded: map[string]bool{}, refusedBefore: map[string]bool{}, releaseRefused: map[types.UID]time.Time{},
		refusedSince: map[refusedWrite]refusedSince{}, reportedRefusals: map[refusedWrite]bool{},
		cancels: map[string]cancelSent{}, cancelRecorded: map[types.UID]bool{}, sentKeys: map[string]bool{},
		resultData: map[types.UID]map[string]string{}, assets: newAssetRecords(), accounts: newAccountRecords(),
		bodies: map[string][]byte{}, searched: map[string]string{},
	}
}

// violated notes that an invariant is broken. The text begins with its name and a colon.
func (inv *invariants) violated(format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	inv.env.trace.add("BROKEN", "%s", problem)
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.problems = append(inv.problems, problem)
}

// noAPIKey checks that a text has no API key in it.
func (inv *invariants) noAPIKey(where, text string) {
	for _, key := range allKeys {
		if strings.Contains(text, key) {
			inv.violated("leaked: an API key is in %s", where)
		}
	}
}

// checkRequest checks where a request goes, and that the API key is only in its header.
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

// checkEvent checks an event of the operator's.
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

// checkVersion checks each version of each object.
func (inv *invariants) checkVersion(before, after jobVersion) {
	job := after.object
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
	inv.checkAccountTold(job)
	was := before.object
	if was == nil || was.UID != job.UID || inv.userWrites {
		return
	}
	inv.checkReleased(was, job)
	inv.checkDesiredState(was, job)
	inv.checkBudgets(was, job)
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

// checkBody checks each create that leaves: requests with one key and one API key have one body, but for pictures of a request with
// a key of the user's own that made no job: such a key is tried again, also where they had to be uploaded again.
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
	inv.checkSearched(key, body)
	if again && !bytes.Equal(was, body) && !inv.uploadedAgain(key, was, body) {
		inv.violated("contract: %s is sent with another body: %s, and before %s", describeRequest(req), body, was)
	}
}

var uploadIDs = regexp.MustCompile(`"up_[0-9a-f]+"`)

// uploadedAgain reports whether a request with a key of the user's own, which made no job, differs from another only in the ids of
// what was uploaded: Dafty knows an id by one account only, and the API key may have been another in between.
func (inv *invariants) uploadedAgain(key string, was, body []byte) bool {
	made := func(entry daftysim.Entry) bool { return entry.IdempotencyKey == key }
	return strings.HasPrefix(key, ownKeys) && !slices.ContainsFunc(inv.env.sim.Ledger(), made) &&
		bytes.Equal(uploadIDs.ReplaceAll(was, nil), uploadIDs.ReplaceAll(body, nil))
}
