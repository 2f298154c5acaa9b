package dafty_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

func TestListsOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status dafty.JobStatus
		cursor string
		want   string
	}{
		{"the first page", dafty.Pending, "", "GET /jobs?limit=50&status=pending HTTP/1.1"},
		{"another", dafty.Processing, "am9iOjQ5", "GET /jobs?cursor=am9iOjQ5&limit=50&status=processing HTTP/1.1"},
		// A cursor is Dafty's own affair, and must not become another parameter.
		{"a cursor of odd letters", dafty.Pending, "a&limit=1#?/ +=ü", "GET /jobs?cursor=a%26limit%3D1%23%3F%2F%20%2B%3D%C3%BC&limit=50&status=pending HTTP/1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 1)
			url := listen(t, func(c *connection) {
				got <- c.request()
				c.answer(http.StatusOK, `{"data":[]}`)
			})
			if _, err := newClient(t, url).List(t.Context(), tt.status, tt.cursor); err != nil {
				t.Fatal(err)
			}
			raw := <-got
			line, rest, _ := strings.Cut(raw, "\r\n")
			if line != tt.want {
				t.Errorf("got  %s\nwant %s", line, tt.want)
			}
			if !strings.Contains(rest, "\r\nX-Api-Key: "+apiKey+"\r\n") && !strings.HasPrefix(rest, "X-Api-Key: "+apiKey+"\r\n") {
				t.Errorf("no API key in\n%s", rest)
			}
		})
	}
}

// A list is read leniently: what is of no use in it spoils nothing. One that is none is an error, so that nobody takes
// its jobs for ended.
func TestListAnswers(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, tt := range []struct {
		name string
		body string
		ids  []string
		next string
		kind dafty.Kind // of the error, empty where it can be read
	}{
		{name: "no jobs", body: `{"data":[]}`},
		{name: "the last page", body: `{"data":[{"id":"a"},{"id":"b"}]}`, ids: []string{"a", "b"}},
		{name: "the last page, said so", body: `{"data":[{"id":"a"}],"nextCursor":null}`, ids: []string{"a"}},
		{name: "one of several", body: `{"data":[{"id":"a"}],"nextCursor":"c1"}`, ids: []string{"a"}, next: "c1"},
		{name: "an empty page, and more", body: `{"data":[],"nextCursor":"c1"}`, next: "c1"},
		{name: "new fields", body: `{"data":[{"id":"a","status":"pending","colour":{"r":1}}],"meta":{"total":1}}`, ids: []string{"a"}},
		{name: "a job of an odd form", body: `{"data":[{"id":"a","createdAt":"yesterday","type":7,"result":"none"}]}`, ids: []string{"a"}},
		{name: "ids that are none", body: `{"data":[{"id":7},{"id":null},{},{"id":"a"}]}`, ids: []string{"a"}},
		{name: "an id without end", body: `{"data":[{"id":"` + long + `"},{"id":"a"}]}`, ids: []string{"a"}},
		{name: "a cursor that is none", body: `{"data":[{"id":"a"}],"nextCursor":7}`, ids: []string{"a"}},

		{name: "no data", body: `{}`, kind: dafty.KindUnavailable},
		{name: "data of nothing", body: `{"data":null}`, kind: dafty.KindUnavailable},
		{name: "one job instead", body: pendingJob, kind: dafty.KindUnavailable},
		{name: "jobs of another form", body: `{"data":["a"]}`, kind: dafty.KindUnavailable},
		{name: "half an answer", body: `{"data":[{"id":"a"}`, kind: dafty.KindUnavailable},
		{name: "a page of HTML", body: proxyPage, kind: dafty.KindUnavailable},
		{name: "nothing", body: ``, kind: dafty.KindUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, _ := always(t, httpAnswer(http.StatusOK, tt.body))
			page, err := newClient(t, url).List(t.Context(), dafty.Pending, "")
			if tt.kind != "" {
				if e := dafty.AsError(err); e == nil || e.Kind != tt.kind || page != nil {
					t.Fatalf("got %+v, %v", page, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(idsOf(page), tt.ids) || page.Next != tt.next {
				t.Errorf("got %+v", page)
			}
		})
	}
}

func idsOf(page *dafty.JobPage) (ids []string) {
	for _, job := range page.Jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

func TestListedJobs(t *testing.T) {
	url, _ := always(t, httpAnswer(http.StatusOK, `{"data":[{"id":"a","type":"image.generate","createdAt":"2026-01-02T03:04:05.678Z"},`+
		`{"id":"b","type":null,"createdAt":"2026-01-02T03:04Z"},{"id":"c","type":7,"createdAt":"yesterday"}]}`))
	page, err := newClient(t, url).List(t.Context(), dafty.Pending, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []dafty.ListedJob{
		{ID: "a", Type: "image.generate", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)},
		{ID: "b", CreatedAt: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)},
		{ID: "c"},
	}
	if !slices.Equal(page.Jobs, want) {
		t.Errorf("got %+v", page.Jobs)
	}
}

func TestListErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string
		kind   dafty.Kind
		wait   time.Duration
	}{
		{"rejected key", httpAnswer(401, daftys("UNAUTHORIZED", "no")), dafty.KindUnauthorized, 0},
		{"over the limit", httpAnswer(429, daftys("RATE_LIMIT_ERROR", "no"), "Retry-After: 7"), dafty.KindRateLimit, 7 * time.Second},
		{"a cursor that is too old", httpAnswer(400, daftys("VALIDATION_ERROR", "no")), dafty.KindInvalid, 0},
		{"broken", httpAnswer(500, daftys("INTERNAL_ERROR", "no")), dafty.KindUnavailable, 0},
		{"a proxy", httpAnswer(502, proxyPage), dafty.KindUnavailable, 0},
		{"elsewhere", httpAnswer(302, "", "Location: https://example.com/"), dafty.KindUnavailable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := always(t, tt.answer)
			page, err := newClient(t, url).List(t.Context(), dafty.Pending, "c")
			if e := dafty.AsError(err); page != nil || e == nil || e.Kind != tt.kind || e.RetryAfter != tt.wait {
				t.Errorf("got %+v, %+v", page, e)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A list that isn't answered is given up after 20 s, as every call that Dafty answers at once.
func TestListsAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		client := dafty.New("https://dafty.test", apiKey, "test", doerFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}))
		if _, err := client.List(t.Context(), dafty.Pending, ""); dafty.AsError(err) == nil {
			t.Error("no error")
		}
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("given up after %v", took)
		}
	})
}

type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(req *http.Request) (*http.Response, error) { return f(req) }

// Page by page, each job under a status comes once, in either order; those of others where Dafty shows them.
func TestListsOfTheSimulator(t *testing.T) {
	const others, ours = 60, 120
	for _, order := range []daftysim.ListOrder{daftysim.ListNewestFirst, daftysim.ListOldestFirst} {
		for _, scope := range []daftysim.ListScope{daftysim.ListScopeKey, daftysim.ListScopeAccount} {
			t.Run(fmt.Sprintf("%s, of the %s", order, scope), func(t *testing.T) {
				sim := daftysim.New(daftysim.Options{
					Manual: true, StrictRequests: true, Limits: daftysim.NoLimits, Variants: daftysim.Variants{ListOrder: order, ListScope: scope},
					Accounts: []daftysim.Account{{Name: "acme", APIKeys: []string{apiKey}}},
				})
				client := dafty.New("https://dafty.test"+daftysim.BasePath, apiKey, "test", doerFunc(func(req *http.Request) (*http.Response, error) {
					recorder := httptest.NewRecorder()
					sim.ServeHTTP(recorder, req)
					return recorder.Result(), nil
				}))
				want := map[dafty.JobStatus][]string{}
				for i := range ours {
					job, err := client.Create(t.Context(), dafty.GenerateImageRequest{Prompt: "a mountain"}, fmt.Sprint(i))
					if err != nil {
						t.Fatal(err)
					}
					status := dafty.Pending
					if i%3 == 0 {
						status = dafty.Processing
						if err := sim.Start(job.Id); err != nil {
							t.Fatal(err)
						}
					}
					want[status] = append(want[status], job.Id)
				}
				for range others {
					if id := sim.AddJob("acme", daftysim.PersonJob{}); scope == daftysim.ListScopeAccount {
						want[dafty.Pending] = append(want[dafty.Pending], id)
					}
				}
				for status, ids := range want {
					var got []string
					pages := 0
					for cursor := ""; pages == 0 || cursor != ""; pages++ {
						page, err := client.List(t.Context(), status, cursor)
						if err != nil {
							t.Fatal(err)
						}
						got, cursor = append(got, idsOf(page)...), page.Next
					}
					if order == daftysim.ListNewestFirst {
						slices.Reverse(got)
					}
					if !slices.Equal(got, ids) {
						t.Errorf("%s: got %d jobs, want %d", status, len(got), len(ids))
					}
					if need := (len(ids) + 49) / 50; pages != need {
						t.Errorf("%s: %d pages, want %d", status, pages, need)
					}
				}
				if violations := sim.Violations(); len(violations) > 0 {
					t.Errorf("the contract is broken: %s", violations[0])
				}
			})
		}
	}
}
