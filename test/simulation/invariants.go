package simulation

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
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

// checkReason holds an end against Dafty's books.
func (inv *invariants) checkReason(job *v1alpha1.DaftyJob) {
	entry, known := inv.env.sim.Job(job.Status.JobID)
	reason := endOf(job)
	untrue := func(why string) { inv.violated("false: %s is %s: %s", job.Name, describe(job), why) }
	switch reason {
	case v1alpha1.ReasonCompleted, v1alpha1.ReasonCompletedBeforeCancel:
		if !known || entry.Status != daftysim.StatusCompleted {
			untrue("at Dafty it is " + entry.Status)
		}
	case v1alpha1.ReasonGenerationFailed, v1alpha1.ReasonExtractionFailed, v1alpha1.ReasonCancelled:
		between := reason == v1alpha1.ReasonCancelled && job.Status.JobID == "" && len(job.Status.FailedJobIDs) > 0
		if !between && (!known || entry.Status != daftysim.StatusFailed) {
			untrue("at Dafty it is " + entry.Status)
		}
		// Dafty shows a cancelled job as a failed one. That it was cancelled stood in the status alone.
		if reason != v1alpha1.ReasonCancelled && entry.Cancelled && !inv.lostStatus[job.UID] && !inv.unrecorded(job) && entry.Key != 0 {
			untrue("it was cancelled")
		}
	case v1alpha1.ReasonDeadlineExceeded:
		if job.Status.JobID == "" && len(job.Status.FailedJobIDs) == 0 {
			inv.checkStartingDeadline(job, untrue)
			break
		}
		if known && entry.Status != daftysim.StatusFailed || !known && len(job.Status.FailedJobIDs) == 0 {
			untrue("at Dafty it is " + entry.Status)
		}
		if due := inv.deadline(job); time.Now().Before(due.Add(-maxSkew)) && !inv.env.clocksJumped {
			untrue("its deadline is " + due.String())
		}
	case v1alpha1.ReasonDependencyFailed:
		inv.checkDependencyFailed(job, untrue)
	case v1alpha1.ReasonInvalidReference:
	case v1alpha1.ReasonJobNotFound:
		if known && !inv.mayBeForgotten(entry) {
			untrue("Dafty has it as " + entry.Status)
		}
	case v1alpha1.ReasonInvalidRequest, v1alpha1.ReasonCancelledBeforeSubmission:
		// Whether nothing was made shows at the end: a request may still be on its way.
	default:
		untrue("nothing ends so")
	}
}

// deadline is when a job's deadline is over, far off where it has none.
func (inv *invariants) deadline(job *v1alpha1.DaftyJob) time.Time {
	seconds, from := job.Spec.ActiveDeadlineSeconds, job.Status.SubmittedAt
	if seconds == nil || from == nil {
		return time.Now().Add(forever)
	}
	return from.Add(time.Duration(*seconds) * time.Second)
}

// checkDependencyFailed holds against the objects that something a job refers to came to nothing.
func (inv *invariants) checkDependencyFailed(job *v1alpha1.DaftyJob, untrue func(string)) {
	for _, name := range lifecycle.DependsOn(&job.Spec) {
		other := inv.env.api.get(name)
		seen := lifecycle.SeenUID(job, name)
		if other == nil || seen != "" && other.UID != seen && !inv.knownFromBackup(job, seen) || other.Status.Phase == v1alpha1.PhaseFailed || other.Status.Phase == v1alpha1.PhaseCancelled {
			return
		}
	}
	untrue("nothing that it refers to has failed")
}

// owner is the object that a job was made for, from its idempotency key UID-ATTEMPT or ownKeys UID-ATTEMPT.
func owner(entry daftysim.Entry) types.UID {
	uid, _, _ := strings.Cut(strings.TrimPrefix(entry.IdempotencyKey, ownKeys), "-")
	return types.UID(uid)
}

// unwantedJobs are the jobs that run although they should not, and nobody was told.
func (inv *invariants) unwantedJobs() []string {
	var found []string
	for _, entry := range inv.env.sim.Running() {
		job := inv.holderOf(entry)
		switch {
		case entry.Key == 0 && (job == nil || inv.gone(job) && job.Status.JobID == ""):
			// A person made it, and nobody ever followed it.
		case job == nil:
			found = append(found, fmt.Sprintf("job %s of nobody", shortID(entry.JobID)))
		case inv.gone(job):
			if !inv.abandoned[job.UID] && !inv.forced[job.UID] && !inv.rightlyOrphaned(job) {
				found = append(found, fmt.Sprintf("job %s of %s, which is gone", shortID(entry.JobID), job.Name))
			}
		case inv.waitsForUser(job):
		case job.Status.Phase.Final():
			found = append(found, fmt.Sprintf("job %s of %s, which is %s", shortID(entry.JobID), job.Name, describe(job)))
		case cancelRequested(job), job.DeletionTimestamp != nil:
			found = append(found, fmt.Sprintf("job %s of %s, which is to be cancelled", shortID(entry.JobID), job.Name))
		case time.Since(inv.deadline(job)) > time.Minute:
			found = append(found, fmt.Sprintf("job %s of %s, which is past its deadline", shortID(entry.JobID), job.Name))
		}
	}
	return found
}

// rightlyOrphaned says whether an object that is gone rightly left its job to itself: it wasn't called off before, nor by a
// deadline.
func (inv *invariants) rightlyOrphaned(job *v1alpha1.DaftyJob) bool {
	return job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan && !cancelRequested(job) &&
		!job.DeletionTimestamp.After(inv.deadline(job).Add(2*maxSkew))
}

// holderOf is the object that a job is looked after by: the last that came with its id, else the one that it was
// made for.
func (inv *invariants) holderOf(entry daftysim.Entry) *v1alpha1.DaftyJob {
	holder := inv.latest[owner(entry)]
	if heir := inv.latest[inv.inheritedKeys[entry.IdempotencyKey]]; heir != nil {
		holder = heir
	}
	if entry.Key == 0 {
		// The one that follows it, else the first that wants to.
		for _, job := range inv.latest {
			if job.Spec.AdoptJobID == entry.JobID && !(inv.gone(job) && job.Status.JobID == "") &&
				(holder == nil || inv.gone(holder) && !inv.gone(job) || inv.gone(holder) == inv.gone(job) && createdAfter(holder, job)) {
				holder = job
			}
		}
		return holder
	}
	for uid, id := range inv.inheritedJobs {
		if heir := inv.latest[uid]; id == entry.JobID && (holder == nil || createdAfter(heir, holder)) {
			holder = heir
		}
	}
	return holder
}

// createdAfter says whether one object was created after another.
func createdAfter(a, b *v1alpha1.DaftyJob) bool {
	return len(a.UID) > len(b.UID) || len(a.UID) == len(b.UID) && a.UID > b.UID
}

func (inv *invariants) gone(job *v1alpha1.DaftyJob) bool {
	current := inv.env.api.get(job.Name)
	return current == nil || current.UID != job.UID
}

// pendingDeletions are the objects whose deletion hasn't ended.
func (inv *invariants) pendingDeletions() []string {
	var found []string
	for _, job := range inv.objects() {
		if job.DeletionTimestamp != nil {
			found = append(found, fmt.Sprintf("%s, deleted for %s: %s", job.Name, time.Since(job.DeletionTimestamp.Time), describe(job)))
		}
	}
	return found
}

// unfinished are the objects that should have come to an end, as the world is well.
func (inv *invariants) unfinished() []string {
	var found []string
	for _, job := range inv.objects() {
		reason := readyOf(job).Reason
		suspended := isSuspended(job) && reason == v1alpha1.ReasonSuspended
		// Whoever is asked to look at Dafty does. The key of another account isn't put back.
		waits := reason != v1alpha1.ReasonSubmissionUnknown && inv.waitsForUser(job) || inv.waitsForOther(job, 0)
		if !job.Status.Phase.Final() && (!suspended && !waits || inv.shouldHaveStarted(job)) {
			found = append(found, fmt.Sprintf("%s: %s", job.Name, describe(job)))
		}
	}
	return found
}

// waitsForUser says whether the object says so, and rightly so.
func (inv *invariants) waitsForUser(job *v1alpha1.DaftyJob) bool {
	switch readyOf(job).Reason {
	case v1alpha1.ReasonSubmissionUnknown:
		return inv.unrepeatable(job)
	case v1alpha1.ReasonCredentialsRejected:
		entry, known := inv.env.sim.Job(job.Status.JobID)
		return known && (entry.Account != acme || inv.mayBeForgotten(entry))
	}
	return false
}

// waitsForOther says whether an object says that it waits for what isn't there or doesn't go on, and rightly so.
func (inv *invariants) waitsForOther(job *v1alpha1.DaftyJob, depth int) bool {
	reason := readyOf(job).Reason
	switch {
	case reason == v1alpha1.ReasonAlreadyAdopted:
		return slices.ContainsFunc(inv.objects(), func(other *v1alpha1.DaftyJob) bool {
			return other.UID != job.UID && other.Spec.AdoptJobID == job.Spec.AdoptJobID
		})
	case reason == v1alpha1.ReasonDependencyCycle:
		return len(lifecycle.Cycle(job, inv.env.api.get)) > 0
	case reason != v1alpha1.ReasonWaitingForDependency, depth > len(jobNames):
		return false
	}
	return slices.ContainsFunc(lifecycle.DependsOn(&job.Spec), func(name string) bool {
		other := inv.env.api.get(name)
		if other == nil {
			return true
		}
		return readyOf(other).Reason == v1alpha1.ReasonSuspended || inv.waitsForUser(other) || inv.waitsForOther(other, depth+1) ||
			readyOf(other).Reason == v1alpha1.ReasonDependencyCycle
	})
}

// mayBeForgotten says whether Dafty may not know a job any more.
func (inv *invariants) mayBeForgotten(entry daftysim.Entry) bool {
	return inv.env.variants.JobRetention == daftysim.JobRetentionLimited && entry.Terminal()
}

// unrepeatable says whether a request in doubt can't be repeated any more: its time has passed, or its key is gone from the
// Secret.
func (inv *invariants) unrepeatable(job *v1alpha1.DaftyJob) bool {
	submission := job.Status.Submission
	if submission == nil || submission.StartedAt == nil {
		return false
	}
	var key string
	if secret := inv.env.api.secrets[v1alpha1.DefaultSecretName]; secret != nil {
		key = string(secret.Data[v1alpha1.DefaultSecretKey])
	}
	return !inv.sentWith(job, key) || time.Since(submission.StartedAt.Time) > 22*time.Hour
}

// objects are all there are, in order.
func (inv *invariants) objects() []*v1alpha1.DaftyJob {
	var jobs []*v1alpha1.DaftyJob
	for _, name := range jobNames {
		if job := inv.env.api.get(name); job != nil {
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// checkStopped is asked when all has had time to stop.
func (inv *invariants) checkStopped() {
	for _, what := range inv.unwantedJobs() {
		inv.violated("left running: %s", what)
	}
	for _, what := range inv.pendingDeletions() {
		inv.violated("stuck: %s", what)
	}
	followers := map[string]string{}
	for _, job := range inv.objects() {
		if id := job.Spec.AdoptJobID; id != "" && job.Status.JobID != "" && !job.Status.Phase.Final() {
			if other := followers[id]; other != "" {
				inv.violated("false: %s and %s both follow job %s", other, job.Name, shortID(id))
			}
			followers[id] = job.Name
		}
		running := !job.Status.Phase.Final() && (job.Status.JobID != "" || job.Status.InDoubt())
		if running && !slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer) {
			inv.violated("left running: should %s be deleted, nobody would cancel it: it has no finalizer", job.Name)
		}
	}
}

// checkEnd is asked at the very end.
func (inv *invariants) checkEnd() {
	inv.checkNoRefusals()
	for _, what := range inv.unfinished() {
		inv.violated("stuck: %s", what)
	}
	inv.checkResults()
	inv.checkAlreadyCancelled()
	for _, violation := range inv.env.sim.Violations() {
		inv.violated("contract: %s", violation)
	}
	paid, attempts := map[string]int{}, map[types.UID]int{}
	for _, entry := range inv.env.sim.Ledger() {
		if entry.Key == 0 {
			continue // a person made it
		}
		job := inv.latest[owner(entry)]
		// One that lost its status counts its attempts anew, from the failed one that its annotation names.
		anew := job != nil && ptr.Deref(job.Spec.BackoffLimit, 0) > 0 && inv.lostStatus[job.UID]
		// What was refused is tried again as UID-ATTEMPT.N.
		attempt, _, _ := strings.Cut(strings.TrimPrefix(entry.IdempotencyKey, ownKeys), ".")
		if paid[attempt]++; paid[attempt] == 2 && !anew {
			inv.violated("paid twice: %s", attempt)
		}
		if job == nil {
			continue
		}
		tries := int(ptr.Deref(job.Spec.BackoffLimit, 0)) + 1
		if attempts[job.UID]++; attempts[job.UID] > tries && !inv.lostStatus[job.UID] {
			inv.violated("paid twice: %s was made %d times, of %d that it may be", job.Name, attempts[job.UID], tries)
		}
		if tries > 1 && entry.Status == daftysim.StatusFailed && !entry.Cancelled {
			continue // it was tried again
		}
		if tries > 1 && entry.Cancelled && inv.lostStatus[job.UID] && job.Status.JobID != "" && lifecycle.Annotated(job) == job.Status.JobID {
			continue // a job that is called off isn't annotated any more, and the attempt before it was picked up
		}
		if id, is := inv.inheritedJobs[job.UID]; is && !inv.mayRetry(job, id) {
			inv.violated("paid twice: %s came with job %s, and Dafty made %s for it", job.Name, shortID(id), shortID(entry.JobID))
		}
		if heir := inv.latest[inv.inheritedKeys[entry.IdempotencyKey]]; heir != nil {
			inv.checkNotSubmitted(heir, entry) // what the first one said was true until the other came
		} else {
			inv.checkNotSubmitted(job, entry)
		}
		if id := job.Status.JobID; id != "" && id != entry.JobID {
			inv.violated("paid twice: %s is about job %s, and Dafty made %s for it", job.Name, shortID(id), shortID(entry.JobID))
		}
	}
}

// checkNotSubmitted finds fault with an object that says that no job was made for it, though one was.
func (inv *invariants) checkNotSubmitted(job *v1alpha1.DaftyJob, entry daftysim.Entry) {
	if job.Status.Phase == v1alpha1.PhaseFailed && endOf(job) == v1alpha1.ReasonDeadlineExceeded && job.Status.JobID == "" && len(job.Status.FailedJobIDs) == 0 {
		inv.violated("false: %s is %s before its submission, but Dafty made job %s for it", job.Name, describe(job), shortID(entry.JobID))
	}
	switch endOf(job) {
	case v1alpha1.ReasonInvalidRequest, v1alpha1.ReasonCancelledBeforeSubmission, v1alpha1.ReasonDependencyFailed, v1alpha1.ReasonInvalidReference:
		inv.violated("false: %s is %s, but Dafty made job %s for it", job.Name, describe(job), shortID(entry.JobID))
	}
}

// mayRetry says whether a job has failed, and may be tried again.
func (inv *invariants) mayRetry(job *v1alpha1.DaftyJob, id string) bool {
	entry, known := inv.env.sim.Job(id)
	return known && entry.Status == daftysim.StatusFailed && ptr.Deref(job.Spec.BackoffLimit, 0) > 0
}

func readyOf(job *v1alpha1.DaftyJob) metav1.Condition {
	if c := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// describe is an object's status in a few words.
func describe(job *v1alpha1.DaftyJob) string {
	text := string(job.Status.Phase)
	if reason := readyOf(job).Reason; reason != text {
		text += "/" + reason
	}
	if job.Status.InDoubt() {
		text += " [" + job.Status.Submission.IdempotencyKey + "]"
	}
	if id := job.Status.JobID; id != "" {
		text += " " + shortID(id)
	}
	if job.DeletionTimestamp != nil {
		text += " (deleting)"
	}
	return text
}

// describePatch is a metadata patch in a few words.
func describePatch(patch []byte) string {
	text := string(patch)
	if at := strings.Index(text, `,"resourceVersion"`); at > 0 {
		text = text[:at] + "}}"
	}
	return text
}
