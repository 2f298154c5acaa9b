package dafty_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const (
	uploadID  = "up_7f3a"
	signature = "c2lnbmF0dXJl%2Bb2Yg/dGhlIFVSTA=="
	query     = "?X-Sig=" + signature + "&X-Expires=900"
)

// pictures are one of each kind that Dafty takes, by media type.
func pictures(t *testing.T) map[string][]byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 40, 30))
	all := map[string][]byte{}
	for mediaType, encode := range map[string]func(io.Writer) error{
		"image/png":  func(w io.Writer) error { return png.Encode(w, img) },
		"image/jpeg": func(w io.Writer) error { return jpeg.Encode(w, img, nil) },
		"image/gif":  func(w io.Writer) error { return gif.Encode(w, img, nil) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		all[mediaType] = b.Bytes()
	}
	webp, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	all["image/webp"] = webp
	return all
}

// A picture of each kind goes through the three steps, whichever status a reservation has, and stands as a reference.
func TestUploadsToTheSimulator(t *testing.T) {
	for _, status := range []daftysim.UploadStatus{daftysim.UploadStatusCreated, daftysim.UploadStatusOK} {
		for mediaType, content := range pictures(t) {
			t.Run(string(status)+" "+mediaType, func(t *testing.T) {
				sim := daftysim.New(daftysim.Options{
					Manual: true, StrictRequests: true, Variants: daftysim.Variants{UploadStatus: status},
					Accounts: []daftysim.Account{{Name: "acme", APIKeys: []string{apiKey}}},
				})
				server := httptest.NewServer(sim)
				defer server.Close()
				client := newClient(t, server.URL+daftysim.BasePath)

				found, ok := dafty.ImageType(content)
				if !ok || found != mediaType {
					t.Fatalf("it is taken for %s, %t", found, ok)
				}
				reserved, err := client.Reserve(t.Context(), "logo", found)
				if err != nil {
					t.Fatal(err)
				}
				if err := client.Put(t.Context(), reserved.URL, found, content); err != nil {
					t.Fatal(err)
				}
				id, err := client.Complete(t.Context(), reserved.ID)
				if err != nil || id != reserved.ID {
					t.Fatalf("got %q, %v, of %s", id, err, reserved.ID)
				}
				if _, err := client.Create(t.Context(), dafty.GenerateImageRequest{Prompt: "a mountain", References: &dafty.References{id}}, "k"); err != nil {
					t.Error(err)
				}
				// An API key at the storage would be one.
				if violations := sim.Violations(); len(violations) > 0 {
					t.Errorf("the contract is broken: %s", violations[0])
				}
			})
		}
	}
}

// Dafty judges the bytes themselves, and its words are kept.
func TestBytesThatDaftyRefuses(t *testing.T) {
	sim := daftysim.New(daftysim.Options{StrictRequests: true, Accounts: []daftysim.Account{{Name: "acme", APIKeys: []string{apiKey}}}})
	server := httptest.NewServer(sim)
	defer server.Close()
	client := newClient(t, server.URL+daftysim.BasePath)
	reserved, err := client.Reserve(t.Context(), "logo", "image/png")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Put(t.Context(), reserved.URL, "image/png", pictures(t)["image/jpeg"]); err != nil {
		t.Fatal(err)
	}
	id, err := client.Complete(t.Context(), reserved.ID)
	e := dafty.AsError(err)
	if id != "" || e == nil || e.Kind != dafty.KindInvalid || e.Status != http.StatusBadRequest || e.Code != "VALIDATION_ERROR" {
		t.Fatalf("got %q, %+v", id, e)
	}
	if !strings.Contains(fmt.Sprint(e.Details), "the bytes are image/jpeg, not image/png") {
		t.Errorf("details are %v", e.Details)
	}
	// The storage goes by the signature alone.
	err = client.Put(t.Context(), reserved.URL+"0", "image/png", pictures(t)["image/png"])
	if e := dafty.AsError(err); e == nil || e.Kind != dafty.KindUnavailable || e.Status != http.StatusForbidden {
		t.Errorf("got %+v", e)
	}
}

func TestImageType(t *testing.T) {
	for _, tt := range []struct{ name, content string }{
		{"nothing", ""},
		{"text", "a mountain"},
		{"SVG", `<svg xmlns="http://www.w3.org/2000/svg"/>`},
		{"HTML", "<!DOCTYPE html><img src=x>"},
		{"PDF", "%PDF-1.7"},
		{"BMP", "BM" + strings.Repeat("\x00", 60)},
		{"an icon", "\x00\x00\x01\x00" + strings.Repeat("\x00", 60)},
		{"a PNG in base64", "iVBORw0KGgoAAAANSUhEUgAAAAE="},
		{"half a PNG's signature", "\x89PNG"},
		{"any bytes", "\x01\x02\x03\xff"},
	} {
		if found, ok := dafty.ImageType([]byte(tt.content)); ok {
			t.Errorf("%s is taken for %s", tt.name, found)
		}
	}
}

func TestUploadsOnTheWire(t *testing.T) {
	const body = "\x89PNG\r\n\x1a\n\x00"
	for _, tt := range []struct {
		name   string
		call   func(c *dafty.Client, baseURL string) error
		answer string
		want   string // without Host and User-Agent
	}{
		{
			name: "reserve",
			call: func(c *dafty.Client, _ string) error {
				got, err := c.Reserve(t.Context(), `a "logo".png`, "image/png")
				if err == nil && *got != (dafty.Reservation{ID: uploadID, URL: "https://x/" + query}) {
					return fmt.Errorf("got %+v", got)
				}
				return err
			},
			answer: `{"data":{"uploadId":"` + uploadID + `","uploadUrl":"` + strings.ReplaceAll("https://x/"+query, "&", `\u0026`) + `","expiresIn":900,"method":"PUT"}}`,
			want: "POST /uploads HTTP/1.1\r\nContent-Length: 55\r\nAccept: application/json\r\nContent-Type: application/json\r\n" +
				"X-Api-Key: " + apiKey + "\r\nAccept-Encoding: gzip\r\n\r\n" + `{"contentType":"image/png","filename":"a \"logo\".png"}`,
		},
		{
			name: "put",
			call: func(c *dafty.Client, baseURL string) error {
				return c.Put(t.Context(), baseURL+"/b/"+uploadID+query, "image/png", []byte(body))
			},
			want: "PUT /b/" + uploadID + query + " HTTP/1.1\r\nContent-Length: 9\r\nContent-Type: image/png\r\nAccept-Encoding: gzip\r\n\r\n" + body,
		},
		{
			name: "complete",
			call: func(c *dafty.Client, _ string) error {
				id, err := c.Complete(t.Context(), uploadID)
				if err == nil && id != "up_8" {
					return fmt.Errorf("got %q", id)
				}
				return err
			},
			answer: `{"data":{"id":"up_8","url":"https://x/up_8","width":{"of":"another form"}}}`,
			want: "POST /uploads/" + uploadID + "/complete HTTP/1.1\r\nContent-Length: 0\r\nAccept: application/json\r\n" +
				"X-Api-Key: " + apiKey + "\r\nAccept-Encoding: gzip\r\n\r\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan string, 1)
			baseURL := listen(t, func(c *connection) {
				seen <- c.request()
				c.answer(http.StatusOK, tt.answer)
			})
			if err := tt.call(newClient(t, baseURL), baseURL); err != nil {
				t.Fatal(err)
			}
			got := strings.Replace(<-seen, "Host: "+strings.TrimPrefix(baseURL, "http://")+"\r\nUser-Agent: dafty-operator/1.2.3\r\n", "", 1)
			if got != tt.want {
				t.Errorf("on the wire:\n%q\nwant:\n%q", got, tt.want)
			}
		})
	}
}

// The bytes go to https, unless Dafty itself is asked by plain http: on this machine, or where the user has allowed it.
func TestUploadURLs(t *testing.T) {
	for _, tt := range []struct {
		url  string
		says string // empty: it is used
		// base is Dafty's own URL, by default https.
		base string
	}{
		{url: "https://storage.example.com/up_1" + query},
		{url: "HTTPS://storage.example.com:8443/up_1"},
		{url: "http://127.0.0.1:8080/up_1", base: "http://localhost:4000"},
		{url: "http://[::1]/up_1", base: "http://127.0.0.1"},
		{url: "http://localhost/up_1", base: "http://[::1]:4000/api"},
		{url: "http://storage.example.com/up_1", base: "http://dafty.test"},
		{url: "https://storage.example.com/up_1", base: "http://dafty.test"},
		{url: "http://127.0.0.1:8080/up_1", says: "it isn't https"},
		{url: "http://storage.example.com/up_1", base: "http://127.0.0.1", says: "it isn't https"},
		{url: "ftp://storage.example.com/up_1", base: "http://dafty.test", says: "it isn't https"},
		{url: "http://storage.example.com/up_1" + query, says: "it isn't https: http://storage.example.com"},
		{url: "http://10.0.0.1/up_1", says: "it isn't https"},
		{url: "http://localhost.example.com/up_1", says: "it isn't https"},
		{url: "ftp://127.0.0.1/up_1", says: "it isn't https"},
		{url: "//storage.example.com/up_1", says: "it isn't https"},
		{url: "file:///etc/passwd", says: "names no host"},
		{url: "/storage/up_1", says: "names no host"},
		{url: "https:up_1", says: "names no host"},
		{url: "https://:8443/up_1", says: "names no host"},
		{url: "", says: "names no host"},
		{url: "https://user:hunter2@storage.example.com/", says: "user name"},
		{url: "https://storage.example.com:port/" + query, says: "can't be parsed"},
		{url: "https://storage.example.com/\n" + query, says: "can't be parsed"},
		{url: "http://" + apiKey + ".example.com/", says: "http://[redacted].example.com"},
	} {
		t.Run(tt.url+" "+tt.base, func(t *testing.T) {
			sent := 0
			client := dafty.New(cmp.Or(tt.base, "https://dafty.test"), apiKey, "test", doerFunc(func(req *http.Request) (*http.Response, error) {
				sent++
				return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: req}, nil
			}))
			e := dafty.AsError(client.Put(t.Context(), tt.url, "image/png", []byte("x")))
			if tt.says == "" {
				if e != nil || sent != 1 {
					t.Errorf("%d requests, %v", sent, e)
				}
				return
			}
			if e == nil || sent > 0 || e.Kind != dafty.KindUnavailable || !e.Unsent || !strings.Contains(e.Error(), tt.says) {
				t.Errorf("%d requests, %+v, want one that says %q", sent, e, tt.says)
			}
			if text := printed(e); shows(text, apiKey) || showsSignature(text) || strings.Contains(text, "hunter2") {
				t.Errorf("shows a secret:\n%s", text)
			}
		})
	}
}

// The storage knows signatures, and no keys: whatever it refuses, the key is as good as before, and so are the bytes, unless
// it names their size or type.
func TestStorageThatDoesNotTakeTheBytes(t *testing.T) {
	for status := 300; status < 600; status++ {
		if http.StatusText(status) == "" {
			continue
		}
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			kind, says := dafty.KindUnavailable, ""
			switch status {
			case http.StatusRequestEntityTooLarge:
				kind, says = dafty.KindInvalid, "doesn't take a file of 1 bytes"
			case http.StatusUnsupportedMediaType:
				kind, says = dafty.KindInvalid, "doesn't take a file of type image/png"
			}
			other, others := always(t, httpAnswer(200, ""))
			for _, body := range []string{daftys("UNAUTHORIZED", signature), "<Error><Signature>" + signature + "</Signature></Error>"} {
				if status == http.StatusNotModified {
					body = ""
				}
				baseURL, requests := always(t, httpAnswer(status, body, "Location: "+other+"/"+query, "Retry-After: 7"))
				e := dafty.AsError(newClient(t, baseURL).Put(t.Context(), baseURL+"/up_1"+query, "image/png", []byte("x")))
				if e == nil || e.Kind != kind || e.Status != status || e.Unsent || e.Code != "" || e.RetryAfter != 7*time.Second || !strings.Contains(e.Message, says) {
					t.Errorf("got %+v", e)
				}
				if status < 400 && !strings.Contains(e.Message, "redirect") {
					t.Errorf("says %q", e)
				}
				if text := printed(e); showsSignature(text) {
					t.Errorf("shows the signature:\n%s", text)
				}
				if n := requests.Load(); n != 1 {
					t.Errorf("%d requests", n)
				}
			}
			if n := others.Load(); n != 0 {
				t.Errorf("%d requests reached the other host", n)
			}
		})
	}
}

// showsSignature reports whether a text gives the URL's signature away, however it is spelled.
func showsSignature(text string) bool {
	plain, err := url.QueryUnescape(signature)
	if err != nil {
		panic(err)
	}
	return shows(text, signature) || shows(text, plain) || strings.Contains(text, "X-Sig") || strings.Contains(text, fmt.Sprintf("%x", "X-Sig"))
}

// Whatever a server says in place of an answer, it isn't quoted: it knows the signature.
func TestSignatureIsInNoError(t *testing.T) {
	plain, _ := url.QueryUnescape(signature)
	for _, form := range []string{signature, plain, query, escaped(plain)} {
		for name, answer := range map[string]string{
			"status line":     "HTTP/1.1 " + form + "\r\n\r\n",
			"first line":      form + "\r\n",
			"header":          "HTTP/1.1 200 OK\r\n" + form + "\r\n\r\n",
			"content length":  "HTTP/1.1 200 OK\r\nContent-Length: " + form + "\r\n\r\n",
			"broken redirect": httpAnswer(302, "", "Location: http://[/"+form),
			"encoding":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + form + "\r\n\r\n",
			"reason":          "HTTP/1.1 500 " + form + "\r\nContent-Length: 0\r\n\r\n",
			"retry after":     httpAnswer(503, form, "Retry-After: "+form),
			"reset":           "",
		} {
			t.Run(form+" "+name, func(t *testing.T) {
				baseURL := listen(t, func(c *connection) {
					c.request()
					if answer == "" {
						c.reset()
					}
					_, _ = io.WriteString(c, answer)
				})
				e := dafty.AsError(newClient(t, baseURL).Put(t.Context(), baseURL+"/up_1"+query, "image/png", []byte("x")))
				if e == nil || e.Kind != dafty.KindUnavailable || e.Unsent {
					t.Fatalf("got %+v", e)
				}
				if text := printed(e, *e, errors.Unwrap(e)); showsSignature(text) {
					t.Errorf("shows the signature:\n%s", text)
				}
			})
		}
	}
	for name, to := range map[string]string{
		"nobody there":   "https://127.0.0.1:1/up_1" + query,
		"no such host":   "https://storage.invalid/up_1" + query,
		"no such scheme": "gopher://127.0.0.1/up_1" + query,
	} {
		t.Run(name, func(t *testing.T) {
			e := dafty.AsError(newClient(t, "https://dafty.test").Put(t.Context(), to, "image/png", []byte("x")))
			if e == nil || !e.Unsent || e.Kind != dafty.KindUnavailable {
				t.Fatalf("got %+v", e)
			}
			if text := printed(e, *e); showsSignature(text) {
				t.Errorf("shows the signature:\n%s", text)
			}
		})
	}
}

// An answer that names no upload is none.
func TestUploadAnswers(t *testing.T) {
	long := strings.Repeat("x", 256)
	far := "https://x/" + strings.Repeat("x", 8<<10)
	for _, tt := range []struct {
		name     string
		reserve  string
		complete string
	}{
		{"nothing", ``, ``},
		{"no data", `{}`, `{}`},
		{"data of nothing", `{"data":null}`, `{"data":null}`},
		{"a page of HTML", proxyPage, proxyPage},
		{"half an answer", `{"data":{"uploadId":"up_1","uploadUrl":"https://x/"`, `{"data":{"id":"up_1"`},
		{"no id", `{"data":{"uploadUrl":"https://x/"}}`, `{"data":{"url":"https://x/"}}`},
		{"an empty id", `{"data":{"uploadId":"","uploadUrl":"https://x/"}}`, `{"data":{"id":""}}`},
		{"an id that is none", `{"data":{"uploadId":7,"uploadUrl":"https://x/"}}`, `{"data":{"id":7}}`},
		{"an id without end", `{"data":{"uploadId":"` + long + `","uploadUrl":"https://x/"}}`, `{"data":{"id":"` + long + `"}}`},
		{"no URL", `{"data":{"uploadId":"up_1"}}`, ``},
		{"an empty URL", `{"data":{"uploadId":"up_1","uploadUrl":""}}`, ``},
		{"a URL that is none", `{"data":{"uploadId":"up_1","uploadUrl":["https://x/"]}}`, ``},
		{"a URL without end", `{"data":{"uploadId":"up_1","uploadUrl":"` + far + `"}}`, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			baseURL, _ := always(t, httpAnswer(http.StatusCreated, tt.reserve))
			reserved, err := newClient(t, baseURL).Reserve(t.Context(), "logo", "image/png")
			if e := dafty.AsError(err); reserved != nil || e == nil || e.Kind != dafty.KindUnavailable || e.Status != http.StatusCreated {
				t.Errorf("reserve: got %+v, %+v", reserved, e)
			}
			baseURL, _ = always(t, httpAnswer(http.StatusOK, tt.complete))
			id, err := newClient(t, baseURL).Complete(t.Context(), "up_1")
			if e := dafty.AsError(err); id != "" || e == nil || e.Kind != dafty.KindUnavailable || e.Status != http.StatusOK {
				t.Errorf("complete: got %q, %+v", id, e)
			}
		})
	}
}

func TestUploadErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string
		kind   dafty.Kind
		wait   time.Duration
	}{
		{"refused", httpAnswer(400, daftys("VALIDATION_ERROR", "no")), dafty.KindInvalid, 0},
		{"rejected key", httpAnswer(401, daftys("UNAUTHORIZED", "no")), dafty.KindUnauthorized, 0},
		{"not there", httpAnswer(404, daftys("NOT_FOUND", "no")), dafty.KindNotFound, 0},
		{"over the limit", httpAnswer(429, daftys("RATE_LIMIT_ERROR", "no"), "Retry-After: 7"), dafty.KindRateLimit, 7 * time.Second},
		{"broken", httpAnswer(500, daftys("INTERNAL_ERROR", "no")), dafty.KindUnavailable, 0},
		{"a proxy", httpAnswer(404, proxyPage), dafty.KindUnavailable, 0},
		{"elsewhere", httpAnswer(307, "", "Location: https://example.com/"), dafty.KindUnavailable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			baseURL, requests := always(t, tt.answer)
			client := newClient(t, baseURL)
			_, reserveErr := client.Reserve(t.Context(), "logo", "image/png")
			_, completeErr := client.Complete(t.Context(), "up_1")
			for _, err := range []error{reserveErr, completeErr} {
				if e := dafty.AsError(err); e == nil || e.Kind != tt.kind || e.RetryAfter != tt.wait {
					t.Errorf("got %+v", e)
				}
			}
			if n := requests.Load(); n != 2 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// An upload's id is Dafty's, but must reach no other resource all the same.
func TestUploadIDsAreOneSegmentOfThePath(t *testing.T) {
	for _, tt := range []struct{ id, path string }{
		{id: ""}, {id: "."}, {id: ".."},
		{id: "../jobs", path: "/uploads/..%2Fjobs/complete"},
		{id: "a?b=c#d", path: "/uploads/a%3Fb=c%23d/complete"},
	} {
		t.Run(tt.id, func(t *testing.T) {
			paths := make(chan string, 1)
			baseURL := listen(t, func(c *connection) {
				if req := c.request(); req != "" {
					paths <- strings.Fields(req)[1]
					c.answer(http.StatusOK, `{"data":{"id":"up_1"}}`)
				}
			})
			_, err := newClient(t, baseURL).Complete(t.Context(), tt.id)
			if tt.path == "" {
				if e := dafty.AsError(err); e == nil || !e.Unsent || e.Kind != dafty.KindUnavailable {
					t.Errorf("got %v, want a call that isn't sent", err)
				}
				return
			}
			if got := <-paths; got != tt.path {
				t.Errorf("completed %s, want %s", got, tt.path)
			}
		})
	}
}
