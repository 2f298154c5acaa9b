// Package controller reconciles DaftyJobs: it reads, asks package lifecycle what is next,
// writes status once, and takes the one step that follows.
package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
	"dafty.ai/dafty-operator/internal/tracing"
)

// Name is the controller's, in events, logs and metrics.
const Name = "dafty-operator"

// conflictRetry is how soon a reconcile that lost a write is tried again, should no watch
// event bring it back before.
const conflictRetry = time.Second

// What of these is used is held against the audit log of an API server by a test in config.
//
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyjobs,verbs=list;watch;patch;delete
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyjobs/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// ReadLive are read when they are needed, by their names, and none is kept for longer than a moment. Of the ConfigMaps of
// results, the metadata are watched beside that (see ByObject).
var ReadLive = []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}

// Reconciler reconciles DaftyJobs.
type Reconciler struct {
	// Client reads DaftyJobs from a cache and what ReadLive names live.
	client.Client
	// Live reads DaftyJobs past the cache, where a write meets one conflict after the other.
	Live client.Reader
	// Recorder takes the events.
	Recorder events.EventRecorder
	// Accounts make the calls to Dafty.
	Accounts *account.Registry
	// Clock tells the time of decisions.
	Clock clock.PassiveClock
	// DeletionTimeout is how long a deletion waits for a confirmed cancel.
	DeletionTimeout time.Duration
	// Results tells whether the ConfigMaps of results are as they were written. SetupWithManager sets it.
	Results ResultVersions

	writes   expectations
	results  resultMemory
	recalled recalled
	secrets  secretReads
	refusals refusals
}

// SetupWithManager has mgr run the reconciler for DaftyJobs, up to workers at a time, for those
// that wait for them, and for those that wakeups tells of.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, wakeups *Wakeups, workers int) error {
	for field, values := range Indexes {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.DaftyJob{}, field, values); err != nil {
			return err
		}
	}
	if err := mgr.Add(metrics.NewRunning(mgr.GetCache(), r.Accounts)); err != nil {
		return err
	}
	results := newResultWatch(mgr.GetCache())
	r.Results = results
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.DaftyJob{}).
		Watches(&v1alpha1.DaftyJob{}, handler.EnqueueRequestsFromMapFunc(r.dependents)).
		WatchesRawSource(source.Func(wakeups.start)).
		WatchesRawSource(source.Func(results.start)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: NewRateLimiter()}).
		Complete(r)
}

// Reconcile decides about one DaftyJob and does what was decided. It waits for no call to
// Dafty: their answers wake it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ctx, span := tracing.Reconcile(ctx, req.NamespacedName)
	defer span.End()
	result, err := r.reconcile(ctx, req)
	tracing.Failed(span, err)
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	// 1. Read.
	job := &v1alpha1.DaftyJob{}
	if err := r.Get(ctx, req.NamespacedName, job); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if r.writes.stale(job, r.Clock.Now()) {
		// The cache will bring what this process has written last, and the reconcile with it; unless the API server's store
		// was set back to before that.
		return ctrl.Result{RequeueAfter: staleFor}, nil
	}
	if err := r.recall(ctx); err != nil {
		return ctrl.Result{}, err
	}
	tracker := r.Accounts.Tracker(req.NamespacedName, job.UID, job.CreationTimestamp.Time)
	about := withJob(ctx, job)
	tracker.SetCallContext(about)
	tracker.SetVersion(versionOf(job))
	problem, err := r.readCredentials(about, job, tracker)
	gathered, gatherErr := r.readReferences(about, job)
	if err := errors.Join(err, gatherErr); err != nil {
		return ctrl.Result{}, r.unread(about, job, tracker, gathered, problem, err)
	}

	result, err := r.act(ctx, job, tracker, gathered, problem)
	if err == nil && result.finalized {
		// It need not come back for the submission: the object is as it was written.
		result, err = r.act(ctx, job, tracker, gathered, problem)
	}
	return result.Result, err
}

// acted is what became of one decision.
type acted struct {
	ctrl.Result
	// finalized says that the object got its finalizer, before anything was submitted.
	finalized bool
}

// decided is a decision with all that carrying it out takes.
type decided struct {
	lifecycle.Decision
	// input is what it rests on.
	input   lifecycle.Snapshot
	tracker *account.Tracker
	create  dafty.Create
	// before is the phase that was on record.
	before v1alpha1.Phase
}

// act makes one decision and carries it out.
func (r *Reconciler) act(ctx context.Context, job *v1alpha1.DaftyJob, tracker *account.Tracker, gathered lifecycle.References, problem string) (acted, error) {
	// 2. Decide.
	decision := r.decide(withJob(ctx, job), job, tracker, gathered, problem)

	// 3. Write status. Where that fails, only such steps are taken as need no record.
	version := job.ResourceVersion
	if err := r.writeStatus(ctx, job, decision.Status); err != nil {
		return r.unrecorded(ctx, job, decision, err)
	}
	if job.ResourceVersion != version {
		tracker.StatusWritten()
	}
	ctx = withJob(ctx, job)
	tracker.SetCallContext(ctx)
	logDecision(ctx, job, decision.before, decision.Decision)
	metrics.RecordFinished(decision.before, &job.Status, tracker.EndedAt())
	if decision.Step != lifecycle.Submit && !decision.AtOnce {
		tracker.AckPersisted(decision.input.Known)
	}

	// 4. Tell, and take the step.
	if err := r.carryOut(ctx, job, decision, true); err != nil {
		return r.unwritten(ctx, job, lifecycle.WriteOf(decision.Step), err)
	}
	done := acted{Result: ctrl.Result{RequeueAfter: decision.After}}
	switch {
	case decision.Step == lifecycle.AddFinalizer:
		done.finalized = job.Status.JobID == ""
	case decision.Step == lifecycle.Rest && decision.After > 0:
		// What only waits must not hold up what can go on, as after a restart with many objects.
		done.Priority = new(handler.LowPriority)
	}
	return done, nil
}

// carryOut tells a decision and takes its step. What tells that the object is let go waits until it is, unless its job may
// still run: should the answer to the removal be lost, nobody could tell any more. That is told once, however often the
// removal is tried. What isn't recorded in status would be told with each try, and is not.
func (r *Reconciler) carryOut(ctx context.Context, job *v1alpha1.DaftyJob, d decided, recorded bool) error {
	letGo := d.Step == lifecycle.RemoveFinalizer && !d.Abandoned
	if d.Abandoned && d.tracker.MarkAbandoned() || recorded && !d.Abandoned && !letGo {
		r.recordEvent(ctx, job, d.Decision)
		r.tellStored(ctx, job, d.Decision)
	}
	if err := r.takeStep(ctx, job, d.Decision, d.tracker, d.create); err != nil {
		return err
	}
	if write := lifecycle.WriteOf(d.Step); write != "" {
		r.refusals.taken(job, write)
	}
	if !letGo {
		return nil
	}
	if !recorded {
		metrics.RecordFinished(d.before, &d.Status, d.tracker.EndedAt())
	}
	r.recordEvent(ctx, job, d.Decision)
	return nil
}

// decide asks lifecycle, once more where a submission must wait for its turn, and has a result stored: whoever waits for
// the job's end finds it there.
func (r *Reconciler) decide(ctx context.Context, job *v1alpha1.DaftyJob, tracker *account.Tracker, gathered lifecycle.References, problem string) decided {
	var create dafty.Create
	in := r.input(job, tracker, gathered, problem)
	decision := lifecycle.Next(in)
	switch {
	case decision.Step != lifecycle.Submit && job.Status.JobID == "":
		tracker.Withdraw()
	case decision.Step == lifecycle.Submit && !tracker.TryBegin():
		// The process ends. What it would put on record is for the next one to send.
		if !decision.AtOnce {
			decision = lifecycle.Decision{Status: lifecycle.Observed(in), Step: lifecycle.Rest}
			break
		}
		// That the request before was refused is known to this process alone.
		in.Known.Block = &lifecycle.Block{Kind: dafty.KindUnavailable, Until: in.Now}
		decision = lifecycle.Next(in)
	case decision.Step == lifecycle.Submit:
		// A spec without a request is for lifecycle to report: it never asks to submit one.
		create, _ = lifecycle.Request(&job.Spec, decision.Status.Inputs)
		switch hold := tracker.Claim(create, decision.Status.Submission, decision.AtOnce); {
		case hold != nil && decision.AtOnce:
			// It keeps its place: that the request before was refused isn't put on record until then.
			decision = lifecycle.Decision{Status: lifecycle.Observed(in), Step: lifecycle.Rest, AtOnce: true, After: max(hold.Until.Sub(in.Now), time.Second)}
		case hold != nil:
			in.Known.Block = hold
			decision = lifecycle.Next(in)
		}
	}
	decision = lifecycle.WithRefusals(in, decision)
	if decision.Store {
		decision = lifecycle.WithStored(in, decision, r.storeResult(ctx, job, &decision.Status))
	}
	return decided{Decision: decision, input: in, tracker: tracker, create: create, before: job.Status.Phase}
}

// input is what a decision rests on.
func (r *Reconciler) input(job *v1alpha1.DaftyJob, tracker *account.Tracker, gathered lifecycle.References, problem string) lifecycle.Snapshot {
	in := lifecycle.Snapshot{Job: job, Known: tracker.Known(), References: gathered, Now: r.Clock.Now(), DeletionTimeout: r.DeletionTimeout}
	in.Known.Credentials.Problem = problem
	in.Known.Refusals = r.refusals.known(job, in.Now)
	if before := lifecycle.RestoredFrom(job); before != "" {
		in.Known.Rehash = tracker.Rehash(before)
	}
	return in
}

// writeStatus writes what changed, if the object is still as it was read.
func (r *Reconciler) writeStatus(ctx context.Context, job *v1alpha1.DaftyJob, status v1alpha1.DaftyJobStatus) error {
	if equality.Semantic.DeepEqual(job.Status, status) {
		return nil
	}
	base := job.DeepCopy()
	job.Status = status
	if err := r.Status().Patch(ctx, job, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	r.refusals.taken(job, lifecycle.WriteStatus)
	r.writes.record(job, r.Clock.Now())
	return nil
}

// takeStep takes a step, which is on record in status by now.
func (r *Reconciler) takeStep(ctx context.Context, job *v1alpha1.DaftyJob, decision lifecycle.Decision, tracker *account.Tracker, create dafty.Create) error {
	step, class := decision.Step, lifecycle.Class(&job.Spec)
	if id := job.Status.JobID; id != "" && (step == lifecycle.AddFinalizer || step == lifecycle.Annotate) {
		// The API server may refuse to write metadata for good, as where the annotations are full:
		// the job is looked after all the same.
		tracker.Follow(id, class)
	}
	switch step {
	case lifecycle.UploadFiles:
		for _, file := range decision.Files {
			tracker.Upload(*file)
		}
	case lifecycle.Submit:
		tracker.Submit(create, job.Status.Submission)
	case lifecycle.Follow:
		tracker.Follow(job.Status.JobID, class)
	case lifecycle.Cancel:
		if lifecycle.CancelCauseOf(job) == lifecycle.CancelForDeadline {
			tracker.CancelOverdue(job.Status.JobID)
		} else {
			tracker.Cancel(job.Status.JobID)
		}
		tracker.Follow(job.Status.JobID, class)
	case lifecycle.AddFinalizer:
		return r.patchMetadata(ctx, job, func() { controllerutil.AddFinalizer(job, v1alpha1.CancelFinalizer) })
	case lifecycle.Annotate:
		if err := r.patchMetadata(ctx, job, func() {
			if job.Annotations == nil {
				job.Annotations = map[string]string{}
			}
			job.Annotations[v1alpha1.JobAnnotation] = lifecycle.Annotation(job, job.Status.JobID)
		}); err != nil {
			return err
		}
		tracker.Annotated(job.Status.JobID)
	case lifecycle.LookForThumbnail:
		tracker.LookForThumbnail(job.Status.JobID)
	case lifecycle.Delete:
		// One that waits for it and hasn't got what it made yet would fail.
		if awaited, err := r.awaited(ctx, job); awaited || err != nil {
			return err
		}
		err := r.Delete(ctx, job, client.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the DaftyJob, as spec.ttlSecondsAfterFinished asks: %w", err)
		}
	case lifecycle.RemoveFinalizer:
		err := r.patchMetadata(ctx, job, func() { controllerutil.RemoveFinalizer(job, v1alpha1.CancelFinalizer) })
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		r.forget(client.ObjectKeyFromObject(job))
	case lifecycle.Rest:
		if left := job.Spec.AdoptJobID != "" && job.Status.JobID == ""; left || job.Status.Phase.Final() {
			r.Accounts.Forget(client.ObjectKeyFromObject(job))
		}
	}
	return nil
}

// patchMetadata writes a change, if the object is still as it was read: its name may belong
// to another object by now.
func (r *Reconciler) patchMetadata(ctx context.Context, job *v1alpha1.DaftyJob, change func()) error {
	base := job.DeepCopy()
	change()
	if err := r.Patch(ctx, job, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing metadata: %w", err)
	}
	r.writes.record(job, r.Clock.Now())
	return nil
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.Accounts.Forget(name)
	r.writes.forget(name)
	r.refusals.forget(name)
	r.results.forget(name)
}

// maxNote is the API's bound of an event's note, in bytes.
const maxNote = 1024

// recordEvent makes a decision's news an event and a line of the log.
func (r *Reconciler) recordEvent(ctx context.Context, job *v1alpha1.DaftyJob, decision lifecycle.Decision) {
	if decision.Abandoned {
		metrics.RecordAbandoned()
	}
	if event := decision.Event; event != nil {
		r.emit(ctx, job, event, string(decision.Step))
	}
}

// emit makes an event one of the API server's and a line of the log.
func (r *Reconciler) emit(ctx context.Context, job *v1alpha1.DaftyJob, event *lifecycle.Event, action string) {
	kind := corev1.EventTypeNormal
	if event.Warning {
		kind = corev1.EventTypeWarning
	}
	note := event.Message
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	r.Recorder.Eventf(job, nil, kind, event.Reason, action, "%s", note)
	log.FromContext(ctx).Info(event.Message, "reason", event.Reason, "phase", job.Status.Phase)
}

// requeueAfterConflict says what to do after a write that lost against another, or that is of an object that is gone. Losing against another write is no error:
// whatever was decided rested on an object that is no more.
func requeueAfterConflict(err error) (acted, error) {
	if apierrors.IsConflict(err) {
		return acted{Result: ctrl.Result{RequeueAfter: conflictRetry}}, nil
	}
	return acted{}, client.IgnoreNotFound(err)
}

// Wakeups brings DaftyJobs to be reconciled because Dafty has answered.
type Wakeups struct {
	queue chan workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// NewWakeups makes the source of wake-ups for one Reconciler.
func NewWakeups() *Wakeups {
	return &Wakeups{queue: make(chan workqueue.TypedRateLimitingInterface[reconcile.Request], 1)}
}

func (w *Wakeups) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	w.queue <- queue
	return nil
}

// Wake has the DaftyJob of that name reconciled soon. It doesn't block once the controller
// runs, and only a running controller makes the calls that wake.
func (w *Wakeups) Wake(name types.NamespacedName) {
	queue := <-w.queue
	w.queue <- queue
	queue.Add(reconcile.Request{NamespacedName: name})
}
