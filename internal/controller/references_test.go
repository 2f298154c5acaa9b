package controller_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// What stands as a reference is open, but that a url does: a chain completes under each reading, also where Dafty can't fetch its
// own results' urls, and status shows what was sent.
func TestAnImageAsAReference(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		references daftysim.References
		url        daftysim.ResultURL
		sent       v1alpha1.ReferenceForm
		second     bool // whether another image than the first can be named
	}{
		{daftysim.ReferencesAny, daftysim.ResultURLAccepted, v1alpha1.ReferenceURL, true},
		{daftysim.ReferencesURL, daftysim.ResultURLAccepted, v1alpha1.ReferenceURL, true},
		{daftysim.ReferencesVariation, daftysim.ResultURLRefused, v1alpha1.ReferenceID, true},
		{daftysim.ReferencesJob, daftysim.ResultURLRefused, v1alpha1.ReferenceJobID, false},
	} {
		t.Run(fmt.Sprintf("%s, url %s", tt.references, tt.url), func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Variants: daftysim.Variants{References: tt.references, ResultURL: tt.url}})
			w.apply("hero", `{imageGenerate: {prompt: A logo, variations: 2}}`)
			w.apply("clip", `{imageToVideo: {image: {jobRef: {name: hero}}, prompt: It turns}}`)
			w.apply("second", `{imageGenerate: {prompt: A logo, references: [{jobRef: {name: hero, index: 1}}]}}`)
			clip := w.eventually("clip", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			hero, err := w.get("hero")
			w.Expect(err).NotTo(HaveOccurred())
			image, in := hero.Status.Result.Images[0], clip.Status.Inputs[0]
			w.Expect(in).To(Equal(v1alpha1.Input{Field: "imageToVideo.image", Source: "DaftyJob hero, image 0", UID: hero.UID,
				ID: image.ID, URL: image.URL, JobID: hero.Status.JobID, SentAs: tt.sent}))
			sent := map[v1alpha1.ReferenceForm]string{v1alpha1.ReferenceURL: image.URL, v1alpha1.ReferenceID: image.ID, v1alpha1.ReferenceJobID: hero.Status.JobID}[tt.sent]
			requests := w.requestsTo("POST", "/videos/image-to-video")
			w.Expect(string(requests[len(requests)-1].Body)).To(ContainSubstring(`"image":"` + sent + `"`))
			w.Expect(clip.Status.Attempts).To(BeEquivalentTo(1))
			if tt.second {
				second := w.eventually("second", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
				w.Expect(second.Status.Inputs[0].SentAs).To(Equal(tt.sent))
				return
			}
			second := w.eventually("second", v1alpha1.PhaseFailed, v1alpha1.ReasonInvalidRequest)
			w.Expect(strings.ToLower(second.Status.Error.Message)).To(ContainSubstring("not found"))
			w.wantCharges(2)
		})
	}
}
