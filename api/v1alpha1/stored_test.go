package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// goodManifest is one that the API server has to accept.
type goodManifest struct {
	name  string
	given manifest
	want  fields // of the stored spec, beside the defaults; nil: what was given
}

func goodManifests() map[string][]goodManifest {
	return map[string][]goodManifest{"DaftyJob": goodDaftyJobs(), "DaftyAsset": goodDaftyAssets(), "DaftyAccount": goodDaftyAccounts()}
}

func goodDaftyJobs() []goodManifest {
	generate, video := daftyJob("imageGenerate"), daftyJob("imageToVideo")
	good := []goodManifest{
		{name: "prompt of 2000 characters, 4 bytes each", given: generate.with("spec.imageGenerate.prompt", strings.Repeat("🏔", 2000))},
		{name: "prompt with blanks around it", given: generate.with("spec.imageGenerate.prompt", " \n a mountain\n")},
		{name: "empty negative prompt", given: video.with("spec.imageToVideo.negativePrompt", "")},
		{name: "negative prompt of 1000 characters, 2 bytes each", given: video.with("spec.imageToVideo.negativePrompt", strings.Repeat("ß", 1000))},
		{name: "empty list of references", given: generate.with("spec.imageGenerate.references", list())},
		{name: "no sound", given: video.with("spec.imageToVideo.audio", false)},
		{name: "clip of 1 s", given: video.with("spec.imageToVideo.duration", int64(1))},
		{name: "clip of frames of 15 s", given: daftyJob("videoFrames").with("spec.videoFrames.duration", int64(15))},
		{name: "as many variations as there can be", given: generate.with("spec.imageGenerate.variations", int64(1<<31-1))},
		{name: "upper-case scheme, port, query, fragment", given: video.with("spec.imageToVideo.image.url", "HTTPS://cdn.example.com:8443/a%20b.png?sig=x/y+z==&n=1#top")},
		{name: "address with an IPv6 host", given: daftyJob("styleExtract").with("spec.styleExtract.url", "http://[2001:db8::1]/brand")},
		{name: "upload id of a form not seen yet", given: video.with("spec.imageToVideo.image", fields{"id": "upload:2026~Ä=7"})},
		{name: "image by a UUID of version 7, in capitals", given: daftyJob("imageUpscale").with("spec.imageUpscale.image.id", "018F0C4C-3E8B-7D4E-BD9C-0D7A3A1C2B4F")},
		{name: "image by the nil UUID", given: daftyJob("imageUpscale").with("spec.imageUpscale.image.id", "00000000-0000-0000-0000-000000000000")},
		{name: "image by the max UUID", given: daftyJob("imageUpscale").with("spec.imageUpscale.image.id", "ffffffff-ffff-ffff-ffff-ffffffffffff")},
		{name: "job to adopt by a UUID of no known version", given: generate.with("spec.adoptJobID", "5f0c4c3e-8b1d-9e43-cd9c-0d7a3a1c2b4f")},
		{name: "longest of everything", given: longest()},
		{
			name:  "nulls, which count as left out",
			given: daftyJobOf(fields{"desiredState": nil, "deletionPolicy": nil, "credentialsSecretRef": nil, "imageEdit": nil, "imageGenerate": fields{"prompt": "a mountain", "style": nil, "references": nil}}),
			want:  fields{"imageGenerate": fields{"prompt": "a mountain"}},
		},
		{
			name:  "a Secret's name alone",
			given: generate.with("spec.credentialsSecretRef", fields{"name": "agency.key-2"}),
			want:  fields{"imageGenerate": least("imageGenerate"), "credentialsSecretRef": fields{"name": "agency.key-2", "key": "apiKey"}},
		},
		{
			name:  "a Secret's key alone",
			given: generate.with("spec.credentialsSecretRef", fields{"key": "DAFTY_api-key.txt"}),
			want:  fields{"imageGenerate": least("imageGenerate"), "credentialsSecretRef": fields{"name": "dafty-credentials", "key": "DAFTY_api-key.txt"}},
		},
		{name: "an account in place of a Secret", given: generate.with("spec.accountRef", fields{"name": "agency.2026"})},
		{name: "the longest name of an account", given: generate.with("spec.accountRef", fields{"name": strings.Repeat("x", 253)})},
		{name: "suspended, to be orphaned", given: generate.with("spec.desiredState", "Suspended").with("spec.deletionPolicy", "Orphan")},
		{name: "cancelled from the first", given: generate.with("spec.desiredState", "Cancelled")},
	}
	good = append(good, goodPolicies()...)
	for _, operation := range operations {
		for _, request := range chained(operation) {
			good = append(good, goodManifest{name: operation + " of what others make", given: daftyJobOf(fields{operation: request})})
		}
		good = append(good,
			goodManifest{name: operation + ", the least", given: daftyJob(operation)},
			goodManifest{name: operation + ", the most", given: daftyJobOf(fields{operation: most(operation)})})
	}
	return good
}

// goodPolicies are good ways to try again, to end, to be known by and to hand on.
func goodPolicies() []goodManifest {
	generate := daftyJob("imageGenerate")
	return []goodManifest{
		{
			name:  "the first image, which needs no index",
			given: daftyJobOf(fields{"imageUpscale": fields{"image": fields{"jobRef": fields{"name": "spring.hero-2"}}}}),
			want:  fields{"imageUpscale": fields{"image": fields{"jobRef": fields{"name": "spring.hero-2", "index": int64(0)}}}},
		},
		{
			name:  "the first asset of a style, which needs no index",
			given: generate.with("spec.imageGenerate.references", list(fields{"styleSearch": fields{"style": fields{"id": styleID}, "query": "logo"}})),
			want: fields{"imageGenerate": fields{"prompt": "a mountain at sunrise",
				"references": list(fields{"styleSearch": fields{"style": fields{"id": styleID}, "query": "logo", "index": int64(0)}})}},
		},
		{name: "the first image by its index", given: daftyJobOf(fields{"imageUpscale": fields{"image": fields{"jobRef": fields{"name": "hero", "index": int64(0)}}}})},
		{
			name:  "longest names",
			given: generate.with("spec.imageGenerate.references", list(fields{"configMapKeyRef": fields{"name": strings.Repeat("x", 253), "key": strings.Repeat("x", 253)}})).with("spec.resultConfigMap", strings.Repeat("x", 253)),
		},
		{name: "tried once more, at most", given: generate.with("spec.backoffLimit", int64(1))},
		{name: "never tried again", given: generate.with("spec.backoffLimit", int64(0))},
		{name: "tried again as often as can be", given: generate.with("spec.backoffLimit", int64(10))},
		{name: "a second to do it", given: generate.with("spec.activeDeadlineSeconds", int64(1))},
		{name: "a year to do it", given: generate.with("spec.activeDeadlineSeconds", int64(31536000))},
		{name: "a second to begin with it", given: generate.with("spec.startingDeadlineSeconds", int64(1))},
		{name: "a year to begin with it", given: generate.with("spec.startingDeadlineSeconds", int64(31536000))},
		{name: "gone at once", given: generate.with("spec.ttlSecondsAfterFinished", int64(0))},
		{name: "gone in ten years", given: generate.with("spec.ttlSecondsAfterFinished", int64(315360000))},
		{name: "a key of its own", given: generate.with("spec.idempotencyKey", "spring/2026:hero#1~!")},
		{name: "the longest key of its own", given: generate.with("spec.idempotencyKey", strings.Repeat("x", 200))},
		{name: "a job that is there", given: generate.with("spec.adoptJobID", strings.ToUpper(jobID))},
		{name: "a job that is there, never tried again", given: generate.with("spec.adoptJobID", jobID).with("spec.backoffLimit", int64(0))},
		{name: "a job that is there, of what another makes", given: daftyJobOf(fields{"adoptJobID": jobID, "imageUpscale": chained("imageUpscale")[0]})},
		{name: "a ConfigMap of the result with labels and annotations", given: generate.with("spec.resultConfigMap", "hero").with("spec.resultConfigMapMetadata",
			fields{"labels": fields{"team": "shop", "example.com/Tier": ""}, "annotations": fields{"Example": "{\"any\": \"text\"}\n", "example.com/x": ""}})},
		{name: "a ConfigMap of the result", given: generate.with("spec.resultConfigMap", "spring.hero-1")},
	}
}

// longest is the request that costs the API server most to validate.
func longest() manifest {
	reference := fields{"url": longURL(2048)}
	return daftyJob("imageGenerate").
		with("metadata", fields{"generateName": strings.Repeat("x", 248)}).
		with("spec.imageGenerate.prompt", strings.Repeat("\u00a0", 1999)+"x").
		with("spec.imageGenerate.style", fields{"jobRef": fields{"name": strings.Repeat("x", 253)}}).
		with("spec.imageGenerate.references", list(reference, reference, reference, reference)).
		with("spec.idempotencyKey", strings.Repeat("~", 200)).
		with("spec.resultConfigMap", strings.Repeat("x", 253)).
		with("spec.resultConfigMapMetadata", fields{"labels": manyKeys(32, strings.Repeat("x", 63)), "annotations": manyKeys(32, strings.Repeat("\n", 4096))})
}

// manyKeys are as many long keys as asked for, each with the same value.
func manyKeys(n int, value string) fields {
	keys := fields{}
	for i := range n {
		keys[fmt.Sprintf("%s/%s%02d", strings.Repeat("x", 253), strings.Repeat("x", 61), i)] = value
	}
	return keys
}

func TestGoodManifestsAreStored(t *testing.T) {
	env := kubetest.Start(t)
	for kind, all := range goodManifests() {
		for _, good := range all {
			t.Run(kind+"/"+good.name, func(t *testing.T) {
				stored := create(t, env, good.given)
				if good.want == nil {
					good.want = good.given.Object["spec"].(fields)
				}
				if diff := cmp.Diff(withDefaults(kind, good.want), stored.Object["spec"]); diff != "" {
					t.Errorf("the spec isn't stored as given, with defaults (-want +got):\n%s", diff)
				}
				// kstatus takes an object without an observedGeneration for finished.
				if diff := cmp.Diff(fields{"observedGeneration": int64(-1)}, stored.Object["status"]); diff != "" {
					t.Errorf("the status a new object has (-want +got):\n%s", diff)
				}
				result, err := kstatus.Compute(stored)
				if err != nil || result.Status != kstatus.InProgressStatus {
					t.Errorf("kstatus takes a new object for %v, not for on the way: %v", result, err)
				}
			})
		}
	}
}

// Go clients, the operator among them, read, change and write back. What they read must not lose anything that the user
// wrote, or the API server takes it for a changed request.
func TestGoClientsLeaveTheRequestAsItIs(t *testing.T) {
	env := kubetest.Start(t)
	for kind, all := range goodManifests() {
		for _, good := range all {
			t.Run(kind+"/"+good.name, func(t *testing.T) {
				before := create(t, env, good.given)
				object := map[string]client.Object{"DaftyJob": &v1alpha1.DaftyJob{}, "DaftyAsset": &v1alpha1.DaftyAsset{}, "DaftyAccount": &v1alpha1.DaftyAccount{}}[kind]
				if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(before), object); err != nil {
					t.Fatal(err)
				}
				controllerutil.AddFinalizer(object, v1alpha1.CancelFinalizer)
				if err := env.Client.Update(t.Context(), object); err != nil {
					t.Fatalf("adding a finalizer: %v", err)
				}
				if diff := cmp.Diff(before.Object["spec"], get(t, env, before).Object["spec"]); diff != "" {
					t.Errorf("the spec changed (-before +after):\n%s", diff)
				}
			})
		}
	}
}

func TestWhatCanBeChanged(t *testing.T) {
	env := kubetest.Start(t)
	job := daftyJobOf(fields{"imageGenerate": most("imageGenerate")})
	for _, tt := range []struct {
		name          string
		before, after manifest
	}{
		{"hold back", job, job.with("spec.desiredState", "Suspended")},
		{"release", job.with("spec.desiredState", "Suspended"), job.with("spec.desiredState", "Completed")},
		{"release by leaving it out", job.with("spec.desiredState", "Suspended"), job},
		{"cancel", job, job.with("spec.desiredState", "Cancelled")},
		{"cancel what is held back", job.with("spec.desiredState", "Suspended"), job.with("spec.desiredState", "Cancelled")},
		{"cancel again", job.with("spec.desiredState", "Cancelled"), job.with("spec.desiredState", "Cancelled")},
		{"take up what is cancelled, which changes nothing", job.with("spec.desiredState", "Cancelled"), job.with("spec.desiredState", "Completed")},
		{"hold back what is cancelled", job.with("spec.desiredState", "Cancelled"), job.with("spec.desiredState", "Suspended")},
		{"say nothing of what is cancelled", job.with("spec.desiredState", "Cancelled"), job},
		{"keep what runs", job, job.with("spec.deletionPolicy", "Orphan")},
		{"keep what is cancelled", job.with("spec.desiredState", "Cancelled"), job.with("spec.desiredState", "Cancelled").with("spec.deletionPolicy", "Orphan")},
		{"cancel what has an account", job.with("spec.accountRef", fields{"name": "agency"}), job.with("spec.accountRef", fields{"name": "agency"}).with("spec.desiredState", "Cancelled")},
		{"the usual Secret after another", job.with("spec.credentialsSecretRef", fields{"name": "other"}), job},
		{"another Secret", job, job.with("spec.credentialsSecretRef", fields{"name": "other"})},
		{"try again after all", job, job.with("spec.backoffLimit", int64(3))},
		{"try less often", job.with("spec.backoffLimit", int64(3)), job.with("spec.backoffLimit", int64(0))},
		{"don't try again after all", job.with("spec.backoffLimit", int64(3)), job},
		{"set a deadline", job, job.with("spec.activeDeadlineSeconds", int64(60))},
		{"give more time", job.with("spec.activeDeadlineSeconds", int64(60)), job.with("spec.activeDeadlineSeconds", int64(600))},
		{"give all the time", job.with("spec.activeDeadlineSeconds", int64(60)), job},
		{"set a time to start by", job, job.with("spec.startingDeadlineSeconds", int64(60))},
		{"give more time to start", job.with("spec.startingDeadlineSeconds", int64(60)), job.with("spec.startingDeadlineSeconds", int64(600))},
		{"start whenever it can", job.with("spec.startingDeadlineSeconds", int64(60)), job},
		{"clean it up", job, job.with("spec.ttlSecondsAfterFinished", int64(0))},
		{"keep it longer", job.with("spec.ttlSecondsAfterFinished", int64(0)), job.with("spec.ttlSecondsAfterFinished", int64(3600))},
		{"keep it for good", job.with("spec.ttlSecondsAfterFinished", int64(0)), job},
		{"hand the result on", job, job.with("spec.resultConfigMap", "hero")},
		{"label it", job.with("spec.resultConfigMap", "hero"), job.with("spec.resultConfigMap", "hero").with("spec.resultConfigMapMetadata", fields{"labels": fields{"team": "shop"}})},
		{"hand it on elsewhere", job.with("spec.resultConfigMap", "hero"), job.with("spec.resultConfigMap", "spring-hero")},
		{"don't hand it on", job.with("spec.resultConfigMap", "hero"), job},
		{"cancel what has a key of its own", job.with("spec.idempotencyKey", "spring"), job.with("spec.idempotencyKey", "spring").with("spec.desiredState", "Cancelled")},
		{"cancel what is adopted", job.with("spec.adoptJobID", jobID), job.with("spec.adoptJobID", jobID).with("spec.desiredState", "Cancelled")},
		{"the longest request, cancelled", longest(), longest().with("spec.desiredState", "Cancelled")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stored := create(t, env, tt.before)
			after := tt.after.DeepCopy()
			after.SetNamespace(stored.GetNamespace())
			after.SetName(stored.GetName())
			after.SetResourceVersion(stored.GetResourceVersion())
			if err := env.Client.Update(t.Context(), after); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A field that no good manifest gives could be wrong in the CRD without any test telling.
func TestEveryFieldIsGivenOnce(t *testing.T) {
	given := map[string]bool{}
	var note func(path string, value any)
	note = func(path string, value any) {
		given[path] = true
		switch value := value.(type) {
		case fields:
			for name, v := range value {
				note(path+"."+name, v)
			}
		case []any:
			for _, v := range value {
				note(path+"[]", v)
			}
		}
	}
	for kind, all := range goodManifests() {
		clear(given)
		for _, good := range all {
			note("spec", good.given.Object["spec"])
		}
		spec := readSchema(t, kind).Properties["spec"]
		walk("spec", &spec, func(path string, _ *apiextensionsv1.JSONSchemaProps) {
			name, inTemplate := strings.CutPrefix(path, "spec.template.spec.")
			name, _, _ = strings.Cut(name, ".")
			if refused := inTemplate && leaveOut[name] != ""; !refused && !given[path] {
				t.Errorf("no good %s gives %s", kind, path)
			}
		})
	}
}

// A rule that a later version adds must not hold up the objects that are already there: a user cancels a job or suspends an asset, and the operator
// writes the status and takes a finalizer off, whatever the new version thinks of the request.
func TestOlderObjectsOutliveStricterRules(t *testing.T) {
	for kind, act := range map[string]struct{ spec, status string }{
		"DaftyJob":   {`{"spec":{"desiredState":"Cancelled"}}`, `{"status":{"phase":"Cancelling"}}`},
		"DaftyAsset": {`{"spec":{"suspend":true}}`, `{"status":{"pending":{"jobName":"hero-1","hash":"1"}}}`},
	} {
		t.Run(kind, func(t *testing.T) {
			env := kubetest.Start(t)
			object := olderObject(t, env, kind)
			patch := func(what, patch string, subresource ...string) {
				t.Helper()
				args := append([]string{"patch", strings.ToLower(object.GetKind()) + "s." + object.GroupVersionKind().Group,
					object.GetName(), "--type=merge", "-p", patch}, subresource...)
				if _, stderr, err := env.Kubectl(t, args...); err != nil {
					t.Errorf("%s: %s", what, stderr)
				}
			}
			patch("changing the desired state", act.spec)
			patch("writing the status", act.status, "--subresource=status")
			patch("taking the finalizer off", `{"metadata":{"finalizers":null}}`)
		})
	}
}

// olderObject returns an object with a web page that the rules, which came after it, refuse.
func olderObject(t *testing.T, env *kubetest.Env, kind string) *unstructured.Unstructured {
	t.Helper()
	strict := readCRD(t, kind)
	// A kind of its own, so that kubectl in other tests doesn't take it for the real one.
	strict.Spec.Group = env.Namespace + ".dafty.ai"
	strict.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Kind: "Older" + kind, Plural: "older" + strings.ToLower(kind) + "s"}
	strict.Name = strict.Spec.Names.Plural + "." + strict.Spec.Group
	lenient := strict.DeepCopy()
	given := daftyJob("styleExtract")
	request := lenient.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	if kind == "DaftyAsset" {
		given = daftyAsset("styleExtract")
		request = request.Properties["template"].Properties["spec"]
	}
	request.Properties["styleExtract"].Properties["url"] = apiextensionsv1.JSONSchemaProps{Type: "string"}

	if err := env.Client.Create(t.Context(), lenient); err != nil {
		t.Fatal(err)
	}
	object := given.with(specOf(given)+".styleExtract.url", "example.com").with("apiVersion", strict.Spec.Group+"/v1alpha1").with("kind", strict.Spec.Names.Kind).
		with("metadata.finalizers", list(v1alpha1.CancelFinalizer))
	object.SetNamespace(env.Namespace)
	newcomer := object.DeepCopy()
	eventually(t, "the lenient rules to hold", func() bool { return env.Client.Create(t.Context(), object.Unstructured) == nil })

	current := &apiextensionsv1.CustomResourceDefinition{}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(strict), current); err != nil {
		t.Fatal(err)
	}
	current.Spec = strict.Spec
	if err := env.Client.Update(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the strict rules to hold", func() bool {
		return env.Client.Create(t.Context(), newcomer.DeepCopy(), client.DryRunAll) != nil
	})
	return object.Unstructured
}

func create(t testing.TB, env *kubetest.Env, given manifest) *unstructured.Unstructured {
	t.Helper()
	stored := inNamespace(given, env)
	if err := env.Client.Create(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	return get(t, env, stored)
}

// inNamespace returns a copy in the test's namespace, but of a DaftyAccount, which is in none.
func inNamespace(given manifest, env *kubetest.Env) *unstructured.Unstructured {
	object := given.DeepCopy()
	if object.GetKind() != "DaftyAccount" {
		object.SetNamespace(env.Namespace)
	}
	return object
}

func get(t testing.TB, env *kubetest.Env, stored *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	read := &unstructured.Unstructured{}
	read.SetGroupVersionKind(stored.GroupVersionKind())
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), read); err != nil {
		t.Fatal(err)
	}
	return read
}

// eventually asks until it is so: the API server takes up a CRD a little after it is written, and tells nobody.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); !so(); {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
