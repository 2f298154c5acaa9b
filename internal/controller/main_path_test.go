package controller_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// Each operation's request is on the wire byte for byte as the contract wants it: fields that
// the user left out are left out.
func TestEveryOperationOnTheWire(t *testing.T) {
	w := newWorld(t, daftysim.Options{ThumbnailAfter: -1})
	for _, tc := range []struct {
		name, spec, path, body, jobType string
	}{
		{
			name: "generate-least",
			spec: `{imageGenerate: {prompt: A red bicycle}}`,
			path: "/images/generate", jobType: "image.generate",
			body: `{"prompt":"A red bicycle"}`,
		},
		{
			name: "generate-all",
			spec: `{imageGenerate: {prompt: "Ein Fahrrad, «rot» & neu", aspectRatio: "16:9", quality: high, resolution: 4K, variations: 2,
			  style: {id: ` + knownStyle + `}, references: [{url: "https://example.com/a.png?x=1&y=2"}, {id: ` + knownImage + `}]}}`,
			path: "/images/generate", jobType: "image.generate",
			body: `{"aspectRatio":"16:9","prompt":"Ein Fahrrad, «rot» \u0026 neu","quality":"high","references":["https://example.com/a.png?x=1\u0026y=2","` + knownImage + `"],` +
				`"resolution":"4K","styleId":"` + knownStyle + `","variations":2}`,
		},
		{
			name: "edit",
			spec: `{imageEdit: {image: {id: ` + knownImage + `}, prompt: Make the sky pink, references: [{url: "https://example.com/sky.png"}]}}`,
			path: "/images/edit", jobType: "image.edit",
			body: `{"imageId":"` + knownImage + `","prompt":"Make the sky pink","references":["https://example.com/sky.png"]}`,
		},
		{
			name: "resize",
			spec: `{imageResize: {image: {id: ` + knownImage + `}, aspectRatio: "21:9", resolution: 2K}}`,
			path: "/images/resize", jobType: "image.resize",
			body: `{"aspectRatio":"21:9","imageId":"` + knownImage + `","resolution":"2K"}`,
		},
		{
			name: "upscale",
			spec: `{imageUpscale: {image: {id: ` + knownImage + `}, resolution: 4K}}`,
			path: "/images/upscale", jobType: "image.upscale",
			body: `{"imageId":"` + knownImage + `","resolution":"4K"}`,
		},
		{
			name: "to-video",
			spec: `{imageToVideo: {image: {url: "https://example.com/hero.png"}, prompt: Slow zoom, duration: 8, resolution: 480p, audio: false, negativePrompt: text}}`,
			path: "/videos/image-to-video", jobType: "video.generate",
			body: `{"audio":false,"duration":8,"image":"https://example.com/hero.png","negativePrompt":"text","prompt":"Slow zoom","resolution":"480p"}`,
		},
		{
			name: "frames",
			spec: `{videoFrames: {startImage: {id: ` + knownImage + `}, endImage: {url: "https://example.com/end.png"}, prompt: Day turns to night, duration: 4,
			  resolution: 720p, aspectRatio: auto, audio: true, negativePrompt: people}}`,
			path: "/videos/frames", jobType: "video.generate",
			body: `{"aspectRatio":"auto","audio":true,"duration":4,"endImage":"https://example.com/end.png","negativePrompt":"people","prompt":"Day turns to night",` +
				`"resolution":"720p","startImage":"` + knownImage + `"}`,
		},
		{
			name: "style",
			spec: `{styleExtract: {url: "https://example.com/brand"}}`,
			path: "/styles/extract", jobType: "style.extract",
			body: `{"url":"https://example.com/brand"}`,
		},
	} {
		w.apply(tc.name, tc.spec)
		t.Run(tc.name, func(t *testing.T) {
			job := w.eventually(tc.name, v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			g := NewWithT(t)
			var creates []daftysim.Request
			for _, r := range w.sim.Requests() {
				if r.IdempotencyKey() == fmt.Sprintf("%s-1", job.UID) {
					creates = append(creates, r)
				}
			}
			g.Expect(creates).To(HaveLen(1))
			create := creates[0]
			g.Expect(create.Method + " " + create.Path).To(Equal("POST " + daftysim.BasePath + tc.path))
			g.Expect(string(create.Body)).To(Equal(tc.body))
			g.Expect(create.Header.Get("Content-Type")).To(Equal("application/json"))
			g.Expect(create.Header.Get("X-Api-Key")).To(Equal(accountName), "the key is sent, and as x-api-key")
			g.Expect(create.Header.Get("User-Agent")).To(Equal("dafty-operator/test"))
			g.Expect(job.Status.JobType).To(Equal(tc.jobType))
			g.Expect(job.Status.Result.Primary).NotTo(BeEmpty())
			g.Expect(job.Status.Attempts).To(BeEquivalentTo(1))
			g.Expect(job.Status.Duration).NotTo(BeEmpty())
			g.Expect(job.Status.SubmittedAt).NotTo(BeNil())
			g.Expect(job.Status.FinishedAt).NotTo(BeNil())
			g.Expect(job.Annotations).To(HaveKeyWithValue(v1alpha1.JobAnnotation, fmt.Sprintf("%s/%s:%s", w.Namespace, tc.name, job.Status.JobID)))
		})
	}
	w.wantCharges(8)
}

// What a user does first, with the real kubectl.
func TestKubectl(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	out := w.MustApply(t, manifest("spring-hero", `{imageGenerate: {prompt: A logo, variations: 2}}`))
	w.Expect(out).To(ContainSubstring("daftyjob.dafty.ai/spring-hero created"))
	w.MustKubectl(t, "wait", "--for=condition=Complete", "daftyjob/spring-hero", "--timeout=60s")

	columns := strings.Split(strings.TrimSpace(w.MustKubectl(t, "get", "daftyjobs")), "\n")
	w.Expect(strings.Fields(columns[0])).To(Equal([]string{"NAME", "TYPE", "PHASE", "REASON", "AGE"}))
	w.Expect(strings.Fields(columns[1])[:4]).To(Equal([]string{"spring-hero", "image.generate", "Completed", "Completed"}))

	wide := w.MustKubectl(t, "get", "dj", "spring-hero", "-o", "wide")
	job, err := w.get("spring-hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(wide).To(ContainSubstring("JOB ID"))
	w.Expect(wide).To(ContainSubstring(job.Status.JobID))
	w.Expect(wide).To(ContainSubstring(job.Status.Result.Images[0].URL))
	w.Expect(job.Status.Result.Images).To(HaveLen(2))

	describe := w.MustKubectl(t, "describe", "daftyjob", "spring-hero")
	w.Expect(describe).To(ContainSubstring("Dafty made 2 images"))
	w.Eventually(w.eventReasons).WithTimeout(patience).Should(ContainElements("Queued", "Completed"))

	again := w.MustApply(t, manifest("spring-hero", `{imageGenerate: {prompt: A logo, variations: 2}}`))
	w.Expect(again).To(ContainSubstring("unchanged"))
	w.MustKubectl(t, "delete", "daftyjob", "spring-hero", "--timeout=60s")
	w.wantCharges(1)
}

// The states in between show while they last, and in order.
func TestPhasesShow(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.apply("job", aLogo)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	id := w.submitted("job")
	w.Expect(w.sim.Start(id)).To(Succeed())
	job := w.eventually("job", v1alpha1.PhaseProcessing, v1alpha1.ReasonProcessing)
	w.Expect(job.Status.StartedAt).NotTo(BeNil())
	// The end is seen by a request that Dafty holds, not by a poll.
	w.Eventually(w.sim.Held).WithTimeout(patience).Should(Equal(1))
	w.Expect(w.sim.Finish(id, daftysim.Succeed)).To(Succeed())
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)

	// The watch may bring the end a moment after it can be read.
	w.Eventually(func() []v1alpha1.Phase {
		w.mu.Lock()
		defer w.mu.Unlock()
		var phases []v1alpha1.Phase
		for _, state := range w.seen[job.UID] {
			if len(phases) == 0 || phases[len(phases)-1] != state.Status.Phase {
				phases = append(phases, state.Status.Phase)
			}
		}
		return phases
	}).WithTimeout(patience).Should(Equal([]v1alpha1.Phase{"", v1alpha1.PhaseSubmitting, v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing, v1alpha1.PhaseCompleted}))
	w.mu.Lock()
	defer w.mu.Unlock()
	// Finalizer, write-ahead, id, annotation, Processing, Completed; and the create itself.
	w.Expect(len(w.seen[job.UID])).To(BeNumerically("<=", 7), "six writes are what a job takes")
}

func TestJobFails(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.apply("image", `{imageGenerate: {prompt: "A poster [fail]"}}`)
	w.apply("style", `{styleExtract: {url: "https://fail.example.com/"}}`)
	image := w.eventually("image", v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
	w.Expect(image.Status.Error.Code).To(Equal("GENERATION_FAILED"))
	w.Expect(image.Status.Error.Message).NotTo(BeEmpty())
	w.MustKubectl(t, "wait", "--for=condition=Failed", "daftyjob/image", "--timeout=10s")
	style := w.eventually("style", v1alpha1.PhaseFailed, v1alpha1.ReasonExtractionFailed)
	w.Expect(style.Status.Error.Code).To(Equal("EXTRACTION_FAILED"))
	w.wantCharges(2)
}

func TestSuspendAndRelease(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.apply("job", `{desiredState: Suspended, imageGenerate: {prompt: A logo}}`)
	job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonSuspended)
	w.Expect(job.Finalizers).To(BeEmpty())
	w.wantCharges(0)
	w.MustKubectl(t, "patch", "daftyjob", "job", "--type", "merge", "-p", `{"spec":{"desiredState":"Completed"}}`)
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(1)
}

func TestUnknownStatusAndTypePassThrough(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true, Variants: daftysim.Variants{UnknownJob: daftysim.UnknownJobType}})
	w.apply("job", aLogo)
	id := w.submitted("job")
	w.Expect(w.sim.ShowStatus(id, "reviewing")).To(Succeed())
	w.Eventually(func() string { job, _ := w.watched("job"); return ready(job).Message }).WithTimeout(patience).Should(ContainSubstring(`"reviewing"`))
	job, err := w.get("job")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(job.Status.Phase).To(Equal(v1alpha1.PhaseQueued))
	w.Expect(job.Status.JobType).To(Equal("image.generate" + daftysim.UnknownTypeSuffix))
	w.Expect(w.sim.ShowStatus(id, "")).To(Succeed())
	w.Expect(w.sim.Finish(id, daftysim.Succeed)).To(Succeed())
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(1)
}

// Under every reading of what Dafty leaves undocumented, a job is made once and its result
// comes.
func TestVariants(t *testing.T) {
	t.Parallel()
	for _, variant := range daftysim.AllVariants() {
		t.Run(variant.Name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Variants: variant.Variants})
			w.apply("job", `{imageUpscale: {image: {id: `+knownImage+`}, resolution: 2K}}`)
			job := w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.Expect(job.Status.Result.Images).To(HaveLen(1))
			if variant.Variants.UnknownJob != daftysim.UnknownJobType {
				w.Expect(job.Status.JobType).To(Equal("image.upscale"), "the user's operation, whatever Dafty calls it")
			}
			w.wantCharges(1)
		})
	}
}

func TestStatusIsJSON(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.sim.Inject(daftysim.Fault{
		Operation: daftysim.GenerateImage, Kind: daftysim.FaultAnswer, Status: 400,
		Body: `{"error":{"code":"VALIDATION_ERROR","message":"Too many variations","details":{"variations":["must be at most 4"]}}}`,
	})
	w.apply("job", `{imageGenerate: {prompt: A logo, variations: 9}}`)
	job := w.eventually("job", v1alpha1.PhaseFailed, v1alpha1.ReasonInvalidRequest)
	w.Expect(job.Status.Error.Message).To(Equal("Too many variations"))
	var details map[string]any
	w.Expect(json.Unmarshal(job.Status.Error.Details.Raw, &details)).To(Succeed())
	w.Expect(details).To(HaveKeyWithValue("variations", ConsistOf("must be at most 4")))
	w.Expect(job.Status.Attempts).To(BeZero())
	w.wantCharges(0)
}
