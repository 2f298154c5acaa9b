package simulation

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/metrics"
	"dafty.ai/dafty-operator/internal/test/docstest"
)

// mutant is the operator, broken on purpose in the way of a bug that operators have.
type mutant struct {
	name     string
	mutation mutation
	// finds are the invariants that it breaks, by '|'.
	finds string
	// where names mutation.play, for people.
	where string
}

// mutants are at least one for each invariant.
var mutants = []mutant{
	{name: "the resourceVersion is left out of status writes", mutation: mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		if metadata, ok := patch["metadata"].(map[string]any); ok && patch["status"] != nil {
			delete(metadata, "resourceVersion")
		}
		return false
	}}, finds: "paid twice|contract|false|stuck"},
	{name: "the write-ahead is never written", mutation: mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		return submissionOf(patch)["idempotencyKey"] != nil
	}, play: crashWithin}, finds: "paid twice|contract", where: "a crash within the request"},
	{name: "each POST has a key of its own", mutation: mutation{request: func(req *http.Request) {
		if key := req.Header.Get("Idempotency-Key"); key != "" {
			req.Header.Set("Idempotency-Key", fmt.Sprintf("%s.%d", key, time.Now().UnixNano()))
		}
	}}, finds: "paid twice"},
	{name: "a POST whose connection breaks is sent again at once, as net/http does", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return createRepeated{calls} },
	}, finds: "contract|paid twice"},
	{name: "a POST has no deadline", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return createWithoutDeadline{calls} }, play: leaderOversleeps,
	}, finds: "paid twice|contract", where: "a leader that oversleeps"},
	{name: "the clocks of two machines are a minute apart", mutation: mutation{skew: time.Minute, play: slowRequest}, finds: "paid twice|contract", where: "a slow request"},
	{name: "Dafty's memory of a key is taken for longer than it is", mutation: mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		if submission := submissionOf(patch); submission["startedAt"] != nil {
			submission["startedAt"] = time.Now().Add(6 * time.Hour).UTC().Format(time.RFC3339)
		}
		return false
	}, play: longOutage}, finds: "paid twice", where: "an outage of 24 h"},
	{name: "a timeout is taken for a refusal", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return refusedOnTimeout{calls} },
	}, finds: "paid twice|false|left running"},
	{name: "a refused repeat is taken for proof that the first request made no job", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if s := job.Status.Submission; job.Status.InDoubt() {
			s.StartedAt = s.SentAt.DeepCopy()
		}
	}, play: repeatRefused}, finds: "paid twice", where: "a repeat that is refused"},
	{name: "a request in doubt is repeated with the new API key", mutation: mutation{patch: func(job *v1alpha1.DaftyJob, patch map[string]any) bool {
		if submission := submissionOf(patch); submission["sentAt"] != nil && submission["idempotencyKey"] == nil {
			submission["credentialsHash"] = account.Hash(job.UID, keyTwo)
		}
		return false
	}, play: rotatedInDoubt}, finds: "paid twice", where: "a key rotated in doubt"},
	{name: "the annotation isn't looked at", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		delete(job.Annotations, v1alpha1.JobAnnotation)
	}}, finds: "paid twice"},
	{name: "the finalizer is never added", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.DeletionTimestamp == nil {
			controllerutil.AddFinalizer(job, v1alpha1.CancelFinalizer)
		}
	}}, finds: "left running"},
	{name: "the finalizer isn't put back", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.Status.JobID != "" && job.DeletionTimestamp == nil {
			controllerutil.AddFinalizer(job, v1alpha1.CancelFinalizer)
		}
	}, play: finalizerTakenOff}, finds: "left running", where: "the finalizer is taken off"},
	{name: "the finalizer goes once the job's id is known", mutation: mutation{patch: func(job *v1alpha1.DaftyJob, patch map[string]any) bool {
		metadata, _ := patch["metadata"].(map[string]any)
		if metadata["annotations"] != nil {
			metadata["finalizers"] = nil
		}
		return metadata["finalizers"] != nil && job.Status.JobID != ""
	}}, finds: "left running"},
	{name: "the finalizer of what has ended is never taken off", mutation: mutation{patch: func(job *v1alpha1.DaftyJob, patch map[string]any) bool {
		metadata, _ := patch["metadata"].(map[string]any)
		finalizers, changed := metadata["finalizers"]
		return changed && finalizers == nil && job.DeletionTimestamp == nil
	}}, finds: "stuck"},
	{name: "a restored status is taken for the object's own, in doubt", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		job.Status.UID = ""
	}, play: restoredInDoubt}, finds: "stuck", where: "restored in doubt"},
	{name: "a restored status is taken for the object's own, in a chain", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		job.Status.UID = ""
	}, play: restoredChain}, finds: "false", where: "a chain that is restored"},
	{name: "a deletion lets go of a request in doubt", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.DeletionTimestamp != nil && job.Status.InDoubt() {
			job.Status.Submission = nil
		}
	}, play: deletedInDoubt}, finds: "left running", where: "a deletion in doubt"},
	{name: "a deletion with policy Orphan takes back a cancel", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.DeletionTimestamp != nil && job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan {
			job.Spec.DesiredState = v1alpha1.DesiredCompleted
		}
	}, play: cancelledAndOrphaned}, finds: "left running", where: "called off, and orphaned"},
	{name: "a deletion never gives up", mutation: mutation{deletionTimeout: forever}, finds: "stuck"},
	{name: "a cancel is taken for done, and nobody is asked", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return cancelledWithoutCall{calls} },
	}, finds: "left running|stuck|false"},
	{name: "answers wake nobody", mutation: mutation{dropWakes: true}, finds: "stuck|left running"},
	{name: "a lost connection is taken for a failed job", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return failedOnError{calls} },
	}, finds: "false|left running"},
	{name: "a 5xx is taken for a 404", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return notFoundOnError{calls} },
	}, finds: "false|left running"},
	{name: "a final phase isn't heeded", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.Status.Phase.Final() {
			job.Status.Phase = v1alpha1.PhaseProcessing
		}
	}}, finds: "false"},
	{name: "SubmissionUnknown is said of every request in doubt", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.Status.InDoubt() {
			job.Status.Submission.CredentialsHash = "another"
		}
	}}, finds: "stuck|left running"},
	{name: "nobody is heard where repeats are refused", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if reason := readyOf(job).Reason; reason != v1alpha1.ReasonSubmissionUnknown {
			delete(job.Annotations, v1alpha1.ResubmitAnnotation)
		}
	}, play: refusalRemembered}, finds: "stuck", where: "a refusal that is remembered"},
	{name: "a job is tried again more often than it may be", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.Spec.BackoffLimit != nil {
			job.Spec.BackoffLimit = new(*job.Spec.BackoffLimit + 1)
		}
	}}, finds: "paid twice"},
	{name: "the jobs of failed attempts aren't remembered", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		job.Status.FailedJobIDs = nil
	}}, finds: "stuck|paid twice|false"},
	{name: "the deadline isn't heeded", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		job.Spec.ActiveDeadlineSeconds = nil
	}}, finds: "left running"},
	{name: "nobody sees what becomes of the ConfigMap of a result", mutation: mutation{noResultWatch: true, play: resultDeleted}, finds: "false", where: "a result that is deleted"},
	{name: "ResultStored stays True", mutation: mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		status, _ := patch["status"].(map[string]any)
		conditions, _ := status["conditions"].([]any)
		for _, condition := range conditions {
			if c := condition.(map[string]any); c["type"] == v1alpha1.ConditionResultStored {
				c["status"] = "True"
			}
		}
		return false
	}, play: resultReplaced}, finds: "false", where: "a result that is replaced"},
	{name: "a result without an owner is never taken over", mutation: mutation{readResult: func(configMap *corev1.ConfigMap) {
		if metav1.GetControllerOf(configMap) == nil {
			configMap.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Secret", Name: "another", UID: "another", Controller: new(true)}}
		}
	}, play: resultDisowned}, finds: "stuck", where: "a result that loses its owner"},
	{name: "a cancel can be taken back", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		job.Status.CancelRequestedAt = nil
	}, play: cancelTakenBack}, finds: "left running|paid unasked|false", where: "a cancel that a tool takes back"},
	{name: "silence releases what was suspended", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.Spec.DesiredState == "" {
			job.Status.SuspendedAt = nil
		}
	}, play: suspensionTakenBack}, finds: "paid unasked", where: "a suspension that a tool takes back"},
	{name: "the starting deadline isn't heeded", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		job.Spec.StartingDeadlineSeconds = nil
	}}, finds: "paid unasked"},
	{name: "a policy Orphan takes back a cancel that has left", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if job.DeletionTimestamp != nil && job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan && job.Status.Phase == v1alpha1.PhaseCancelling {
			job.Status.Phase = v1alpha1.PhaseProcessing
		}
	}, play: orphanedLate}, finds: "false|left running", where: "a deletion that is orphaned too late"},
	{name: "conditions keep the generation that they were written under", mutation: mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		status, _ := patch["status"].(map[string]any)
		conditions, _ := status["conditions"].([]any)
		for _, condition := range conditions {
			if c, ok := condition.(map[string]any); ok && c["type"] != v1alpha1.ConditionReady {
				c["observedGeneration"] = 1
			}
		}
		return false
	}}, finds: "false"},
	{name: "the refusal of one form of an image is final", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return promptBlamed{calls} }, play: formRefused,
	}, finds: "stuck", where: "a url that Dafty can't fetch"},
	{name: "each form of an image goes under the same key", mutation: mutation{request: func(req *http.Request) {
		if key, _, is := strings.Cut(req.Header.Get("Idempotency-Key"), ".form-"); is {
			req.Header.Set("Idempotency-Key", key)
		}
	}, play: formRefused}, finds: "contract", where: "a url that Dafty can't fetch"},
	{name: "a search is made again for a repeat", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return searchedAnew{calls} }, play: searchedInDoubt,
	}, finds: "contract", where: "a style that changes in doubt"},
	{name: "a search is made again for another attempt", mutation: mutation{read: func(job *v1alpha1.DaftyJob) {
		if !job.Status.InDoubt() {
			job.Status.Inputs = nil
		}
	}, play: searchedBeforeRetry}, finds: "contract", where: "a style that changes before the next attempt"},
	{name: "the API key is in the User-Agent", mutation: mutation{request: func(req *http.Request) {
		req.Header.Set("User-Agent", "dafty-operator "+req.Header.Get("X-Api-Key"))
	}}, finds: "leaked"},
	{name: "the API key is in an error", mutation: mutation{
		dafty: func(calls account.Dafty, apiKey string) account.Dafty { return keyInErrors{calls, apiKey} },
	}, finds: "leaked"},
	{name: "the API key is in a metric", mutation: mutation{load: func(load metrics.Load) {
		for minute, left := range maps.Clone(load.Remaining) {
			minute.Account = keyOne
			load.Remaining[minute] = left
		}
	}}, finds: "leaked"},
}

// TestMutations checks that an invariant finds each mutant, and that docs/reliability.md has the history that did.
func TestMutations(t *testing.T) {
	mutants := slices.Concat(mutants, refusalMutants, assetMutants, accountMutants)
	const page, head = "../../docs/reliability.md", "| broken on purpose | found as | by |"
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	told := string(raw)
	table := make([]string, len(mutants))
	t.Run("find", func(t *testing.T) {
		for i, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				// The page stays as it is while what it says still finds it.
				for _, seed := range append(m.documentedSeed(told), seeds...) {
					if invariant, problem := m.find(t, seed); invariant != "" {
						t.Logf("seed %d: %s", seed, problem)
						table[i] = m.row(invariant, seed)
						return
					}
				}
				t.Fatal("no history found it")
			})
		}
	})
	if !t.Failed() {
		docstest.Table(t, page, head, table)
	}
}

// seeds are tried in turn until a history finds the mutant.
var seeds = func() (all []uint64) {
	for seed := range uint64(1500) {
		all = append(all, seed)
	}
	return all
}()

// row is the mutant's in the table.
func (m mutant) row(invariant string, seed uint64) string {
	where := fmt.Sprintf("seed %d", seed)
	if m.assets() {
		where = "assets, " + where
	}
	if m.accounts() {
		where = "accounts, " + where
	}
	if m.mutation.play != nil {
		where = m.where + ", " + where
	}
	return fmt.Sprintf("| %s | %s | %s |", m.name, invariant, where)
}

// assets reports whether a mutant is looked for in histories with DaftyAssets.
func (m mutant) assets() bool {
	return slices.ContainsFunc(assetMutants, func(other mutant) bool { return other.name == m.name })
}

// accounts reports whether a mutant is looked for in histories with DaftyAccounts.
func (m mutant) accounts() bool {
	return slices.ContainsFunc(accountMutants, func(other mutant) bool { return other.name == m.name })
}

// documentedSeed is the seed that the table has for the mutant, none where it has no row.
func (m mutant) documentedSeed(page string) []uint64 {
	found := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(m.name) + ` \|.*seed (\d+) \|$`).FindStringSubmatch(page)
	if found == nil {
		return nil
	}
	seed, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil {
		return nil
	}
	return []uint64{seed}
}

// find plays a history, and returns the first problem in it that the mutation should cause.
func (m mutant) find(t *testing.T, seed uint64) (invariant, problem string) {
	t.Helper()
	h := draw(seed)
	if m.assets() {
		h = drawWithAssets(seed)
	}
	if m.accounts() {
		h = drawWithAccounts(seed)
	}
	h.options.mutation = m.mutation
	play := h.play
	if m.mutation.play != nil {
		play = m.mutation.play
	}
	for _, problem := range run(t, h.options, play).problems {
		if invariant := invariantOf(problem); slices.Contains(strings.Split(m.finds, "|"), invariant) {
			return invariant, problem
		}
	}
	return "", ""
}

// submissionOf is the submission in a patch, nil where it has none.
func submissionOf(patch map[string]any) map[string]any {
	status, _ := patch["status"].(map[string]any)
	submission, _ := status["submission"].(map[string]any)
	return submission
}
