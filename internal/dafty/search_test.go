package dafty_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const styleID = "22222222-2222-4222-8222-222222222222"

func TestSearchOnTheWire(t *testing.T) {
	got := make(chan string, 1)
	url := listen(t, func(c *connection) {
		got <- c.request()
		c.answer(http.StatusOK, `{"data":[]}`)
	})
	if _, err := newClient(t, url+"/api/v1").Search(t.Context(), styleID, `a "dark" logo`, 3); err != nil {
		t.Fatal(err)
	}
	body := `{"limit":3,"query":"a \"dark\" logo"}`
	want := "POST /api/v1/styles/" + styleID + "/search HTTP/1.1\r\n" +
		"Host: " + strings.TrimPrefix(url, "http://") + "\r\n" +
		"User-Agent: dafty-operator/1.2.3\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n", len(body)) +
		"Accept: application/json\r\n" +
		"Content-Type: application/json\r\n" +
		"X-Api-Key: " + apiKey + "\r\n" +
		"Accept-Encoding: gzip\r\n\r\n" + body
	if raw := <-got; raw != want {
		t.Errorf("on the wire:\n%s\nwant:\n%s", raw, want)
	}
}

// A style's id can come from a status that somebody wrote into: it must reach no other resource.
func TestStyleIDsAreOneSegmentOfThePath(t *testing.T) {
	for id, path := range map[string]string{"": "", ".": "", "..": "", "../uploads": "/styles/..%2Fuploads/search", "a/b?c#d": "/styles/a%2Fb%3Fc%23d/search"} {
		paths := make(chan string, 1)
		url := listen(t, func(c *connection) {
			_, rest, _ := strings.Cut(c.request(), " ")
			asked, _, _ := strings.Cut(rest, " ")
			paths <- asked
			c.answer(http.StatusOK, `{"data":[]}`)
		})
		_, err := newClient(t, url).Search(t.Context(), id, "logo", 1)
		if path == "" {
			if e := dafty.AsError(err); e == nil || !e.Unsent {
				t.Errorf("%q: %+v", id, e)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := <-paths; got != path {
			t.Errorf("%q asked for %s", id, got)
		}
	}
}

func describeAssets(assets []dafty.StyleAsset) string {
	var all []string
	for _, a := range assets {
		similarity := "-"
		if a.Similarity != nil {
			similarity = fmt.Sprintf("%.3f", *a.Similarity)
		}
		all = append(all, strings.Join([]string{a.ID, a.Name, a.URL, similarity}, "|"))
	}
	return strings.Join(all, " ")
}

// Answers are read leniently. Each asset keeps its place, which is what a user counts.
func TestSearchAnswers(t *testing.T) {
	long := strings.Repeat("x", 9000)
	for _, tt := range []struct {
		name, body, want string
		unreadable       bool
	}{
		{name: "nothing found", body: `{"data":[]}`},
		{name: "found", body: `{"data":[{"id":"a","name":"logo","url":"https://x/a","similarity":0.91},{"id":"b","name":"icon","url":"https://x/b","similarity":0}]}`,
			want: "a|logo|https://x/a|0.910 b|icon|https://x/b|0.000"},
		{name: "similarities in percent", body: `{"data":[{"id":"a","url":"u","similarity":91.5},{"id":"b","url":"u","similarity":0.5},{"id":"c","url":"u"}]}`,
			want: "a||u|0.915 b||u|0.005 c||u|-"},
		{name: "rounding above 1", body: `{"data":[{"id":"a","url":"u","similarity":1.0000002},{"id":"b","url":"u","similarity":0.5}]}`, want: "a||u|1.000 b||u|0.500"},
		{name: "absent", body: `{"data":[{"id":"a","url":"u"}]}`, want: "a||u|-"},
		{name: "null", body: `{"data":[{"id":"a","name":null,"url":"u","similarity":null}]}`, want: "a||u|-"},
		{name: "of another form", body: `{"data":[{"id":7,"name":["logo"],"url":{},"similarity":"high"},{"id":"b","url":"u","similarity":1}]}`, want: "|||- b||u|1.000"},
		{name: "without end", body: `{"data":[{"id":"` + long + `","name":"` + long + `","url":"` + long + `"}]}`, want: "|||-"},
		{name: "new fields", body: `{"data":[{"id":"a","url":"u","tags":["x"],"size":{"w":1}}],"meta":{"total":1}}`, want: "a||u|-"},

		{name: "no data", body: `{}`, unreadable: true},
		{name: "data of nothing", body: `{"data":null}`, unreadable: true},
		{name: "an object", body: `{"data":{"id":"a"}}`, unreadable: true},
		{name: "texts", body: `{"data":["a"]}`, unreadable: true},
		{name: "half an answer", body: `{"data":[{"id":"a"}`, unreadable: true},
		{name: "a page of HTML", body: proxyPage, unreadable: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, _ := always(t, httpAnswer(http.StatusOK, tt.body))
			assets, err := newClient(t, url).Search(t.Context(), styleID, "logo", 2)
			if tt.unreadable {
				if e := dafty.AsError(err); e == nil || e.Kind != dafty.KindUnavailable || e.Status != 200 || assets != nil {
					t.Fatalf("got %+v, %+v", assets, e)
				}
				return
			}
			if got := describeAssets(assets); err != nil || got != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

// The account is returned as it came: Dafty documents no field of it.
func TestAccountAnswers(t *testing.T) {
	for body, want := range map[string]string{
		`{"data":{"name":"acme","plan":{"id":7},"credits":null}}`: `{"name":"acme","plan":{"id":7},"credits":null}`,
		`{"data":{},"meta":1}`: `{}`,
		`{"data":null}`:        "", `{}`: "", `{"data":[]}`: "", `{"data":"acme"}`: "", `{"data":{`: "", proxyPage: "", "": "",
	} {
		url, requests := always(t, httpAnswer(http.StatusOK, body))
		account, err := newClient(t, url).Account(t.Context())
		if e := dafty.AsError(err); string(account) != want || (e == nil) != (want != "") || e != nil && e.Kind != dafty.KindUnavailable {
			t.Errorf("%s: got %s, %+v", body, account, e)
		}
		if requests.Load() != 1 {
			t.Errorf("%s: %d requests", body, requests.Load())
		}
	}
}

func TestSearchAndAccountErrors(t *testing.T) {
	for _, tt := range []struct {
		answer string
		kind   dafty.Kind
		wait   time.Duration
	}{
		{httpAnswer(401, daftys("UNAUTHORIZED", "no")), dafty.KindUnauthorized, 0},
		{httpAnswer(404, daftys("NOT_FOUND", "no")), dafty.KindNotFound, 0},
		{httpAnswer(404, proxyPage), dafty.KindUnavailable, 0},
		{httpAnswer(400, daftys("VALIDATION_ERROR", "no")), dafty.KindInvalid, 0},
		{httpAnswer(429, daftys("RATE_LIMIT_ERROR", "no"), "Retry-After: 7"), dafty.KindRateLimit, 7 * time.Second},
		{httpAnswer(500, daftys("INTERNAL_ERROR", "no")), dafty.KindUnavailable, 0},
		{httpAnswer(302, "", "Location: https://example.com/"), dafty.KindUnavailable, 0},
	} {
		url, requests := always(t, tt.answer)
		assets, err := newClient(t, url).Search(t.Context(), styleID, "logo", 1)
		if e := dafty.AsError(err); assets != nil || e == nil || e.Kind != tt.kind || e.RetryAfter != tt.wait {
			t.Errorf("%.40q: search: %+v, %+v", tt.answer, assets, e)
		}
		account, err := newClient(t, url).Account(t.Context())
		if e := dafty.AsError(err); account != nil || e == nil || e.Kind != tt.kind || e.RetryAfter != tt.wait {
			t.Errorf("%.40q: account: %s, %+v", tt.answer, account, e)
		}
		if n := requests.Load(); n != 2 {
			t.Errorf("%.40q: %d requests", tt.answer, n)
		}
	}
}

// Under every reading of what Dafty leaves open, searches find what is there, in its order.
func TestSearchesOfTheSimulator(t *testing.T) {
	for _, v := range daftysim.AllVariants() {
		t.Run(v.Name, func(t *testing.T) {
			sim := daftysim.New(daftysim.Options{
				Variants: v.Variants, StrictRequests: true,
				Accounts: []daftysim.Account{{Name: "acme", APIKeys: []string{apiKey}, Styles: []daftysim.Style{{ID: styleID, Assets: []daftysim.StyleAsset{
					{Name: "team portrait"}, {Name: "dark logo"}, {Name: "logo on white"},
				}}}}},
			})
			server := httptest.NewServer(sim)
			defer server.Close()
			client := newClient(t, server.URL+daftysim.BasePath)
			assets, err := client.Search(t.Context(), styleID, "logo on white", 2)
			if err != nil {
				t.Fatal(err)
			}
			named, similar, most := v.Variants.AssetName == daftysim.AssetNamePresent, v.Variants.Similarity, 2
			switch v.Variants.SearchFinds {
			case daftysim.SearchFindsNothing:
				most = 0
			case daftysim.SearchFindsFewer:
				most = 1
			}
			if len(assets) != most {
				t.Fatalf("found %s", describeAssets(assets))
			}
			for i, a := range assets {
				want := sim.AssetsOf("acme", styleID)[2-i]
				if a.ID != want.ID || a.URL != want.URL || (a.Name == want.Name) != named {
					t.Errorf("asset %d is %s, want %+v", i, describeAssets(assets[i:i+1]), want)
				}
				known := similar == daftysim.SimilarityFraction || similar == daftysim.SimilarityPercent
				if (a.Similarity != nil) != known || known && (i == 0) != (*a.Similarity > 0.99) {
					t.Errorf("asset %d is %s", i, describeAssets(assets[i:i+1]))
				}
			}
			if account, err := client.Account(t.Context()); err != nil || !strings.HasPrefix(string(account), "{") ||
				(string(account) == "{}") != (v.Variants.AccountObject == daftysim.AccountObjectEmpty) {
				t.Errorf("the account is %s, %v", account, err)
			}
			if _, err := client.Search(t.Context(), jobID, "logo", 1); dafty.AsError(err).Kind != dafty.KindNotFound {
				t.Errorf("a style that isn't there: %v", err)
			}
			for _, violation := range sim.Violations() {
				t.Error(violation)
			}
		})
	}
}
