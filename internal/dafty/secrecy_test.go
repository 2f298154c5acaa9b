package dafty_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Keys of characters that JSON, URLs and Go's printing spell in several ways.
var awkwardKeys = []string{
	apiKey,
	`dk<&>'"live"`,
	`dk/live/..\u0041\`,
	`dk+100%~@:;=?#[]{}|^`,
	"dk$1$&`0`",
}

// escaped spells each character of a key as JSON's \u does, which any server may.
func escaped(key string) string {
	var text strings.Builder
	for _, c := range key {
		fmt.Fprintf(&text, `\u%04X`, c)
	}
	return text.String()
}

func quoted(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(raw[1 : len(raw)-1])
}

// echoes are the ways in which an answer may repeat the key, as the inside of a JSON string.
func echoes(key string) map[string]string {
	plain := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key)
	return map[string]string{
		"as it is":             plain,
		"as Go writes JSON":    quoted(key),
		"with escaped slashes": strings.ReplaceAll(plain, "/", `\/`),
		"each character":       escaped(key),
		"JSON within JSON":     quoted(`{"x-api-key":"` + quoted(key) + `"}`),
		"as a query":           quoted("https://x/?key=" + url.QueryEscape(key)),
		"as a path":            quoted("https://x/" + url.PathEscape(key)),
		"twice":                plain + plain,
	}
}

// shows reports whether a text gives the key away, however it is spelled.
func shows(text, key string) bool {
	for _, form := range []string{key, quoted(key), strings.ReplaceAll(key, "/", `\/`), url.QueryEscape(key), url.PathEscape(key), fmt.Sprintf("%q", key)[1:]} {
		if strings.Contains(text, strings.TrimSuffix(form, `"`)) {
			return true
		}
	}
	return false
}

func printed(values ...any) string {
	var text strings.Builder
	for _, value := range values {
		fmt.Fprintf(&text, "%v\n%+v\n%#v\n%s\n%q\n%x\n", value, value, value, value, value, value)
		if raw, err := json.Marshal(value); err == nil {
			text.Write(raw)
		}
	}
	return text.String()
}

func TestKeyIsInNoError(t *testing.T) {
	for _, key := range awkwardKeys {
		for how, echo := range echoes(key) {
			for name, answer := range map[string]string{
				"message":        httpAnswer(400, `{"error":{"code":"X","message":"bad key `+echo+`"}}`),
				"code":           httpAnswer(400, `{"error":{"code":"`+echo+`","message":"no"}}`),
				"details":        httpAnswer(400, `{"error":{"message":"no","details":{"a":[{"b":"`+echo+`"}]}}}`),
				"name of detail": httpAnswer(400, `{"error":{"message":"no","details":{"`+echo+`":1}}}`),
				"page":           httpAnswer(500, "<p>"+echo+"</p>"),
			} {
				t.Run(key+" "+how+" "+name, func(t *testing.T) {
					baseURL, _ := always(t, answer)
					client := newClientWithKey(t, baseURL, key)
					e := dafty.AsError(create(t.Context(), client))
					if e == nil {
						t.Fatal("no error")
					}
					if text := printed(e, *e, e.Details); shows(text, key) {
						t.Errorf("shows the key:\n%s", text)
					}
				})
			}
		}
		for name, answer := range map[string]string{
			"status line":     "HTTP/1.1 " + key + "\r\n\r\n",
			"first line":      key + "\r\n",
			"header":          "HTTP/1.1 200 OK\r\n" + key + "\r\n\r\n",
			"content length":  "HTTP/1.1 200 OK\r\nContent-Length: " + key + "\r\n\r\n",
			"redirect":        httpAnswer(302, "", "Location: http://127.0.0.1/"+url.PathEscape(key)),
			"broken redirect": httpAnswer(302, "", "Location: http://[/"+key),
			"encoding":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + key + "\r\n\r\n",
			"reason":          "HTTP/1.1 500 " + key + "\r\nContent-Length: 0\r\n\r\n",
			"retry after":     httpAnswer(429, "", "Retry-After: "+key),
		} {
			t.Run(key+" "+name, func(t *testing.T) {
				baseURL := listen(t, func(c *connection) {
					c.request()
					_, _ = io.WriteString(c, answer)
				})
				e := dafty.AsError(create(t.Context(), newClientWithKey(t, baseURL, key)))
				if e == nil {
					t.Fatal("no error")
				}
				if text := printed(e, *e); shows(text, key) {
					t.Errorf("shows the key:\n%s", text)
				}
			})
		}
	}
}

// A key that can't be a header's value is refused by http.Transport, which must not quote it.
func TestKeyThatCannotBeSent(t *testing.T) {
	const key = "dk_live\r\nX-Evil: 1"
	baseURL, requests := always(t, httpAnswer(200, pendingJob))
	e := dafty.AsError(create(t.Context(), newClientWithKey(t, baseURL, key)))
	if e == nil || !e.Unsent || requests.Load() != 0 {
		t.Errorf("got %+v", e)
	}
	if strings.Contains(printed(e), "dk_live") {
		t.Errorf("shows the key: %v", e)
	}
}

func TestKeyIsInNoJob(t *testing.T) {
	for _, key := range awkwardKeys {
		for how, echo := range echoes(key) {
			t.Run(key+" "+how, func(t *testing.T) {
				baseURL, _ := always(t, httpAnswer(200, `{"data":{"id":"`+jobID+`","type":"`+echo+`","status":"failed",`+
					`"result":{"images":[{"id":"`+echo+`","url":"https://x/`+echo+`"}]},"error":{"code":"`+echo+`","message":"`+echo+`"}}}`))
				job, err := newClientWithKey(t, baseURL, key).Job(t.Context(), jobID, false)
				if err != nil {
					t.Fatal(err)
				}
				image := (*job.Result.Images)[0]
				for _, text := range []string{string(job.Type), image.Id, image.Url, string(job.Error.Code), job.Error.Message} {
					if shows(text, key) || !strings.Contains(text, "[redacted]") {
						t.Errorf("got %q", text)
					}
				}
			})
		}
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	client := dafty.New("https://example.com", apiKey, "test", http.DefaultClient)
	text := printed(client, *client, struct{ c *dafty.Client }{client}, struct{ c dafty.Client }{*client}, []any{client})
	if shows(text, apiKey) || strings.Contains(text, fmt.Sprintf("%x", apiKey)) {
		t.Errorf("shows the key:\n%s", text)
	}
}
