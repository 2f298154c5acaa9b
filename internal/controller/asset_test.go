package controller_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// applyAsset applies a DaftyAsset with this spec, as kubectl apply --server-side does.
func (w *world) applyAsset(name, spec string) {
	w.t.Helper()
	object := &unstructured.Unstructured{}
	manifest := fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: %s}\nspec: %s\n", name, spec)
	w.Expect(yaml.UnmarshalStrict([]byte(manifest), &object.Object)).To(Succeed())
	object.SetNamespace(w.Namespace)
	w.Expect(w.Client.Apply(w.t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("kubectl"), client.ForceOwnership)).To(Succeed())
}

// aHero is a spec of a picture with a ConfigMap.
func aHero(prompt string) string {
	return fmt.Sprintf(`{resultConfigMap: picture, template: {spec: {imageGenerate: {prompt: "%s"}}}}`, prompt)
}

func (w *world) asset(name string) (*v1alpha1.DaftyAsset, error) {
	asset := &v1alpha1.DaftyAsset{}
	return asset, w.Client.Get(context.Background(), types.NamespacedName{Namespace: w.Namespace, Name: name}, asset)
}

func assetReady(asset *v1alpha1.DaftyAsset) metav1.Condition {
	if c := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// eventuallyAsset waits for a DaftyAsset to have a reason for its newest spec, and returns it.
func (w *world) eventuallyAsset(name, reason string) *v1alpha1.DaftyAsset {
	w.t.Helper()
	var asset *v1alpha1.DaftyAsset
	w.Eventually(func() (string, error) {
		var err error
		asset, err = w.asset(name)
		if asset.Status.ObservedGeneration != asset.Generation {
			return "", err
		}
		return assetReady(asset).Reason, err
	}).WithTimeout(patience).WithPolling(100*time.Millisecond).Should(Equal(reason), "DaftyAsset %s: %s", name, &assetStory{w, name})
	return asset
}

// assetStory tells how a DaftyAsset stands, should a wait for something else fail.
type assetStory struct {
	w    *world
	name string
}

func (s *assetStory) String() string {
	asset, err := s.w.asset(s.name)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("generation %d, %s", asset.Generation, toJSON(asset.Status))
}

// patchAsset changes a DaftyAsset as kubectl patch --type merge does.
func (w *world) patchAsset(name, patch string) {
	w.t.Helper()
	object := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
	w.Expect(w.Client.Patch(w.t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
}

// watchAsset holds each version of a DaftyAsset and of its ConfigMap against what is never to be seen: a result that was there and isn't
// any more, conditions that kstatus can't read. It returns a function that ends that.
func (w *world) watchAsset(name, configMap string) (stop func()) {
	w.t.Helper()
	assets, err := w.Client.Watch(context.Background(), &v1alpha1.DaftyAssetList{}, client.InNamespace(w.Namespace))
	w.Expect(err).NotTo(HaveOccurred())
	maps, err := w.Client.Watch(context.Background(), &corev1.ConfigMapList{}, client.InNamespace(w.Namespace))
	w.Expect(err).NotTo(HaveOccurred())
	var done sync.WaitGroup
	done.Go(func() {
		available := false
		for event := range assets.ResultChan() {
			asset, ok := event.Object.(*v1alpha1.DaftyAsset)
			if !ok || asset.Name != name {
				continue
			}
			has := asset.Status.Current != nil && asset.Status.Current.Result != nil
			if available && !has {
				w.t.Errorf("the result of DaftyAsset %s is gone: %s", name, toJSON(asset.Status))
			}
			available = available || has
			if is := meta.IsStatusConditionTrue(asset.Status.Conditions, v1alpha1.ConditionAvailable); len(asset.Status.Conditions) > 0 && is != has {
				w.t.Errorf("Available is %t: %s", is, toJSON(asset.Status))
			}
		}
	})
	done.Go(func() {
		stored := false
		for event := range maps.ResultChan() {
			found, ok := event.Object.(*corev1.ConfigMap)
			if !ok || found.Name != configMap {
				continue
			}
			has := found.Data["image_0_url"] != "" && event.Type != "DELETED"
			if stored && !has {
				w.t.Errorf("ConfigMap %s was without a result", configMap)
			}
			stored = stored || has
		}
	})
	stop = sync.OnceFunc(func() {
		assets.Stop()
		maps.Stop()
		done.Wait()
	})
	w.t.Cleanup(stop)
	return stop
}

// storedURL returns the url of the image in a ConfigMap.
func (w *world) storedURL(configMap string) string {
	w.t.Helper()
	found, err := w.configMap(configMap)
	w.Expect(err).NotTo(HaveOccurred())
	return found.Data["image_0_url"]
}

// A change is a commit, a revert is free, and nobody ever sees a missing picture.
func TestAssetChangeAndRevert(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.watchAsset("hero", "picture")
	w.applyAsset("hero", aHero("a mountain"))
	first := w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.wantCharges(1)
	w.Expect(w.storedURL("picture")).To(Equal(first.Status.Current.Result.Primary))

	w.applyAsset("hero", aHero("a lake"))
	second := w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.wantCharges(2)
	w.Expect(second.Status.Current.Result.Primary).NotTo(Equal(first.Status.Current.Result.Primary))
	w.Expect(w.storedURL("picture")).To(Equal(second.Status.Current.Result.Primary))
	w.Expect(second.Status.History).To(HaveLen(1))
	w.Eventually(func() (string, error) {
		asset, err := w.asset("hero")
		return asset.Annotations[v1alpha1.CurrentAnnotation], err
	}).WithTimeout(patience).Should(Equal(fmt.Sprintf("%s/hero:%s=%s", w.Namespace, second.Status.Current.Hash, second.Status.Current.JobID)),
		"the annotation names the result")

	w.applyAsset("hero", aHero("a mountain"))
	third := w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.wantCharges(2)
	w.Expect(third.Status.Current).To(Equal(first.Status.Current))
	w.Expect(w.storedURL("picture")).To(Equal(first.Status.Current.Result.Primary))

	job, err := w.get(first.Status.Current.JobName)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(job.Labels).To(HaveKeyWithValue(v1alpha1.AssetLabel, "hero"))
	w.Expect(metav1.IsControlledBy(job, first)).To(BeTrue(), "the DaftyJob belongs to the asset")
}

func TestAssetOvertaken(t *testing.T) {
	w := newWorld(t, daftysim.Options{PendingFor: daftysim.Fixed(time.Hour)})
	w.applyAsset("hero", aHero("a mountain"))
	first := w.eventuallyAsset("hero", v1alpha1.ReasonProgressing)
	w.submitted(first.Status.Pending.JobName)
	w.applyAsset("hero", aHero("a lake"))
	w.eventually(first.Status.Pending.JobName, v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
	second, err := w.asset("hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.submitted(second.Status.Pending.JobName)
	w.Expect(w.eventReasons()).To(ContainElement(v1alpha1.EventOvertaken))

	// Its template comes back.
	w.applyAsset("hero", aHero("a mountain"))
	w.Eventually(func() (types.UID, error) {
		asset, err := w.asset("hero")
		if p := asset.Status.Pending; p != nil && p.JobName == first.Status.Pending.JobName {
			return p.UID, err
		}
		return first.Status.Pending.UID, err
	}).WithTimeout(patience).ShouldNot(Or(Equal(first.Status.Pending.UID), BeEmpty()), "it is made again: %s", &assetStory{w, "hero"})
	w.submitted(first.Status.Pending.JobName)
	w.wantCharges(3)
}

// What is overtaken is cancelled, also while the status of the asset can't be written.
func TestAssetOvertakenWhileStatusIsRefused(t *testing.T) {
	w := newWorld(t, daftysim.Options{PendingFor: daftysim.Fixed(time.Hour)})
	w.applyAsset("hero", aHero("a mountain"))
	first := w.eventuallyAsset("hero", v1alpha1.ReasonProgressing).Status.Pending
	id := w.submitted(first.JobName)
	lift := w.refuse(policy, "hero", "daftyassets/status")
	w.applyAsset("hero", aHero("a lake"))
	w.Eventually(func() bool { entry, _ := w.sim.Job(id); return entry.Cancelled }).WithTimeout(patience).Should(BeTrue(), "the job runs on")
	refused, err := w.asset("hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(refused.Status.Pending).To(Equal(first), "the status can't be written")
	w.Eventually(w.eventReasons).WithTimeout(patience).Should(ContainElements(v1alpha1.EventOvertaken, v1alpha1.ReasonWriteRefused))
	w.wantCharges(1)
	lift()
	w.Eventually(func() (string, error) {
		asset, err := w.asset("hero")
		if asset.Status.Pending == nil {
			return first.JobName, err
		}
		return asset.Status.Pending.JobName, err
	}).WithTimeout(patience).ShouldNot(Equal(first.JobName), "the change is made once it can be put on record: %s", &assetStory{w, "hero"})
	second, err := w.asset("hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.submitted(second.Status.Pending.JobName)
	w.wantCharges(2)
}

func TestAssetFails(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.watchAsset("hero", "picture")
	w.applyAsset("hero", aHero("a mountain"))
	first := w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.applyAsset("hero", aHero(daftysim.DefaultFailWord))
	failed := w.eventuallyAsset("hero", v1alpha1.ReasonGenerationFailed)
	w.Expect(failed.Status.Current).To(Equal(first.Status.Current))
	w.Expect(w.storedURL("picture")).To(Equal(first.Status.Current.Result.Primary))
	w.Expect(assetReady(failed).Message).To(And(ContainSubstring("stays in use"), ContainSubstring("spec.revision")))

	// What Dafty refuses is told in its own words.
	w.applyAsset("hero", `{resultConfigMap: picture, template: {spec: {imageGenerate: {prompt: x, variations: 99}}}}`)
	refused := w.eventuallyAsset("hero", v1alpha1.ReasonInvalidRequest)
	w.Expect(assetReady(refused).Message).To(ContainSubstring("variations"))
	w.Expect(refused.Status.Current).To(Equal(first.Status.Current))
}

func TestAssetJobDeleted(t *testing.T) {
	w := newWorld(t, daftysim.Options{PendingFor: daftysim.Fixed(time.Hour)})
	w.applyAsset("hero", aHero("a mountain"))
	name := w.eventuallyAsset("hero", v1alpha1.ReasonProgressing).Status.Pending.JobName
	w.submitted(name)
	w.delete(name)
	deleted := w.eventuallyAsset("hero", v1alpha1.ReasonJobDeleted)
	w.eventuallyGone(patience, name)
	w.Consistently(func() (string, error) {
		asset, err := w.asset("hero")
		return assetReady(asset).Reason, err
	}).WithTimeout(2*time.Second).Should(Equal(v1alpha1.ReasonJobDeleted), "it isn't made again")
	w.wantCharges(1)
	message := assetReady(deleted).Message
	_, command, found := strings.Cut(message, "--type merge -p '")
	w.Expect(found).To(BeTrue(), message)
	w.patchAsset("hero", strings.TrimSuffix(command, "'"))
	w.submitted(w.eventuallyAsset("hero", v1alpha1.ReasonProgressing).Status.Pending.JobName)
	w.wantCharges(2)
}

// The name that an asset wants may belong to somebody else. It goes on by itself once it is free.
func TestAssetJobNameTaken(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.applyAsset("hero", aHero("a mountain"))
	name := w.eventuallyAsset("hero", v1alpha1.ReasonCompleted).Status.Current.JobName
	w.Expect(w.Client.Delete(t.Context(), &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "hero"}})).To(Succeed())
	w.delete(name)
	w.eventuallyGone(patience, name)
	w.apply(name, `{desiredState: Suspended, imageGenerate: {prompt: somebody's}}`)
	w.eventually(name, v1alpha1.PhasePending, v1alpha1.ReasonSuspended)

	w.applyAsset("hero", aHero("a mountain"))
	w.eventuallyAsset("hero", v1alpha1.ReasonJobNameTaken)
	w.wantCharges(1)
	w.delete(name)
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.wantCharges(2)
}

func TestAssetResultConfigMap(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.applyAsset("hero", aHero("a mountain"))
	asset := w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	want := asset.Status.Current.Result.Primary
	key := types.NamespacedName{Namespace: w.Namespace, Name: "picture"}
	for name, meddle := range map[string]func(*corev1.ConfigMap) error{
		"deleted": func(c *corev1.ConfigMap) error { return w.Client.Delete(t.Context(), c) },
		"edited": func(c *corev1.ConfigMap) error {
			c.Data["image_0_url"] = "https://example.com/somebody.png"
			return w.Client.Update(t.Context(), c)
		},
		"restored without its owner": func(c *corev1.ConfigMap) error {
			c.OwnerReferences = nil
			return w.Client.Update(t.Context(), c)
		},
	} {
		found := &corev1.ConfigMap{}
		w.Expect(w.Client.Get(t.Context(), key, found)).To(Succeed())
		w.Expect(meddle(found)).To(Succeed())
		w.Eventually(func() (bool, error) {
			found := &corev1.ConfigMap{}
			err := w.Client.Get(t.Context(), key, found)
			return found.Data["image_0_url"] == want && metav1.IsControlledBy(found, asset), client.IgnoreNotFound(err)
		}).WithTimeout(patience).WithPolling(100*time.Millisecond).Should(BeTrue(), "%s: it is put right", name)
	}

	// One that belongs to somebody else is left alone, and said.
	w.putConfigMap("theirs", "data: {a: b}")
	w.patchAsset("hero", `{"spec":{"resultConfigMap":"theirs"}}`)
	w.Eventually(func() (string, error) {
		asset, err := w.asset("hero")
		stored := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionResultStored)
		return fmt.Sprint(stored != nil && stored.Status == metav1.ConditionFalse, stored), err
	}).WithTimeout(patience).Should(And(HavePrefix("true"), ContainSubstring("left alone")), "it says so")
}

// A change of the brand makes all that follows anew, in order; without followInputs it is told.
func TestAssetFollowsInputs(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	brand := func(page string) string {
		return fmt.Sprintf(`{template: {spec: {styleExtract: {url: "https://example.com/%s"}}}}`, page)
	}
	w.applyAsset("poster", `{followInputs: true, template: {spec: {imageResize: {image: {assetRef: {name: hero}}, aspectRatio: "3:4"}}}}`)
	w.applyAsset("hero", `{followInputs: true, template: {spec: {imageGenerate: {prompt: a mountain, style: {assetRef: {name: brand}}}}}}`)
	w.applyAsset("still", `{template: {spec: {imageGenerate: {prompt: a lake, style: {assetRef: {name: brand}}}}}}`)
	w.eventuallyAsset("poster", v1alpha1.ReasonWaitingForDependency)
	w.applyAsset("brand", brand("old"))
	for _, name := range []string{"brand", "hero", "poster", "still"} {
		w.eventuallyAsset(name, v1alpha1.ReasonCompleted)
	}
	w.wantCharges(4)
	before, err := w.asset("poster")
	w.Expect(err).NotTo(HaveOccurred())

	w.applyAsset("brand", brand("new"))
	w.Eventually(func() (int, error) { return len(w.sim.Ledger()), nil }).WithTimeout(patience).Should(Equal(7), "brand, hero and poster are made anew")
	w.Eventually(func() (bool, error) {
		asset, err := w.asset("poster")
		return assetReady(asset).Status == metav1.ConditionTrue && asset.Status.Current.Hash != before.Status.Current.Hash, err
	}).WithTimeout(patience).Should(BeTrue(), "%s", &assetStory{w, "poster"})
	still, err := w.asset("still")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(assetReady(still).Status).To(Equal(metav1.ConditionTrue))
	w.Expect(meta.IsStatusConditionTrue(still.Status.Conditions, v1alpha1.ConditionOutdated)).To(BeTrue(), toJSON(still.Status))
	w.wantCharges(7)
	var hero *v1alpha1.DaftyAsset
	hero, err = w.asset("hero")
	w.Expect(err).NotTo(HaveOccurred())
	job, err := w.get(hero.Status.Current.JobName)
	w.Expect(err).NotTo(HaveOccurred())
	upstream, err := w.asset("brand")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(job.Status.Inputs).To(ContainElement(HaveField("JobID", upstream.Status.Current.JobID)))
}

// A cycle is told on each of its members, whatever the order of their creation, and ends with any of them.
func TestAssetCycle(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	upscale := func(of string) string {
		return fmt.Sprintf(`{template: {spec: {imageUpscale: {image: {assetRef: {name: %s}}}}}}`, of)
	}
	names := []string{"one", "two", "three"}
	for i, name := range names {
		w.applyAsset(name, upscale(names[(i+1)%len(names)]))
	}
	for _, name := range names {
		w.eventuallyAsset(name, v1alpha1.ReasonDependencyCycle)
	}
	w.applyAsset("two", aHero("a mountain"))
	for _, name := range names {
		// "two" refers to nothing any more, server-side apply took the old request out.
		w.eventuallyAsset(name, v1alpha1.ReasonCompleted)
	}
	w.wantCharges(3)
}

func TestAssetManual(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.applyAsset("hero", `{changePolicy: Manual, template: {spec: {imageGenerate: {prompt: a mountain}}}}`)
	waits := w.eventuallyAsset("hero", v1alpha1.ReasonWaitingForApproval)
	w.wantCharges(0)
	w.patchAsset("hero", fmt.Sprintf(`{"metadata":{"annotations":{"%s":"%s"}}}`, v1alpha1.ApprovedAnnotation, waits.Status.Pending.Hash))
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.patchAsset("hero", `{"spec":{"template":{"spec":{"imageGenerate":{"prompt":"a lake"}}}}}`)
	waits = w.eventuallyAsset("hero", v1alpha1.ReasonWaitingForApproval)
	w.wantCharges(1)
	job := w.named(waits.Status.Pending.JobName)
	w.Expect(w.Client.Patch(t.Context(), job, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"desiredState":"Completed"}}`)))).To(Succeed())
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.wantCharges(2)
}

// A backup brings an asset back without its status: its result is fetched again, and not paid for.
func TestAssetRestored(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.applyAsset("hero", aHero("a mountain"))
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	var backup *v1alpha1.DaftyAsset
	w.Eventually(func() (string, error) {
		var err error
		backup, err = w.asset("hero")
		return backup.Annotations[v1alpha1.CurrentAnnotation], err
	}).WithTimeout(patience).ShouldNot(BeEmpty(), "the annotation names the result")
	w.Expect(w.Client.Delete(t.Context(), backup)).To(Succeed())
	w.delete(backup.Status.Current.JobName) // as the garbage collector does
	w.eventuallyGone(patience, backup.Status.Current.JobName)
	restored := &v1alpha1.DaftyAsset{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "hero", Annotations: backup.Annotations}, Spec: backup.Spec,
	}
	w.Expect(w.Client.Create(t.Context(), restored)).To(Succeed())
	again := w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.Expect(again.Status.Current.Result).To(Equal(backup.Status.Current.Result))
	w.wantCharges(1)
}

// The API server refuses the DaftyJob: it is said, and goes on by itself once it is let.
func TestAssetJobIsRefused(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.applyAsset("hero", aHero("a mountain"))
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	lift := w.refuse(strings.Replace(policy, "operations: [UPDATE]", "operations: [CREATE, UPDATE]", 1), w.firstJob(), "daftyjobs")
	w.applyAsset("hero", aHero("a lake"))
	refused := w.eventuallyAsset("hero", v1alpha1.ReasonWriteRefused)
	w.Expect(assetReady(refused).Message).To(And(ContainSubstring(policyWords), ContainSubstring("stays in use")))
	lift()
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.wantCharges(2)
}

// firstJob returns the name of a DaftyJob that is there.
func (w *world) firstJob() string {
	w.t.Helper()
	jobs := &v1alpha1.DaftyJobList{}
	w.Expect(w.Client.List(w.t.Context(), jobs, client.InNamespace(w.Namespace))).To(Succeed())
	w.Expect(jobs.Items).NotTo(BeEmpty())
	return jobs.Items[0].Name
}
