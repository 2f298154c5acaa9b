package v1alpha1_test

import (
	"bytes"
	"image"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// fieldsPages are the pages that tell of every field, by kind.
var fieldsPages = map[string]string{
	"DaftyAccount": "../../docs/accounts.md", "DaftyAsset": "../../docs/assets.md", "DaftyJob": "../../docs/daftyjob.md",
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// Whoever copies an example from the documentation must be able to apply it. Each has a namespace to itself.
func TestTheExamplesInTheDocsApply(t *testing.T) {
	for kind, page := range fieldsPages {
		examples := yamlBlock.FindAllStringSubmatch(readPage(t, page), -1)
		if len(examples) < 5 {
			t.Errorf("found only %d examples in %s", len(examples), page)
		}
		for i, example := range examples {
			t.Run(kind+"/"+strconv.Itoa(i+1), func(t *testing.T) { testExample(t, example[1]) })
		}
	}
}

func testExample(t *testing.T, example string) {
	env := kubetest.Start(t)
	defer env.MustKubectl(t, "delete", "daftyaccounts", "--all") // which are in no namespace
	applied := env.MustApply(t, example, "--server-side", "--validate=strict")
	if got, want := strings.Count(applied, " serverside-applied\n"), strings.Count(example, "apiVersion: "); got != want {
		t.Errorf("%d of %d objects are applied:\n%s\n%s", got, want, applied, example)
	}
	configMaps := &corev1.ConfigMapList{}
	if err := env.Client.List(t.Context(), configMaps, client.InNamespace(env.Namespace)); err != nil {
		t.Fatal(err)
	}
	for _, configMap := range configMaps.Items {
		for key, content := range configMap.BinaryData {
			if _, _, err := image.Decode(bytes.NewReader(content)); err != nil {
				t.Errorf("%s of ConfigMap %s is no picture: %v", key, configMap.Name, err)
			}
		}
	}
}

func TestTheDocsTellOfEveryField(t *testing.T) {
	for kind, file := range fieldsPages {
		page, examples := readPage(t, file), ""
		for _, example := range yamlBlock.FindAllStringSubmatch(page, -1) {
			examples += example[1]
		}
		schema := readSchema(t, kind)
		for _, part := range []string{"spec", "status"} {
			for name := range schema.Properties[part].Properties {
				if !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "`"+name+": ") && !strings.Contains(page, "`"+part+"."+name) {
					t.Errorf("%s doesn't tell of %s.%s", file, part, name)
				}
			}
		}
		spec := schema.Properties["spec"]
		walk("spec", &spec, func(path string, _ *apiextensionsv1.JSONSchemaProps) {
			name := path[strings.LastIndex(path, ".")+1:]
			ofJobs := strings.HasPrefix(path, "spec.template.spec.") // the other page has those
			if path != "spec" && !ofJobs && !strings.HasSuffix(name, "[]") && !regexp.MustCompile(`(?m)^[ -]*`+name+`:`).MatchString(examples) {
				t.Errorf("no example in %s gives %s", file, path)
			}
		})
	}
}

// What a template has of a DaftyJob's spec is on that page.
func TestTheDocsTellOfEveryFieldOfAnAsset(t *testing.T) {
	page := readPage(t, "../../docs/assets.md")
	walk("", readSchema(t, "DaftyAsset"), func(path string, _ *apiextensionsv1.JSONSchemaProps) {
		if depth := strings.Count(path, "."); depth != 1 && !strings.HasPrefix(path, "status.pending.") && !regexp.MustCompile(`^spec\.template\.\w+$`).MatchString(path) ||
			strings.HasSuffix(path, "[]") || strings.Contains(path, ".inputs[]") {
			return
		}
		if name := path[strings.LastIndex(path, ".")+1:]; !regexp.MustCompile("`[a-zA-Z.]*\\b" + name + "[`:]").MatchString(page) {
			t.Errorf("docs/assets.md doesn't tell of %s", path)
		}
	})
}

func readPage(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
