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

const fieldsPage = "../../docs/daftyjob.md"

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// Whoever copies an example from the documentation must be able to apply it. Each has a namespace to itself.
func TestTheExamplesInTheDocsApply(t *testing.T) {
	examples := yamlBlock.FindAllStringSubmatch(readPage(t, fieldsPage), -1)
	if len(examples) < 10 {
		t.Errorf("found only %d examples", len(examples))
	}
	for i, example := range examples {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			env := kubetest.Start(t)
			applied := env.MustApply(t, example[1], "--server-side", "--validate=strict")
			if got, want := strings.Count(applied, " serverside-applied\n"), strings.Count(example[1], "apiVersion: "); got != want {
				t.Errorf("%d of %d objects are applied:\n%s\n%s", got, want, applied, example[1])
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
		})
	}
}

func TestTheDocsTellOfEveryField(t *testing.T) {
	page, examples := readPage(t, fieldsPage), ""
	for _, example := range yamlBlock.FindAllStringSubmatch(page, -1) {
		examples += example[1]
	}
	schema := readSchema(t, "DaftyJob")
	for _, part := range []string{"spec", "status"} {
		for name := range schema.Properties[part].Properties {
			if !strings.Contains(page, "`"+name+"`") {
				t.Errorf("%s doesn't tell of %s.%s", fieldsPage, part, name)
			}
		}
	}
	spec := schema.Properties["spec"]
	walk("spec", &spec, func(path string, _ *apiextensionsv1.JSONSchemaProps) {
		name := path[strings.LastIndex(path, ".")+1:]
		if path != "spec" && !strings.HasSuffix(name, "[]") && !regexp.MustCompile(`(?m)^[ -]*`+name+`:`).MatchString(examples) {
			t.Errorf("no example in %s gives %s", fieldsPage, path)
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
