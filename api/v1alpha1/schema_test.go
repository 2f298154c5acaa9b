package v1alpha1_test

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func readCRD(t testing.TB, kind string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	content, err := os.ReadFile("../../config/crd/bases/dafty.ai_" + strings.ToLower(kind) + "s.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(content, crd); err != nil {
		t.Fatal(err)
	}
	return crd
}

func readSchema(t testing.TB, kind string) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	return readCRD(t, kind).Spec.Versions[0].Schema.OpenAPIV3Schema
}

// walk visits a schema and all that is in it. A list's items have the list's path with "[]" behind it.
func walk(path string, schema *apiextensionsv1.JSONSchemaProps, visit func(path string, schema *apiextensionsv1.JSONSchemaProps)) {
	visit(path, schema)
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		walk(strings.TrimPrefix(path+"."+name, "."), &property, visit)
	}
	if schema.Items != nil {
		walk(path+"[]", schema.Items.Schema, visit)
	}
}

// rule is one thing that the schema asks of a field.
type rule struct {
	path    string
	reason  metav1.CauseType
	message string // of the cause by which the API server reports that it is broken
	suffix  bool   // the message has the value before it
}

func (r rule) String() string { return fmt.Sprintf("%s: %s: %s", r.path, r.reason, r.message) }

// brokenBy reports whether the problem is that of this rule.
func (r rule) brokenBy(p problem) bool {
	field, message := listIndex.ReplaceAllString(p.field, "[]"), listIndex.ReplaceAllString(p.message, "[]")
	if r.path != field || r.reason != p.reason {
		return false
	}
	return r.message == message || r.suffix && strings.HasSuffix(message, ": "+r.message)
}

// rulesOf lists every rule of the schema but the types of its fields.
func rulesOf(t testing.TB, root *apiextensionsv1.JSONSchemaProps) []rule {
	t.Helper()
	var rules []rule
	walk("", root, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		add := func(reason metav1.CauseType, suffix bool, format string, args ...any) {
			rules = append(rules, rule{path: path, reason: reason, message: fmt.Sprintf(format, args...), suffix: suffix})
		}
		invalid := metav1.CauseTypeFieldValueInvalid
		if s.MinLength != nil {
			add(invalid, true, "%s in body should be at least %d chars long", path, *s.MinLength)
		}
		if s.MaxLength != nil {
			add("FieldValueTooLong", false, "Too long: may not be more than %d bytes", *s.MaxLength)
		}
		if s.Minimum != nil {
			add(invalid, true, "%s in body should be greater than or equal to %.0f", path, *s.Minimum)
		}
		if s.Maximum != nil {
			add(invalid, true, "%s in body should be less than or equal to %.0f", path, *s.Maximum)
		}
		if s.MaxItems != nil {
			add("FieldValueTooMany", true, "must have at most %d items", *s.MaxItems)
		}
		if s.MaxProperties != nil {
			add("FieldValueTooMany", true, "must have at most %d items", *s.MaxProperties)
		}
		if values := s.AdditionalProperties; values != nil && values.Schema.MaxLength != nil {
			// Of a map's values, by a key that the bad manifests have.
			rules = append(rules, rule{path: path + ".key", reason: "FieldValueTooLong", message: fmt.Sprintf("Too long: may not be more than %d bytes", *values.Schema.MaxLength)})
		}
		if s.Pattern != "" {
			add(invalid, true, "%s in body should match '%s'", path, s.Pattern)
		}
		if s.Enum != nil {
			var values []string
			for _, v := range s.Enum {
				values = append(values, string(v.Raw))
			}
			add(metav1.CauseTypeFieldValueNotSupported, true, "supported values: %s", strings.Join(values, ", "))
		}
		for _, v := range s.XValidations {
			reason := invalid
			if v.Reason != nil {
				reason = metav1.CauseType(*v.Reason)
			}
			at := strings.TrimPrefix(path+v.FieldPath, ".")
			rules = append(rules, rule{path: at, reason: reason, message: v.Message, suffix: true})
		}
		for _, name := range s.Required {
			child := strings.TrimPrefix(path+"."+name, ".")
			rules = append(rules, rule{path: child, reason: metav1.CauseTypeFieldValueRequired, message: "Required value"})
		}

		rest := s.DeepCopy()
		// What is covered above, what isn't a rule, and what holds its own.
		rest.MinLength, rest.MaxLength, rest.Minimum, rest.Maximum, rest.MaxItems = nil, nil, nil, nil, nil
		rest.Pattern, rest.Enum, rest.XValidations, rest.Required = "", nil, nil, nil
		rest.Description, rest.Type, rest.Format, rest.Default = "", "", "", nil
		rest.XListType, rest.XMapType, rest.XListMapKeys, rest.XPreserveUnknownFields = nil, nil, nil, nil
		rest.Properties, rest.AdditionalProperties, rest.MaxProperties, rest.Items = nil, nil, nil, nil
		if !reflect.DeepEqual(rest, &apiextensionsv1.JSONSchemaProps{}) {
			t.Errorf("%s has a rule of a kind that this test doesn't know yet: %+v", path, rest)
		}
	})
	return rules
}

// kinds are those of this API.
var kinds = []string{"DaftyJob", "DaftyAsset", "DaftyAccount"}

// walkKinds visits the schema of each kind.
func walkKinds(t *testing.T, visit func(t *testing.T, path string, schema *apiextensionsv1.JSONSchemaProps)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			walk("", readSchema(t, kind), func(path string, schema *apiextensionsv1.JSONSchemaProps) { visit(t, path, schema) })
		})
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	// kubectl explain breaks longer lines, and keeps the breaks of shorter ones too.
	const width = 76
	walkKinds(t, func(t *testing.T, path string, s *apiextensionsv1.JSONSchemaProps) {
		if path == "metadata" { // kubectl explain knows it from Kubernetes
			return
		}
		if s.Description == "" && !strings.HasSuffix(path, "[]") {
			t.Errorf("%s has no description", path)
		}
		if path == "apiVersion" || path == "kind" || strings.HasPrefix(path, "status.conditions[]") || strings.HasPrefix(path, "spec.namespaces.") { // Kubernetes' own words
			return
		}
		name := path[strings.LastIndex(path, ".")+1:]
		if name != "" && !strings.HasSuffix(name, "[]") && !strings.HasPrefix(s.Description, name+" ") {
			t.Errorf("the description of %s begins with %q, not with the field's name", path, strings.SplitN(s.Description, " ", 2)[0])
		}
		if strings.HasSuffix(path, "[]") { // kubectl explain shows the list's
			return
		}
		for line := range strings.Lines(s.Description) {
			if len(line) > width {
				t.Errorf("%s: kubectl explain would break this line: %s", path, line)
			}
		}
	})
}
