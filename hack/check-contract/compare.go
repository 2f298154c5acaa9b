package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// comparison collects differences.
type comparison struct{ found []string }

func (c *comparison) note(at, format string, args ...any) {
	c.found = append(c.found, at+": "+fmt.Sprintf(format, args...))
}

// compare returns the differences between their file and ours in what the operator uses, in the order of our paths.
func compare(ours, theirs *openapi3.T) []string {
	c := &comparison{}
	if !hasKeyHeader(theirs) {
		c.note("security", "there is no API key in the header x-api-key")
	}
	paths := ours.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			c.operation(method+" "+path, operations[method], find(theirs, path), method)
		}
	}
	return c.found
}

func hasKeyHeader(doc *openapi3.T) bool {
	if doc.Components == nil {
		return false
	}
	for _, scheme := range doc.Components.SecuritySchemes {
		if s := scheme.Value; s != nil && s.Type == "apiKey" && s.In == "header" && strings.EqualFold(s.Name, "x-api-key") {
			return true
		}
	}
	return false
}

var (
	placeholder = regexp.MustCompile(`\{[^}]*\}`)
	basePath    = regexp.MustCompile(`^(/api)?(/v1)?$`)
)

// find returns their path, or nil. Its parameters may have other names, and it may begin with the base path.
func find(theirs *openapi3.T, path string) *openapi3.PathItem {
	bare := placeholder.ReplaceAllString(path, "{}")
	for candidate, item := range theirs.Paths.Map() {
		if base, ok := strings.CutSuffix(placeholder.ReplaceAllString(strings.TrimSuffix(candidate, "/"), "{}"), bare); ok && basePath.MatchString(base) {
			return item
		}
	}
	return nil
}

func (c *comparison) operation(at string, ours *openapi3.Operation, item *openapi3.PathItem, method string) {
	if item == nil {
		c.note(at, "the path is missing")
		return
	}
	theirs := item.GetOperation(method)
	if theirs == nil {
		c.note(at, "the method is missing")
		return
	}
	c.parameters(at, ours.Parameters, append(slices.Clone(theirs.Parameters), item.Parameters...))
	c.body(at, ours.RequestBody, theirs.RequestBody)
	c.responses(at, ours.Responses, theirs.Responses)
}

func (c *comparison) parameters(at string, ours, theirs openapi3.Parameters) {
	get := func(in openapi3.Parameters, p *openapi3.Parameter) *openapi3.Parameter {
		for _, ref := range in {
			if v := ref.Value; v != nil && v.In == p.In && (strings.EqualFold(v.Name, p.Name) || p.In == openapi3.ParameterInPath) {
				return v
			}
		}
		return nil
	}
	for _, ref := range ours {
		p := ref.Value
		where := fmt.Sprintf("%s: %s parameter %s", at, p.In, p.Name)
		switch other := get(theirs, p); {
		case other == nil:
			c.note(where, "it is missing")
		case other.Required && !p.Required:
			c.note(where, "it is required")
			fallthrough
		default:
			c.schema(where, sent, p.Schema, other.Schema, 0)
		}
	}
	for _, ref := range theirs {
		if p := ref.Value; p != nil && p.Required && get(ours, p) == nil && !strings.EqualFold(p.Name, "x-api-key") && !strings.EqualFold(p.Name, "Authorization") {
			c.note(fmt.Sprintf("%s: %s parameter %s", at, p.In, p.Name), "it is new, and required")
		}
	}
}

func (c *comparison) body(at string, ours, theirs *openapi3.RequestBodyRef) {
	switch {
	case ours == nil && theirs != nil && theirs.Value != nil && theirs.Value.Required:
		c.note(at, "a request body is required")
	case ours == nil:
	case theirs == nil || theirs.Value == nil:
		c.note(at, "there is no request body")
	default:
		c.schema(at+": request", sent, jsonOf(ours.Value.Content), jsonOf(theirs.Value.Content), 0)
	}
}

func (c *comparison) responses(at string, ours, theirs *openapi3.Responses) {
	statuses := slices.SortedFunc(maps.Keys(ours.Map()), cmp.Compare)
	// Any of several successes will do.
	succeeds := slices.ContainsFunc(statuses, func(s string) bool { return s[0] == '2' && theirs.Value(s) != nil })
	if !succeeds && theirs.Value("2XX") == nil {
		c.note(at, "no status of a success is documented that the operator knows (%s)", strings.Join(successes(statuses), " or "))
	}
	for _, status := range statuses {
		other := responseFor(theirs, status)
		if other == nil {
			if status[0] != '2' {
				c.note(at, "the status %s is missing", status)
			}
			continue
		}
		schema := jsonOf(other.Content)
		if schema == nil && status[0] != '2' {
			continue // errors are only compared if Dafty documents their form
		}
		c.schema(at+": answer "+status, received, jsonOf(ours.Value(status).Value.Content), schema, 0)
	}
}

func successes(statuses []string) []string {
	return slices.DeleteFunc(slices.Clone(statuses), func(s string) bool { return s[0] != '2' })
}

// responseFor returns the response of a status, or of its range.
func responseFor(responses *openapi3.Responses, status string) *openapi3.Response {
	for _, key := range []string{status, status[:1] + "XX", "default"} {
		if ref := responses.Value(key); ref != nil && ref.Value != nil && (key != "default" || status[0] != '2') {
			return ref.Value
		}
	}
	return nil
}

func jsonOf(content openapi3.Content) *openapi3.SchemaRef {
	for mediaType, media := range content {
		if strings.HasPrefix(mediaType, "application/json") && media != nil {
			return media.Schema
		}
	}
	return nil
}

func quoted(values []string) string {
	for i, v := range values {
		values[i] = strconv.Quote(v)
	}
	return strings.Join(values, ", ")
}
