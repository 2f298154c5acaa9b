package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

func TestKubectlGetShowsWhereAnAssetStands(t *testing.T) {
	env := kubetest.Start(t)
	asset := manifest{create(t, env, daftyAsset("imageGenerate").with("metadata.name", "hero"))}
	if got, want := columns(env.MustKubectl(t, "get", "da")), [][]string{
		{"NAME", "READY", "REASON", "CURRENT", "PENDING", "AGE"},
		{"hero", "AGE"},
	}; !equal(got, want) {
		t.Errorf("before the operator has seen it: %q, not %q", got, want)
	}

	ready := func(status, reason string) []any {
		return list(fields{"type": v1alpha1.ConditionReady, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"})
	}
	report := func(status fields) {
		t.Helper()
		asset = manifest{get(t, env, asset.Unstructured)}.with("status", status)
		if err := env.Client.Status().Update(t.Context(), asset.Unstructured); err != nil {
			t.Fatal(err)
		}
	}
	current := fields{"jobName": "hero-5f0c4c3e", "hash": "5f0c4c3e", "jobID": jobID, "completedAt": "2020-01-02T03:04:05Z", "result": fields{"primary": imageURL}}
	report(fields{"conditions": ready("Unknown", v1alpha1.ReasonProgressing), "current": current, "pending": fields{"jobName": "hero-0d5c6b1e", "hash": "0d5c6b1e"}})
	narrow := [][]string{
		{"NAME", "READY", "REASON", "CURRENT", "PENDING", "AGE"},
		{"hero", "Unknown", "Progressing", "hero-5f0c4c3e", "hero-0d5c6b1e", "AGE"},
	}
	for _, name := range []string{"daftyassets", "daftyasset", "da", "daftyassets.dafty.ai"} {
		if got := columns(env.MustKubectl(t, "get", name)); !equal(got, narrow) {
			t.Errorf("get %s: %q, not %q", name, got, narrow)
		}
	}
	wide := env.MustKubectl(t, "get", "da", "-o", "wide")
	if got := columns(wide); !equal([][]string{got[0]}, [][]string{{"NAME", "READY", "REASON", "CURRENT", "PENDING", "AGE", "RESULT", "UPDATED"}}) ||
		got[1][6] != imageURL || !strings.HasSuffix(got[1][7], "d") {
		t.Errorf("get -o wide:\n%s", wide)
	}

	if _, stderr, err := env.Kubectl(t, "wait", "--for=condition=Ready", "da/hero", "--timeout=1s"); err == nil {
		t.Errorf("kubectl wait takes it for ready: %s", stderr)
	}
	report(fields{"observedGeneration": int64(1), "conditions": ready("True", v1alpha1.ReasonCompleted), "current": current})
	env.MustKubectl(t, "wait", "--for=condition=Ready", "da/hero", "--timeout=30s")
	if got, want := columns(env.MustKubectl(t, "get", "da"))[1], []string{"hero", "True", "Completed", "hero-5f0c4c3e", "AGE"}; !equal([][]string{got}, [][]string{want}) {
		t.Errorf("once it is ready: %q, not %q", got, want)
	}
}

// kubectl get dafty shows all that is of Dafty. kubectl delete all --all cleans up a namespace's workloads; it must not delete what is paid for.
func TestCategories(t *testing.T) {
	env := kubetest.Start(t)
	create(t, env, daftyJob("imageGenerate").with("metadata", fields{"name": "spring"}))
	create(t, env, daftyAsset("imageGenerate").with("metadata", fields{"name": "hero"}))
	env.MustKubectl(t, "delete", "all", "--all")
	// DaftyAccounts, which other tests leave too, are in no namespace.
	got := regexp.MustCompile("(?m)^daftyaccount.dafty.ai/.*\n").ReplaceAllString(env.MustKubectl(t, "get", "dafty", "-o", "name"), "")
	if got != "daftyasset.dafty.ai/hero\ndaftyjob.dafty.ai/spring\n" {
		t.Errorf("kubectl get dafty shows:\n%s", got)
	}
}

func TestKubectlApplySaysWhatAnAssetNeeds(t *testing.T) {
	env := kubetest.Start(t)
	named := func(name string) string {
		return "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: " + name + "}\n"
	}
	long := strings.Repeat("hero-", 12) + "2026" // 64 characters
	for _, tt := range []struct{ name, manifest, says string }{
		{
			"a DaftyJob's spec", named("x") + `spec: {imageGenerate: {prompt: a mountain}}`,
			`unknown field "spec.imageGenerate"` + "\n",
		},
		{
			"request right in the template", named("x") + `spec: {template: {imageGenerate: {prompt: a mountain}}}`,
			`unknown field "spec.template.imageGenerate"` + "\n",
		},
		{
			"no request", named("x") + `spec: {template: {spec: {}}}`,
			`The DaftyAsset "x" is invalid: spec.template.spec: Invalid value: ` + wantsOneOp + "\n",
		},
		{
			"suspended in the template", named("x") + `spec: {template: {spec: {desiredState: Suspended, imageGenerate: {prompt: a mountain}}}}`,
			`The DaftyAsset "x" is invalid: spec.template.spec.desiredState: Invalid value: ` + leaveOut["desiredState"] + "\n",
		},
		{
			"made of itself", named("x") + `spec: {template: {spec: {imageUpscale: {image: {assetRef: {name: x}}}}}}`,
			`The DaftyAsset "x" is invalid: spec.template.spec.imageUpscale: Invalid value: ` + wantsOtherAsset + "image\n",
		},
		{
			"name too long", named(long) + `spec: {template: {spec: {imageGenerate: {prompt: a mountain}}}}`,
			`The DaftyAsset "` + long + `" is invalid: metadata: Invalid value: ` + wantsShortName + "\n",
		},
		{
			"label of ours", named("x") + `spec: {template: {metadata: {labels: {dafty.ai/asset: other}}, spec: {imageGenerate: {prompt: a mountain}}}}`,
			"spec.template.metadata.labels: Invalid value: keys that begin with dafty.ai/ are the operator's own\n",
		},
		{
			"finalizers for DaftyJobs", named("x") + `spec: {template: {metadata: {finalizers: [x/y]}, spec: {imageGenerate: {prompt: a mountain}}}}`,
			`unknown field "spec.template.metadata.finalizers"` + "\n",
		},
		{
			"DaftyAsset of another namespace", named("x") + `spec: {template: {spec: {imageUpscale: {image: {assetRef: {name: hero, namespace: shop}}}}}}`,
			`unknown field "spec.template.spec.imageUpscale.image.assetRef.namespace"` + "\n",
		},
		{
			"unknown policy", named("x") + `spec: {changePolicy: Ask, template: {spec: {imageGenerate: {prompt: a mountain}}}}`,
			`* spec.changePolicy: Unsupported value: "Ask": supported values: "Automatic", "Manual"` + "\n",
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

// What the API server adds is no difference, and kubectl diff shows of a change just that.
func TestKubectlDiffShowsWhatChanges(t *testing.T) {
	env := kubetest.Start(t)
	file := filepath.Join(t.TempDir(), "hero.yaml")
	write := func(name, prompt string) {
		t.Helper()
		content := "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: " + name + "}\nspec: {resultConfigMap: hero, template: {spec: {imageGenerate: {prompt: " + prompt + "}}}}\n"
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, flags := range map[string][]string{"client": nil, "server": {"--server-side"}} {
		write(name, "a mountain")
		env.MustKubectl(t, append([]string{"apply", "-f", file}, flags...)...)
		env.MustKubectl(t, append([]string{"diff", "-f", file}, flags...)...) // fails where there is a difference
		write(name, "a lake")
		stdout, stderr, err := env.Kubectl(t, append([]string{"diff", "-f", file}, flags...)...)
		if err == nil || stderr != "" && !strings.Contains(stderr, "exit status 1") {
			t.Fatalf("kubectl diff: %v, %s", err, stderr)
		}
		var changed []string
		for line := range strings.Lines(stdout) {
			if strings.Contains(line, `{"apiVersion":`) { // kubectl's own copy
				continue
			}
			if (line[0] == '-' || line[0] == '+') && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "+++") {
				changed = append(changed, strings.Join(strings.Fields(line), " "))
			}
		}
		if got := strings.Join(changed, "\n"); got != "- generation: 1\n+ generation: 2\n- prompt: a mountain\n+ prompt: a lake" {
			t.Errorf("kubectl diff %s:\n%s", flags, stdout)
		}
	}
}

// Two parties that share an asset by server-side apply: a GitOps tool that changes the prompt, and a person who suspends.
func TestTwoManagersOfOneAsset(t *testing.T) {
	env := kubetest.Start(t)
	apply := func(manager, spec string) {
		t.Helper()
		env.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: hero}\nspec: "+spec, "--server-side", "--field-manager="+manager)
	}
	apply("gitops", `{template: {metadata: {labels: {team: shop}}, spec: {imageGenerate: {prompt: a mountain}}}}`)
	apply("person", `{suspend: true, template: {metadata: {labels: {seen: "yes"}}}}`)
	apply("gitops", `{template: {metadata: {labels: {team: shop}}, spec: {videoFrames: {startImage: {assetRef: {name: a}}, endImage: {assetRef: {name: b}}, prompt: a lake}}}}`)
	got := env.MustKubectl(t, "get", "da", "hero", "-o", "jsonpath={.spec.suspend} {.spec.template.metadata.labels} {.spec.template.spec.imageGenerate}{.spec.template.spec.videoFrames.prompt}")
	if want := `true {"seen":"yes","team":"shop"} a lake`; got != want {
		t.Errorf("in the end there is %s, not %s", got, want)
	}
}
