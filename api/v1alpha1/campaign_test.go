package v1alpha1_test

import (
	"bytes"
	"image"
	_ "image/png" // logos
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

const campaign = samples + "/campaign"

func TestTheCampaignApplies(t *testing.T) {
	const objects = 5
	for _, how := range []struct {
		name  string
		flags []string
		says  string
	}{
		{"kubectl apply", nil, " created\n"},
		{"server-side apply, as GitOps tools do it", []string{"--server-side"}, " serverside-applied\n"},
	} {
		t.Run(how.name, func(t *testing.T) {
			env := kubetest.Start(t)
			apply := append([]string{"apply", "-k", campaign, "--validate=strict"}, how.flags...)
			if said := env.MustKubectl(t, apply...); strings.Count(said, how.says) != objects {
				t.Errorf("not all of the %d objects are created:\n%s", objects, said)
			}
			before := versions(t, env)
			// kubectl calls the ConfigMap configured, as kustomize wraps the base64; nothing of it changes.
			said := env.MustKubectl(t, apply...)
			if after := versions(t, env); !maps.Equal(before, after) {
				t.Errorf("applying it again changed something:\n%s%v, then %v", said, before, after)
			}
			checkReferences(t, env)
		})
	}
}

// versions change with what is desired. (A DaftyJob's resourceVersion does once more: that its status has a default is
// stored with the first write after its creation.)
func versions(t testing.TB, env *kubetest.Env) map[string]string {
	t.Helper()
	found := map[string]string{}
	for name, job := range daftyJobsOf(t, env) {
		found[name] = strconv.FormatInt(job.Generation, 10)
	}
	configMaps := &corev1.ConfigMapList{}
	if err := env.Client.List(t.Context(), configMaps, client.InNamespace(env.Namespace)); err != nil {
		t.Fatal(err)
	}
	for _, configMap := range configMaps.Items {
		found["ConfigMap "+configMap.Name] = configMap.ResourceVersion
	}
	return found
}

// checkReferences sees that what the jobs refer to is among what was applied, and no Secret.
func checkReferences(t testing.TB, env *kubetest.Env) {
	t.Helper()
	jobs := daftyJobsOf(t, env)
	if want := []string{"launch-clip", "launch-hero", "launch-poster", "launch-style"}; !slices.Equal(slices.Sorted(maps.Keys(jobs)), want) {
		t.Fatalf("the jobs are %v, not %v", slices.Sorted(maps.Keys(jobs)), want)
	}
	hero := jobs["launch-hero"].Spec.ImageGenerate
	if style := jobs[hero.Style.JobRef.Name]; style.Spec.StyleExtract == nil {
		t.Error("the hero's style is extracted by no job")
	}
	for name, ref := range map[string]*v1alpha1.JobReference{
		"launch-poster": jobs["launch-poster"].Spec.ImageUpscale.Image.JobRef,
		"launch-clip":   jobs["launch-clip"].Spec.ImageToVideo.Image.JobRef,
	} {
		if ref.Name != "launch-hero" || ref.Index != 1 || ref.Index >= *hero.Variations {
			t.Errorf("%s is made of %+v", name, *ref)
		}
	}

	logo := hero.References[0].ConfigMapKeyRef
	brand := &corev1.ConfigMap{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: env.Namespace, Name: logo.Name}, brand); err != nil {
		t.Fatal(err)
	}
	if picture, kind, err := image.DecodeConfig(bytes.NewReader(brand.BinaryData[logo.Key])); err != nil || kind != "png" || picture.Width < 64 {
		t.Errorf("the logo: %d pixels wide, %q, %v", picture.Width, kind, err)
	}
	secrets := &corev1.SecretList{}
	if err := env.Client.List(t.Context(), secrets, client.InNamespace(env.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(secrets.Items) != 0 {
		t.Errorf("%d Secrets came with it", len(secrets.Items))
	}
}

func daftyJobsOf(t testing.TB, env *kubetest.Env) map[string]v1alpha1.DaftyJob {
	t.Helper()
	list := &v1alpha1.DaftyJobList{}
	if err := env.Client.List(t.Context(), list, client.InNamespace(env.Namespace)); err != nil {
		t.Fatal(err)
	}
	jobs := map[string]v1alpha1.DaftyJob{}
	for _, job := range list.Items {
		jobs[job.Name] = job
	}
	return jobs
}
