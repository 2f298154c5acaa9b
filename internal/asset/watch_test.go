package asset_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
)

// A decision looks at whether a DaftyJob is submitted, waits for somebody, or has ended, and at what a person may change in it; not at how
// far it has come at Dafty, nor at what its own controller notes in it.
func TestConcerns(t *testing.T) {
	processing := func(job *v1alpha1.DaftyJob) {
		job.Status.Phase, job.Status.JobID, job.Status.Attempts = v1alpha1.PhaseProcessing, "dafty-job-1", 1
		condition(job, metav1.ConditionUnknown, v1alpha1.ReasonProcessing, "Dafty works on it")
	}
	completed := func(job *v1alpha1.DaftyJob) {
		processing(job)
		job.Status.Phase, job.Status.Result = v1alpha1.PhaseCompleted, &v1alpha1.JobResult{Primary: "https://example.com/a.png"}
	}
	for name, c := range map[string]struct {
		from   func(*v1alpha1.DaftyJob)
		change func(*v1alpha1.DaftyJob)
		want   bool
	}{
		"nothing":                 {processing, func(*v1alpha1.DaftyJob) {}, false},
		"its attempt is recorded": {func(*v1alpha1.DaftyJob) {}, func(job *v1alpha1.DaftyJob) { job.Status.Attempts = 1 }, true},
		"its id is recorded":      {func(job *v1alpha1.DaftyJob) { job.Status.Attempts = 1 }, func(job *v1alpha1.DaftyJob) { job.Status.JobID = "x" }, false},
		"it is queued": {processing, func(job *v1alpha1.DaftyJob) {
			condition(job, metav1.ConditionUnknown, v1alpha1.ReasonQueued, "it waits")
		}, false},
		"its attempt is in words":  {processing, func(job *v1alpha1.DaftyJob) { job.Status.Attempts = 2 }, false},
		"its annotation":           {processing, annotate(v1alpha1.JobAnnotation), false},
		"another annotation":       {processing, annotate(v1alpha1.OvertakenAnnotation), true},
		"a label":                  {processing, func(job *v1alpha1.DaftyJob) { job.Labels = map[string]string{"a": "b"} }, true},
		"its finalizer":            {processing, func(job *v1alpha1.DaftyJob) { job.Finalizers = nil }, false},
		"its spec":                 {processing, func(job *v1alpha1.DaftyJob) { job.Generation++ }, true},
		"its owner":                {processing, func(job *v1alpha1.DaftyJob) { job.OwnerReferences = nil }, true},
		"it is being deleted":      {processing, func(job *v1alpha1.DaftyJob) { job.DeletionTimestamp = new(metav1.Now()) }, true},
		"a cancel":                 {processing, func(job *v1alpha1.DaftyJob) { job.Status.CancelRequestedAt = new(metav1.Now()) }, true},
		"it is suspended":          {processing, func(job *v1alpha1.DaftyJob) { job.Status.SuspendedAt = new(metav1.Now()) }, true},
		"it waits for a person":    {processing, waits("the Secret is missing"), true},
		"what it waits for":        {waits("the Secret is missing"), waits("the Secret is empty"), true},
		"it is stalled":            {waits("it is refused"), stalls, true},
		"its end":                  {processing, completed, true},
		"its end without a result": {processing, func(job *v1alpha1.DaftyJob) { job.Status.Phase = v1alpha1.PhaseFailed }, true},
		"a late thumbnail":         {completed, func(job *v1alpha1.DaftyJob) { job.Status.Result = &v1alpha1.JobResult{Primary: "b"} }, true},
		"when it ended":            {completed, func(job *v1alpha1.DaftyJob) { job.Status.FinishedAt = new(metav1.NewTime(time.Unix(1, 0))) }, true},
		"its own ConfigMap":        {completed, func(job *v1alpha1.DaftyJob) { job.Status.ResultConfigMapVersion = "1-a" }, false},
		"the finalizer of an end":  {completed, func(job *v1alpha1.DaftyJob) { job.Finalizers = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			was := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{
				Name: "hero-0123456789", Generation: 1, ResourceVersion: "1", Finalizers: []string{v1alpha1.CancelFinalizer},
				OwnerReferences: []metav1.OwnerReference{{Kind: asset.Kind, Name: "hero"}},
			}}
			c.from(was)
			is := was.DeepCopy()
			is.ResourceVersion = "2"
			c.change(is)
			if got := asset.Concerns(was, is); got != c.want {
				t.Errorf("it concerns the asset: %t, want %t", got, c.want)
			}
		})
	}
}

func annotate(key string) func(*v1alpha1.DaftyJob) {
	return func(job *v1alpha1.DaftyJob) { job.Annotations = map[string]string{key: "x"} }
}

func waits(message string) func(*v1alpha1.DaftyJob) {
	return func(job *v1alpha1.DaftyJob) {
		condition(job, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForCredentials, message)
	}
}

func stalls(job *v1alpha1.DaftyJob) {
	job.Status.Conditions = append(job.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue})
}

// Those that refer to an asset look at its result and at whether it is Ready, for which spec, and why not.
func TestConcernsOthers(t *testing.T) {
	ready := func(reason, message string) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: reason, Message: message}}
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.DaftyAsset)
		want   bool
	}{
		"nothing":              {func(*v1alpha1.DaftyAsset) {}, false},
		"its annotation":       {func(a *v1alpha1.DaftyAsset) { a.Annotations = map[string]string{v1alpha1.CurrentAnnotation: "x"} }, false},
		"what is being made":   {func(a *v1alpha1.DaftyAsset) { a.Status.Pending = &v1alpha1.PendingJob{JobName: "x"} }, false},
		"its history":          {func(a *v1alpha1.DaftyAsset) { a.Status.History = []v1alpha1.AssetResult{{Hash: "x"}} }, false},
		"its ConfigMap":        {func(a *v1alpha1.DaftyAsset) { a.Status.ResultConfigMapVersion = "1-a" }, false},
		"other words":          {func(a *v1alpha1.DaftyAsset) { a.Status.Conditions = ready(v1alpha1.ReasonProgressing, "b") }, false},
		"another reason":       {func(a *v1alpha1.DaftyAsset) { a.Status.Conditions = ready(v1alpha1.ReasonSuspended, "a") }, true},
		"its spec":             {func(a *v1alpha1.DaftyAsset) { a.Generation++ }, true},
		"its spec was seen":    {func(a *v1alpha1.DaftyAsset) { a.Status.ObservedGeneration++ }, true},
		"another result":       {func(a *v1alpha1.DaftyAsset) { a.Status.Current = &v1alpha1.AssetResult{JobID: "x"} }, true},
		"it is being deleted":  {func(a *v1alpha1.DaftyAsset) { a.DeletionTimestamp = new(metav1.Now()) }, true},
		"it isn't Ready again": {func(a *v1alpha1.DaftyAsset) { a.Status.Conditions = nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			was := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Name: "hero", Generation: 1}}
			was.Status.Conditions = ready(v1alpha1.ReasonProgressing, "a")
			is := was.DeepCopy()
			c.change(is)
			if got := asset.ConcernsOthers(was, is); got != c.want {
				t.Errorf("it concerns others: %t, want %t", got, c.want)
			}
		})
	}
}
