package lifecycle_test

import (
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
)

// world is a DaftyJob, what a process knows of it, and the time. The model walks through all
// that can become of it: whatever Dafty answers, whatever the user edits, however the operator
// crashes, in any order.
type world struct {
	job   *v1alpha1.DaftyJob
	known lifecycle.Known
	now   time.Time
	// after is when the operator looks again by itself, 0 where it doesn't.
	after time.Duration
	// plain reports whether the spec has nothing but an operation.
	plain bool
	// refers is what the spec refers to.
	refers lifecycle.References
	// unstorable is why the result can't be stored, empty where it can.
	unstorable string
}

// move is one thing that happens to a world. It isn't possible everywhere.
type move struct {
	name     string
	possible func(*world) bool
	happen   func(*world)
}

func (w world) copy() *world {
	w.job = w.job.DeepCopy()
	w.known.Submission, w.known.Trouble, w.known.Cancel = copied(w.known.Submission), copied(w.known.Trouble), copied(w.known.Cancel)
	w.known.Searches = maps.Clone(w.known.Searches)
	w.known.Uploads, w.refers.Jobs, w.refers.Files = maps.Clone(w.known.Uploads), maps.Clone(w.refers.Jobs), maps.Clone(w.refers.Files)
	return &w
}

func copied[T any](from *T) *T {
	if from == nil {
		return nil
	}
	to := *from
	return &to
}

func (w *world) deleting() bool { return w.job.DeletionTimestamp != nil }

// forget empties the memory, as a restart does.
func (w *world) forget() {
	w.known = lifecycle.Known{Since: w.now, Credentials: lifecycle.Credentials{Secret: w.known.Credentials.Secret, Problem: "no Secret"}}
}

func moves() []move {
	var list []move
	add := func(name string, possible func(*world) bool, happen func(*world)) {
		list = append(list, move{name, possible, happen})
	}
	// rarely is for what has been seen to the end with a plain spec: with every other, the worlds would be too many.
	rarely := func(name string, possible func(*world) bool, happen func(*world)) {
		add(name, func(w *world) bool { return w.plain && possible(w) }, happen)
	}
	often := func(err *dafty.CallError) bool {
		return err.Kind == dafty.KindInvalid || err == failures[len(failures)-1]
	}
	meet := func(name string, err *dafty.CallError, possible func(*world) bool, happen func(*world)) {
		if often(err) {
			add(name+err.Error(), possible, happen)
		} else {
			rarely(name+err.Error(), possible, happen)
		}
	}

	// Time.
	add("the time that was asked for passes", func(w *world) bool { return w.after > 0 }, func(w *world) {
		w.now = w.now.Add(w.after)
		for query, search := range w.known.Searches {
			if search.Answered {
				search.Age, search.RetryIn = search.Age+w.after, max(search.RetryIn-w.after, 0)
				w.known.Searches[query] = search
			}
		}
	})
	add("a day passes", func(w *world) bool { return w.job.Status.InDoubt() || w.deleting() }, func(w *world) { w.now = w.now.Add(24 * time.Hour) })

	// The user.
	for _, state := range []v1alpha1.DesiredState{v1alpha1.DesiredCompleted, v1alpha1.DesiredSuspended, v1alpha1.DesiredCancelled, ""} {
		add("desiredState "+string(state), func(w *world) bool {
			return w.job.Spec.DesiredState != state && (w.plain || state != "")
		}, func(w *world) { w.job.Spec.DesiredState = state; w.job.Generation++ })
	}
	add("delete", func(w *world) bool { return !w.deleting() }, func(w *world) {
		now := w.now
		w.job.DeletionTimestamp = at(now.Sub(t0))
		w.job.Generation++
	})
	rarely("policy Orphan", (*world).deleting, func(w *world) { w.job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan; w.job.Generation++ })
	rarely("the finalizer is taken off", func(w *world) bool { return len(w.job.Finalizers) > 0 }, func(w *world) { w.job.Finalizers = nil })
	rarely("the annotation is taken off", func(w *world) bool { return w.job.Annotations != nil }, func(w *world) { w.job.Annotations = nil })
	rarely("the annotation is given", func(w *world) bool { return w.job.Annotations == nil && w.job.Status.JobID == "" }, func(w *world) { note(ownNote)(w.job) })
	rarely("a person says that the request made no job", func(w *world) bool { return w.job.Annotations == nil && w.job.Status.InDoubt() }, func(w *world) {
		resubmit(w.job.Status.Submission.IdempotencyKey)(w.job)
	})
	for _, secret := range []string{keyA, keyB, ""} {
		add("Secret "+secret, func(w *world) bool { return w.known.Credentials.Secret != secret && (w.plain || secret != keyB) }, func(w *world) {
			w.known.Credentials.Secret, w.known.Credentials.Problem = secret, "no Secret"
			w.known.Uploads, w.known.Searches = nil, nil // which were of another key
			if secret != "" {
				w.known.Trouble, w.known.Cancel = nil, nil
			}
		})
	}

	add("the deadline is taken away", func(w *world) bool {
		return w.job.Spec.ActiveDeadlineSeconds != nil && w.job.Status.Phase == v1alpha1.PhaseCancelling
	}, func(w *world) {
		w.job.Spec.ActiveDeadlineSeconds = nil
	})
	add("backoffLimit is lowered", func(w *world) bool { return backoffLimitOf(w.job) > 0 && w.job.Status.NextAttemptAt != nil }, func(w *world) { w.job.Spec.BackoffLimit = nil })
	add("the inputs are taken out of status", func(w *world) bool { return len(w.job.Status.Inputs) > 0 && w.job.Status.InDoubt() }, func(w *world) { w.job.Status.Inputs = nil })

	// What the spec refers to.
	waiting := func(w *world) bool {
		jobs, _ := lifecycle.Needs(w.job)
		return len(jobs) > 0
	}
	for name, other := range map[string]*v1alpha1.DaftyJob{
		"isn't there": nil, "waits": base(v1alpha1.PhasePending, v1alpha1.ReasonSuspended), "failed": base(v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed), "made an image": madeImages(1),
		"made a style":  made(v1alpha1.JobResult{Style: &v1alpha1.Style{ID: styleID}}),
		"was made anew": func() *v1alpha1.DaftyJob { job := madeImages(1); job.UID = "anew"; return job }(),
	} {
		add("the other DaftyJob "+name, waiting, func(w *world) {
			w.refers.Jobs, w.refers.Cycle = map[string]*v1alpha1.DaftyJob{}, nil
			if other != nil {
				w.refers.Jobs["base"] = other
			}
		})
	}
	add("the other DaftyJob refers back", waiting, func(w *world) {
		w.refers.Jobs = map[string]*v1alpha1.DaftyJob{"base": base(v1alpha1.PhasePending, v1alpha1.ReasonWaitingForDependency)}
		w.refers.Cycle = wayOf(name, "base", name)
	})
	waitingForAsset := func(w *world) bool { return len(lifecycle.NeedsAssets(w.job)) > 0 }
	for name, asset := range map[string]*v1alpha1.DaftyAsset{
		"isn't there": nil, "isn't looked at": newAsset("logo"), "failed": assetIs(newAsset("logo"), metav1.ConditionFalse, v1alpha1.ReasonGenerationFailed),
		"keeps an image": readyAsset(madeImages(1), "logo"), "keeps a style": readyAsset(made(v1alpha1.JobResult{Style: &v1alpha1.Style{ID: styleID}}), "logo"),
	} {
		add("the DaftyAsset "+name, waitingForAsset, func(w *world) {
			w.refers.Assets, w.refers.Cycle = map[string]*v1alpha1.DaftyAsset{}, nil
			if asset != nil {
				w.refers.Assets["logo"] = asset
			}
		})
	}
	add("the DaftyAsset refers back", waitingForAsset, func(w *world) {
		w.refers.Assets = map[string]*v1alpha1.DaftyAsset{"logo": newAsset("logo", name)}
		w.refers.Cycle = []lifecycle.Node{lifecycle.JobNode(name), lifecycle.AssetNode("logo"), lifecycle.JobNode(name)}
	})
	ofAnAsset := func(w *world) bool {
		return isOfAsset(w.job) && w.job.Status.JobID == "" && !w.job.Status.Phase.Final()
	}
	for name, maker := range map[string]*lifecycle.Maker{
		"has it on record": onRecord().Maker, "has it on record no longer": unrecorded.Maker, "is gone": orphaned.Maker,
	} {
		add("its DaftyAsset "+name, ofAnAsset, func(w *world) { w.refers.Maker = maker })
	}
	reading := func(w *world) bool {
		_, files := lifecycle.Needs(w.job)
		return len(files) > 0
	}
	for name, file := range map[string]lifecycle.FileRead{"is missing": missing, "is unusable": unusable, "is there": picture} {
		add("the picture "+name, reading, func(w *world) { w.refers.Files = map[string]lifecycle.FileRead{"brand/a.png": file} })
	}
	uploading := func(w *world) bool {
		upload, ok := w.known.Uploads[digest]
		return ok && !upload.Done
	}
	add("the picture is uploaded", uploading, func(w *world) { w.known.Uploads[digest] = lifecycle.Upload{Done: true, ID: uploadID, At: w.now} })
	for _, err := range failures {
		meet("the upload meets ", err, uploading, func(w *world) {
			w.known.Uploads[digest] = lifecycle.Upload{Done: true, Err: err, Failures: 2, RetryAt: w.now.Add(time.Minute)}
		})
	}
	searching := func(w *world) bool { return w.known.Searches[logoQuery].Underway }
	for name, similarity := range map[string]*float64{"is similar": new(0.9), "isn't similar": new(0.1), "isn't said to be similar": nil} {
		add("the search finds what "+name, searching, func(w *world) {
			w.known.Searches[logoQuery] = lifecycle.Search{Answered: true, Assets: []dafty.StyleAsset{{ID: otherID, Name: "logo", URL: imageURL(0), Similarity: similarity}}}
		})
	}
	add("the search finds nothing", searching, func(w *world) { w.known.Searches[logoQuery] = lifecycle.Search{Answered: true} })
	for _, err := range failures {
		meet("the search meets ", err, searching, func(w *world) {
			w.known.Searches[logoQuery] = lifecycle.Search{Answered: true, Err: err, Failures: 2, RetryIn: 2 * time.Second}
		})
	}
	add("another DaftyJob follows the job", func(w *world) bool { return w.job.Spec.AdoptJobID != "" && !w.job.Status.Phase.Final() }, func(w *world) { w.refers.Adopter = "older" })
	add("no other DaftyJob follows the job", func(w *world) bool { return w.refers.Adopter != "" }, func(w *world) { w.refers.Adopter = "" })

	// After the end.
	add("the thumbnail is there", func(w *world) bool {
		return w.job.Status.Phase == v1alpha1.PhaseCompleted && w.job.Spec.ImageToVideo != nil
	}, func(w *world) { w.known.Job = film("t") })
	storing := func(w *world) bool { return w.job.Spec.ResultConfigMap != "" }
	add("the result can't be stored", storing, func(w *world) { w.unstorable = "it is another's" })
	add("the result can be stored", storing, func(w *world) { w.unstorable = "" })
	add("somebody changes the ConfigMap of the result", storing, func(w *world) { w.refers.ResultChanged = w.job.Status.ResultConfigMap != "" })

	// The operator and the object's place.
	add("restart", func(*world) bool { return true }, (*world).forget)
	rarely("created anew without its status", func(w *world) bool { return w.job.Annotations != nil && !w.deleting() }, func(w *world) {
		w.job.Status = v1alpha1.DaftyJobStatus{ObservedGeneration: -1}
		w.job.Generation = 1
		w.forget()
	})

	// Dafty answers a submission.
	posting := func(w *world) bool { return w.known.Submission != nil && !w.known.Submission.Done }
	for _, job := range answers {
		add("the submission is answered with "+string(job.Status), posting, func(w *world) {
			job := w.ownJob(job)
			w.known.Submission.Done, w.known.Submission.Job, w.known.Submission.Failures = true, job, 0
			w.observe(job)
		})
	}
	for _, err := range failures {
		meet("the submission meets ", err, posting, func(w *world) {
			w.known.Submission.Done, w.known.Submission.Err, w.known.Submission.Failures, w.known.Submission.KeyRefusals = true, err, 2, 2
		})
	}
	add("the submission meets one refusal of the key", posting, func(w *world) {
		w.known.Submission.Done, w.known.Submission.Err, w.known.Submission.Failures = true, refusal(dafty.KindUnauthorized), 1
		w.known.Submission.KeyRefusals = 1
	})

	// Dafty answers a look.
	looking := func(w *world) bool {
		return w.job.Status.JobID != "" && !w.job.Status.Phase.Final() && w.caller() != ""
	}
	for _, job := range answers {
		add("a look finds "+string(job.Status), looking, func(w *world) { w.known.Trouble = nil; w.observe(w.ownJob(job)) })
	}
	for _, err := range failures {
		meet("two looks meet ", err, looking, func(w *world) {
			w.known.Trouble = &lifecycle.Trouble{Err: err, Credentials: w.caller(), Failures: 2}
			if err.Kind == dafty.KindNotFound {
				w.now = w.now.Add(30 * time.Second) // before that it isn't trusted
			}
		})
	}

	// Dafty answers a cancel.
	cancelling := func(w *world) bool { return w.known.Cancel != nil && !w.known.Cancel.Done }
	add("the cancel is accepted", cancelling, func(w *world) { w.known.Cancel.Done, w.known.Cancel.At = true, w.now })
	for _, err := range failures {
		meet("the cancel meets ", err, cancelling, func(w *world) {
			w.known.Cancel.Done, w.known.Cancel.At, w.known.Cancel.Err, w.known.Cancel.Failures = true, w.now, err, 2
		})
	}
	return list
}

// answers are the states of a job at Dafty, and failures the errors, one for each kind.
var (
	answers  = []*dafty.Job{daftys(dafty.Pending), daftys(dafty.Processing), daftys("paused"), daftys(dafty.Completed), failedAs(dafty.GENERATIONFAILED, "no"), failedAs(dafty.EXTRACTIONFAILED, "no")}
	failures = func() (list []*dafty.CallError) {
		for _, kind := range kinds {
			list = append(list, refusal(kind))
		}
		return append(list, unsent)
	}()
)

func (w *world) caller() string {
	if w.known.Credentials.Secret != "" {
		return w.known.Credentials.Secret
	}
	return w.known.Credentials.LastUsed
}

// ownJob returns what Dafty says of the job of the attempt that is under way: each has one of its own, and a video where one
// is asked for.
func (w *world) ownJob(job *dafty.Job) *dafty.Job {
	if job.Status == dafty.Completed && w.job.Spec.ImageToVideo != nil {
		job = film("")
	}
	to := *job
	to.CreatedAt = w.now
	switch {
	case w.job.Status.JobID != "":
		to.Id = w.job.Status.JobID
	case len(w.job.Status.FailedJobIDs) > 0:
		to.Id = otherID
	}
	return &to
}

// observe does what the tracker does: the end of a job is never taken back.
func (w *world) observe(job *dafty.Job) {
	if before := w.known.Job; before == nil || before.Id != job.Id || before.Status != dafty.Completed && before.Status != dafty.Failed {
		w.known.Job = job
	}
}

func (w *world) input() lifecycle.Snapshot {
	return lifecycle.Snapshot{Job: w.job, Known: w.known, References: w.refers, Now: w.now, DeletionTimeout: deletionTimeout}
}

// reconcile decides and acts until there is nothing more to do. It returns false where the object
// is gone.
func (w *world) reconcile(t *testing.T, saw func(in lifecycle.Snapshot, got lifecycle.Decision)) bool {
	t.Helper()
	for range 8 {
		in := w.input()
		got := lifecycle.Next(in)
		saw(in, got)
		if lifecycle.Is[lifecycle.StoreResult](got.Step) {
			in.Known.Stored = &lifecycle.StoreOutcome{Problem: w.unstorable}
			got = lifecycle.Next(in)
			saw(in, got)
			w.refers.ResultChanged = w.refers.ResultChanged && w.unstorable != ""
		}
		before := w.copy()
		w.after = got.After
		w.job.Status = got.Status
		switch step := got.Step.(type) {
		case lifecycle.AddFinalizer:
			w.job.Finalizers = []string{v1alpha1.CancelFinalizer}
		case lifecycle.Annotate:
			note(lifecycle.Annotation(w.job, got.Status.JobID))(w.job)
		case lifecycle.Submit:
			submission := got.Status.Submission
			w.known.Submission = &lifecycle.SubmissionCall{Record: *submission}
			w.known.Credentials.LastUsed = submission.CredentialsHash
		case lifecycle.Cancel:
			w.known.Cancel = &lifecycle.CancelCall{}
		case lifecycle.SearchStyle:
			w.known.Searches = maps.Clone(w.known.Searches)
			if w.known.Searches == nil {
				w.known.Searches = map[lifecycle.StyleQuery]lifecycle.Search{}
			}
			for _, query := range step.Queries {
				search := w.known.Searches[query]
				search.Underway = true
				w.known.Searches[query] = search
			}
		case lifecycle.UploadFiles:
			if upload, ok := w.known.Uploads[digest]; !ok || upload.Done && !w.now.Before(upload.RetryAt) {
				upload.Done = false
				w.known.Uploads = map[string]lifecycle.Upload{digest: upload}
			}
		case lifecycle.Delete:
			if len(w.job.Finalizers) == 0 {
				return false
			}
			w.job.DeletionTimestamp = at(w.now.Sub(t0))
		case lifecycle.Release:
			w.job.Finalizers = nil
		case lifecycle.RemoveFinalizer:
			return false
		case lifecycle.Rest, lifecycle.Follow, lifecycle.LookForThumbnail:
			// What comes of them are moves.
		}
		if equality.Semantic.DeepEqual(before.job, w.job) && reflect.DeepEqual(before.known.Cancel, w.known.Cancel) {
			return !(w.deleting() && len(w.job.Finalizers) == 0)
		}
	}
	t.Fatalf("no rest: %s\n%s", asJSON(w.job), asJSON(w.known))
	return false
}

// sketch returns what matters of a world: two with the same one have the same future.
func (w *world) sketch() string {
	status := w.job.Status
	age := func(of time.Time, limits ...time.Duration) (n int) {
		for _, limit := range limits {
			if w.now.Sub(of) >= limit {
				n++
			}
		}
		return n
	}
	// Of the reasons, decisions rest only on one: whether it stays told while a try is made.
	told := false
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		told = ready.Reason != v1alpha1.ReasonSubmitting
	}
	spec := w.job.Spec
	kind := fmt.Sprint(spec.ImageUpscale != nil && spec.ImageUpscale.Image.JobRef != nil, spec.ImageUpscale != nil, spec.ImageToVideo != nil, backoffLimitOf(w.job), spec.ActiveDeadlineSeconds != nil, spec.TTLSecondsAfterFinished != nil, spec.AdoptJobID != "", spec.ResultConfigMap)
	if status.Phase == v1alpha1.PhaseCancelled {
		kind += fmt.Sprint(spec.DesiredState == v1alpha1.DesiredCancelled)
	}
	if status.Phase.Final() {
		kind += string(status.Phase)
		if w.deleting() {
			kind += " deleting"
		}
		if status.Result == nil {
			return kind
		}
		film := status.Result.Video
		return kind + fmt.Sprint(status.ResultConfigMap, w.unstorable, w.refers.ResultChanged, film != nil && film.ThumbnailURL == "", age(status.FinishedAt.Time, time.Minute, 2*time.Minute), w.known.Job != nil, len(w.job.Finalizers))
	}
	kind += fmt.Sprint(len(status.FailedJobIDs), status.NextAttemptAt != nil && w.now.Before(status.NextAttemptAt.Time), w.refers.Adopter)
	for _, in := range status.Inputs {
		if status.JobID == "" {
			kind += fmt.Sprint(" input ", in.UID, sentFor(in))
		}
	}
	if jobs, files := lifecycle.Needs(w.job); len(jobs)+len(files) > 0 {
		if other := w.refers.Jobs["base"]; other != nil {
			kind += fmt.Sprint(" base ", other.UID, other.Status.Phase, other.Status.Result, len(w.refers.Cycle))
		}
		kind += fmt.Sprint(" file ", w.refers.Files["brand/a.png"].File != nil, w.refers.Files["brand/a.png"].Missing != "")
		if upload, ok := w.known.Uploads[digest]; ok {
			kind += fmt.Sprint(" upload ", upload.Done, upload.ID, upload.Err, w.now.Before(upload.RetryAt))
		}
	}
	if search, ok := w.known.Searches[logoQuery]; ok && status.JobID == "" && !status.InDoubt() {
		kind += fmt.Sprint(" search ", search.Underway, search.Answered, search.Assets, search.Err, search.RetryIn > 0, told,
			search.Age >= 5*time.Minute, search.Age >= time.Hour)
	}
	if len(lifecycle.NeedsAssets(w.job)) > 0 {
		if asset := w.refers.Assets["logo"]; asset != nil {
			kind += fmt.Sprint(" asset ", asset.Status.ObservedGeneration, len(asset.Status.Conditions), asset.Status.Current, len(w.refers.Cycle))
		}
	}
	if isOfAsset(w.job) {
		kind += " of an asset"
		if status.JobID == "" {
			kind += fmt.Sprint(heldForRecord(w.input()), w.refers.Maker.Asset != nil, age(w.job.CreationTimestamp.Time, 10*time.Second))
		}
	}
	if due := due(w.input(), &w.job.Status); !due.IsZero() {
		kind += fmt.Sprint(" due ", w.now.Before(due))
	}
	if seconds := spec.StartingDeadlineSeconds; seconds != nil {
		kind += fmt.Sprint(" start ", age(w.job.CreationTimestamp.Time, time.Duration(*seconds)*time.Second))
	}
	// How it came to be asked for doesn't matter until the end.
	sketch := kind + fmt.Sprint(status.Phase, calledOff(w.job), heldBack(w.job), len(w.job.Finalizers), w.known.Credentials.Secret != "")
	if w.deleting() {
		sketch += fmt.Sprint(" deleting ", age(w.job.DeletionTimestamp.Time, deletionTimeout))
	}
	if s := status.Submission; s != nil {
		sketch += fmt.Sprint(" submission ", w.known.Credentials.Secret == s.CredentialsHash, w.known.Credentials.LastUsed == s.CredentialsHash)
	}
	switch {
	case status.InDoubt():
		s := status.Submission
		sketch += fmt.Sprint(" in doubt ", told, s.StartedAt.Equal(s.SentAt), age(s.SentAt.Time, 5*time.Second, 45*time.Second), age(s.StartedAt.Time, 23*time.Hour), w.job.Annotations[v1alpha1.ResubmitAnnotation] == s.IdempotencyKey)
		if call := w.known.Submission; call != nil {
			sketch += fmt.Sprint(" call ", call.Record.SentAt.Equal(s.SentAt), call.Done)
		}
	case status.JobID == "":
		sketch += fmt.Sprint(len(w.job.Annotations))
	default:
		if job := w.known.Job; job != nil {
			sketch += " job " + string(job.Status)
		}
		sketch += fmt.Sprint(" dated ", status.SubmittedAt != nil, " trouble ", w.known.Trouble != nil, " cancel ", w.known.Cancel != nil)
		if call := w.known.Cancel; call != nil {
			sketch += fmt.Sprint(call.Done, call.Err != nil, age(call.At, 2*time.Second, 30*time.Second))
		}
	}
	return sketch
}

// explored is what was seen on the way: phases that follow each other, the first on "", and
// the phases that reasons and steps come with.
type explored struct {
	arrows  map[[2]v1alpha1.Phase]bool
	reasons map[string]map[v1alpha1.Phase]bool
	steps   map[string]bool
	// kstatus is what tools that go by it make of each phase with each reason.
	kstatus map[v1alpha1.Phase]map[kstatus.Status]map[string]bool
	// health is what Argo CD makes of them.
	health map[v1alpha1.Phase]map[string]map[string]bool
}

// compute notes what kstatus makes of a decision's status.
func (e explored) compute(t *testing.T, in lifecycle.Snapshot, got lifecycle.Decision) {
	t.Helper()
	job := in.Job.DeepCopy()
	job.Status = got.Status
	ready := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || job.DeletionTimestamp != nil || job.Status.ObservedGeneration != job.Generation {
		return
	}
	if problem := kstatustest.Problem(job); problem != "" {
		t.Fatalf("%s: %s", problem, asJSON(job.Status))
	}
	is, phase := kstatustest.Want(job), job.Status.Phase
	if e.kstatus[phase] == nil {
		e.kstatus[phase] = map[kstatus.Status]map[string]bool{}
	}
	if e.kstatus[phase][is] == nil {
		e.kstatus[phase][is] = map[string]bool{}
	}
	if e.kstatus[phase][is][ready.Reason] {
		return
	}
	e.kstatus[phase][is][ready.Reason] = true
	health := argoHealth(t, job)
	if e.health[phase] == nil {
		e.health[phase] = map[string]map[string]bool{}
	}
	if e.health[phase][health] == nil {
		e.health[phase][health] = map[string]bool{}
	}
	e.health[phase][health][ready.Reason] = true
}

// explore walks breadth-first through every world that can be reached, and holds the
// decisions there against what is true of all.
func explore(t *testing.T) explored {
	t.Helper()
	seen := explored{arrows: map[[2]v1alpha1.Phase]bool{}, reasons: map[string]map[v1alpha1.Phase]bool{}, steps: map[string]bool{}, kstatus: map[v1alpha1.Phase]map[kstatus.Status]map[string]bool{}, health: map[v1alpha1.Phase]map[string]map[string]bool{}}
	mark := func(in lifecycle.Snapshot, got lifecycle.Decision) {
		from, to := in.Job.Status.Phase, got.Status.Phase
		if from != to {
			seen.arrows[[2]v1alpha1.Phase{from, to}] = true
		}
		if ready := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			if seen.reasons[ready.Reason] == nil {
				seen.reasons[ready.Reason] = map[v1alpha1.Phase]bool{}
			}
			seen.reasons[ready.Reason][to] = true
		}
		seen.steps[got.Step.String()] = true
		seen.compute(t, in, got)
	}
	saw := func(in lifecycle.Snapshot, got lifecycle.Decision) {
		mark(in, got)
		if lifecycle.WriteOf(got.Step) == "" {
			return
		}
		// The same where the API server refuses the step.
		for _, lasting := range []bool{true, false} {
			in.Known.Refusals = []lifecycle.Refusal{{Write: lifecycle.WriteOf(got.Step), Message: "no", Lasting: lasting}}
			mark(in, lifecycle.Next(in))
		}
	}
	all := moves()
	been := map[string]bool{}
	var queue []*world
	visit := func(w *world) {
		if !w.reconcile(t, saw) {
			return
		}
		if sketch := w.sketch(); !been[sketch] {
			been[sketch] = true
			decide(t, w.input())
			if t.Failed() {
				t.FailNow()
			}
			queue = append(queue, w)
		}
	}
	start := func(plain bool, refers lifecycle.References, changes ...change) {
		job := newJob(append([]change{noFinalizer}, changes...)...)
		job.Generation = 1
		visit(&world{job: job, plain: plain, known: with(keyA), refers: refers, now: t0})
	}
	for _, plain := range []change{func(*v1alpha1.DaftyJob) {}, style, noOperation, desired(v1alpha1.DesiredSuspended), desired(v1alpha1.DesiredCancelled), note(ownNote)} {
		start(true, lifecycle.References{}, plain)
	}
	start(false, lifecycle.References{}, upscaling(0))
	start(false, there(base(v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)), upscaling(0))
	start(false, lifecycle.References{}, upscalingAsset(0))
	start(false, lifecycle.References{}, searching(0, new(int32(60))))
	start(false, unrecorded, justMade)
	start(false, reading(picture), animated, ttl(60), resultIn("hero-result"))
	start(false, lifecycle.References{}, backoffLimit(1), deadline(300))
	start(false, lifecycle.References{}, startingDeadline(3660))
	start(false, lifecycle.References{Adopter: "older"}, adopting)
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		searches := w.job.Spec.ImageGenerate != nil && len(w.job.Spec.ImageGenerate.References) > 0
		if (isOfAsset(w.job) || searches || len(lifecycle.AssetSources(&w.job.Spec)) > 0) && (w.job.Status.InDoubt() || w.job.Status.JobID != "") {
			continue // from here on it goes as any other
		}
		for _, move := range all {
			if !move.possible(w) {
				continue
			}
			next := w.copy()
			move.happen(next)
			visit(next)
		}
		if len(been) > 30_000 {
			t.Fatal("the model doesn't end")
		}
	}
	t.Logf("%d worlds", len(been))

	// With a DaftyAccount all goes as with a Secret, but for what the account holds back.
	for _, row := range accounts {
		mark(row.input(), lifecycle.Next(row.input()))
	}
	for _, stands := range []change{sent, taken(v1alpha1.PhaseQueued), taken(v1alpha1.PhaseProcessing), taken(v1alpha1.PhaseCancelling)} {
		in := lifecycle.Snapshot{Job: newJob(ofAgency, stands), Known: with(""), References: notShared, Now: t0.Add(time.Hour), DeletionTimeout: deletionTimeout}
		mark(in, lifecycle.Next(in))
	}
	return seen
}
