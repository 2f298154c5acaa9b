package v1alpha1_test

import (
	"bytes"
	"image"
	_ "image/png" // logos
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// campaigns are the folders of samples whose pictures are made of each other, and what each must have.
var campaigns = map[string]func(t testing.TB, env *kubetest.Env){
	samples + "/campaign":        checkReferences,
	samples + "/campaign-assets": checkAssetReferences,
}

func TestTheCampaignsApply(t *testing.T) {
	for folder, check := range campaigns {
		t.Run(filepath.Base(folder), func(t *testing.T) { campaignApplies(t, folder, check) })
	}
}

func campaignApplies(t *testing.T, campaign string, check func(t testing.TB, env *kubetest.Env)) {
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
			check(t, env)
			secrets := &corev1.SecretList{}
			if err := env.Client.List(t.Context(), secrets, client.InNamespace(env.Namespace)); err != nil {
				t.Fatal(err)
			}
			if len(secrets.Items) != 0 {
				t.Errorf("%d Secrets came with it", len(secrets.Items))
			}
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
	for name, asset := range daftyAssetsOf(t, env) {
		found[name] = strconv.FormatInt(asset.Generation, 10)
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

// checkReferences sees that what the jobs refer to is among what was applied.
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

	checkLogo(t, env, hero.References[0].ConfigMapKeyRef)
}

// checkAssetReferences sees that each asset is made of one that was applied, and made anew when that changes.
func checkAssetReferences(t testing.TB, env *kubetest.Env) {
	t.Helper()
	assets := daftyAssetsOf(t, env)
	if want := []string{"shop-clip", "shop-hero", "shop-poster", "shop-style"}; !slices.Equal(slices.Sorted(maps.Keys(assets)), want) {
		t.Fatalf("the assets are %v, not %v", slices.Sorted(maps.Keys(assets)), want)
	}
	hero := assets["shop-hero"].Spec.Template.Spec.ImageGenerate
	if style := assets[hero.Style.AssetRef.Name]; style.Spec.Template.Spec.StyleExtract == nil {
		t.Error("the hero's style is extracted by no asset")
	}
	for name, ref := range map[string]*v1alpha1.AssetReference{
		"shop-poster": assets["shop-poster"].Spec.Template.Spec.ImageEdit.Image.AssetRef,
		"shop-clip":   assets["shop-clip"].Spec.Template.Spec.ImageToVideo.Image.AssetRef,
	} {
		if ref.Name != "shop-hero" || ref.Index != 0 {
			t.Errorf("%s is made of %+v", name, *ref)
		}
	}
	for name, asset := range assets {
		if asset.Spec.FollowInputs != (name != "shop-style") {
			t.Errorf("%s isn't made anew with what it is made of", name)
		}
	}
	logo := hero.References[0].ConfigMapKeyRef
	if !regexp.MustCompile(`^shop-brand-[a-z0-9]{10}$`).MatchString(logo.Name) {
		t.Errorf("the logo is in %s: another logo doesn't change the request", logo.Name)
	}
	checkLogo(t, env, logo)
}

func checkLogo(t testing.TB, env *kubetest.Env, logo *v1alpha1.ConfigMapKeyReference) {
	t.Helper()
	brand := &corev1.ConfigMap{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: env.Namespace, Name: logo.Name}, brand); err != nil {
		t.Fatal(err)
	}
	if picture, kind, err := image.DecodeConfig(bytes.NewReader(brand.BinaryData[logo.Key])); err != nil || kind != "png" || picture.Width < 64 {
		t.Errorf("the logo: %d pixels wide, %q, %v", picture.Width, kind, err)
	}
}

func daftyAssetsOf(t testing.TB, env *kubetest.Env) map[string]v1alpha1.DaftyAsset {
	t.Helper()
	list := &v1alpha1.DaftyAssetList{}
	if err := env.Client.List(t.Context(), list, client.InNamespace(env.Namespace)); err != nil {
		t.Fatal(err)
	}
	assets := map[string]v1alpha1.DaftyAsset{}
	for _, asset := range list.Items {
		assets[asset.Name] = asset
	}
	return assets
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
