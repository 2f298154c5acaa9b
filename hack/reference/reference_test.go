package main

import (
	"go/doc"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const checkout = "../.."

func generated(t *testing.T) string {
	t.Helper()
	text, err := generate(checkout)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestThePageIsUpToDate(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(checkout, page))
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != generated(t) {
		t.Errorf("%s is behind; mend it with: make docs", page)
	}
}

// Whatever the API server knows of an object, and whatever it can say to a user, is on the page.
func TestThePageTellsAll(t *testing.T) {
	text := generated(t)
	s, err := read(checkout)
	if err != nil {
		t.Fatal(err)
	}
	fields, messages := 0, 0
	var look func(path string, schema *apiextensionsv1.JSONSchemaProps)
	look = func(path string, schema *apiextensionsv1.JSONSchemaProps) {
		for _, rule := range schema.XValidations {
			messages++
			if !strings.Contains(text, strings.ReplaceAll(rule.Message, "|", `\|`)) {
				t.Errorf("%s: the page doesn't tell of %q", path, rule.Message)
			}
		}
		for name, property := range schema.Properties {
			fields++
			row := "\n| `" + name + "`"
			if !strings.Contains(text, row+" |") && !strings.Contains(text, row+"<br>**required** |") {
				t.Errorf("the page has no row for %s.%s", path, name)
			}
			if path != "" && property.Description != "" && !strings.Contains(text, cell(property.Description)) && !strings.Contains(path, "conditions") {
				t.Errorf("the page doesn't describe %s.%s", path, name)
			}
			if name != "namespaces" { // whose type is Kubernetes' own
				look(path+"."+name, &property)
			}
		}
		if schema.Items != nil && !strings.HasSuffix(path, ".conditions") { // which is Kubernetes' own type
			look(path+"[]", schema.Items.Schema)
		}
	}
	for kind, least := range map[string]struct{ fields, messages int }{"DaftyJob": {80, 30}, "DaftyAsset": {80, 30}, "DaftyAccount": {45, 4}} {
		fields, messages = 0, 0
		look("", s.schemas[kind])
		if fields < least.fields || messages < least.messages {
			t.Errorf("a %s has only %d fields and %d rules", kind, fields, messages)
		}
		if heading := "\n## " + kind + "\n"; strings.Count(text, heading) != 1 || !strings.Contains(text, "| `kind` | string | | `"+kind+"` |") {
			t.Errorf("the page has no section of a %s", kind)
		}
	}
	// What several kinds have is told of once.
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "## ") && strings.Count(text, "\n"+line) != 1 {
			t.Errorf("the page tells more than once of %s", line)
		}
	}
	for name := range strings.SplitSeq("Reason Event Condition", " ") {
		found := 0
		for _, group := range s.pkg.Consts {
			for _, each := range constants([]*doc.Value{group}) {
				if !strings.HasPrefix(each.name, name) {
					continue
				}
				found++
				if each.says == "" || !strings.Contains(text, "`"+each.value+"`") || !strings.Contains(text, cell(each.says)) {
					t.Errorf("the page doesn't tell of %s", each.name)
				}
			}
		}
		if found == 0 {
			t.Errorf("found no %s constant", name)
		}
	}
}

func TestSentence(t *testing.T) {
	for _, tt := range []struct{ name, comment, want string }{
		{"PhaseQueued", "PhaseQueued means that Dafty has the job\nand hasn't begun.\n", "Dafty has the job\nand hasn't begun."},
		{"Image", "Image is one variation.\n+marker\n", "One variation."},
		{"Image", "", ""},
	} {
		if got := sentence(tt.name, tt.comment); got != tt.want {
			t.Errorf("of %q, %q is told, not %q", tt.comment, got, tt.want)
		}
	}
}
