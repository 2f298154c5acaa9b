package config_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubeassets"
)

// named has the kinds that references of the API name.
var named = map[reflect.Type]string{
	reflect.TypeFor[v1alpha1.JobReference]():          "DaftyJob",
	reflect.TypeFor[v1alpha1.StyleJobReference]():     "DaftyJob",
	reflect.TypeFor[v1alpha1.AssetReference]():        "DaftyAsset",
	reflect.TypeFor[v1alpha1.StyleAssetReference]():   "DaftyAsset",
	reflect.TypeFor[v1alpha1.ConfigMapKeyReference](): "ConfigMap",
	reflect.TypeFor[v1alpha1.SecretKeyReference]():    "Secret",
	reflect.TypeFor[v1alpha1.AccountReference]():      "DaftyAccount",
}

// specs are those of the kinds that name other objects.
var specs = map[string]reflect.Type{
	"DaftyJob":   reflect.TypeFor[v1alpha1.DaftyJobSpec](),
	"DaftyAsset": reflect.TypeFor[v1alpha1.DaftyAssetSpec](),
}

// reference is a field that has the name of another object.
type reference struct {
	of   string // the kind that has the field
	path string // as kustomize writes it
	kind string
}

// referencesOf returns the references among a type's fields.
func referencesOf(t *testing.T, kind string, of reflect.Type, at string) []reference {
	t.Helper()
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice:
		return referencesOf(t, kind, of.Elem(), at)
	case reflect.Struct:
	default:
		return nil
	}
	if target, is := named[of]; is {
		return []reference{{kind, at + "/name", target}}
	}
	if of == reflect.TypeFor[v1alpha1.NamespacedSecretKeyReference]() {
		return []reference{{kind, at, "Secret"}} // kustomize sets its name and its namespace
	}
	if strings.HasSuffix(of.Name(), "Reference") {
		if _, has := of.FieldByName("Name"); has {
			t.Errorf("%s names an object of a kind that this test doesn't know", of.Name())
		}
	}
	var found []reference
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			found = append(found, referencesOf(t, kind, of.Field(i).Type, at+"/"+name)...)
		}
	}
	return found
}

// manifestWith returns an object of a kind that has a value at a path, with a list where the type has one.
func manifestWith(kind, path, value string) map[string]any {
	spec, of := map[string]any{}, specs[kind]
	fields := strings.Split(strings.TrimPrefix(path, "spec/"), "/")
	for at, i := spec, 0; i < len(fields); i++ {
		for of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		for j := range of.NumField() {
			if name, _, _ := strings.Cut(of.Field(j).Tag.Get("json"), ","); name == fields[i] {
				of = of.Field(j).Type
				break
			}
		}
		next := map[string]any{}
		switch {
		case i == len(fields)-1:
			at[fields[i]] = value
		case of.Kind() == reflect.Slice:
			at[fields[i]], of = []any{next}, of.Elem()
		default:
			at[fields[i]] = next
		}
		at = next
	}
	return map[string]any{
		"apiVersion": "dafty.ai/v1alpha1", "kind": kind,
		"metadata": map[string]any{"name": "refers-by-" + strings.ToLower(strings.ReplaceAll(path, "/", "-"))}, "spec": spec,
	}
}

// builtBoth writes files, builds the folder ".", and compares the pinned kustomize with the one within kubectl. CONFIG in the files stands for this
// repository's config.
func builtBoth(t *testing.T, files map[string]string) []*unstructured.Unstructured {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		file := filepath.Join(top, name)
		config, err := filepath.Rel(filepath.Dir(file), filepath.Join(installtest.Root(t), "config"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, strings.ReplaceAll(content, "CONFIG", filepath.ToSlash(config)))
	}
	built := installtest.Kustomize(t, top)
	if within := kubectlKustomize(t, top); within != built {
		t.Errorf("kubectl kustomize builds otherwise:\n%s\n--- kustomize builds\n%s", within, built)
	}
	return installtest.Objects(t, built)
}

// at returns the value at a path of kustomize's in an object, of the first item of each list.
func at(object *unstructured.Unstructured, path string) string {
	var value any = object.Object
	for field := range strings.SplitSeq(path, "/") {
		if list, is := value.([]any); is && len(list) > 0 {
			value = list[0]
		}
		within, _ := value.(map[string]any)
		value = within[field]
	}
	text, _ := value.(string)
	return text
}

// Each field of a DaftyJob and of a DaftyAsset that names another object follows it, whatever prefix and suffix its name gets.
func TestReferencesFollowNames(t *testing.T) {
	t.Parallel()
	var references []reference
	for kind, spec := range specs {
		found := referencesOf(t, kind, spec, "spec")
		if len(found) < 24 {
			t.Fatalf("the walk has found %v alone", found)
		}
		references = append(references, found...)
	}
	files := map[string]string{
		"kustomization.yaml": "namePrefix: spring-\nnameSuffix: -x\nresources: [base]\n",
		"base/target.yaml": "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAccount\nmetadata: {name: target}\nspec: {apiKeySecretRef: {namespace: shop, name: none}}\n---\n" +
			"apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: target}\nspec: {styleExtract: {url: https://example.com}}\n" +
			"---\napiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: target}\nspec: {template: {spec: {styleExtract: {url: https://example.com}}}}\n",
	}
	resources := []string{"target.yaml"}
	for i, r := range references {
		manifest, err := yaml.Marshal(manifestWith(r.of, r.path, "target"))
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%d.yaml", i)
		files["base/"+name], resources = string(manifest), append(resources, name)
	}
	files["base/kustomization.yaml"] = "components: [CONFIG/name-references]\nresources: [" + strings.Join(resources, ", ") + "]\n" +
		"configMapGenerator: [{name: target, literals: [a=b]}]\nsecretGenerator: [{name: target, literals: [a=b]}]\n"
	objects := builtBoth(t, files)
	names := map[string]string{}
	for _, object := range objects {
		if strings.HasPrefix(object.GetName(), "spring-target-x") {
			names[object.GetKind()] = object.GetName()
		}
	}
	if names["DaftyJob"] != "spring-target-x" || names["DaftyAsset"] != "spring-target-x" || names["DaftyAccount"] != "spring-target-x" || len(names["ConfigMap"]) != len("spring-target-x-0123456789") || len(names["Secret"]) != len(names["ConfigMap"]) {
		t.Fatalf("the objects that are referred to have the names %v", names)
	}
	for _, r := range references {
		name := "spring-" + manifestWith(r.of, r.path, "")["metadata"].(map[string]any)["name"].(string) + "-x"
		i := slices.IndexFunc(objects, func(object *unstructured.Unstructured) bool {
			return object.GetName() == name && object.GetKind() == r.of
		})
		if i < 0 {
			t.Errorf("no object %s is built", name)
		} else if got := at(objects[i], r.path); got != names[r.kind] {
			t.Errorf("%s is %q, and the %s is %s", r.path, got, r.kind, names[r.kind])
		}
	}

	// What is listed and isn't a field renames nothing.
	var listed struct {
		NameReference []struct {
			Kind       string
			FieldSpecs []struct{ Kind, Path string }
		}
	}
	raw, err := os.ReadFile("name-references/name_references.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &listed); err != nil {
		t.Fatal(err)
	}
	for _, kind := range listed.NameReference {
		for _, field := range kind.FieldSpecs {
			of := reference{field.Kind, field.Path, kind.Kind}
			if field.Kind == "DaftyAccount" {
				if of != (referencesOf(t, "DaftyAccount", reflect.TypeFor[v1alpha1.DaftyAccountSpec](), "spec"))[0] {
					t.Errorf("%s is listed of a DaftyAccount, and is no field", field.Path)
				}
				continue
			}
			if specs[field.Kind] != nil && field.Path != "spec/resultConfigMap" && !slices.Contains(references, of) {
				t.Errorf("%s is listed for the kind %s, and is no field", field.Path, kind.Kind)
			}
		}
	}
}

// A DaftyAccount follows its Secret, by name and by namespace, where both are built in one namespace: kustomize takes an account for an object of one,
// and sets its namespace, which the API server drops.
func TestAccountsFollowTheirSecret(t *testing.T) {
	t.Parallel()
	found := false
	for _, object := range builtBoth(t, map[string]string{
		"kustomization.yaml": "namespace: keys\nresources: [account.yaml]\ncomponents: [CONFIG/name-references]\nsecretGenerator: [{name: agency, literals: [apiKey=b]}]\n",
		"account.yaml":       "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAccount\nmetadata: {name: agency}\nspec: {apiKeySecretRef: {namespace: keys, name: agency}}\n",
	}) {
		if object.GetKind() == "DaftyAccount" {
			found = true
			if name, in := at(object, "spec/apiKeySecretRef/name"), at(object, "spec/apiKeySecretRef/namespace"); len(name) != len("agency-0123456789") || in != "keys" {
				t.Errorf("its Secret is %s of %s", name, in)
			}
		}
	}
	if !found {
		t.Error("no account is built")
	}
}

// users has the kinds with a Pod template, and where that is.
var users = map[string]struct{ apiVersion, at string }{
	"Pod": {"v1", "spec"}, "PodTemplate": {"v1", "template/spec"}, "Deployment": {"apps/v1", "spec/template/spec"},
	"ReplicaSet": {"apps/v1", "spec/template/spec"}, "DaemonSet": {"apps/v1", "spec/template/spec"}, "StatefulSet": {"apps/v1", "spec/template/spec"},
	"Job": {"batch/v1", "spec/template/spec"}, "CronJob": {"batch/v1", "spec/jobTemplate/spec/template/spec"},
}

// usesOf has the fields of a Pod's spec with the name of a ConfigMap.
var usesOf = []string{
	"volumes/configMap/name", "volumes/projected/sources/configMap/name",
	"containers/env/valueFrom/configMapKeyRef/name", "containers/envFrom/configMapRef/name",
	"initContainers/env/valueFrom/configMapKeyRef/name", "initContainers/envFrom/configMapRef/name",
}

// usersOf returns an object of each kind with a Pod template, which uses a ConfigMap in each way.
func usersOf(t *testing.T, configMap string) string {
	t.Helper()
	key := corev1.LocalObjectReference{Name: configMap}
	container := corev1.Container{
		Name:    "c",
		Env:     []corev1.EnvVar{{Name: "URL", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: key, Key: "video_url"}}}},
		EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: key}}},
	}
	volume := corev1.Volume{Name: "v"} // of two kinds at once, as only kustomize looks at it
	volume.ConfigMap = &corev1.ConfigMapVolumeSource{LocalObjectReference: key}
	volume.Projected = &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: key}}}}
	pod := corev1.PodSpec{InitContainers: []corev1.Container{container}, Containers: []corev1.Container{container}, Volumes: []corev1.Volume{volume}}
	var all strings.Builder
	for kind, where := range users {
		var object any = pod
		for _, field := range slices.Backward(strings.Split(where.at, "/")) {
			object = map[string]any{field: object}
		}
		whole := object.(map[string]any)
		whole["apiVersion"], whole["kind"], whole["metadata"] = where.apiVersion, kind, map[string]any{"name": "uses-" + configMap}
		raw, err := yaml.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "---\n%s", raw)
	}
	fmt.Fprintf(&all, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reads-%s}\n"+
		"rules: [{apiGroups: [''], resources: [configmaps], resourceNames: [%s], verbs: [get]}]\n", configMap, configMap)
	return all.String()
}

// What uses the ConfigMap of a result follows it: if it has the name of its DaftyJob or DaftyAsset, and if one that exists only for kustomize has its name. So
// copies of a campaign can exist beside each other.
func TestUsersFollowResults(t *testing.T) {
	t.Parallel()
	page := usersOf(t, "launch-clip") + usersOf(t, "urls") + usersOf(t, "shop-hero")
	objects := builtBoth(t, map[string]string{
		"kustomization.yaml":        "nameSuffix: -live\nresources: [spring, autumn]\n",
		"spring/kustomization.yaml": "namePrefix: spring-\nresources: [../base]\n",
		// Twice is no more than once.
		"autumn/kustomization.yaml": "namePrefix: autumn-\nresources: [../base]\ncomponents: [CONFIG/name-references]\n",
		"base/kustomization.yaml": "resources: [campaign, page.yaml, teaser.yaml, shop.yaml]\ncomponents: [CONFIG/name-references]\n" +
			"configMapGenerator:\n- name: urls\n  options: {disableNameSuffixHash: true, annotations: {config.kubernetes.io/local-config: 'true'}}\n",
		"base/campaign/kustomization.yaml": "resources: [CONFIG/samples/campaign]\n",
		"base/page.yaml":                   page,
		"base/teaser.yaml": "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: teaser}\n" +
			"spec: {resultConfigMap: urls, imageUpscale: {image: {jobRef: {name: launch-hero}}, resolution: 4K}}\n",
		"base/shop.yaml": "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: shop-hero}\n" +
			"spec: {resultConfigMap: shop-hero, template: {spec: {imageUpscale: {image: {jobRef: {name: launch-hero}}, resolution: 4K}}}}\n",
	})
	results, used := map[string]bool{}, map[string]int{}
	for _, object := range objects {
		kind := object.GetKind()
		if result := at(object, "spec/resultConfigMap"); specs[kind] != nil && result != "" {
			if results[result] {
				t.Errorf("two results go into %s", result)
			}
			results[result] = true
		}
		if kind == "ConfigMap" && !strings.HasSuffix(object.GetName(), "-launch-brand-live") {
			t.Errorf("the ConfigMap %s is built", object.GetName())
		}
		if kind == "Role" {
			resourceNames := object.Object["rules"].([]any)[0].(map[string]any)["resourceNames"].([]any)
			used[resourceNames[0].(string)]++
		}
		if where, is := users[kind]; is {
			for _, use := range usesOf {
				used[at(object, where.at+"/"+use)]++
			}
		}
	}
	for _, want := range []string{"spring-launch-clip-live", "autumn-launch-clip-live", "spring-urls-live", "autumn-urls-live", "spring-shop-hero-live", "autumn-shop-hero-live"} {
		if !results[want] {
			t.Errorf("no result goes into %s; they go into %v", want, results)
		}
		if n := len(users)*len(usesOf) + 1; used[want] != n {
			t.Errorf("%s is used %d times, want %d: %v", want, used[want], n, used)
		}
	}
	if len(results) != 6 || len(used) != 6 {
		t.Errorf("the results go into %v; used are %v", results, used)
	}
}

// The component is needed: without it, kustomize leaves the references as they are.
func TestReferencesDontFollowByThemselves(t *testing.T) {
	t.Parallel()
	for _, object := range builtBoth(t, map[string]string{"kustomization.yaml": "namePrefix: spring-\nresources: [CONFIG/samples/campaign]\n"}) {
		if ref := at(object, "spec/imageGenerate/style/jobRef/name"); ref != "" && ref != "launch-style" {
			t.Errorf("the style is %s: kustomize knows DaftyJobs without it", ref)
		}
	}
}

// kubectlKustomize builds a folder with the kustomize that is within kubectl.
func kubectlKustomize(t *testing.T, dir string) string {
	t.Helper()
	folder, err := kubeassets.Folder(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	built, err := exec.CommandContext(t.Context(), filepath.Join(folder, "kubectl"), "kustomize", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(built)
}
