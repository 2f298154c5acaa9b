package charts_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"dafty.ai/dafty-operator/internal/test/docstest"
)

// value is one setting of values.yaml.
type value struct{ path, fallback, what string }

// settings reads values.yaml. What stands under a comment that begins with "--" is one setting, or, without a blank line
// between, several.
func settings(t *testing.T) []value {
	t.Helper()
	raw, err := os.ReadFile("dafty-operator/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	var values []value
	var walk func(prefix string, mapping *yaml.Node)
	walk = func(prefix string, mapping *yaml.Node) {
		said := ""
		for i := 0; i < len(mapping.Content); i += 2 {
			key, content := mapping.Content[i], mapping.Content[i+1]
			comment := ""
			for line := range strings.SplitSeq(key.HeadComment, "\n") {
				if text, ok := strings.CutPrefix(line, "# -- "); ok {
					comment = text
				}
			}
			if comment == "" && content.Kind == yaml.MappingNode && len(content.Content) > 0 {
				walk(prefix+key.Value+".", content)
				said = ""
				continue
			}
			if comment != "" {
				said = comment
			}
			if said == "" {
				t.Errorf("values.yaml doesn't say what %s%s is", prefix, key.Value)
			}
			var decoded any
			if err := content.Decode(&decoded); err != nil {
				t.Fatal(err)
			}
			fallback, err := json.Marshal(decoded)
			if err != nil {
				t.Fatal(err)
			}
			shown := "`" + string(fallback) + "`"
			if len(shown) > 60 {
				shown = "see values.yaml"
			}
			values = append(values, value{prefix + key.Value, shown, said})
		}
	}
	walk("", document.Content[0])
	return values
}

func TestChartReadmeHasEveryValue(t *testing.T) {
	var rows []string
	for _, v := range settings(t) {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", v.path, v.fallback, v.what))
	}
	docstest.Table(t, "dafty-operator/README.md", "| value | default | what it is |", rows)
}

// A setting that the schema doesn't know could not be set, and one that no template reads would do nothing.
func TestEveryValueIsInTheSchemaAndInATemplate(t *testing.T) {
	raw, err := os.ReadFile("dafty-operator/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	var known []string
	var walk func(prefix string, schema map[string]any)
	walk = func(prefix string, schema map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		for name, property := range properties {
			property := property.(map[string]any)
			known = append(known, prefix+name)
			walk(prefix+name+".", property)
		}
		if len(properties) > 0 && schema["additionalProperties"] != false {
			t.Errorf("the schema takes anything in %q", prefix)
		}
	}
	walk("", schema)
	everyKeyword("", schema, func(path, keyword string) {
		if keyword == "" || strings.HasPrefix(keyword, "#") {
			t.Errorf("the schema has the keyword %q in %s, which asks for nothing", keyword, path)
		}
	})

	var templates strings.Builder
	err = fs.WalkDir(os.DirFS("dafty-operator/templates"), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		content, err := os.ReadFile("dafty-operator/templates/" + path)
		templates.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	values := settings(t)
	for _, v := range values {
		if !slices.Contains(known, v.path) {
			t.Errorf("the schema doesn't know %s", v.path)
		}
		if !strings.Contains(templates.String(), ".Values."+v.path) {
			t.Errorf("no template reads %s", v.path)
		}
	}
	for _, path := range known {
		partOf := func(v value) bool {
			return v.path == path || strings.HasPrefix(v.path, path+".") || strings.HasPrefix(path, v.path+".")
		}
		// The first two are for charts that have this one as a dependency, and the third is refused by a template.
		if path != "global" && path != "enabled" && path != "crds.keep" && !slices.ContainsFunc(values, partOf) {
			t.Errorf("values.yaml doesn't have %s, which the schema knows", path)
		}
	}
}

// everyKeyword goes through all keys of a schema. A validator doesn't complain of one that it doesn't know.
func everyKeyword(path string, part any, visit func(path, keyword string)) {
	switch part := part.(type) {
	case map[string]any:
		for keyword, content := range part {
			visit(path, keyword)
			everyKeyword(path+"/"+keyword, content, visit)
		}
	case []any:
		for _, content := range part {
			everyKeyword(path, content, visit)
		}
	}
}
