package controller_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// applyTemplate applies a DaftyAsset whose template has this spec, and returns it.
func (w *world) applyTemplate(name, spec string) *v1alpha1.DaftyAsset {
	w.t.Helper()
	w.applyAsset(name, fmt.Sprintf("{template: {spec: %s}}", spec))
	asset, err := w.asset(name)
	w.Expect(err).NotTo(HaveOccurred())
	return asset
}

// writeAsset writes the status of a DaftyAsset, about its newest spec, with a Ready condition.
func (w *world) writeAsset(asset *v1alpha1.DaftyAsset, ready metav1.ConditionStatus, reason string, change func(*v1alpha1.DaftyAssetStatus)) {
	w.t.Helper()
	w.Expect(w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(asset), asset)).To(Succeed())
	asset.Status.ObservedGeneration = asset.Generation
	asset.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready, Reason: reason, Message: "so it is", LastTransitionTime: metav1.Now()}}
	change(&asset.Status)
	w.Expect(w.Client.Status().Update(w.t.Context(), asset)).To(Succeed())
}

// keeps has a DaftyAsset Ready with what a DaftyJob made.
func (w *world) keeps(asset *v1alpha1.DaftyAsset, result *v1alpha1.JobResult, jobID string) {
	w.t.Helper()
	w.writeAsset(asset, metav1.ConditionTrue, v1alpha1.ReasonAvailable, func(status *v1alpha1.DaftyAssetStatus) {
		status.Current = &v1alpha1.AssetResult{JobName: asset.Name + "-1", Hash: "1", JobID: jobID, Result: result}
	})
}

// makeJob creates a DaftyJob as the asset's own.
func (w *world) makeJob(asset *v1alpha1.DaftyAsset, name string, spec v1alpha1.DaftyJobSpec) *v1alpha1.DaftyJob {
	w.t.Helper()
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}, Spec: spec}
	job.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(asset, v1alpha1.GroupVersion.WithKind("DaftyAsset"))}
	w.Expect(w.Client.Create(w.t.Context(), job)).To(Succeed())
	return job
}

// putOnRecord has a DaftyAsset have one of its DaftyJobs on record.
func (w *world) putOnRecord(asset *v1alpha1.DaftyAsset, job *v1alpha1.DaftyJob, inputs ...v1alpha1.Input) {
	w.t.Helper()
	w.writeAsset(asset, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, func(status *v1alpha1.DaftyAssetStatus) {
		status.Pending = &v1alpha1.PendingJob{JobName: job.Name, Hash: "1", UID: job.UID, Inputs: inputs}
	})
}

func (w *world) eventuallySays(name, reason, says string) {
	w.t.Helper()
	w.Eventually(func() string {
		job, _ := w.watched(name)
		return ready(job).Reason + ": " + ready(job).Message
	}).WithTimeout(patience).Should(And(HavePrefix(reason+": "), ContainSubstring(says)), "%s", &story{w, name})
}

const upscalesLogo = `{imageUpscale: {image: {assetRef: {name: logo}}}}`

// A DaftyJob waits until the DaftyAsset that it names is Ready with a fitting result, takes that, and keeps it.
func TestAssetRef(t *testing.T) {
	w := newWorldOfAssetsByHand(t, daftysim.Options{})
	w.apply("one", aLogo)
	one := w.eventually("one", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.apply("two", aLogo)
	two := w.eventually("two", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)

	w.apply("poster", upscalesLogo)
	w.eventuallySays("poster", v1alpha1.ReasonWaitingForDependency, `imageUpscale.image refers to DaftyAsset "logo", which isn't there yet`)
	logo := w.applyTemplate("logo", aLogo)
	w.eventuallySays("poster", v1alpha1.ReasonWaitingForDependency, `waits for DaftyAsset "logo", which isn't Ready: its newest spec hasn't been looked at yet`)
	w.writeAsset(logo, metav1.ConditionFalse, v1alpha1.ReasonGenerationFailed, func(*v1alpha1.DaftyAssetStatus) {})
	w.eventuallySays("poster", v1alpha1.ReasonWaitingForDependency, `GenerationFailed; it goes on by itself once that is mended`)
	w.keeps(logo, &v1alpha1.JobResult{Primary: knownStyle, Style: &v1alpha1.Style{ID: knownStyle}}, one.Status.JobID)
	w.eventuallySays("poster", v1alpha1.ReasonInvalidReference, `but that one made a style, and no image; nothing was submitted`)
	w.wantCharges(2)

	w.keeps(logo, one.Status.Result, one.Status.JobID)
	poster := w.eventually("poster", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(poster.Status.Inputs).To(HaveLen(1))
	w.Expect(poster.Status.Inputs[0].ID).To(Equal(one.Status.Result.Images[0].ID))
	w.Expect(poster.Status.Inputs[0].Source).To(Equal("DaftyAsset logo, image 0"))

	// A change of it is waited for, and what another made before stays.
	w.applyTemplate("logo", `{imageGenerate: {prompt: Another logo}}`)
	w.apply("second", upscalesLogo)
	w.eventuallySays("second", v1alpha1.ReasonWaitingForDependency, "its newest spec hasn't been looked at yet")
	w.keeps(logo, two.Status.Result, two.Status.JobID)
	second := w.eventually("second", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(second.Status.Inputs[0].ID).To(Equal(two.Status.Result.Images[0].ID))
	w.wantCharges(4)
}

// A DaftyJob that a DaftyAsset made is submitted once that has it on record, with what is on record there.
func TestJobsOfAssets(t *testing.T) {
	w := newWorldOfAssetsByHand(t, daftysim.Options{})
	w.apply("one", aLogo)
	one := w.eventually("one", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.applyTemplate("logo", aLogo) // which isn't Ready, and isn't asked
	poster := w.applyTemplate("poster", upscalesLogo)

	made := w.makeJob(poster, "poster-1", poster.Spec.Template.Spec)
	w.eventuallySays("poster-1", v1alpha1.ReasonWaitingForDependency, `DaftyAsset "poster", to which this DaftyJob belongs, doesn't have it on record in status.pending`)
	first := w.sees("poster-1", func(job *v1alpha1.DaftyJob) bool { return job.Status.Phase != "" })
	w.Expect(ready(first).LastTransitionTime.Time).To(BeTemporally(">=", made.CreationTimestamp.Add(9*time.Second)), "it is told no sooner")
	w.Expect(first.Finalizers).To(BeEmpty())
	w.wantCharges(1)

	image := one.Status.Result.Images[0]
	input := v1alpha1.Input{Field: "imageUpscale.image", Source: "DaftyAsset logo, image 0", ID: image.ID, URL: image.URL, JobID: one.Status.JobID, SentAs: v1alpha1.ReferenceID}
	w.putOnRecord(poster, &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "poster-1", UID: "another"}}, input)
	w.putOnRecord(poster, made, input)
	done := w.eventually("poster-1", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(done.Status.Inputs).To(Equal([]v1alpha1.Input{input}))
	w.wantCharges(2)

	// On record in time, nothing is told of that.
	made = w.makeJob(poster, "poster-2", poster.Spec.Template.Spec)
	w.putOnRecord(poster, made, input)
	w.eventually("poster-2", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, job := range w.seen[made.UID] {
		w.Expect(ready(job).Reason).NotTo(Equal(v1alpha1.ReasonWaitingForDependency))
	}
}

// lookups counts the lists of DaftyJobs by what they wait for: only a watch looks for them by that.
type lookups struct {
	client.Client
	mu    sync.Mutex
	times map[string]int
}

// List implements client.Reader.
func (l *lookups) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if o := (&client.ListOptions{}).ApplyOptions(opts); o.FieldSelector != nil {
		if _, jobs := list.(*v1alpha1.DaftyJobList); jobs {
			l.mu.Lock()
			l.times[o.FieldSelector.String()]++
			l.mu.Unlock()
		}
	}
	return l.Client.List(ctx, list, opts...)
}

func (l *lookups) of(selector string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.times[selector]
}

// A circle through both kinds is told on each DaftyJob in it, whichever object was created or changed last. The watch of DaftyAssets
// tells of a change, which the DaftyJobs' own looks would notice later.
func TestMixedCycle(t *testing.T) {
	t.Parallel()
	w := prepareWorld(t, kubetest.Start(t), daftysim.Options{})
	w.assetsByHand = true
	seen := &lookups{times: map[string]int{}}
	w.extra = func(r *controller.Reconciler) { seen.Client, r.Client = r.Client, seen }
	w.startOperator()
	w.putSecret(apiKey)
	jobs := []string{"one", "three"}
	create := map[string]func(){
		"one":   func() { w.apply("one", `{imageUpscale: {image: {assetRef: {name: two}}}}`) },
		"two":   func() { w.applyTemplate("two", `{imageUpscale: {image: {jobRef: {name: three}}}}`) },
		"three": func() { w.apply("three", `{imageUpscale: {image: {assetRef: {name: four}}}}`) },
		"four":  func() { w.applyTemplate("four", `{imageUpscale: {image: {jobRef: {name: one}}}}`) },
	}
	told := func() {
		t.Helper()
		for _, name := range jobs {
			job := w.eventually(name, v1alpha1.PhasePending, v1alpha1.ReasonDependencyCycle)
			w.Expect(ready(job).Message).To(HavePrefix("these wait for each other: DaftyJob " + name + " → DaftyAsset "))
			w.Expect(ready(job).Message).To(HaveSuffix(" → DaftyJob " + name + "; delete one of them"))
		}
	}
	for _, order := range [][]string{{"one", "two", "three", "four"}, {"four", "three", "two", "one"}, {"two", "four", "one", "three"}, {"three", "one", "four", "two"}} {
		for _, name := range order {
			create[name]()
		}
		told()
		w.applyTemplate("four", aLogo)
		for _, name := range jobs {
			w.eventually(name, v1alpha1.PhasePending, v1alpha1.ReasonWaitingForDependency)
		}
		before := seen.of("dependsOnAsset=four")
		create["four"]() // by a change of its template
		told()
		if seen.of("dependsOnAsset=four") == before {
			t.Error("no watch has told of the change")
		}
		for _, name := range jobs {
			w.delete(name)
		}
		for _, name := range []string{"two", "four"} {
			asset := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
			w.Expect(w.Client.Delete(t.Context(), asset)).To(Succeed())
		}
		w.Eventually(func() error { _, err := w.get("one"); return client.IgnoreNotFound(err) }).WithTimeout(patience).Should(Succeed())
	}
	w.wantCharges(0)
}
