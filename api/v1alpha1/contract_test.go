package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"dafty.ai/dafty-operator/internal/dafty"
)

// The contract's name of each operation's request.
var requests = map[string]string{
	"imageGenerate": "GenerateImageRequest",
	"imageEdit":     "EditImageRequest",
	"imageResize":   "ResizeImageRequest",
	"imageUpscale":  "UpscaleImageRequest",
	"imageToVideo":  "ImageToVideoRequest",
	"videoFrames":   "VideoFramesRequest",
	"styleExtract":  "ExtractStyleRequest",
}

// bounds are what the contract and the CRD must agree about.
type bounds struct {
	Type                           string
	MinLength, MaxLength, MaxItems float64
	Min, Max                       float64
	Enum, Required                 []string
}

func TestTheCRDKeepsToTheContract(t *testing.T) {
	contract, err := openapi3.NewLoader().LoadFromData(dafty.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	spec := readSchema(t, "DaftyJob").Properties["spec"]
	for _, operation := range operations {
		t.Run(operation, func(t *testing.T) {
			request, ours := contract.Components.Schemas[requests[operation]].Value, spec.Properties[operation]
			if len(request.Properties) == 0 {
				t.Fatalf("the contract has no %s", requests[operation])
			}

			var wantRequired []string
			for _, name := range request.Required {
				wantRequired = append(wantRequired, fieldOf(name))
			}
			if diff := cmp.Diff(sorted(wantRequired), sorted(ours.Required)); diff != "" {
				t.Errorf("required (-contract +CRD):\n%s", diff)
			}

			var wantFields []string
			for name, property := range request.Properties {
				field := fieldOf(name)
				wantFields = append(wantFields, field)
				compare(t, field, name, property, ours.Properties[field])
			}
			if diff := cmp.Diff(sorted(wantFields), slices.Sorted(maps.Keys(ours.Properties))); diff != "" {
				t.Errorf("fields (-contract +CRD):\n%s", diff)
			}
		})
	}
}

// fieldOf is the CRD's name of a field of the contract: an id that stands alone there has an object here, as there will be
// other ways to name the same thing.
func fieldOf(name string) string { return strings.TrimSuffix(name, "Id") }

func compare(t *testing.T, field, name string, property *openapi3.SchemaRef, ours apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	theirs := property.Value
	switch {
	case strings.HasSuffix(name, "Id"):
		// Of both kinds of id the contract says that they are UUIDs, of one by a pattern.
		pattern := theirs.Pattern
		if theirs.Format == "uuid" {
			pattern = "^(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|0{8}-0{4}-0{4}-0{4}-0{12}|[fF]{8}-[fF]{4}-[fF]{4}-[fF]{4}-[fF]{12})$"
		}
		if pattern == "" || !hasRule(ours.Properties["id"], pattern) {
			t.Errorf("%s: no rule asks for the contract's pattern %q", field, pattern)
		}
	case strings.HasSuffix(property.Ref, "/ImageReference"):
		compareReference(t, field, theirs, ours)
	case theirs.Items != nil:
		if !strings.HasSuffix(theirs.Items.Ref, "/ImageReference") {
			t.Fatalf("%s is a list of what this test doesn't know", field)
		}
		compareBounds(t, field, theirs, ours)
		compareReference(t, field+"[]", theirs.Items.Value, *ours.Items.Schema)
	default:
		compareBounds(t, field, theirs, ours)
	}
}

// compareReference compares a string of the contract that is a URL or an id with the object that it is in the CRD.
func compareReference(t *testing.T, field string, theirs *openapi3.Schema, ours apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	for _, name := range []string{"url", "id"} {
		compareBounds(t, field+"."+name, theirs, ours.Properties[name])
	}
}

func compareBounds(t *testing.T, field string, theirs *openapi3.Schema, ours apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	want := bounds{
		Type:      strings.Join(theirs.Type.Slice(), ","),
		MinLength: float64(theirs.MinLength),
		MaxLength: orZero(theirs.MaxLength),
		MaxItems:  orZero(theirs.MaxItems),
		Min:       orZero(theirs.Min),
		Max:       orZero(theirs.Max),
		Required:  sorted(theirs.Required),
	}
	for _, v := range theirs.Enum {
		want.Enum = append(want.Enum, fmt.Sprint(v))
	}
	got := bounds{
		Type:      ours.Type,
		MinLength: orZero(ours.MinLength),
		MaxLength: orZero(ours.MaxLength),
		MaxItems:  orZero(ours.MaxItems),
		Min:       orZero(ours.Minimum),
		Max:       orZero(ours.Maximum),
		Required:  sorted(ours.Required),
	}
	for _, v := range ours.Enum {
		var s string
		if err := json.Unmarshal(v.Raw, &s); err != nil {
			t.Fatal(err)
		}
		got.Enum = append(got.Enum, s)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-contract +CRD):\n%s", field, diff)
	}

	// kubectl explain shows neither numbers nor Dafty's defaults but in the description.
	var tell []string
	for _, n := range []float64{want.MaxLength, want.MaxItems, want.Min, want.Max} {
		if n != 0 {
			tell = append(tell, fmt.Sprint(n))
		}
	}
	if theirs.Default != nil {
		tell = append(tell, fmt.Sprintf("Dafty's default is %v", theirs.Default))
	}
	for _, told := range tell {
		if !strings.Contains(ours.Description, told) {
			t.Errorf("the description of %s doesn't tell %q: %s", field, told, ours.Description)
		}
	}
}

func hasRule(schema apiextensionsv1.JSONSchemaProps, part string) bool {
	return slices.ContainsFunc(schema.XValidations, func(v apiextensionsv1.ValidationRule) bool {
		return strings.Contains(v.Rule, part)
	})
}

func orZero[N int64 | uint64 | float64](n *N) float64 {
	if n == nil {
		return 0
	}
	return float64(*n)
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
