package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// soon is for what takes the operator seconds.
const soon = time.Minute

// withResult has a DaftyJob complete whose result is in the ConfigMap of the same name and -result.
func (w *world) withResult(name, more string) *v1alpha1.DaftyJob {
	w.t.Helper()
	w.apply(name, fmt.Sprintf(`{imageGenerate: {prompt: A logo}, resultConfigMap: %s-result%s}`, name, more))
	w.eventually(name, v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.eventuallyStored(name, patience, "True Stored: the result is in ConfigMap "+name+"-result")
	return w.eventuallyReleased(name)
}

// eventuallyStored waits for the condition ResultStored to read so.
func (w *world) eventuallyStored(name string, within time.Duration, matching any) *v1alpha1.DaftyJob {
	w.t.Helper()
	var job *v1alpha1.DaftyJob
	look := w.watchedFromNow(name)
	w.Eventually(func() (string, error) {
		var err error
		job, err = look()
		return conditionOf(job, v1alpha1.ConditionResultStored), err
	}).WithTimeout(within).WithPolling(50 * time.Millisecond).Should(matcher(matching))
	return job
}

func matcher(of any) OmegaMatcher {
	if text, ok := of.(string); ok {
		return Equal(text)
	}
	return of.(OmegaMatcher)
}

// rightResult says what is wrong with the ConfigMap of a DaftyJob's result, empty where nothing is.
func (w *world) rightResult(job *v1alpha1.DaftyJob) string {
	stored, err := w.configMap(job.Spec.ResultConfigMap)
	image := job.Status.Result.Images[0]
	want := map[string]string{"image_0_url": image.URL, "image_0_id": image.ID, "image_0_width": "1024", "image_0_height": "1024"}
	switch {
	case err != nil:
		return err.Error()
	case !metav1.IsControlledBy(stored, job) || len(stored.OwnerReferences) != 1:
		return fmt.Sprintf("its owners are %s", toJSON(stored.OwnerReferences))
	case toJSON(stored.Data) != toJSON(want) || len(stored.BinaryData) > 0:
		return fmt.Sprintf("its data are %s %s", toJSON(stored.Data), toJSON(stored.BinaryData))
	case stored.Labels[v1alpha1.ResultLabel] != "true" || stored.Annotations[v1alpha1.ResultOfAnnotation] != w.Namespace+"/"+job.Name+":"+job.Status.JobID:
		return fmt.Sprintf("its labels and annotations are %s %s", toJSON(stored.Labels), toJSON(stored.Annotations))
	}
	return ""
}

func (w *world) eventuallyRight(name string) *corev1.ConfigMap {
	w.t.Helper()
	job, err := w.get(name)
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(func() string { return w.rightResult(job) }).WithTimeout(soon).WithPolling(50 * time.Millisecond).Should(BeEmpty())
	stored, err := w.configMap(job.Spec.ResultConfigMap)
	w.Expect(err).NotTo(HaveOccurred())
	return stored
}

// toldOf returns the events of a reason about a DaftyJob, as lines, with how often each was told.
func (w *world) toldOf(name, reason string) (lines []string) {
	for _, event := range w.events() {
		if event.Regarding.Name == name && event.Reason == reason {
			lines = append(lines, event.Type+": "+event.Note)
		}
	}
	slices.Sort(lines)
	return lines
}

// meddlings are what somebody may do to the ConfigMap of a result.
var meddlings = []struct {
	name string
	do   func(w *world, name string)
	told string
}{
	{"deleted", func(w *world, name string) { w.MustKubectl(w.t, "delete", "configmap", name) }, "was deleted by somebody, and is written again"},
	{"its value changed", patches(`{"data":{"image_0_url":"https://wrong.example.com/x.png"}}`), changedWords},
	{"a key removed", patches(`{"data":{"image_0_url":null}}`), changedWords},
	{"a key added", patches(`{"data":{"more":"x"}}`), changedWords},
	{"all data removed", patches(`{"data":null}`), changedWords},
	{"binary data added", patches(`{"binaryData":{"more":"eA=="}}`), changedWords},
	{"the label removed", patches(`{"metadata":{"labels":{"dafty.ai/result":null}}}`), changedWords},
	{"the label changed", patches(`{"metadata":{"labels":{"dafty.ai/result":"no"}}}`), changedWords},
	{"the annotation removed", patches(`{"metadata":{"annotations":null}}`), changedWords},
	{"the owner removed", patches(`{"metadata":{"ownerReferences":null}}`), ownerlessWords},
	{"the owner and the label removed", patches(`{"metadata":{"ownerReferences":null,"labels":null}}`), ownerlessWords},
	{"the owner removed and its value changed", patches(`{"metadata":{"ownerReferences":null},"data":{"image_0_url":"wrong"}}`), ownerlessWords},
	{"the owner no longer the controller", func(w *world, name string) {
		w.MustKubectl(w.t, "patch", "configmap", name, "--type=json", "-p", `[{"op":"remove","path":"/metadata/ownerReferences/0/controller"}]`)
	}, ownerlessWords},
	{"replaced as a whole", func(w *world, name string) {
		w.MustKubectl(w.t, "delete", "configmap", name)
		w.MustApply(w.t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+", labels: {dafty.ai/result: \"true\"}, annotations: {dafty.ai/result-of: "+w.resultOf(name)+"}}\ndata: {mine: alone}\n")
	}, ""},
}

const (
	changedWords   = "was changed by somebody, and is again as it was written"
	ownerlessWords = "had no owner, and belongs to this DaftyJob again"
)

func patches(patch string) func(w *world, name string) {
	return func(w *world, name string) {
		w.MustKubectl(w.t, "patch", "configmap", name, "--type=merge", "-p", patch)
	}
}

// resultOf returns the value of the annotation of that name.
func (w *world) resultOf(configMap string) string {
	job, err := w.get(strings.TrimSuffix(configMap, "-result"))
	w.Expect(err).NotTo(HaveOccurred())
	return w.Namespace + "/" + job.Name + ":" + job.Status.JobID
}

// Whatever somebody does to the ConfigMap of a result, it is right again within seconds, which is told once; and nothing else is written.
func TestResultsAreMended(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	before := w.withResult("hero", "")
	right := w.eventuallyRight("hero")
	w.Expect(w.toldOf("hero", v1alpha1.EventResultRestored)).To(BeEmpty())
	for i, meddling := range meddlings {
		name := fmt.Sprintf("job-%d", i)
		w.withResult(name, "")
		w.eventuallyRight(name)
		meddling.do(w, name+"-result")
		w.eventuallyRight(name)
		if meddling.told == "" {
			continue
		}
		w.Eventually(func() []string { return w.toldOf(name, v1alpha1.EventResultRestored) }).WithTimeout(soon).
			Should(ConsistOf(fmt.Sprintf("Normal: ConfigMap %q %s", name+"-result", meddling.told)), meddling.name)
		w.eventuallyStored(name, soon, "True Stored: the result is in ConfigMap "+name+"-result")
	}
	after, err := w.get("hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(after.ResourceVersion).To(Equal(before.ResourceVersion))
	same, err := w.configMap("hero-result")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(same.ResourceVersion).To(Equal(right.ResourceVersion))
}

// What was done while no operator ran is mended by the next one; and what is right isn't read.
func TestResultsAreMendedAfterARestart(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	for i := range meddlings {
		w.withResult(fmt.Sprintf("job-%d", i), "")
	}
	untouched := w.withResult("hero", "")
	w.stop()
	for i, meddling := range meddlings {
		meddling.do(w, fmt.Sprintf("job-%d-result", i))
	}
	w.startOperator()
	for i := range meddlings {
		w.eventuallyRight(fmt.Sprintf("job-%d", i))
	}
	after, err := w.get("hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(after.ResourceVersion).To(Equal(untouched.ResourceVersion))
}

// What others put on it stays, and doesn't make it wrong.
func TestResultsKeepWhatOthersAdd(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	job := w.withResult("hero", "")
	patches(`{"metadata":{"labels":{"theirs":"x"},"annotations":{"example.com/theirs":"y"},"finalizers":["example.com/hold"]},"immutable":true}`)(w, "hero-result")
	w.restartOperator()
	w.apply("other", aLogo)
	w.eventually("other", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	stored := w.eventuallyRight("hero")
	w.Expect(stored.Labels).To(HaveKeyWithValue("theirs", "x"))
	w.Expect(stored.Annotations).To(HaveKeyWithValue("example.com/theirs", "y"))
	after, err := w.get("hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(after.ResourceVersion).To(Equal(job.ResourceVersion))
	w.Expect(w.toldOf("hero", v1alpha1.EventResultRestored)).To(BeEmpty())

	// Held by somebody's finalizer, it can't be written again; immutable, it can't be mended. Both are told.
	w.MustKubectl(t, "delete", "configmap", "hero-result", "--wait=false")
	w.eventuallyStored("hero", soon, `False NotStored: ConfigMap "hero-result" is being deleted, and waits for the finalizers that it has; it is written again once it is gone`)
	patches(`{"metadata":{"finalizers":null}}`)(w, "hero-result")
	w.eventuallyStored("hero", patience, "True Stored: the result is in ConfigMap hero-result")
	w.eventuallyRight("hero")
}

func TestResultsThatAreImmutable(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.withResult("hero", "")
	patches(`{"data":{"image_0_url":"wrong"},"immutable":true}`)(w, "hero-result")
	job := w.eventuallyStored("hero", soon, And(
		HavePrefix(`False NotStored: ConfigMap "hero-result" can't be written: ConfigMap "hero-result" is invalid: data: Forbidden: field is immutable when `),
		HaveSuffix("somebody has made it immutable: delete it, and it is written anew. It is tried again, at least every 30 seconds")))
	w.Expect(job.Status.ResultConfigMap).To(BeEmpty())
	w.Eventually(func() []string { return w.toldOf("hero", v1alpha1.ReasonNotStored) }).WithTimeout(soon).Should(ConsistOf(HavePrefix("Warning: ")))
	w.MustKubectl(t, "delete", "configmap", "hero-result")
	w.eventuallyStored("hero", patience, "True Stored: the result is in ConfigMap hero-result")
	w.eventuallyRight("hero")
}

// restored returns a DaftyJob as a backup brings it back: with its annotations, and without its status.
func (w *world) restored(job *v1alpha1.DaftyJob) {
	w.t.Helper()
	again := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: job.Namespace, Name: job.Name, Annotations: job.Annotations}, Spec: job.Spec}
	w.Expect(w.Client.Create(w.t.Context(), again)).To(Succeed())
}

// A backup brings ConfigMaps back without their owners, or with owners that are gone, before the DaftyJobs.
func TestResultsAreAdopted(t *testing.T) {
	t.Parallel()
	foreign := fmt.Sprintf("ConfigMap %q is there already and doesn't belong to this DaftyJob, so it is left alone; delete it, or name another in spec.resultConfigMap", "hero-result")
	for _, tt := range []struct {
		name    string
		restore func(*corev1.ConfigMap)
		problem string
	}{
		{"with its data alone", func(c *corev1.ConfigMap) { c.Labels, c.Annotations, c.OwnerReferences = nil, nil, nil }, ""},
		{"without its owner", func(c *corev1.ConfigMap) { c.OwnerReferences = nil }, ""},
		{"with the owner that is gone", func(*corev1.ConfigMap) {}, ""},
		{"with the owner that is gone, and its data alone", func(c *corev1.ConfigMap) { c.Labels, c.Annotations = nil, nil }, ""},
		{"from an older backup, without its owner", func(c *corev1.ConfigMap) {
			c.OwnerReferences = nil
			delete(c.Data, "image_0_url")
		}, ""},
		{"with other data, without its owner and label", func(c *corev1.ConfigMap) {
			c.Labels, c.OwnerReferences = nil, nil
			c.Data["image_0_url"] = "https://example.com/mine.png"
		}, foreign},
		{"with the result of another job, without its owner", func(c *corev1.ConfigMap) {
			c.OwnerReferences = nil
			c.Data["image_0_url"] = "https://example.com/another.png"
			c.Annotations[v1alpha1.ResultOfAnnotation] += "0"
		}, foreign},
		{"with another owner", func(c *corev1.ConfigMap) {
			c.OwnerReferences[0] = metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "shop", UID: "1", Controller: new(true)}
		}, `ConfigMap "hero-result" is there already and belongs to Deployment "shop" and not to this DaftyJob, so it is left alone; delete it, or name another in spec.resultConfigMap`},
		{"with another DaftyJob as its owner", func(c *corev1.ConfigMap) { c.OwnerReferences[0].Name = "poster" },
			`ConfigMap "hero-result" is there already and belongs to DaftyJob "poster" and not to this DaftyJob, so it is left alone; delete it, or name another in spec.resultConfigMap`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			job := w.withResult("hero", "")
			stored := w.eventuallyRight("hero")
			w.delete("hero")
			w.eventuallyGone(patience, "hero")
			w.MustKubectl(t, "delete", "configmap", "hero-result", "--ignore-not-found")
			backup := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: stored.Name, Labels: stored.Labels, Annotations: stored.Annotations, OwnerReferences: stored.OwnerReferences},
				Data:       stored.Data,
			}
			tt.restore(backup)
			w.Expect(w.Client.Create(t.Context(), backup)).To(Succeed())
			w.restored(job)
			w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.wantCharges(1)
			if tt.problem == "" {
				w.eventuallyStored("hero", soon, "True Stored: the result is in ConfigMap hero-result")
				w.eventuallyRight("hero")
				return
			}
			w.eventuallyStored("hero", soon, "False NotStored: "+tt.problem)
			w.Eventually(func() []string { return w.toldOf("hero", v1alpha1.ReasonNotStored) }).WithTimeout(soon).Should(ConsistOf("Warning: " + tt.problem))
			left, err := w.configMap("hero-result")
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(left.ResourceVersion).To(Equal(backup.ResourceVersion), "it is left alone")
			w.MustKubectl(t, "delete", "configmap", "hero-result")
			w.eventuallyStored("hero", patience, "True Stored: the result is in ConfigMap hero-result")
		})
	}
}

// One that an operator before this one wrote has no label, and gets it, without a word.
func TestResultsOfAnOlderOperator(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.withResult("hero", "")
	w.stop()
	patches(`{"metadata":{"labels":null,"annotations":null}}`)(w, "hero-result")
	w.MustKubectl(t, "patch", "daftyjob", "hero", "--subresource=status", "--type=merge", "-p", `{"status":{"resultConfigMapVersion":null}}`)
	look := w.watchedFromNow("hero")
	w.startOperator()
	w.eventuallyRight("hero")
	w.Eventually(func() (string, error) { job, err := look(); return job.Status.ResultConfigMapVersion, err }).WithTimeout(soon).ShouldNot(BeEmpty())
	w.Expect(w.toldOf("hero", v1alpha1.EventResultRestored)).To(BeEmpty())
}

// denyPolicy refuses ConfigMaps of a namespace without a label team.
const denyPolicy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}
  validations:
  - {expression: "has(object.metadata.labels) && 'team' in object.metadata.labels", message: each ConfigMap needs a label team}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec:
  policyName: %[1]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
`

// A policy that refuses the ConfigMap is told in its own words, once, and asked again until it doesn't.
func TestResultsThatAPolicyRefuses(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.MustApply(t, fmt.Sprintf(denyPolicy, w.Namespace))
	t.Cleanup(func() {
		_, _, _ = w.Kubectl(t, "delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", w.Namespace)
	})
	w.Eventually(func() string {
		_, stderr, _ := w.Kubectl(t, "create", "configmap", "probe", "--dry-run=server")
		return stderr
	}).WithTimeout(patience).Should(ContainSubstring("each ConfigMap needs a label team"))
	w.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: hero}\nspec: {imageGenerate: {prompt: A logo}, resultConfigMap: hero-result}\n")
	w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	refused := w.eventuallyStored("hero", soon, And(HavePrefix(`False NotStored: ConfigMap "hero-result" can't be written: `),
		ContainSubstring("denied request: each ConfigMap needs a label team; labels and annotations that a policy asks for can be given in spec.resultConfigMapMetadata")))
	w.Eventually(func() []string { return w.toldOf("hero", v1alpha1.ReasonNotStored) }).WithTimeout(soon).
		Should(ConsistOf(And(HavePrefix("Warning: "), ContainSubstring("each ConfigMap needs a label team"))))
	w.Expect(w.toldOf("hero", v1alpha1.ReasonCompleted)).To(ConsistOf(And(HavePrefix("Normal: "), Not(ContainSubstring("ConfigMap")))))

	// Its tries write nothing, and come soon enough.
	w.Expect(refused.Status.ResultConfigMap).To(BeEmpty())
	w.MustKubectl(t, "patch", "daftyjob", "hero", "--type=merge", "-p", `{"spec":{"resultConfigMapMetadata":{"labels":{"team":"shop"}}}}`)
	w.eventuallyStored("hero", soon, "True Stored: the result is in ConfigMap hero-result")
	w.Expect(w.eventuallyRight("hero").Labels).To(HaveKeyWithValue("team", "shop"))

	// What keeps to the policy is mended under it too.
	w.MustKubectl(t, "delete", "configmap", "hero-result")
	w.Expect(w.eventuallyRight("hero").Labels).To(HaveKeyWithValue("team", "shop"))
}

// Labels and annotations of the spec are on the ConfigMap, also those that come after the end; what is taken out of the spec
// goes, and nothing of others' does. What the DaftyJob itself is labelled with isn't copied.
func TestResultsHaveLabelsAndAnnotations(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.withResult("hero", `, resultConfigMapMetadata: {labels: {team: shop, tier: front}, annotations: {reloader.example.com/match: "true"}}`)
	stored := w.eventuallyRight("hero")
	w.Expect(stored.Labels).To(Equal(map[string]string{"team": "shop", "tier": "front", "dafty.ai/result": "true"}))
	w.Expect(stored.Annotations).To(HaveKeyWithValue("reloader.example.com/match", "true"))

	patches(`{"metadata":{"labels":{"theirs":"x"},"annotations":{"theirs":"y"}}}`)(w, "hero-result")
	edit := func(patch string) { w.MustKubectl(t, "patch", "daftyjob", "hero", "--type=merge", "-p", patch) }
	edit(`{"spec":{"resultConfigMapMetadata":{"labels":{"team":"web","tier":null},"annotations":null}}}`)
	labels := func() (map[string]string, error) {
		stored, err := w.configMap("hero-result")
		return stored.Labels, err
	}
	annotations := func() (map[string]string, error) {
		stored, err := w.configMap("hero-result")
		return stored.Annotations, err
	}
	w.Eventually(labels).WithTimeout(soon).Should(Equal(map[string]string{"team": "web", "theirs": "x", "dafty.ai/result": "true"}))
	w.Expect(annotations()).To(And(HaveKeyWithValue("theirs", "y"), Not(HaveKey("reloader.example.com/match"))))

	w.Expect(w.toldOf("hero", v1alpha1.EventResultRestored)).To(BeEmpty(), "the user's own change")
	patches(`{"metadata":{"labels":{"team":"wrong"}}}`)(w, "hero-result")
	w.Eventually(labels).WithTimeout(soon).Should(HaveKeyWithValue("team", "web"))

	w.restartOperator()
	edit(`{"spec":{"resultConfigMapMetadata":null}}`)
	w.Eventually(labels).WithTimeout(soon).Should(Equal(map[string]string{"theirs": "x", "dafty.ai/result": "true"}))
	w.Expect(annotations()).To(And(HaveKeyWithValue("theirs", "y"), HaveLen(2)))

	// Another name: the old one stays, and is looked after no more. Without a name, nothing is told any more.
	edit(`{"spec":{"resultConfigMap":"other"}}`)
	w.eventuallyStored("hero", soon, "True Stored: the result is in ConfigMap other")
	_, err := w.configMap("hero-result")
	w.Expect(err).NotTo(HaveOccurred())
	edit(`{"spec":{"resultConfigMap":null}}`)
	job := w.eventuallyStored("hero", soon, "")
	w.Expect(job.Status.ResultConfigMap + job.Status.ResultConfigMapVersion).To(BeEmpty())
}

// A program that changes the ConfigMap each time that it is put right doesn't make the operator as fast as itself.
func TestResultsThatAProgramChanges(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.withResult("hero", "")
	watcher, err := w.Client.Watch(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(w.Namespace), client.MatchingFields{"metadata.name": "hero-result"})
	w.Expect(err).NotTo(HaveOccurred())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watcher.ResultChan() {
			if stored, ok := event.Object.(*corev1.ConfigMap); ok && event.Type != watch.Deleted && stored.Data["image_0_url"] != "wrong" {
				stored.Data["image_0_url"] = "wrong"
				_ = w.Client.Update(t.Context(), stored) // the operator may have been first
			}
		}
	}()
	w.eventuallyStored("hero", soon, HavePrefix(`False NotStored: ConfigMap "hero-result" is changed by somebody else each time that it is written`))
	watcher.Stop()
	<-done
	w.eventuallyStored("hero", patience, "True Stored: the result is in ConfigMap hero-result")
	w.eventuallyRight("hero")
}

// An operator without the right to list ConfigMaps does all but to mend them, and that too once it has it.
func TestResultsWithoutTheRightToList(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.stop()
	rights := func(more ...string) *rbacv1.Role {
		rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
			return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
		}
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "older"}, Rules: []rbacv1.PolicyRule{
			rule("dafty.ai", "daftyjobs", "list", "watch", "patch", "delete"),
			rule("dafty.ai", "daftyjobs/status", "patch"),
			rule("", "secrets", "get"),
			rule("", "configmaps", append([]string{"get", "create", "patch"}, more...)...),
			rule("events.k8s.io", "events", "create"),
		}}
	}
	user := "operator-of-" + w.Namespace
	w.Expect(w.Client.Create(t.Context(), rights())).To(Succeed())
	w.Expect(w.Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "older"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "older"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
	// All tests share the control plane and its configuration.
	plane, env := *w.ControlPlane, *w.Env
	plane.Config = rest.CopyConfig(w.Config)
	plane.Config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	env.ControlPlane = &plane
	w.Env = &env
	w.extra = func(r *controller.Reconciler) { r.WithAssets = false } // as with a role that doesn't know them
	w.startOperator()

	w.withResult("hero", "")
	w.eventuallyRight("hero")
	w.MustKubectl(t, "delete", "configmap", "hero-result")
	w.withResult("another", "") // and others' results are stored meanwhile
	_, err := w.configMap("hero-result")
	w.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)

	w.Expect(w.Client.Update(t.Context(), rights("list", "watch"))).To(Succeed())
	w.Eventually(func() error { _, err := w.configMap("hero-result"); return err }).WithTimeout(longPatience).WithPolling(100 * time.Millisecond).Should(Succeed())
	w.eventuallyRight("hero")
}
