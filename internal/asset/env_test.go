package asset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// env plays what surrounds the decisions about one DaftyAsset: its DaftyJobs, the cluster, and Dafty, which makes what is on record.
type env struct {
	t        *testing.T
	now      time.Time
	asset    *v1alpha1.DaftyAsset
	jobs     []*v1alpha1.DaftyJob
	upstream map[string]*v1alpha1.DaftyAsset
	cycle    string
	known    asset.Known
	// objects counts the DaftyJobs that were ever created, submissions what was sent to Dafty.
	objects     int
	submissions []string
	// writes counts what was written: the asset's status, its metadata, DaftyJobs created, changed and deleted, ConfigMaps.
	writes map[string]int
	events []string
	// configMap is the result in the ConfigMap.
	configMap string
	// names are what the DaftyJobs are called in a test, by their names.
	names map[string]string
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), writes: map[string]int{}, names: map[string]string{},
		upstream: map[string]*v1alpha1.DaftyAsset{}}
	e.create("A")
	return e
}

// create creates the asset, with a prompt.
func (e *env) create(prompt string) {
	annotations := map[string]string{}
	e.objects++
	e.asset = &v1alpha1.DaftyAsset{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hero", UID: types.UID(fmt.Sprintf("asset-%d", e.objects)), Generation: 1,
			Annotations: annotations, CreationTimestamp: metav1.NewTime(e.now)},
		Spec: v1alpha1.DaftyAssetSpec{ChangePolicy: v1alpha1.ChangeAutomatic},
	}
	e.asset.Spec.Template.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: v1alpha1.Prompt(prompt)}
	e.asset.Status.ObservedGeneration = -1
}

// edit changes the spec, as a commit does.
func (e *env) edit(change func(*v1alpha1.DaftyAssetSpec)) {
	before := e.asset.Spec.DeepCopy()
	change(&e.asset.Spec)
	if !equality.Semantic.DeepEqual(before, &e.asset.Spec) {
		e.asset.Generation++
	}
}

// prompt changes the template's prompt.
func (e *env) prompt(to string) {
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Template.Spec.ImageGenerate.Prompt = v1alpha1.Prompt(to) })
}

// follows has the asset be in the style that another asset keeps, which Dafty made as a job.
func (e *env) follows(name, jobID string) {
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) {
		spec.Template.Spec.ImageGenerate.Style = &v1alpha1.StyleSource{AssetRef: &v1alpha1.StyleAssetReference{Name: name}}
	})
	e.upstream[name] = upstreamOf(name, jobID)
}

// upstreamOf is an asset that is Ready with the style that a job made.
func upstreamOf(name, jobID string) *v1alpha1.DaftyAsset {
	up := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1}}
	up.Status.ObservedGeneration = 1
	up.Status.Current = &v1alpha1.AssetResult{JobName: name + "-1", Hash: "1", JobID: jobID,
		Result: &v1alpha1.JobResult{Primary: "style-" + jobID, Style: &v1alpha1.Style{ID: "style-" + jobID}}}
	meta.SetStatusCondition(&up.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompleted})
	return up
}

// reconcile decides and acts until nothing changes any more.
func (e *env) reconcile() asset.Decision {
	e.t.Helper()
	told := true
	for range 50 {
		before, jobs := fmt.Sprint(e.writes), e.writes["DaftyJob changed"]+e.writes["DaftyJob deleted"]
		decision := e.once()
		switch again := fmt.Sprint(e.writes) != before; {
		case !again:
			return decision
		case !told:
			// Nobody would bring it back: see AssetReconciler.ConcernedByAsset.
			e.t.Fatalf("a decision asks for more once its own status and annotation are written: %s", e)
		}
		told = e.writes["DaftyJob changed"]+e.writes["DaftyJob deleted"] > jobs
	}
	e.t.Fatalf("the decisions don't come to an end: %s", e)
	return asset.Decision{}
}

// once is one reconcile.
func (e *env) once() asset.Decision {
	e.t.Helper()
	known := e.known
	for range 10 {
		in := asset.Snapshot{Asset: e.asset.DeepCopy(), Upstream: e.upstream, Cycle: e.cycle, Now: e.now, Known: known}
		for _, job := range e.jobs {
			if metav1.IsControlledBy(job, e.asset) {
				in.Jobs = append(in.Jobs, job.DeepCopy())
			}
		}
		in.ResultChanged = e.asset.Status.ResultConfigMap != "" && e.asset.Status.Current != nil && e.asset.Status.Current.Result != nil &&
			e.configMap != e.asset.Status.Current.Result.Primary
		decision := asset.Next(in)
		switch first := decision.First.(type) {
		case asset.CreateJob:
			if there := e.job(first.Job.Name); there != nil {
				known.Uncreated = &asset.Uncreated{Taken: true, Message: "no DaftyAsset owns it"}
				continue
			}
			e.createJob(first.Job)
			continue
		case asset.DeleteJob:
			e.deleteJob(first.Job.Name)
			continue
		case asset.StoreResult:
			e.writes["ConfigMap"]++
			e.configMap = first.Result.Primary
			known.Stored = &lifecycle.StoreOutcome{Version: fmt.Sprintf("%d-x", e.writes["ConfigMap"])}
			continue
		}
		e.finish(decision)
		return decision
	}
	e.t.Fatalf("the first steps don't come to an end: %s", e)
	return asset.Decision{}
}

// finish writes the status of a decision, and takes its steps.
func (e *env) finish(decision asset.Decision) {
	if !equality.Semantic.DeepEqual(e.asset.Status, decision.Status) {
		e.writes["status"]++
		e.asset.Status = decision.Status
	}
	for _, event := range decision.Events {
		e.events = append(e.events, event.Reason)
	}
	for _, step := range decision.Steps {
		switch step := step.(type) {
		case asset.CallOff:
			e.writes["DaftyJob changed"]++
			job := e.job(step.Job.Name)
			job.Spec.DesiredState = v1alpha1.DesiredCancelled
			job.Annotations = map[string]string{v1alpha1.OvertakenAnnotation: v1alpha1.OvertakenValue}
		case asset.ReleaseJob:
			e.writes["DaftyJob changed"]++
			e.job(step.Job.Name).Spec.DesiredState = v1alpha1.DesiredCompleted
		case asset.UpdateJob:
			e.writes["DaftyJob changed"]++
			asset.Follow(e.job(step.Job.Name), step.Template)
		case asset.DeleteJob:
			e.deleteJob(step.Job.Name)
		case asset.Annotate:
			e.writes["metadata"]++
			e.asset.Annotations[v1alpha1.CurrentAnnotation] = step.Value
			if step.Value == "" {
				delete(e.asset.Annotations, v1alpha1.CurrentAnnotation)
			}
		}
	}
}

func (e *env) createJob(job *v1alpha1.DaftyJob) {
	e.objects++
	e.writes["DaftyJob created"]++
	job.UID = types.UID(fmt.Sprintf("job-%d", e.objects))
	job.CreationTimestamp = metav1.NewTime(e.now)
	e.jobs = append(e.jobs, job)
	e.names[job.Name] = nameOf(job)
}

// nameOf is what a test calls a DaftyJob: by its prompt and revision.
func nameOf(job *v1alpha1.DaftyJob) string {
	if job.Spec.AdoptJobID != "" {
		return "adopts-" + job.Spec.AdoptJobID
	}
	return string(job.Spec.ImageGenerate.Prompt)
}

func (e *env) deleteJob(name string) {
	e.t.Helper()
	if e.job(name) == nil {
		e.t.Fatalf("a DaftyJob is deleted that isn't there: %s", name)
	}
	e.writes["DaftyJob deleted"]++
	e.remove(name)
}

func (e *env) remove(name string) {
	e.jobs = slices.DeleteFunc(e.jobs, func(job *v1alpha1.DaftyJob) bool { return job.Name == name })
}

func (e *env) job(name string) *v1alpha1.DaftyJob {
	for _, job := range e.jobs {
		if job.Name == name {
			return job
		}
	}
	return nil
}

// made returns the newest DaftyJob that a test calls so.
func (e *env) made(as string) *v1alpha1.DaftyJob {
	e.t.Helper()
	for _, job := range slices.Backward(e.jobs) {
		if e.names[job.Name] == as {
			return job
		}
	}
	e.t.Fatalf("there is no DaftyJob %s: %s", as, e)
	return nil
}

// submit has Dafty take the DaftyJobs that are on record, as package lifecycle does, and cancel those that are called off.
func (e *env) submit() {
	e.now = e.now.Add(time.Minute)
	for _, job := range e.jobs {
		p := e.asset.Status.Pending
		switch {
		case job.Status.Phase.Final():
		case job.Spec.DesiredState == v1alpha1.DesiredCancelled:
			e.end(job, v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
		case job.Spec.AdoptJobID != "":
			job.Status.JobID, job.Status.Phase = job.Spec.AdoptJobID, v1alpha1.PhaseProcessing
		case job.Status.JobID == "" && job.Spec.DesiredState != v1alpha1.DesiredSuspended && p != nil && p.UID == job.UID:
			e.submissions = append(e.submissions, e.names[job.Name])
			job.Status.JobID, job.Status.Attempts = fmt.Sprintf("dafty-job-%d", len(e.submissions)), 1
			job.Status.Phase = v1alpha1.PhaseProcessing
			condition(job, metav1.ConditionUnknown, v1alpha1.ReasonProcessing, "Dafty works on it")
		}
	}
}

// complete has a DaftyJob complete.
func (e *env) complete(as string) {
	e.t.Helper()
	job := e.made(as)
	url := "https://example.com/" + job.Status.JobID + ".png"
	job.Status.Result = &v1alpha1.JobResult{Primary: url, Images: []v1alpha1.Image{{ID: "image-of-" + job.Status.JobID, URL: url}}}
	e.end(job, v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
}

func (e *env) end(job *v1alpha1.DaftyJob, phase v1alpha1.Phase, reason string) {
	e.now = e.now.Add(time.Minute)
	job.Status.Phase = phase
	job.Status.FinishedAt = &metav1.Time{Time: e.now}
	is := metav1.ConditionFalse
	if phase == v1alpha1.PhaseCompleted {
		is = metav1.ConditionTrue
	}
	condition(job, is, reason, "said by Dafty")
}

func condition(job *v1alpha1.DaftyJob, is metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&job.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: is, Reason: reason, Message: message})
}

// run has all that can be made made.
func (e *env) run() {
	e.t.Helper()
	for range 10 {
		e.reconcile()
		e.submit()
		for _, job := range e.jobs {
			if job.Status.Phase == v1alpha1.PhaseProcessing {
				e.complete(e.names[job.Name])
			}
		}
	}
	e.reconcile()
}

func (e *env) ready() metav1.Condition {
	if c := meta.FindStatusCondition(e.asset.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// String tells where all stands: "Completed: current A, history B C, DaftyJobs A B".
func (e *env) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", e.ready().Reason)
	if c := e.asset.Status.Current; c != nil {
		fmt.Fprintf(&b, " current %s", e.names[c.JobName])
		if c.Result == nil {
			b.WriteString(" (lost)")
		}
	}
	if p := e.asset.Status.Pending; p != nil {
		fmt.Fprintf(&b, " pending %s", e.names[p.JobName])
	}
	for i, h := range e.asset.Status.History {
		if i == 0 {
			b.WriteString(" history")
		}
		fmt.Fprintf(&b, " %s", e.names[h.JobName])
	}
	for i, job := range e.jobs {
		if i == 0 {
			b.WriteString(" jobs")
		}
		fmt.Fprintf(&b, " %s", e.names[job.Name])
		switch {
		case job.Status.Phase == v1alpha1.PhaseCompleted:
		case job.Status.Phase.Final():
			fmt.Fprintf(&b, "(%s)", job.Status.Phase)
		case job.Spec.DesiredState != "":
			fmt.Fprintf(&b, "(to be %s)", job.Spec.DesiredState)
		default:
			b.WriteString("(running)")
		}
	}
	return b.String()
}

func (e *env) expect(want string) {
	e.t.Helper()
	e.reconcile()
	if got := e.String(); got != want {
		e.t.Errorf("got  %s\nwant %s\nReady: %s", got, want, e.ready().Message)
	}
}

func (e *env) expectPaid(want ...string) {
	e.t.Helper()
	if !slices.Equal(e.submissions, want) {
		e.t.Errorf("paid for %v, want %v", e.submissions, want)
	}
}
