package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// direction is who sends the values of a schema.
type direction bool

const (
	sent     direction = false // by the operator
	received direction = true  // from Dafty
)

// maxDepth bounds schemas that refer to themselves.
const maxDepth = 12

// schema compares the schemas at one place. Additions that the operator needn't know are ignored.
func (c *comparison) schema(at string, way direction, ourRef, theirRef *openapi3.SchemaRef, depth int) {
	if ourRef == nil || depth > maxDepth {
		return
	}
	if theirRef == nil || theirRef.Value == nil {
		c.note(at, "it has no schema")
		return
	}
	ours, theirs := flatten(ourRef), flatten(theirRef)
	if ours.open {
		return // all of it is read leniently
	}
	if theirs.union > 0 {
		c.note(at, "it is one of %d forms, which can't be compared: look at it", theirs.union)
		return
	}
	if ours.kind != theirs.kind && !(ours.kind == "integer" && theirs.kind == "number" && way == received) {
		c.note(at, "its type is %q, not %q", theirs.kind, ours.kind)
		return
	}
	if theirs.nullable && !ours.nullable && way == received {
		c.note(at, "it can be null")
	}
	c.enum(at, ours, theirs)
	c.bounds(at, way, ours, theirs)
	c.properties(at, way, ours, theirs, depth)
	if ours.items != nil {
		c.schema(at+"[]", way, ours.items, theirs.items, depth+1)
	}
}

func (c *comparison) enum(at string, ours, theirs flat) {
	if len(ours.known) > 0 && len(theirs.enum) > 0 {
		ours.enum = ours.known // theirs closes a list that is open in ours
	}
	switch {
	case len(ours.enum) == 0 && len(theirs.enum) > 0 && ours.kind != "boolean":
		c.note(at, "its values are now bounded to %s", quoted(slices.Clone(theirs.enum)))
	case len(ours.enum) > 0 && len(theirs.enum) == 0:
		c.note(at, "its values are no longer bounded to %s", quoted(slices.Clone(ours.enum)))
	case len(ours.enum) > 0:
		if gone := without(ours.enum, theirs.enum); len(gone) > 0 {
			c.note(at, "the values %s are gone", quoted(gone))
		}
		if added := without(theirs.enum, ours.enum); len(added) > 0 {
			c.note(at, "the values %s are new", quoted(added))
		}
	}
}

func without(from, these []string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(v string) bool { return slices.Contains(these, v) })
}

// bounds compares the bounds of a value. Dafty may leave out those that we assume.
func (c *comparison) bounds(at string, way direction, ours, theirs flat) {
	if way == received {
		return // any value is read
	}
	for _, name := range slices.Sorted(maps.Keys(boundNames(ours, theirs))) {
		is, must := theirs.bounds[name], ours.bounds[name]
		if is == must || is == "" && (ours.assumed || trivial(name, must)) || must == "" && trivial(name, is) {
			continue
		}
		switch {
		case is == "":
			c.note(at, "it has no %s, and had %s", name, must)
		case must == "":
			c.note(at, "its %s is %s, and it had none", name, is)
		default:
			c.note(at, "its %s is %s, and was %s", name, is, must)
		}
	}
	c.pattern(at, ours, theirs)
}

// trivial bounds say nothing.
func trivial(name, value string) bool {
	return value == "0" && strings.HasPrefix(name, "min") && name != "minimum"
}

func boundNames(all ...flat) map[string]bool {
	names := map[string]bool{}
	for _, f := range all {
		for name := range f.bounds {
			names[name] = true
		}
	}
	return names
}

// samples are matched by both patterns, as different texts may mean the same.
var samples = []string{
	"5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f", "5F0C4C3E-8B1D-4E43-9D9C-0D7A3A1C2B4F",
	"5f0c4c3e-8b1d-1e43-8d9c-0d7a3a1c2b4f", "5f0c4c3e-8b1d-7e43-ad9c-0d7a3a1c2b4f", "5f0c4c3e-8b1d-8e43-bd9c-0d7a3a1c2b4f",
	"5f0c4c3e-8b1d-0e43-9d9c-0d7a3a1c2b4f", "5f0c4c3e-8b1d-9e43-9d9c-0d7a3a1c2b4f", "5f0c4c3e-8b1d-4e43-cd9c-0d7a3a1c2b4f",
	"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
	"5f0c4c3e8b1d4e439d9c0d7a3a1c2b4f", "up_0123456789abcdef", "https://example.com/a.png", "http://example.com/a", "example", "a b", "",
}

// formats are the patterns of formats that samples can be matched with.
var formats = map[string]string{
	"uuid": `^(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|0{8}-0{4}-0{4}-0{4}-0{12}|[fF]{8}-[fF]{4}-[fF]{4}-[fF]{4}-[fF]{12})$`,
	"uri":  `^[a-z]+://\S+$`,
}

func (c *comparison) pattern(at string, ours, theirs flat) {
	if ours.pattern == theirs.pattern && ours.format == theirs.format {
		return
	}
	our, err := ours.matcher()
	if err != nil {
		c.note(at, "our pattern can't be read: %v", err)
		return
	}
	their, err := theirs.matcher()
	if err != nil {
		c.note(at, "its pattern can't be compared, look at it: %v", err)
		return
	}
	for _, sample := range samples {
		if is, was := their(sample), our(sample); is != was {
			c.note(at, "%q is %s by its pattern %q, format %q, and %s by ours", sample, verdict(is), theirs.pattern, theirs.format, verdict(was))
			return
		}
	}
}

func verdict(valid bool) string {
	if valid {
		return "valid"
	}
	return "invalid"
}

func (f flat) matcher() (func(string) bool, error) {
	var all []*regexp.Regexp
	for _, pattern := range []string{f.pattern, formats[f.format]} {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, re)
	}
	return func(s string) bool {
		return !slices.ContainsFunc(all, func(re *regexp.Regexp) bool { return !re.MatchString(s) })
	}, nil
}

func (c *comparison) properties(at string, way direction, ours, theirs flat, depth int) {
	for _, name := range slices.Sorted(maps.Keys(ours.properties)) {
		where := at + ": " + name
		field := theirs.properties[name]
		if field == nil {
			c.note(where, "the field is missing")
			continue
		}
		our, their := slices.Contains(ours.required, name), slices.Contains(theirs.required, name)
		switch {
		case our && !their:
			c.note(where, "it is no longer required")
		case their && !our && way == sent:
			c.note(where, "it is required")
		}
		c.schema(where, way, ours.properties[name], field, depth+1)
	}
	if way == received {
		return
	}
	for _, name := range theirs.required {
		if ours.properties[name] == nil {
			c.note(at+": "+name, "the field is new, and required")
		}
	}
}

// flat is a schema with allOf, nullable types and enums in one form.
type flat struct {
	kind       string
	nullable   bool
	open       bool // anything may be in it
	assumed    bool
	enum       []string
	known      []string // of a list that is open
	bounds     map[string]string
	pattern    string
	format     string
	properties openapi3.Schemas
	required   []string
	items      *openapi3.SchemaRef
	union      int // the number of alternative forms; 0 if there is only one
}

func flatten(ref *openapi3.SchemaRef) flat {
	f := flat{bounds: map[string]string{}, properties: openapi3.Schemas{}}
	f.add(ref, 0)
	return f
}

func (f *flat) add(ref *openapi3.SchemaRef, depth int) {
	if ref == nil || ref.Value == nil || depth > maxDepth {
		return
	}
	s := ref.Value
	for _, kind := range s.Type.Slice() {
		if kind == openapi3.TypeNull {
			f.nullable = true
		} else {
			f.kind = kind
		}
	}
	f.nullable = f.nullable || s.Nullable
	_, assumed := s.Extensions["x-assumed"]
	f.assumed = f.assumed || assumed
	values := s.Enum
	if s.Const != nil {
		values = append(slices.Clone(values), s.Const)
	}
	for _, v := range values {
		if v == nil {
			f.nullable = true
		} else {
			f.enum = append(f.enum, fmt.Sprint(v))
		}
	}
	if known, ok := s.Extensions["x-known"].([]any); ok {
		for _, v := range known {
			f.known = append(f.known, fmt.Sprint(v))
		}
	}
	f.addBounds(s)
	maps.Copy(f.properties, s.Properties)
	f.required = append(f.required, s.Required...)
	if s.Items != nil {
		f.items = s.Items
	}
	if s.AdditionalProperties.Has != nil && *s.AdditionalProperties.Has && len(s.Properties) == 0 {
		f.open = true
	}
	for _, part := range s.AllOf {
		f.add(part, depth+1)
	}
	f.addForms(slices.Concat(s.AnyOf, s.OneOf), depth)
}

// addForms adds the alternative forms: null beside another, or the values of an enum.
func (f *flat) addForms(forms openapi3.SchemaRefs, depth int) {
	var others openapi3.SchemaRefs
	for _, form := range forms {
		if form.Value != nil && form.Value.Type.Is(openapi3.TypeNull) {
			f.nullable = true
		} else {
			others = append(others, form)
		}
	}
	valuesOnly := !slices.ContainsFunc(others, func(form *openapi3.SchemaRef) bool {
		return form.Value == nil || len(form.Value.Enum) == 0 && form.Value.Const == nil
	})
	if len(others) == 1 || valuesOnly {
		for _, form := range others {
			f.add(form, depth+1)
		}
		return
	}
	f.union += len(others)
}

func (f *flat) addBounds(s *openapi3.Schema) {
	number := func(name string, value *float64) {
		if value != nil {
			f.bounds[name] = fmt.Sprint(*value)
		}
	}
	count := func(name string, value *uint64) {
		if value != nil {
			f.bounds[name] = fmt.Sprint(*value)
		}
	}
	number("minimum", s.Min)
	number("maximum", s.Max)
	if s.ExclusiveMin.IsSet() {
		f.bounds["exclusiveMinimum"] = exclusive(s.ExclusiveMin)
	}
	if s.ExclusiveMax.IsSet() {
		f.bounds["exclusiveMaximum"] = exclusive(s.ExclusiveMax)
	}
	count("minLength", &s.MinLength)
	count("maxLength", s.MaxLength)
	count("minItems", &s.MinItems)
	count("maxItems", s.MaxItems)
	number("multipleOf", s.MultipleOf)
	if s.Default != nil {
		f.bounds["default"] = fmt.Sprint(s.Default)
	}
	if s.Pattern != "" {
		f.pattern = s.Pattern
	}
	if s.Format != "" {
		f.format = s.Format
	}
}

func exclusive(bound openapi3.ExclusiveBound) string {
	if bound.Value != nil {
		return fmt.Sprint(*bound.Value)
	}
	return fmt.Sprint(bound.Bool != nil && *bound.Bool)
}
