package daftysim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"dafty.ai/dafty-operator/internal/dafty"
)

// contract is the OpenAPI file, made strict: request bodies may hold no field
// that it lacks.
type contract struct {
	operations  []*operation
	errorSchema *openapi3.Schema
}

// operation is one method of one path.
type operation struct {
	id       Operation
	method   string
	segments []string // of the path template; "{id}" stands for any one
	route    *routers.Route
}

// loadContract parses the embedded file once per process.
var loadContract = sync.OnceValue(func() *contract {
	doc, err := openapi3.NewLoader().LoadFromData(dafty.OpenAPI)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		panic(fmt.Sprintf("daftysim: the embedded contract is broken: %v", err))
	}
	c := &contract{errorSchema: doc.Components.Schemas["Error"].Value}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody != nil {
				closeObjects(op.RequestBody.Value.Content.Get("application/json").Schema.Value)
			}
			c.operations = append(c.operations, &operation{
				id:       Operation(op.OperationID),
				method:   method,
				segments: strings.Split(strings.TrimPrefix(path, "/"), "/"),
				route: &routers.Route{
					Spec: doc, Path: path, PathItem: item, Method: method, Operation: op,
				},
			})
		}
	}
	return c
})

// openAPIJSON returns the file as Dafty serves it.
var openAPIJSON = sync.OnceValue(func() []byte {
	doc, err := openapi3.NewLoader().LoadFromData(dafty.OpenAPI)
	if err != nil {
		panic(fmt.Sprintf("daftysim: the embedded contract is broken: %v", err))
	}
	return marshal(doc)
})

// closeObjects forbids fields that the schema doesn't name.
func closeObjects(schema *openapi3.Schema) {
	if len(schema.Properties) > 0 {
		closed := false
		schema.AdditionalProperties = openapi3.AdditionalProperties{Has: &closed}
	}
	for _, property := range schema.Properties {
		closeObjects(property.Value)
	}
	if schema.Items != nil {
		closeObjects(schema.Items.Value)
	}
}

// match returns the operation of a path below the base path. If only the
// method is wrong, known is true and op nil.
func (c *contract) match(method, path string) (op *operation, params map[string]string, known bool) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, candidate := range c.operations {
		if got, ok := candidate.params(segments); ok {
			known = true
			if candidate.method == method {
				return candidate, got, true
			}
		}
	}
	return nil, nil, known
}

func (op *operation) params(segments []string) (map[string]string, bool) {
	if len(segments) != len(op.segments) {
		return nil, false
	}
	var params map[string]string
	for i, template := range op.segments {
		switch {
		case strings.HasPrefix(template, "{"):
			if segments[i] == "" {
				return nil, false
			}
			params = map[string]string{strings.Trim(template, "{}"): segments[i]}
		case template != segments[i]:
			return nil, false
		}
	}
	return params, true
}

// creates reports whether the operation makes a job, and so takes an
// Idempotency-Key.
func (op *operation) creates() bool {
	return op.route.Operation.Parameters.GetByInAndName(openapi3.ParameterInHeader, "Idempotency-Key") != nil
}

// documents reports whether the contract knows the status for the operation.
func (op *operation) documents(status int) bool {
	return op.route.Operation.Responses.Status(status) != nil
}

var uuidPattern = regexp.MustCompile(`^(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}` +
	`|0{8}-0{4}-0{4}-0{4}-0{12}|[fF]{8}-[fF]{4}-[fF]{4}-[fF]{4}-[fF]{12})$`)

var datePattern = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z$`)

// formats are the formats of the contract that kin-openapi doesn't check.
var formats = openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
	"uuid": openapi3.NewCallbackValidator(func(s string) error {
		if !uuidPattern.MatchString(s) {
			return errors.New("must be a UUID")
		}
		return nil
	}),
	"uri": openapi3.NewCallbackValidator(func(s string) error {
		if u, err := url.Parse(s); err != nil || !u.IsAbs() || u.Host == "" {
			return errors.New("must be an absolute URL")
		}
		return nil
	}),
	// Dafty's dates are always in UTC and end in Z, may lack seconds, and have any
	// number of fraction digits.
	"date-time": openapi3.NewCallbackValidator(func(s string) error {
		if !datePattern.MatchString(s) {
			return errors.New("must be a date in UTC that ends in Z")
		}
		return nil
	}),
})

var validation = &openapi3filter.Options{
	MultiError:                        true,
	IncludeResponseStatus:             true,
	RejectWhenRequestBodyNotSpecified: true,
	SkipSettingDefaults:               true,
	SchemaValidationOptions:           []openapi3.SchemaValidationOption{formats},
}

func init() {
	// Keys are checked by the accounts; the filter needs a function.
	validation.AuthenticationFunc = openapi3filter.NoopAuthenticationFunc
}

// faults of a request, by the field at fault.
type fieldErrors map[string]string

func (f fieldErrors) String() string {
	parts := make([]string, 0, len(f))
	for field, why := range f {
		parts = append(parts, field+": "+why)
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// checkRequest returns the fields that break the contract, those of them that no
// careful client would send (violations), and whether a path parameter is wrong.
func checkRequest(op *operation, r *http.Request, body []byte, params map[string]string) (fields fieldErrors, violations []string, badPath bool) {
	fields = fieldErrors{}
	operation := op.route.Operation

	for name := range r.URL.Query() {
		if operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			fields[name] = "unknown query parameter"
			violations = append(violations, fmt.Sprintf("unknown query parameter %q", name))
		}
	}
	switch {
	case operation.RequestBody == nil && len(body) > 0:
		violations = append(violations, "a body where the contract has none")
	case operation.RequestBody != nil:
		if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
			fields["Content-Type"] = "must be application/json"
			violations = append(violations, fmt.Sprintf("Content-Type %q instead of application/json", r.Header.Get("Content-Type")))
			return fields, violations, false
		}
	}

	checked := r.Clone(r.Context())
	checked.Body, checked.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: checked, PathParams: params, QueryParams: r.URL.Query(), Route: op.route, Options: validation,
	})
	walk(err, "body", func(field string, err error) {
		var schema *openapi3.SchemaError
		reason := err.Error()
		if errors.As(err, &schema) {
			reason = schema.Reason
			// The one error whose path stops short of the field.
			if _, scan := fmt.Sscanf(reason, "property %q is unsupported", &field); scan == nil {
				violations = append(violations, fmt.Sprintf("unknown field %q", field))
			}
		}
		fields[field] = reason
		if params[field] != "" && operation.Parameters.GetByInAndName(openapi3.ParameterInPath, field) != nil {
			badPath = true
		}
	})
	return fields, violations, badPath
}

// walk visits each leaf of a validation error with the field it is about.
func walk(err error, field string, visit func(field string, err error)) {
	//nolint:errorlint // kin-openapi nests these types itself, and each layer has its say
	switch e := err.(type) {
	case nil:
	case openapi3.MultiError:
		for _, one := range e {
			walk(one, field, visit)
		}
	case *openapi3filter.RequestError:
		if e.Parameter != nil {
			field = e.Parameter.Name
		}
		if e.Err == nil {
			visit(field, errors.New(e.Reason))
			return
		}
		walk(e.Err, field, visit)
	case *openapi3filter.ResponseError:
		if e.Err == nil {
			visit(field, errors.New(e.Reason))
			return
		}
		walk(e.Err, field, visit)
	case *openapi3.SchemaError:
		if pointer := e.JSONPointer(); len(pointer) > 0 {
			field = strings.Join(pointer, ".")
		}
		visit(field, e)
	default:
		visit(field, err)
	}
}

// checkAnswer returns how one of the simulator's own answers breaks the contract.
// Statuses that the contract lacks for the operation, as those of faults and
// variants, are checked against the schema of errors. open allows a job's status
// or type that the contract lacks, which one variant shows.
func (c *contract) checkAnswer(op *operation, r *http.Request, a answer, open bool) []string {
	var broken []string
	note := func(field string, err error) {
		var schema *openapi3.SchemaError
		if errors.As(err, &schema) {
			if open && schema.SchemaField == "enum" && (strings.HasSuffix(field, "status") || strings.HasSuffix(field, "type")) {
				return
			}
			err = errors.New(schema.Reason)
		}
		broken = append(broken, fmt.Sprintf("own answer %d of %s breaks the contract: %s: %v", a.status, op.id, field, err))
	}
	if !op.documents(a.status) && (a.status == http.StatusBadRequest || a.status == http.StatusConflict || a.status == http.StatusUnprocessableEntity) {
		var value any
		if err := unmarshal(a.body, &value); err != nil {
			note("body", err)
			return broken
		}
		walk(c.errorSchema.VisitJSON(value, openapi3.MultiErrors()), "body", note)
		return broken
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: op.route, Options: validation},
		Status:                 a.status,
		Header:                 a.header,
		Options:                validation,
	}
	input.SetBodyBytes(a.body)
	walk(openapi3filter.ValidateResponse(r.Context(), input), "body", note)
	return broken
}
