package controller_test

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// searches returns the bodies of the searches in styles.
func (w *world) searches() (bodies []string) {
	for _, request := range w.sim.Requests() {
		if request.Operation == daftysim.SearchStyleAssets {
			bodies = append(bodies, string(request.Body))
		}
	}
	return bodies
}

// generated returns the bodies of the requests for images.
func (w *world) generated() (bodies []string) {
	for _, request := range w.sim.Requests() {
		if request.Operation == daftysim.GenerateImage {
			bodies = append(bodies, string(request.Body))
		}
	}
	return bodies
}

// inputOf returns what a field was resolved to.
func (w *world) inputOf(job *v1alpha1.DaftyJob, field string) v1alpha1.Input {
	w.t.Helper()
	for _, in := range job.Status.Inputs {
		if in.Field == field {
			return in
		}
	}
	w.t.Fatalf("nothing is on record for %s: %s", field, toJSON(job.Status.Inputs))
	return v1alpha1.Input{}
}

const (
	searchField = "imageGenerate.references[0]"
	logoSearch  = `references: [{styleSearch: {style: {jobRef: {name: brand}}, query: brand.example.com logo, minSimilarity: 80}}]`
)

// A search is made once, in the style that another DaftyJob extracts, and each attempt is sent with what it has found, whatever the
// style has by then, and whoever sends it.
func TestStyleSearch(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.apply("mug", `{backoffLimit: 1, imageGenerate: {prompt: "A mug `+daftysim.DefaultFailWord+`", `+logoSearch+`}}`)
	w.eventuallySays("mug", v1alpha1.ReasonWaitingForDependency, `imageGenerate.references[0].styleSearch.style refers to DaftyJob "brand"`)
	w.Expect(w.searches()).To(BeEmpty())
	w.apply("brand", `{styleExtract: {url: "https://brand.example.com"}}`)
	style := w.eventually("brand", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted).Status.Result.Style.ID

	mug := w.passes("mug", v1alpha1.PhasePending, v1alpha1.ReasonBackingOff)
	logo := w.sim.AssetsOf(accountName, style)[0]
	in := w.inputOf(mug, searchField)
	w.Expect(in.Source).To(Equal(`the style of DaftyJob brand, asset 0 of a search for "brand.example.com logo"`))
	w.Expect([]string{in.ID, in.Name, in.URL, string(in.SentAs)}).To(Equal([]string{logo.ID, "brand.example.com logo", logo.URL, "URL"}))
	w.Expect(in.Similarity).To(HaveValue(BeEquivalentTo(100)))
	w.Expect(w.inputOf(mug, searchField+".styleSearch.style").ID).To(Equal(style))

	w.restartOperator()
	w.sim.AddStyleAssets(accountName, style, daftysim.StyleAsset{ID: knownImage, Name: "brand.example.com logo"})
	w.eventually("mug", v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
	w.Expect(w.searches()).To(Equal([]string{`{"limit":1,"query":"brand.example.com logo"}`}))
	w.Expect(w.generated()).To(HaveLen(2))
	for _, body := range w.generated() {
		w.Expect(body).To(ContainSubstring(`"references":["` + logo.URL + `"]`))
	}
	w.wantCharges(3)
}

// Where nothing is found that is similar enough, nothing is submitted; who has mended that at Dafty has it searched again at once by
// any change of the DaftyJob.
func TestStyleAssetNotFound(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.apply("mug", `{imageGenerate: {prompt: A mug, references: [{styleSearch: {style: {id: `+knownStyle+`}, query: lighthouse at night, minSimilarity: 90}}]}}`)
	w.apply("nowhere", `{imageToVideo: {prompt: A clip, image: {styleSearch: {style: {id: 11111111-1111-4111-8111-111111111111}, query: logo}}}}`)
	w.apply("fifth", `{imageGenerate: {prompt: A mug, references: [{styleSearch: {style: {id: `+knownStyle+`}, query: logo, index: 49}}]}}`)
	w.eventuallySays("mug", v1alpha1.ReasonStyleAssetNotFound, "and minSimilarity asks for 90 %; the most similar is")
	w.eventuallySays("nowhere", v1alpha1.ReasonStyleAssetNotFound, "Dafty has no such style in the account of the API key")
	w.eventuallySays("fifth", v1alpha1.ReasonStyleAssetNotFound, "the search finds 12 assets, and counting begins at 0")
	for _, name := range []string{"mug", "nowhere", "fifth"} {
		job := w.eventually(name, v1alpha1.PhasePending, v1alpha1.ReasonStyleAssetNotFound)
		w.Expect(meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
	}
	w.wantCharges(0)
	w.Expect(w.searches()).To(HaveLen(4), "one refusal is no verdict, so that the one that isn't there is searched twice")

	w.sim.AddStyleAssets(accountName, knownStyle, daftysim.StyleAsset{Name: "Lighthouse at night"})
	w.Consistently(w.searches).WithTimeout(2*time.Second).Should(HaveLen(4), "it is searched again seldom")
	mug, err := w.get("mug")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.Client.Patch(t.Context(), mug, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"mended":"yes"}}}`)))).To(Succeed())
	mug = w.eventually("mug", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(w.inputOf(mug, searchField).Name).To(Equal("Lighthouse at night"))
	w.Expect(w.searches()).To(HaveLen(5))

	w.cancel("nowhere")
	w.eventually("nowhere", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission)
	w.delete("fifth")
	w.eventuallyGone(patience, "fifth")
	w.wantCharges(1)
}

// A DaftyAsset decides which style is meant, and its DaftyJob searches in that.
func TestStyleSearchOfAnAsset(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.applyTemplate("brand", `{styleExtract: {url: "https://brand.example.com"}}`)
	w.applyTemplate("mug", `{imageGenerate: {prompt: A mug, references: [{styleSearch: {style: {assetRef: {name: brand}}, query: brand.example.com hero banner}}]}}`)
	var mug *v1alpha1.DaftyAsset
	w.Eventually(func() bool {
		var err error
		mug, err = w.asset("mug")
		return err == nil && mug.Status.Current != nil && mug.Status.Current.Result != nil
	}).WithTimeout(patience).Should(BeTrue())
	brand, err := w.asset("brand")
	w.Expect(err).NotTo(HaveOccurred())
	of := mug.Status.Current.Inputs
	w.Expect(of).To(HaveLen(1), "what the style stands for, and not what was found in it")
	w.Expect([]string{of[0].Field, of[0].ID, of[0].JobID}).To(Equal([]string{searchField + ".styleSearch.style", brand.Status.Current.Result.Style.ID, brand.Status.Current.JobID}))
	job, err := w.get(mug.Status.Current.JobName)
	w.Expect(err).NotTo(HaveOccurred())
	found := w.inputOf(job, searchField)
	w.Expect(found.Name).To(Equal("brand.example.com hero banner"))
	w.Expect(strings.Join(w.generated(), "\n")).To(ContainSubstring(found.URL))
	w.wantCharges(2)
}

// Under each reading of what Dafty leaves open about searches, what it finds is used, or it is said why not.
func TestStyleSearchVariants(t *testing.T) {
	t.Parallel()
	for _, variant := range daftysim.AllVariants() {
		v := variant.Variants
		if v.Similarity == daftysim.SimilarityFraction && v.AssetName == daftysim.AssetNamePresent && v.SearchFinds == daftysim.SearchFindsAll && variant.Name != "extra-fields=present" {
			continue // of no concern
		}
		t.Run(variant.Name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Variants: v})
			w.apply("any", `{imageGenerate: {prompt: A mug, references: [{styleSearch: {style: {id: `+knownStyle+`}, query: logo}}]}}`)
			w.apply("alike", `{imageGenerate: {prompt: A mug, references: [{styleSearch: {style: {id: `+knownStyle+`}, query: logo, index: 1, minSimilarity: 40}}]}}`)
			told := v.Similarity == daftysim.SimilarityFraction || v.Similarity == daftysim.SimilarityPercent
			if v.SearchFinds == daftysim.SearchFindsAll {
				job := w.eventually("any", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
				in := w.inputOf(job, searchField)
				w.Expect(in.URL).NotTo(BeEmpty())
				w.Expect(in.Similarity != nil).To(Equal(told))
				w.Expect(in.Name != "").To(Equal(v.AssetName == daftysim.AssetNamePresent))
			} else {
				w.eventuallySays("any", v1alpha1.ReasonStyleAssetNotFound, "no assets that the search finds")
			}
			if v.SearchFinds == daftysim.SearchFindsAll && told {
				w.eventually("alike", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			} else {
				w.eventually("alike", v1alpha1.PhasePending, v1alpha1.ReasonStyleAssetNotFound)
			}
		})
	}
}
