package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// namespace is the default of kubectl.
const namespace = metav1.NamespaceDefault

// goneFor is how long a deleted job stays in the table.
const goneFor = time.Minute

// jobTracker has the DaftyJobs of the API server, and those that were deleted.
type jobTracker struct {
	screen *screen

	mu      sync.Mutex
	jobs    map[string]jobState
	changed chan struct{} // closed and replaced at every change
}

// jobName returns the name of a job, with its namespace where that isn't kubectl's default.
func jobName(job jobState) string {
	if job.Namespace == namespace {
		return job.Name
	}
	return nameOf(job)
}

// jobState is a DaftyJob with the time of its deletion.
type jobState struct {
	*v1alpha1.DaftyJob
	deletedAt time.Time // zero: it is there
}

func newJobTracker(s *screen) *jobTracker {
	return &jobTracker{screen: s, jobs: map[string]jobState{}, changed: make(chan struct{})}
}

// follow watches the DaftyJobs until stop is called.
func (b *jobTracker) follow(ctx context.Context, config *rest.Config) (stop func() error, err error) {
	jobs, err := cache.New(config, cache.Options{Scheme: kubetest.Scheme})
	if err != nil {
		return nil, err
	}
	informer, err := jobs.GetInformer(ctx, &v1alpha1.DaftyJob{})
	if err != nil {
		return nil, err
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { b.set(object) },
		UpdateFunc: func(_, object any) { b.set(object) },
		DeleteFunc: b.remove,
	}); err != nil {
		return nil, err
	}
	following, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- jobs.Start(following) }()
	return func() error { cancel(); return <-ended }, nil
}

func (b *jobTracker) set(object any) { b.change(jobState{DaftyJob: object.(*v1alpha1.DaftyJob)}) }

func (b *jobTracker) remove(object any) {
	if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	b.change(jobState{DaftyJob: object.(*v1alpha1.DaftyJob), deletedAt: time.Now()})
}

func (b *jobTracker) change(to jobState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := jobName(to)
	before, after := rowOf(b.jobs[name]), rowOf(to)
	b.jobs[name] = to
	close(b.changed)
	b.changed = make(chan struct{})
	if !b.screen.live && (before.phase != after.phase || before.reason != after.reason) {
		b.screen.print(strings.TrimRight(fmt.Sprintf("%s %s %s %s %s %s", b.screen.clock(),
			pad(after.name, 33), pad(after.jobType, 14), pad(after.phase, 10), pad(after.reason, 20), after.detail), " "))
	}
}

// all returns the jobs that are known, by jobName.
func (b *jobTracker) all() map[string]jobState {
	jobs, _ := b.look()
	return jobs
}

// look returns the jobs, and what is closed when they change.
func (b *jobTracker) look() (map[string]jobState, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	jobs := make(map[string]jobState, len(b.jobs))
	for name, job := range b.jobs {
		jobs[name] = job
	}
	return jobs, b.changed
}

// await returns once a condition holds, or the cause why ctx is done.
func (b *jobTracker) await(ctx context.Context, is func(map[string]jobState) bool) error {
	for {
		jobs, changed := b.look()
		if is(jobs) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lines returns the live table with a summary.
func (b *jobTracker) lines(width, height int) []string {
	var rows []row
	counts := map[string]int{}
	for _, job := range b.all() {
		if !job.deletedAt.IsZero() && time.Since(job.deletedAt) > goneFor {
			continue
		}
		r := rowOf(job)
		rows = append(rows, r)
		counts[r.phase]++
	}
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.name, b.name) })
	p := b.screen.ansi
	lines := append([]string{""}, table(rows, width, height-3, p)...)
	return append(lines, "", summary(counts, width, p))
}

// hint tells how to leave.
const hint = "Ctrl-C ends the demo"

// summary returns the number of jobs by phase, and the hint if there is room.
func summary(counts map[string]int, width int, p ansi) string {
	var parts []string
	for _, phase := range append(slices.Clone(phases), phaseDeleted) {
		if n := counts[phase]; n > 0 {
			parts = append(parts, p.phase(phase, fmt.Sprintf("%d %s", n, strings.ToLower(phase))))
		}
	}
	line := strings.Join(parts, p.dim(" · "))
	switch room := width - columns(line); {
	case room < 0:
		return fit(sgr.ReplaceAllString(line, ""), width)
	case room < gap+len(hint):
		return line
	default:
		return line + strings.Repeat(" ", gap) + p.dim(hint)
	}
}

// phaseDeleted is shown for a DaftyJob that was deleted.
const phaseDeleted = "Deleted"

var phases = []string{
	string(v1alpha1.PhasePending), string(v1alpha1.PhaseSubmitting), string(v1alpha1.PhaseQueued), string(v1alpha1.PhaseProcessing),
	string(v1alpha1.PhaseCancelling), string(v1alpha1.PhaseCompleted), string(v1alpha1.PhaseFailed), string(v1alpha1.PhaseCancelled),
}

// rowOf returns a job as the table shows it.
func rowOf(job jobState) row {
	if job.DaftyJob == nil {
		return row{}
	}
	r := row{
		name: jobName(job), jobType: plain(job.Status.JobType), phase: string(job.Status.Phase),
		age: duration.HumanDuration(time.Since(job.CreationTimestamp.Time)), detail: detail(job), // the age in kubectl's words
	}
	if ready := ready(job); ready != nil {
		r.reason = ready.Reason
	}
	if !job.deletedAt.IsZero() {
		r.gone, r.phase, r.reason = true, phaseDeleted, ""
	}
	return r
}

func ready(job jobState) *metav1.Condition {
	return meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady)
}
