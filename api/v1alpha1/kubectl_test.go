package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

const samples = "../../config/samples"

func TestKubectlExplainsEveryField(t *testing.T) {
	env := kubetest.Start(t)
	for kind, paths := range map[string][]string{
		"DaftyJob": {"", "spec", "spec.imageGenerate", "spec.videoFrames", "spec.imageEdit.references", "spec.imageEdit.image.jobRef", "spec.imageEdit.image.assetRef",
			"spec.imageGenerate.style", "spec.imageToVideo.image.configMapKeyRef", "spec.credentialsSecretRef", "spec.accountRef", "status", "status.inputs", "status.result.images"},
		"DaftyAsset": {"", "spec", "spec.template", "spec.template.metadata", "spec.template.spec", "spec.template.spec.imageGenerate.style.assetRef",
			"spec.resultConfigMapMetadata", "status", "status.current", "status.pending", "status.history", "status.history.inputs"},
		"DaftyAccount": {"", "spec", "spec.apiKeySecretRef", "spec.budgets", "status", "status.limits", "status.usage", "status.reservations", "status.reservations.charges",
			"status.unfollowed"},
	} {
		t.Run(kind, func(t *testing.T) { explains(t, env, kind, paths) })
	}
}

func explains(t *testing.T, env *kubetest.Env, kind string, paths []string) {
	name, schema := strings.ToLower(kind), readSchema(t, kind)
	eventually(t, "the API server to publish the CRD's documentation", func() bool {
		_, _, err := env.Kubectl(t, "explain", name)
		return err == nil
	})
	for _, part := range []string{"spec", "status"} {
		t.Run(part+" recursively", func(t *testing.T) {
			tree := env.MustKubectl(t, "explain", name+"."+part, "--recursive")
			root := schema.Properties[part]
			walk(part, &root, func(path string, _ *apiextensionsv1.JSONSchemaProps) {
				depth := strings.Count(path, ".")
				if depth == 0 || strings.HasSuffix(path, "[]") {
					return
				}
				field := path[strings.LastIndex(path, ".")+1:]
				if line := "\n" + strings.Repeat("  ", depth) + field + "\t<"; !strings.Contains(tree, line) {
					t.Errorf("no line for %s in:\n%s", path, tree)
				}
			})
		})
	}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			said, at := unindent(env.MustKubectl(t, "explain", strings.TrimSuffix(name+"."+path, "."))), schema
			for field := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' }) {
				if at.Items != nil {
					at = at.Items.Schema
				}
				next := at.Properties[field]
				at = &next
			}
			if !strings.Contains(said, at.Description) {
				t.Errorf("kubectl doesn't show this as it is written:\n%s\nIt shows:\n%s", at.Description, said)
			}
			if at.Items != nil {
				at = at.Items.Schema
			}
			for field, property := range at.Properties {
				if path != "" && !strings.Contains(said, property.Description) { // at the top are Kubernetes' own
					t.Errorf("kubectl doesn't show the description of %s as it is written:\n%s\nIt shows:\n%s", field, property.Description, said)
				}
			}
		})
	}
}

var indentation = regexp.MustCompile(`(?m)^ +`)

func unindent(s string) string { return indentation.ReplaceAllString(s, "") }

func TestKubectlGetShowsWhereAJobStands(t *testing.T) {
	env := kubetest.Start(t)
	job := manifest{create(t, env, daftyJob("imageGenerate").with("metadata.name", "spring-hero"))}
	if got, want := columns(env.MustKubectl(t, "get", "dj")), [][]string{
		{"NAME", "TYPE", "PHASE", "REASON", "AGE"},
		{"spring-hero", "AGE"},
	}; !equal(got, want) {
		t.Errorf("before the operator has seen it: %q, not %q", got, want)
	}

	job = job.with("status", fields{
		"jobType": "image.generate", "phase": "Completed", "jobID": "5f0c4c3e", "duration": "2m41s", "result": fields{"primary": imageURL},
		"conditions": list(fields{
			"type": v1alpha1.ConditionReady, "status": "True", "reason": v1alpha1.ReasonCompleted, "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z",
		}),
	})
	if err := env.Client.Status().Update(t.Context(), job.Unstructured); err != nil {
		t.Fatal(err)
	}
	narrow := [][]string{
		{"NAME", "TYPE", "PHASE", "REASON", "AGE"},
		{"spring-hero", "image.generate", "Completed", "Completed", "AGE"},
	}
	for _, name := range []string{"daftyjobs", "daftyjob", "dj", "daftyjobs.dafty.ai"} {
		if got := columns(env.MustKubectl(t, "get", name)); !equal(got, narrow) {
			t.Errorf("get %s: %q, not %q", name, got, narrow)
		}
	}
	if got, want := columns(env.MustKubectl(t, "get", "dj", "-o", "wide")), [][]string{
		{"NAME", "TYPE", "PHASE", "REASON", "AGE", "JOB ID", "DURATION", "RESULT"},
		{"spring-hero", "image.generate", "Completed", "Completed", "AGE", "5f0c4c3e", "2m41s", imageURL},
	}; !equal(got, want) {
		t.Errorf("get -o wide: %q, not %q", got, want)
	}
	for selector, shown := range map[string]bool{
		"status.phase=Completed": true, "status.phase!=Completed": false, "status.phase=Failed": false,
		"status.jobType=image.generate": true, "status.phase=Completed,status.jobType=style.extract": false,
	} {
		if listed := env.MustKubectl(t, "get", "dj", "--field-selector", selector, "-o", "name"); shown != (listed == "daftyjob.dafty.ai/spring-hero\n") {
			t.Errorf("get --field-selector %s: %q", selector, listed)
		}
	}
}

var (
	gap = regexp.MustCompile(` {2,}`)
	age = regexp.MustCompile(`^\d+s$`)
)

// columns splits a listing, with "AGE" for how long ago an object was created.
func columns(listing string) [][]string {
	var rows [][]string
	for line := range strings.Lines(listing) {
		row := gap.Split(strings.TrimSpace(line), -1)
		for i := range row {
			if age.MatchString(row[i]) {
				row[i] = "AGE"
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func equal(got, want [][]string) bool { return slices.EqualFunc(got, want, slices.Equal) }

func TestKubectlApplySaysWhatToWriteInstead(t *testing.T) {
	env := kubetest.Start(t)
	named := func(name string) string {
		return "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: " + name + "}\n"
	}
	env.MustApply(t, named("hero")+`spec: {imageGenerate: {prompt: a mountain}}`)

	const wantsNewName = "create another DaftyJob under a new name\n"
	for _, tt := range []struct{ name, manifest, says string }{
		{
			"no operation", named("x") + `spec: {}`,
			`The DaftyJob "x" is invalid: spec: Invalid value: ` + wantsOneOp + "\n",
		},
		{
			"two operations", named("x") + `spec: {imageGenerate: {prompt: a mountain}, styleExtract: {url: "https://example.com"}}`,
			`The DaftyJob "x" is invalid: spec: Invalid value: ` + wantsOneOp + "\n",
		},
		{
			"bad choice", named("x") + `spec: {imageUpscale: {image: {id: ` + imageID + `}, resolution: 8K}}`,
			`* spec.imageUpscale.resolution: Unsupported value: "8K": supported values: "1K", "2K", "4K"` + "\n",
		},
		{
			"prompt too long", named("x") + `spec: {imageGenerate: {prompt: ` + strings.Repeat("x", 2001) + `}}`,
			"* spec.imageGenerate.prompt: Too long: may not be more than 2000 ",
		},
		{
			"misspelt field", named("x") + `spec: {imageGenerate: {prompt: a mountain, aspect: "1:1"}}`,
			`unknown field "spec.imageGenerate.aspect"` + "\n",
		},
		{
			"reference of a kind that doesn't exist", named("x") + `spec: {imageEdit: {image: {url: "https://example.com/a.png"}, prompt: more snow}}`,
			`unknown field "spec.imageEdit.image.url"` + "\n",
		},
		{
			"image named in two ways", named("x") + `spec: {imageUpscale: {image: {id: ` + imageID + `, jobRef: {name: hero}}}}`,
			`The DaftyJob "x" is invalid: spec.imageUpscale.image: Invalid value: ` + wantsTarget + "\n",
		},
		{
			"picture named in two ways", named("x") + `spec: {imageGenerate: {prompt: a mountain, references: [{url: "https://example.com/a.png", jobRef: {name: hero}}]}}`,
			`The DaftyJob "x" is invalid: spec.imageGenerate.references[0]: Invalid value: ` + wantsImage + "\n",
		},
		{
			"misspelt jobRef", named("x") + `spec: {imageUpscale: {image: {jobref: {name: hero}}}}`,
			`unknown field "spec.imageUpscale.image.jobref"` + "\n",
		},
		{
			"DaftyJob of another namespace", named("x") + `spec: {imageUpscale: {image: {jobRef: {name: hero, namespace: shop}}}}`,
			`unknown field "spec.imageUpscale.image.jobRef.namespace"` + "\n",
		},
		{
			"index of a style", named("x") + `spec: {imageGenerate: {prompt: a mountain, style: {jobRef: {name: brand, index: 1}}}}`,
			`unknown field "spec.imageGenerate.style.jobRef.index"` + "\n",
		},
		{
			"DaftyJob that refers to itself", named("x") + `spec: {imageUpscale: {image: {jobRef: {name: x}}}}`,
			`The DaftyJob "x" is invalid: spec.imageUpscale: Invalid value: a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the image` + "\n",
		},
		{
			"too many tries", named("x") + `spec: {backoffLimit: 100, imageGenerate: {prompt: a mountain}}`,
			`The DaftyJob "x" is invalid: spec.backoffLimit: Invalid value: 100: spec.backoffLimit in body should be less than or equal to 10` + "\n",
		},
		{
			"name of a DaftyJob in place of a job's id", named("x") + `spec: {adoptJobID: hero, imageGenerate: {prompt: a mountain}}`,
			`The DaftyJob "x" is invalid: spec.adoptJobID: Invalid value: "hero": ` + wantsJobID + "\n",
		},
		{
			"key given to an existing job", named("hero") + `spec: {idempotencyKey: spring, imageGenerate: {prompt: a mountain}}`,
			`The DaftyJob "hero" is invalid: spec: ` + keyStays + "\n",
		},
		{
			"changed request", named("hero") + `spec: {imageGenerate: {prompt: a lake}}`,
			`The DaftyJob "hero" is invalid: spec.imageGenerate: Forbidden: the request can't be changed, as it may already be paid for: ` + wantsNewName,
		},
		{
			"another operation", named("hero") + `spec: {styleExtract: {url: "https://example.com"}}`,
			`The DaftyJob "hero" is invalid: spec: Forbidden: the operation can't be changed, as it may already be paid for: ` + wantsNewName,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, err := env.Apply(t, tt.manifest)
			if err == nil || !strings.Contains(stderr, tt.says) {
				t.Errorf("kubectl apply ends with %v and says:\n%s%s\nIt should say: %s", err, stdout, stderr, tt.says)
			}
		})
	}
}

// Two parties that share an object by server-side apply: a GitOps tool that made the job, and a person who cancels it.
func TestTwoManagersOfOneJob(t *testing.T) {
	env := kubetest.Start(t)
	apply := func(manager, spec string, flags ...string) (string, error) {
		manifest := "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: hero}\nspec: " + spec
		_, stderr, err := env.Apply(t, manifest, append([]string{"--server-side", "--field-manager=" + manager}, flags...)...)
		return stderr, err
	}
	const request, other = `{imageGenerate: {prompt: a mountain}}`, `{imageEdit: {image: {id: ` + imageID + `}, prompt: more snow}}`
	for _, step := range []struct {
		name, manager, spec string
		flags               []string
		refused             string // empty: it has to work
	}{
		{name: "the tool makes the job", manager: "gitops", spec: request},
		{name: "a person adds another operation", manager: "person", spec: other, refused: wantsOneOp},
		{name: "a person cancels it", manager: "person", spec: `{desiredState: Cancelled}`},
		{name: "the tool applies what it has again", manager: "gitops", spec: request},
		{name: "the tool wants it completed", manager: "gitops", spec: `{desiredState: Completed, imageGenerate: {prompt: a mountain}}`, refused: "conflict"},
		{
			name: "the tool insists", manager: "gitops", spec: `{desiredState: Completed, imageGenerate: {prompt: a mountain}}`,
			flags: []string{"--force-conflicts"},
		},
		{name: "the person cancels it again", manager: "person", spec: `{desiredState: Cancelled}`, flags: []string{"--force-conflicts"}},
		{name: "the tool says nothing of it any more", manager: "gitops", spec: request},
		{name: "the person takes the cancel back", manager: "person", spec: `{}`},
	} {
		stderr, err := apply(step.manager, step.spec, step.flags...)
		if (err != nil) != (step.refused != "") || !strings.Contains(stderr, step.refused) {
			t.Errorf("%s: %v\n%s", step.name, err, stderr)
		}
	}
	if got := env.MustKubectl(t, "get", "dj", "hero", "-o", "jsonpath={.spec.desiredState}"); got != "" {
		t.Errorf("in the end desiredState is %s, which nobody asks for", got)
	}
}

func TestTheSamplesApply(t *testing.T) {
	used := map[string]bool{}
	kubetest.Start(t).MustKubectl(t, "create", "namespace", "dafty-operator-system") // of the Secret of an account
	for _, folder := range []string{samples, samples + "/assets", samples + "/accounts"} {
		t.Run(filepath.Base(folder), func(t *testing.T) { samplesApply(t, folder, used) })
	}
	for _, operation := range operations {
		if !used[operation] {
			t.Errorf("no sample of %s", operation)
		}
	}
}

// samplesApply applies a folder of samples, and adds the fields of the specs to those that are used.
func samplesApply(t *testing.T, folder string, used map[string]bool) {
	env := kubetest.Start(t)
	files, err := filepath.Glob(folder + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	var resources []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Base(file) {
		case "kustomization.yaml":
			if err := yaml.Unmarshal(content, &kustomization); err != nil {
				t.Fatal(err)
			}
			continue
		case "secret.yaml": // would take the place of the user's own
			env.MustKubectl(t, "apply", "-f", file)
			continue
		}
		resources = append(resources, filepath.Base(file))
		var object struct {
			Spec map[string]any `json:"spec"`
		}
		if err := yaml.Unmarshal(content, &object); err != nil {
			t.Fatal(err)
		}
		for field := range object.Spec {
			used[field] = true
		}
	}
	if got, want := sorted(kustomization.Resources), sorted(resources); !slices.Equal(got, want) {
		t.Errorf("the kustomization lists %q, the folder holds %q", got, want)
	}

	applied := env.MustKubectl(t, "apply", "-k", folder)
	if got := strings.Count(applied, " created\n"); got != len(resources) {
		t.Errorf("%d of %d samples are created:\n%s", got, len(resources), applied)
	}
	// Applying them again changes nothing: what the API server adds isn't drift.
	if again := env.MustKubectl(t, "apply", "-k", folder); strings.Count(again, " unchanged\n") != len(resources) {
		t.Errorf("applied again:\n%s", again)
	}
}
