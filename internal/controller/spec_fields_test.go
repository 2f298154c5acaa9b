package controller_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// aPicture returns a PNG of this size, in base64.
func aPicture(t *testing.T, side int) string {
	t.Helper()
	var to bytes.Buffer
	if err := png.Encode(&to, image.NewGray(image.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(to.Bytes())
}

func (w *world) putConfigMap(name, data string) {
	w.t.Helper()
	w.MustApply(w.t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n%s\n", name, data))
}

func (w *world) configMap(name string) (*corev1.ConfigMap, error) {
	found := &corev1.ConfigMap{}
	return found, w.Client.Get(w.t.Context(), types.NamespacedName{Namespace: w.Namespace, Name: name}, found)
}

// requestsTo returns the requests of a method whose path ends so.
func (w *world) requestsTo(method, suffix string) []daftysim.Request {
	return slices.DeleteFunc(w.sim.Requests(), func(r daftysim.Request) bool {
		return r.Method != method || !strings.HasSuffix(r.Path, suffix)
	})
}

// A campaign, applied with its last part first: a style, an image in that style with a logo, an upscale of its second
// variation, and a video of that.
func TestChain(t *testing.T) {
	w := newWorld(t, daftysim.Options{ThumbnailAfter: -1})
	w.apply("video", `{imageToVideo: {image: {jobRef: {name: upscale}}, prompt: Slow zoom}, resultConfigMap: campaign}`)
	w.eventually("video", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForDependency)
	w.apply("upscale", `{imageUpscale: {image: {jobRef: {name: hero, index: 1}}, resolution: 4K}}`)
	w.apply("hero", `{imageGenerate: {prompt: A hero, variations: 2, style: {jobRef: {name: style}},
	  references: [{configMapKeyRef: {name: brand, key: logo.png}}, {url: "https://example.com/a.png"}]}}`)
	w.apply("style", `{styleExtract: {url: "https://example.com/brand"}}`)
	w.eventually("style", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Eventually(func() string { job, _ := w.watched("hero"); return ready(job).Message }).WithTimeout(patience).Should(ContainSubstring("kubectl create configmap -n " + w.Namespace + " brand --from-file=logo.png=FILE"))
	w.putConfigMap("brand", "binaryData: {logo.png: "+aPicture(t, 8)+"}")

	for _, name := range []string{"hero", "upscale", "video"} {
		w.eventuallyWithin(longPatience, name, v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	}
	w.wantCharges(4)
	hero, err := w.get("hero")
	w.Expect(err).NotTo(HaveOccurred())
	upscale, err := w.get("upscale")
	w.Expect(err).NotTo(HaveOccurred())
	style, err := w.get("style")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(hero.Status.Inputs).To(HaveLen(2))
	w.Expect(hero.Status.Inputs[0]).To(Equal(v1alpha1.Input{Field: "imageGenerate.style", Source: "DaftyJob style", UID: style.UID, ID: style.Status.Result.Style.ID, JobID: style.Status.JobID}))
	w.Expect(hero.Status.Inputs[1].ID).To(HavePrefix("up_"))
	w.Expect(string(w.requestsTo("POST", "/images/generate")[0].Body)).To(ContainSubstring(`"references":["` + hero.Status.Inputs[1].ID + `","https://example.com/a.png"]`))
	w.Expect(string(w.requestsTo("POST", "/images/upscale")[0].Body)).To(ContainSubstring(`"imageId":"` + hero.Status.Result.Images[1].ID + `"`))
	w.Expect(string(w.requestsTo("POST", "/videos/image-to-video")[0].Body)).To(ContainSubstring(`"image":"` + upscale.Status.Result.Images[0].URL + `"`))

	video, err := w.get("video")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(video.Status.ResultConfigMap).To(Equal("campaign"))
	stored, err := w.configMap("campaign")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(stored.Data).To(HaveKeyWithValue("video_url", video.Status.Result.Video.URL))
	w.Expect(stored.Data).To(HaveKeyWithValue("video_id", video.Status.Result.Video.ID))
	w.Expect(stored.OwnerReferences).To(HaveLen(1))
	w.Expect(stored.OwnerReferences[0].UID).To(Equal(video.UID))

	// What was used can go.
	w.delete("hero")
	w.eventuallyGone(patience, "hero")
	after, err := w.get("upscale")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(after.Status.Phase).To(Equal(v1alpha1.PhaseCompleted))
}

// The campaign of the samples completes, and each of its jobs is paid for once, however often the operator is stopped on the
// way.
func TestCampaignAcrossRestarts(t *testing.T) {
	w := newWorld(t, daftysim.Options{ThumbnailAfter: -1})
	w.MustKubectl(t, "apply", "-k", "../../config/samples/campaign")
	moments := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		time.Sleep(time.Duration(moments.Int64N(int64(700 * time.Millisecond)))) // at any moment
		w.restartOperator()
	}
	jobs := &v1alpha1.DaftyJobList{}
	w.Eventually(func() (left []string, err error) {
		err = w.Client.List(w.t.Context(), jobs, client.InNamespace(w.Namespace))
		for _, job := range jobs.Items {
			if job.Status.Phase != v1alpha1.PhaseCompleted {
				left = append(left, job.Name+" is "+string(job.Status.Phase)+": "+ready(&job).Message)
			}
		}
		return left, err
	}).WithTimeout(4 * longPatience).WithPolling(time.Second).Should(BeEmpty())
	w.Expect(jobs.Items).To(HaveLen(4))
	w.wantCharges(4)
}

func TestDependencies(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	upscale := func(of string, index int) string {
		return fmt.Sprintf(`{imageUpscale: {image: {jobRef: {name: %s, index: %d}}}}`, of, index)
	}
	finish := func(name string, outcome daftysim.Outcome) {
		t.Helper()
		w.Expect(w.sim.Finish(w.submitted(name), outcome)).To(Succeed())
	}
	w.apply("first", aLogo)
	w.apply("good", upscale("first", 0))
	w.apply("beyond", upscale("first", 1))
	w.apply("kind", `{imageGenerate: {prompt: A logo, style: {jobRef: {name: first}}}}`)
	w.eventually("good", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForDependency)
	w.Eventually(func() string { job, _ := w.watched("good"); return ready(job).Message }).WithTimeout(patience).
		Should(Equal(`imageUpscale.image waits for DaftyJob "first", which is Queued`))
	finish("first", daftysim.Succeed)
	w.submitted("good")
	beyond := w.eventually("beyond", v1alpha1.PhaseFailed, v1alpha1.ReasonInvalidReference)
	w.Expect(ready(beyond).Message).To(Equal("imageUpscale.image refers to DaftyJob first, image 1, but that one made 1 image, and counting begins at 0; nothing was submitted"))
	kind := w.eventually("kind", v1alpha1.PhaseFailed, v1alpha1.ReasonInvalidReference)
	w.Expect(ready(kind).Message).To(ContainSubstring("that one made 1 image, and no style"))

	w.apply("failing", aLogo)
	w.apply("after-failing", upscale("failing", 0))
	finish("failing", daftysim.Fail)
	failed := w.eventually("after-failing", v1alpha1.PhaseFailed, v1alpha1.ReasonDependencyFailed)
	w.Expect(ready(failed).Message).To(Equal(`imageUpscale.image refers to DaftyJob "failing", which is Failed (GenerationFailed); nothing was submitted`))

	w.apply("cancelled", aLogo)
	w.apply("after-cancelled", upscale("cancelled", 0))
	w.submitted("cancelled")
	w.cancel("cancelled")
	w.eventually("after-cancelled", v1alpha1.PhaseFailed, v1alpha1.ReasonDependencyFailed)

	w.apply("deleted", `{imageGenerate: {prompt: A logo}, deletionPolicy: Orphan}`)
	w.apply("after-deleted", upscale("deleted", 0))
	w.submitted("deleted")
	w.Eventually(func() []v1alpha1.Input { job, _ := w.watched("after-deleted"); return job.Status.Inputs }).WithTimeout(patience).ShouldNot(BeEmpty())
	w.delete("deleted")
	gone := w.eventually("after-deleted", v1alpha1.PhaseFailed, v1alpha1.ReasonDependencyFailed)
	w.Expect(ready(gone).Message).To(ContainSubstring(`DaftyJob "deleted", which was deleted before it completed`))
}

// A circle is told on each of its members, whichever was applied last.
func TestCycle(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	members := []string{"one", "two", "three"}
	for i, name := range members {
		w.apply(name, fmt.Sprintf(`{imageUpscale: {image: {jobRef: {name: %s}}}}`, members[(i+1)%len(members)]))
	}
	for _, name := range members {
		job := w.eventually(name, v1alpha1.PhasePending, v1alpha1.ReasonDependencyCycle)
		w.Expect(ready(job).Message).To(ContainSubstring(name + " → "))
		w.Expect(ready(job).Message).To(ContainSubstring(" → " + name + "; delete one of them"))
	}
	w.delete("two")
	w.eventually("one", v1alpha1.PhaseFailed, v1alpha1.ReasonDependencyFailed)
	w.eventually("three", v1alpha1.PhaseFailed, v1alpha1.ReasonDependencyFailed)
	w.wantCharges(0)
}

// Ten jobs with the same logo upload it once, and storage never sees the API key.
func TestUploads(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.putConfigMap("brand", "binaryData: {logo.png: "+aPicture(t, 8)+", other.png: "+aPicture(t, 9)+"}\ndata: {words.txt: just words}")
	withLogo := func(key string) string {
		return `{imageGenerate: {prompt: A logo, references: [{configMapKeyRef: {name: brand, key: ` + key + `}}]}}`
	}
	for i := range 10 {
		w.apply(fmt.Sprintf("same-%d", i), withLogo("logo.png"))
	}
	w.apply("other", withLogo("other.png"))
	w.apply("words", withLogo("words.txt"))
	w.apply("missing", withLogo("missing.png"))
	for i := range 10 {
		w.eventually(fmt.Sprintf("same-%d", i), v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	}
	w.eventually("other", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	puts := slices.DeleteFunc(w.sim.Requests(), func(r daftysim.Request) bool { return r.Method != http.MethodPut })
	w.Expect(puts).To(HaveLen(2))
	for _, put := range puts {
		w.Expect(put.Header).NotTo(HaveKey("X-Api-Key"))
		w.Expect(put.Header).NotTo(HaveKey("Authorization"))
		w.Expect(put.Header.Get("Content-Type")).To(Equal("image/png"))
	}
	w.Expect(w.requestsTo("POST", "/uploads")).To(HaveLen(2))

	words := w.eventually("words", v1alpha1.PhasePending, v1alpha1.ReasonUnusableFile)
	w.Expect(ready(words).Message).To(ContainSubstring(`key "words.txt" of ConfigMap "brand", which holds no PNG, JPEG, GIF or WebP picture (10 bytes)`))
	missing := w.eventually("missing", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForDependency)
	w.Expect(ready(missing).Message).To(ContainSubstring(`key "missing.png" of ConfigMap "brand", which isn't there; add it`))
	w.putConfigMap("brand", "binaryData: {logo.png: "+aPicture(t, 8)+", missing.png: "+aPicture(t, 8)+", words.txt: "+aPicture(t, 8)+"}")
	w.eventually("words", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.eventually("missing", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(w.requestsTo("POST", "/uploads")).To(HaveLen(2), "the same content is at Dafty already")
}

// A picture that Dafty has dropped since it was uploaded for another is uploaded again.
func TestUploadsThatDaftyDropped(t *testing.T) {
	t.Parallel()
	for _, remembers := range []daftysim.RefusedKey{daftysim.RefusedKeyFresh, daftysim.RefusedKeySame} {
		t.Run(string(remembers), func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Variants: daftysim.Variants{RefusedKey: remembers}})
			w.putConfigMap("brand", "binaryData: {logo.png: "+aPicture(t, 8)+"}")
			const spec = `{imageGenerate: {prompt: A logo, references: [{configMapKeyRef: {name: brand, key: logo.png}}]}%s}`
			w.apply("first", fmt.Sprintf(spec, ""))
			uploaded := w.eventually("first", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted).Status.Inputs[0].UploadedAt
			for _, then := range []struct{ name, more string }{{"second", ""}, {"third", ", idempotencyKey: spring"}} {
				w.sim.DropUploads()
				w.Eventually(time.Now).WithTimeout(patience).Should(BeTemporally(">", uploaded.Add(2*time.Second)), "the API server dates objects in whole seconds")
				w.apply(then.name, fmt.Sprintf(spec, then.more))
				again := w.eventually(then.name, v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted).Status.Inputs[0].UploadedAt
				w.Expect(again.After(uploaded.Time)).To(BeTrue())
				uploaded = again
			}
			w.Expect(w.requestsTo("POST", "/uploads")).To(HaveLen(3))
			w.wantCharges(3)
		})
	}
}

// A job that Dafty failed is tried again, each time with a key of its own, and across a restart.
func TestBackoffLimit(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.apply("stubborn", `{imageGenerate: {prompt: "`+daftysim.DefaultFailWord+`"}, backoffLimit: 1}`)
	waiting := w.passes("stubborn", v1alpha1.PhasePending, v1alpha1.ReasonBackingOff)
	w.Expect(waiting.Status.FailedJobIDs).To(HaveLen(1))
	w.Expect(time.Until(waiting.Status.NextAttemptAt.Time)).To(BeNumerically("<=", 10*time.Second))
	w.restartOperator()
	failed := w.eventually("stubborn", v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
	w.Expect(failed.Status.Attempts).To(BeEquivalentTo(2))
	w.Expect(failed.Status.JobID).NotTo(Equal(failed.Status.FailedJobIDs[0]))
	w.Expect(failed.Status.Error.Code).To(Equal("GENERATION_FAILED"))
	w.Expect(ready(failed).Message).To(HaveSuffix("that was attempt 2 of 2"))
	w.wantCharges(2)
	keys := []string{w.sim.Ledger()[0].IdempotencyKey, w.sim.Ledger()[1].IdempotencyKey}
	w.Expect(keys).To(Equal([]string{string(failed.UID) + "-1", string(failed.UID) + "-2"}))

	w.apply("invalid", `{imageGenerate: {prompt: A logo, variations: 99}, backoffLimit: 3}`)
	w.eventually("invalid", v1alpha1.PhaseFailed, v1alpha1.ReasonInvalidRequest)
	w.wantCharges(2)
}

func TestActiveDeadline(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.apply("late", `{imageGenerate: {prompt: A logo}, activeDeadlineSeconds: 2, backoffLimit: 3}`)
	late := w.eventually("late", v1alpha1.PhaseFailed, v1alpha1.ReasonDeadlineExceeded)
	w.Expect(ready(late).Message).To(ContainSubstring("the job took longer than the 2 seconds of spec.activeDeadlineSeconds; job " + late.Status.JobID + " is cancelled at Dafty"))
	w.wantCharges(1)
	w.Expect(w.sim.Ledger()[0].Cancelled).To(BeTrue())
}

func TestTTL(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.apply("brief", `{imageGenerate: {prompt: A logo}, ttlSecondsAfterFinished: 5}`)
	w.passes("brief", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.eventuallyGone(patience, "brief")
	w.wantCharges(1)
}

// An object that is created again finds its job by the user's own key.
func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	spec := `{imageGenerate: {prompt: A logo}, idempotencyKey: spring-hero}`
	w.apply("hero", spec)
	first := w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.delete("hero")
	w.eventuallyGone(patience, "hero")
	w.apply("hero", spec)
	again := w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(again.UID).NotTo(Equal(first.UID))
	w.Expect(again.Status.JobID).To(Equal(first.Status.JobID))
	w.wantCharges(1)
	w.Expect(w.sim.Ledger()[0].IdempotencyKey).To(Equal("spring-hero-1"))
}

// What two share and one calls off isn't bought again for the other, though it may be tried again where Dafty fails it.
func TestIdempotencyKeyIsCalledOffForBoth(t *testing.T) {
	t.Parallel()
	for _, how := range howCancelled {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			for _, name := range []string{"first", "second"} {
				w.apply(name, `{imageGenerate: {prompt: A logo}, idempotencyKey: spring-hero, backoffLimit: 3}`)
				w.eventually(name, v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			}
			w.Expect(w.submitted("second")).To(Equal(w.submitted("first")))
			w.callOff(how, "first")
			w.wantCalledOff(how, "first", v1alpha1.ReasonCancelled)
			job := w.eventuallyWithin(longPatience, "second", v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
			w.Expect(ready(job).Message).To(ContainSubstring("was cancelled at Dafty through another DaftyJob that shares it"))
			w.wantCharges(1)
		})
	}
}

// So it does where Dafty had refused the first request, under both readings of what it remembers of that.
func TestIdempotencyKeyAfterRefusal(t *testing.T) {
	t.Parallel()
	for _, remembers := range []daftysim.RefusedKey{daftysim.RefusedKeyFresh, daftysim.RefusedKeySame} {
		t.Run(string(remembers), func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Variants: daftysim.Variants{RefusedKey: remembers}})
			w.sim.SetCredits(accountName, 0)
			spec := `{imageGenerate: {prompt: A logo}, idempotencyKey: spring-hero}`
			w.apply("hero", spec)
			w.eventually("hero", v1alpha1.PhasePending, v1alpha1.ReasonInsufficientCredits)
			w.sim.TopUp(accountName, 100)
			first := w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.delete("hero")
			w.eventuallyGone(patience, "hero")
			w.apply("hero", spec)
			again := w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.Expect(again.Status.JobID).To(Equal(first.Status.JobID))
			w.wantCharges(1)
		})
	}
}

// Two objects with the same key that are created at the same moment are one job.
func TestIdempotencyKeyAtTheSameMoment(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.sim.Inject(daftysim.Fault{Operation: daftysim.GenerateImage, Kind: daftysim.FaultDelay, For: 3 * time.Second})
	var manifests strings.Builder
	for _, name := range []string{"one", "two", "three"} {
		manifests.WriteString("---\n" + manifest(name, `{imageGenerate: {prompt: A logo}, idempotencyKey: spring-hero}`))
	}
	w.MustApply(t, manifests.String())
	ids := map[string]bool{}
	for _, name := range []string{"one", "two", "three"} {
		ids[w.eventually(name, v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted).Status.JobID] = true
	}
	w.Expect(ids).To(HaveLen(1))
	w.wantCharges(1)
}

// Dafty's pages disagree on whether an image to work on is named by its own id or by its job's.
func TestAnImageByEitherID(t *testing.T) {
	t.Parallel()
	for _, reading := range []daftysim.ImageID{daftysim.ImageIDVariation, daftysim.ImageIDJob, daftysim.ImageIDJob400, daftysim.ImageIDEither} {
		for _, remembers := range []daftysim.RefusedKey{daftysim.RefusedKeyFresh, daftysim.RefusedKeySame} {
			t.Run(fmt.Sprintf("%s, refused key %s", reading, remembers), func(t *testing.T) {
				w := newWorld(t, daftysim.Options{Variants: daftysim.Variants{ImageID: reading, RefusedKey: remembers}})
				const ofFirst, ofSecond = `{imageUpscale: {image: {jobRef: {name: hero}}}, idempotencyKey: first}`, `{imageUpscale: {image: {jobRef: {name: hero, index: 1}}}}`
				w.apply("hero", `{imageGenerate: {prompt: A logo, variations: 2}}`)
				w.apply("first", ofFirst)
				w.apply("plain", `{imageUpscale: {image: {jobRef: {name: hero}}}}`)
				w.apply("second", ofSecond)
				first := w.eventually("first", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
				w.eventually("plain", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
				hero, err := w.get("hero")
				w.Expect(err).NotTo(HaveOccurred())
				in := first.Status.Inputs[0]
				w.Expect(in.ID).To(Equal(hero.Status.Result.Images[0].ID))
				w.Expect(in.JobID).To(Equal(hero.Status.JobID))
				charges := 3
				if reading == daftysim.ImageIDJob || reading == daftysim.ImageIDJob400 {
					w.Expect(in.SentAs).To(Equal(v1alpha1.ReferenceJobID))
					w.eventually("second", v1alpha1.PhaseFailed, v1alpha1.ReasonInvalidRequest) // nothing names it
				} else {
					w.Expect(in.SentAs).To(Equal(v1alpha1.ReferenceID))
					w.eventually("second", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
					charges++
				}
				w.delete("first")
				w.eventuallyGone(patience, "first")
				w.apply("first", ofFirst)
				again := w.eventually("first", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
				w.Expect(again.Status.JobID).To(Equal(first.Status.JobID))
				w.wantCharges(charges)
			})
		}
	}
}

// Of two that are created at the same moment each may find that the other doesn't follow the job yet.
func TestAdoptionAtTheSameMoment(t *testing.T) {
	const pairs = 20
	w := newWorld(t, daftysim.Options{Manual: true})
	var manifests strings.Builder
	ids := make([]string, pairs)
	for i := range ids {
		ids[i] = w.sim.AddJob(accountName, daftysim.PersonJob{})
		for _, one := range []string{"a", "b"} {
			manifests.WriteString("---\n" + manifest(fmt.Sprintf("pair-%d-%s", i, one), "{imageGenerate: {prompt: A logo}, adoptJobID: "+ids[i]+"}"))
		}
	}
	w.MustApply(t, manifests.String())
	for i, id := range ids {
		var follower, other string
		w.Eventually(func() (all []string, err error) {
			all, follower, other = nil, "", ""
			for _, name := range []string{fmt.Sprintf("pair-%d-a", i), fmt.Sprintf("pair-%d-b", i)} {
				job, getErr := w.get(name)
				err = errors.Join(err, getErr)
				all = append(all, ready(job).Reason)
				if job.Status.JobID != "" {
					follower = name
				} else {
					other = name
				}
			}
			return all, err
		}).WithTimeout(patience).Should(ConsistOf(v1alpha1.ReasonQueued, v1alpha1.ReasonAlreadyAdopted), "pair %d", i)
		w.delete(other)
		w.eventuallyGone(patience, other)
		w.Expect(w.submitted(follower)).To(Equal(id))
		entry, _ := w.sim.Job(id)
		w.Expect(entry.Cancelled).To(BeFalse(), "pair %d", i)
	}
}

func TestAdoption(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	adopts := func(id string) string { return `{imageGenerate: {prompt: A logo}, adoptJobID: ` + id + `}` }
	kept, cancelled, deleted := w.sim.AddJob(accountName, daftysim.PersonJob{}), w.sim.AddJob(accountName, daftysim.PersonJob{}), w.sim.AddJob(accountName, daftysim.PersonJob{})
	w.apply("kept", adopts(kept))
	w.apply("cancelled", adopts(cancelled))
	w.apply("deleted", adopts(deleted))
	for name, id := range map[string]string{"kept": kept, "cancelled": cancelled, "deleted": deleted} {
		w.Expect(w.submitted(name)).To(Equal(id))
	}
	w.apply("second", adopts(kept))
	second := w.eventually("second", v1alpha1.PhasePending, v1alpha1.ReasonAlreadyAdopted)
	w.Expect(ready(second).Message).To(ContainSubstring(`is followed by DaftyJob "kept" of this namespace`))
	w.delete("second")
	w.eventuallyGone(patience, "second")

	w.cancel("cancelled")
	w.eventually("cancelled", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
	w.delete("deleted")
	w.eventuallyGone(patience, "deleted")
	entry, _ := w.sim.Job(deleted)
	w.Expect(entry.Cancelled).To(BeTrue())
	entry, _ = w.sim.Job(kept)
	w.Expect(entry.Cancelled).To(BeFalse(), "the deletion of one that doesn't follow it does nothing to it")
	w.Expect(w.sim.Finish(kept, daftysim.Succeed)).To(Succeed())
	done := w.eventually("kept", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(done.Status.Attempts).To(BeZero())
	w.Expect(w.requestsTo("POST", "/images/generate")).To(BeEmpty())
}

// A video's thumbnail comes a short while after its end, and reaches status and ConfigMap.
func TestLateThumbnail(t *testing.T) {
	clock := &skippingClock{}
	w := newWorld(t, daftysim.Options{Clock: clock, ThumbnailAfter: 10 * time.Minute})
	w.apply("clip", `{imageToVideo: {image: {url: "https://example.com/a.png"}, prompt: Slow zoom}, resultConfigMap: clip}`)
	clip := w.eventually("clip", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(clip.Status.Result.Video.ThumbnailURL).To(BeEmpty(), "it is late")
	clock.skip(10 * time.Minute)
	w.Eventually(func() (string, error) {
		job, err := w.watched("clip")
		return job.Status.Result.Video.ThumbnailURL, err
	}).WithTimeout(patience).ShouldNot(BeEmpty())
	w.Eventually(func() (map[string]string, error) { stored, err := w.configMap("clip"); return stored.Data, err }).WithTimeout(patience).
		Should(HaveKey("video_thumbnail_url"))
}

// skippingClock is the real one, and ahead of it by all that was skipped.
type skippingClock struct {
	clock.RealClock
	ahead atomic.Int64
}

func (c *skippingClock) skip(d time.Duration)            { c.ahead.Add(int64(d)) }
func (c *skippingClock) Now() time.Time                  { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *skippingClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func TestResultConfigMap(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.putConfigMap("foreign", "data: {mine: alone}")
	w.apply("hero", `{imageGenerate: {prompt: A logo, variations: 2}, resultConfigMap: foreign}`)
	job := w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(conditionOf(job, v1alpha1.ConditionResultStored)).To(Equal(
		`False NotStored: ConfigMap "foreign" is there already and doesn't belong to this DaftyJob, so it is left alone; delete it, or name another in spec.resultConfigMap`))
	foreign, err := w.configMap("foreign")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(foreign.Data).To(Equal(map[string]string{"mine": "alone"}))

	w.MustKubectl(t, "patch", "daftyjob", "hero", "--type", "merge", "-p", `{"spec":{"resultConfigMap":"hero"}}`)
	w.Eventually(func() (string, error) {
		job, err := w.watched("hero")
		return conditionOf(job, v1alpha1.ConditionResultStored), err
	}).WithTimeout(patience).Should(Equal("True Stored: the result is in ConfigMap hero"))
	stored, err := w.configMap("hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(stored.Data).To(Equal(map[string]string{
		"image_0_url": job.Status.Result.Images[0].URL, "image_0_id": job.Status.Result.Images[0].ID, "image_0_width": "1024", "image_0_height": "1024",
		"image_1_url": job.Status.Result.Images[1].URL, "image_1_id": job.Status.Result.Images[1].ID, "image_1_width": "1024", "image_1_height": "1024",
	}))
}

func conditionOf(job *v1alpha1.DaftyJob, name string) string {
	c := meta.FindStatusCondition(job.Status.Conditions, name)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}
