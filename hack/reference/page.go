package main

import (
	"fmt"
	"go/doc"
	"slices"
	"strings"
	"unicode"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const head = `# API reference

Every field, condition and reason, as the API server and the operator know them. This page is generated from the Go types and the CRDs
by ` + "`make docs`" + `: change those, not this. [daftyjob.md](daftyjob.md) explains the fields with examples, and
[troubleshooting.md](troubleshooting.md) what to do about each reason.

`

// generate returns the page of a checkout.
func generate(checkout string) (string, error) {
	s, err := read(checkout)
	if err != nil {
		return "", err
	}
	w := &writer{source: s, met: map[string][]*apiextensionsv1.JSONSchemaProps{}}
	var text strings.Builder
	text.WriteString(head)
	for i, kind := range kinds {
		before := len(w.order)
		w.meet(kind, s.schemas[kind])
		shared := ""
		if i > 0 {
			shared = "; those of a kind before it are there"
		}
		fmt.Fprintf(&text, "- Types of a %s: %s%s\n", kind, w.links(w.order[before:]), shared)
	}
	var groups []string
	for _, group := range s.pkg.Consts {
		groups = append(groups, title(group.Doc))
	}
	fmt.Fprintf(&text, "- Names: %s\n", w.links(groups))
	for _, name := range w.order {
		w.section(&text, name)
	}
	for _, group := range s.pkg.Consts {
		w.group(&text, group.Doc, constants([]*doc.Value{group}))
	}
	return text.String(), nil
}

// writer walks through the types from each kind, and writes about each type where it is first met.
type writer struct {
	*source
	// order of the types, and the places in the schema where each is met.
	order []string
	met   map[string][]*apiextensionsv1.JSONSchemaProps
}

// meet adds a type and the types of its fields.
func (w *writer) meet(name string, at *apiextensionsv1.JSONSchemaProps) {
	if w.met[name] = append(w.met[name], at); len(w.met[name]) == 1 {
		w.order = append(w.order, name)
	}
	for _, each := range w.structs[name] {
		if schema, ok := at.Properties[each.name]; ok && w.hasSection(each.of) {
			w.meet(each.of, inner(&schema))
		}
	}
}

// hasSection reports whether a type has a section: structs have, and enums with documented values.
func (w *writer) hasSection(name string) bool {
	return w.structs[name] != nil || len(w.valuesOf(name)) > 0
}

func inner(schema *apiextensionsv1.JSONSchemaProps) *apiextensionsv1.JSONSchemaProps {
	if schema.Items != nil {
		return schema.Items.Schema
	}
	return schema
}

func (w *writer) section(text *strings.Builder, name string) {
	fmt.Fprintf(text, "\n## %s\n\n%s\n", name, w.typeDoc(name))
	if values := w.valuesOf(name); len(values) > 0 {
		text.WriteString("\n| value | meaning |\n|---|---|\n")
		for _, value := range values {
			fmt.Fprintf(text, "| `%s` | %s |\n", value.value, cell(value.says))
		}
		return
	}
	common := w.rulesOf(name)
	if len(common) > 0 {
		text.WriteString("\nWhat doesn't keep to this is refused by the API server:\n\n")
		for _, message := range common {
			fmt.Fprintf(text, "- %s\n", message)
		}
	}
	schema := w.met[name][0]
	text.WriteString("\n| field | type | default | bounds | what it is |\n|---|---|---|---|---|\n")
	if slices.Contains(kinds, name) {
		text.WriteString("| `apiVersion` | string | | `dafty.ai/v1alpha1` | The version of this API. |\n")
		text.WriteString("| `kind` | string | | `" + name + "` | The kind of object. |\n")
	}
	for _, each := range w.structs[name] {
		property, ok := schema.Properties[each.name]
		if !ok {
			continue
		}
		shown := "`" + each.name + "`"
		if slices.Contains(schema.Required, each.name) {
			shown += "<br>**required**"
		}
		bounds := boundsOf(&property)
		rules := rulesAt(&property)
		if w.structs[each.of] != nil {
			// The rules of all places are listed with the type.
			rules = slices.DeleteFunc(rules, func(message string) bool { return slices.Contains(w.rulesOf(each.of), message) })
		}
		fmt.Fprintf(text, "| %s | %s | %s | %s | %s |\n", shown, w.typeOf(each, &property), defaultOf(&property),
			cell(strings.Join(append(bounds, rules...), "\n\n")), cell(property.Description))
	}
}

func (w *writer) typeOf(each field, schema *apiextensionsv1.JSONSchemaProps) string {
	list := ""
	if schema.Items != nil {
		list, schema = "list of ", schema.Items.Schema
	}
	switch {
	case w.hasSection(each.of):
		return list + "[" + each.of + "](#" + anchor(each.of) + ")"
	case each.name == "metadata":
		return "[ObjectMeta](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/)"
	case each.name == "namespaces":
		return "[LabelSelector](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/)"
	case each.name == "conditions":
		return list + "Condition"
	case schema.Format == "date-time":
		return list + "time"
	}
	return list + schema.Type
}

// group writes a table of constants without a type. Reasons have links to what to do about them.
func (w *writer) group(text *strings.Builder, comment string, all []constant) {
	_, rest, _ := strings.Cut(strings.TrimSpace(comment), ".")
	fmt.Fprintf(text, "\n## %s\n", title(comment))
	if rest = strings.TrimSpace(rest); rest != "" {
		fmt.Fprintf(text, "\n%s\n", rest)
	}
	text.WriteString("\n| name | what it says |\n|---|---|\n")
	for _, each := range all {
		if each.says == "" { // told of with the one before
			continue
		}
		shown := "`" + each.value + "`"
		if strings.HasPrefix(each.name, "Reason") || strings.HasPrefix(each.name, "Event") {
			shown = "[" + shown + "](troubleshooting.md#" + anchor(each.value) + ")"
		}
		fmt.Fprintf(text, "| %s | %s |\n", shown, cell(each.says))
	}
}

// title returns the first sentence of a comment.
func title(comment string) string {
	title, _, _ := strings.Cut(strings.TrimSpace(comment), ".")
	return strings.Join(strings.Fields(title), " ")
}

func (w *writer) links(names []string) string {
	links := make([]string, 0, len(names))
	for _, name := range names {
		links = append(links, "["+name+"](#"+anchor(name)+")")
	}
	return strings.Join(links, ", ")
}

// anchor returns the anchor of a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// cell returns text as a cell of a table: with <br> for paragraphs, and escaped.
func cell(text string) string {
	var paragraphs []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(paragraph), " "))
	}
	return strings.ReplaceAll(strings.Join(paragraphs, "<br>"), "|", `\|`)
}
