package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

type object = map[string]any

// at walks down a document.
func at(in any, path ...string) object {
	for _, key := range path {
		in = in.(object)[key]
	}
	return in.(object)
}

func schema(doc object, name string) object { return at(doc, "components", "schemas", name) }

func field(doc object, name, field string) object { return at(schema(doc, name), "properties", field) }

func operation(doc object, path, method string) object { return at(doc, "paths", path, method) }

// copyOfOurs is our file as Dafty would serve it, changed.
func copyOfOurs(t *testing.T, change func(object)) []byte {
	t.Helper()
	ours, err := openapi3.NewLoader().LoadFromData(dafty.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(ours)
	if err != nil {
		t.Fatal(err)
	}
	doc := object{}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	change(doc)
	if raw, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	return raw
}

// check runs the program against a server, and gives its exit code and what it says.
func check(t *testing.T, handler http.Handler) (code int, out string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	var b strings.Builder
	code = run(t.Context(), server.URL+"/api/v1/", &b)
	return code, b.String()
}

func serve(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/openapi.json" || r.Header.Get("X-Api-Key") != "" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	})
}

// TestDifferences plants differences into a copy of our file. Each is told, and nothing else.
func TestDifferences(t *testing.T) {
	const generate = "POST /images/generate"
	for _, tt := range []struct {
		name   string
		change func(doc object)
		says   []string // one for each line
	}{
		{"a field of a request is gone", func(doc object) { delete(at(schema(doc, "GenerateImageRequest"), "properties"), "quality") },
			[]string{generate + ": request: quality: the field is missing"}},
		{"a field of an answer is gone", func(doc object) { delete(at(field(doc, "JobResult", "video"), "properties"), "thumbnailUrl") },
			everyJob(": result: video: thumbnailUrl: the field is missing")},
		{"a value of a request is gone", func(doc object) { field(doc, "ImageToVideoRequest", "resolution")["enum"] = []string{"720p"} },
			[]string{`POST /videos/image-to-video: request: resolution: the values "480p" are gone`}},
		{"a value of a request is new", func(doc object) {
			field(doc, "VideoFramesRequest", "resolution")["enum"] = []string{"480p", "720p", "1080p"}
		},
			[]string{`POST /videos/frames: request: resolution: the values "1080p" are new`}},
		{"a status of jobs is new", func(doc object) {
			schema(doc, "JobStatus")["enum"] = []string{"pending", "processing", "completed", "failed", "cancelled"}
		},
			append(everyJob(`: status: the values "cancelled" are new`), `GET /jobs: query parameter status: the values "cancelled" are new`)},
		{"values are open now", func(doc object) { delete(field(doc, "GenerateImageRequest", "quality"), "enum") },
			[]string{generate + `: request: quality: its values are no longer bounded to "low", "medium", "high"`}},
		{"values are bounded now", func(doc object) { schema(doc, "Prompt")["enum"] = []string{"a"} },
			everyPrompt(`: request: prompt: its values are now bounded to "a"`)},
		{"a bound is another", func(doc object) { schema(doc, "Prompt")["maxLength"] = 1000 },
			everyPrompt(": request: prompt: its maxLength is 1000, and was 2000")},
		{"a bound of a list is another", func(doc object) { schema(doc, "References")["maxItems"] = 3 },
			[]string{"POST /images/edit: request: references: its maxItems is 3, and was 4", generate + ": request: references: its maxItems is 3, and was 4"}},
		{"a bound of a number is another", func(doc object) { field(doc, "ImageToVideoRequest", "duration")["maximum"] = 10 },
			[]string{"POST /videos/image-to-video: request: duration: its maximum is 10, and was 15"}},
		{"a bound that we assume is told", func(doc object) { field(doc, "GenerateImageRequest", "variations")["maximum"] = 4 },
			[]string{generate + ": request: variations: its maximum is 4, and it had none"}},
		{"a bound that we assume isn't told", func(doc object) { delete(field(doc, "GenerateImageRequest", "variations"), "minimum") }, nil},
		{"a default is another", func(doc object) { field(doc, "ImageToVideoRequest", "audio")["default"] = false },
			[]string{"POST /videos/image-to-video: request: audio: its default is false, and was true"}},
		{"a pattern is narrower", func(doc object) { schema(doc, "ImageID")["pattern"] = "^[0-9a-f-]{36}$" },
			[]string{"POST /images/edit: request: imageId: ", "POST /images/resize: request: imageId: ", "POST /images/upscale: request: imageId: "}},
		{"a pattern that means the same", func(doc object) {
			delete(schema(doc, "ImageID"), "pattern")
			schema(doc, "ImageID")["format"] = "uuid"
		}, nil},
		{"a field is new, and required", func(doc object) {
			s := schema(doc, "EditImageRequest")
			at(s, "properties")["strength"] = object{"type": "number"}
			s["required"] = []string{"imageId", "prompt", "strength"}
		}, []string{"POST /images/edit: request: strength: the field is new, and required"}},
		{"a field is new, and not required", func(doc object) {
			at(schema(doc, "EditImageRequest"), "properties")["strength"] = object{"type": "number"}
		}, nil},
		{"a field that we needn't send is required", func(doc object) { schema(doc, "UpscaleImageRequest")["required"] = []string{"imageId", "resolution"} },
			[]string{"POST /images/upscale: request: resolution: it is required"}},
		{"a field of an answer needn't be there", func(doc object) { schema(doc, "Job")["required"] = []string{"id", "type", "status"} },
			everyJob(": createdAt: it is no longer required")},
		{"a field of an answer can be null", func(doc object) { field(doc, "Job", "createdAt")["nullable"] = true }, everyJob(": createdAt: it can be null")},
		{"a type is another", func(doc object) { field(doc, "ExtractStyleRequest", "url")["type"] = "array" },
			[]string{`POST /styles/extract: request: url: its type is "array", not "string"`}},
		{"a path is gone", func(doc object) { delete(at(doc, "paths"), "/jobs/{id}/cancel") }, []string{"POST /jobs/{id}/cancel: the path is missing"}},
		{"a method is gone", func(doc object) { delete(at(doc, "paths", "/uploads"), "post") }, []string{"POST /uploads: the method is missing"}},
		{"a status of an error is gone", func(doc object) { delete(at(operation(doc, "/images/edit", "post"), "responses"), "402") },
			[]string{"POST /images/edit: the status 402 is missing"}},
		{"errors are told as ranges", func(doc object) {
			responses := at(operation(doc, "/images/edit", "post"), "responses")
			responses["4XX"], responses["default"] = responses["400"], responses["500"]
			for _, status := range []string{"400", "401", "402", "404", "429", "500"} {
				delete(responses, status)
			}
		}, nil},
		{"success has another status", func(doc object) {
			responses := at(operation(doc, "/images/edit", "post"), "responses")
			responses["204"] = responses["202"]
			delete(responses, "202")
		}, []string{"POST /images/edit: no status of a success is documented that the operator knows (202)"}},
		{"either success of an upload", func(doc object) { delete(at(operation(doc, "/uploads", "post"), "responses"), "201") }, nil},
		{"an error's code is gone", func(doc object) {
			at(field(doc, "Error", "error"), "properties", "code")["enum"] = []string{"VALIDATION_ERROR", "UNAUTHORIZED", "SUBSCRIPTION_REQUIRED", "NOT_FOUND",
				"RATE_LIMIT_ERROR", "CONCURRENT_LIMIT_REACHED", "USAGE_LIMIT_EXCEEDED", "INTERNAL_ERROR"}
		}, everyError(`error: code: the values "INSUFFICIENT_CREDITS" are gone`)},
		{"an error's message isn't certain", func(doc object) { field(doc, "Error", "error")["required"] = []string{"code"} }, everyError("error: message: it is no longer required")},
		{"the idempotency key is shorter", func(doc object) { at(doc, "components", "parameters", "IdempotencyKey", "schema")["maxLength"] = 64 },
			everyCreate(": header parameter Idempotency-Key: its maxLength is 64, and was 255")},
		{"the idempotency key is gone", func(doc object) { delete(operation(doc, "/videos/frames", "post"), "parameters") },
			[]string{"POST /videos/frames: header parameter Idempotency-Key: it is missing"}},
		{"a parameter is required", func(doc object) {
			operation(doc, "/jobs", "get")["parameters"] = append(operation(doc, "/jobs", "get")["parameters"].([]any), object{"name": "team", "in": "query", "required": true, "schema": object{"type": "string"}})
		}, []string{"GET /jobs: query parameter team: it is new, and required"}},
		{"the header of the API key is another", func(doc object) { at(doc, "components", "securitySchemes", "apiKey")["name"] = "x-token" },
			[]string{"security: there is no API key in the header x-api-key"}},
		{"the account is gone", func(doc object) { delete(at(doc, "paths"), "/account") }, []string{"GET /account: the path is missing"}},
		{"the search in a style is another", func(doc object) {
			search := operation(doc, "/styles/{id}/search", "post")
			at(search, "requestBody", "content", "application/json", "schema", "properties", "limit")["maximum"] = 20
			at(search, "responses", "200", "content", "application/json", "schema", "properties", "data")["type"] = "object"
			delete(at(search, "responses"), "404")
		}, []string{
			"POST /styles/{id}/search: request: limit: its maximum is 20, and was 50",
			`POST /styles/{id}/search: answer 200: data: its type is "object", not "array"`,
			"POST /styles/{id}/search: the status 404 is missing",
		}},
		{"what the operator doesn't use", func(doc object) {
			at(doc, "paths")["/webhooks"] = object{"get": object{"responses": object{"200": object{"description": "new"}}}}
			doc["info"] = object{"title": "Dafty", "version": "2"}
		}, nil},
		{"other names of the same paths", func(doc object) {
			paths := at(doc, "paths")
			for path, item := range maps.Clone(paths) {
				delete(paths, path)
				paths["/api/v1"+strings.ReplaceAll(path, "{id}", "{jobId}")] = item
			}
		}, nil},
		{"as OpenAPI 3.1 writes it", func(doc object) {
			doc["openapi"] = "3.1.0"
			field(doc, "GenerateImageRequest", "quality")["anyOf"] = []any{object{"type": "string", "const": "low"}, object{"type": "string", "const": "medium"}, object{"const": "high"}}
			delete(field(doc, "GenerateImageRequest", "quality"), "enum")
			thumbnail := at(field(doc, "JobResult", "video"), "properties", "thumbnailUrl")
			delete(thumbnail, "nullable")
			thumbnail["type"] = []string{"string", "null"}
			width := at(field(doc, "JobResult", "video"), "properties", "width")
			delete(width, "nullable")
			delete(width, "type")
			width["anyOf"] = []any{object{"type": "integer"}, object{"type": "null"}}
		}, nil},
		{"forms that can't be compared", func(doc object) {
			field(doc, "ExtractStyleRequest", "url")["oneOf"] = []any{object{"type": "string"}, object{"type": "object"}}
		}, []string{"POST /styles/extract: request: url: it is one of 2 forms, which can't be compared: look at it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := copyOfOurs(t, tt.change)
			code, out := check(t, serve(changed))
			var got []string
			for line := range strings.Lines(out) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "http") {
					got = append(got, line)
				}
			}
			if want := min(1, len(tt.says)); code != want {
				t.Errorf("exit code %d, want %d:\n%s", code, want, out)
			}
			for _, want := range tt.says {
				if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, want) }) {
					t.Errorf("it doesn't say %q:\n%s", want, out)
				}
			}
			for _, line := range got {
				if !slices.ContainsFunc(tt.says, func(want string) bool { return strings.Contains(line, want) }) {
					t.Errorf("it says %q", line)
				}
			}
		})
	}
}

func everyJob(what string) []string {
	return append(everyCreate(": answer 202: data"+what), "GET /jobs: answer 200: data[]"+what, "GET /jobs/{id}: answer 200: data"+what, "POST /jobs/{id}/cancel: answer 200: data"+what)
}

func everyCreate(what string) (all []string) {
	for _, path := range []string{"/images/edit", "/images/generate", "/images/resize", "/images/upscale", "/styles/extract", "/videos/frames", "/videos/image-to-video"} {
		all = append(all, "POST "+path+what)
	}
	return all
}

func everyPrompt(what string) (all []string) {
	for _, path := range []string{"/images/edit", "/images/generate", "/videos/frames", "/videos/image-to-video"} {
		all = append(all, "POST "+path+what)
	}
	return all
}

// everyError is of so many operations that the place is left out.
func everyError(what string) []string { return []string{what} }

// TestOurOwn: what the simulator serves is what we have.
func TestOurOwn(t *testing.T) {
	if code, out := check(t, daftysim.New(daftysim.Options{})); code != 0 || !strings.Contains(out, "is as internal/dafty/openapi.yaml has it") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestNothingToCompare: what isn't there or can't be read is no agreement.
func TestNothingToCompare(t *testing.T) {
	for name, handler := range map[string]http.Handler{
		"no such page":           http.NotFoundHandler(),
		"no JSON":                serve([]byte("<html>")),
		"empty":                  serve(nil),
		"another file":           serve([]byte(`{"openapi":"3.0.3","info":{"title":"a","version":"1"},"paths":{}}`)),
		"a reference to nowhere": serve([]byte(`{"openapi":"3.0.3","info":{"title":"a","version":"1"},"paths":{"/jobs":{"$ref":"https://elsewhere.example/a.json"}}}`)),
	} {
		t.Run(name, func(t *testing.T) {
			if code, out := check(t, handler); code != 1 || !strings.Contains(out, "can't be compared: ") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
		})
	}
	var b strings.Builder
	if code := run(t.Context(), "http://127.0.0.1:1/api/v1", &b); code != 1 {
		t.Errorf("exit code %d without a server", code)
	}
}

// TestAllIsUsed holds what is compared, and what is generated for the client, against what the client uses.
func TestAllIsUsed(t *testing.T) {
	files, err := filepath.Glob("../../internal/dafty/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var client, generated strings.Builder
	for _, file := range files {
		raw, err := os.ReadFile(file)
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.HasSuffix(file, ".gen.go"):
			generated.Write(raw)
		case !strings.HasSuffix(file, "_test.go"):
			client.Write(raw)
		}
	}
	ours, err := openapi3.NewLoader().LoadFromData(dafty.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range ours.Paths.Map() {
		for method, op := range item.Operations() {
			request := "new" + strings.ToUpper(op.OperationID[:1]) + op.OperationID[1:] + "Request("
			used := strings.Contains(client.String(), request)
			if !used {
				t.Errorf("%s %s: it is compared, and not used", method, path)
			}
			if made := strings.Contains(generated.String(), "func "+request); used != made {
				t.Errorf("%s %s: used %t, and generated %t", method, path, used, made)
			}
		}
	}
}
