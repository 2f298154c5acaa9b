package dafty_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

func create(ctx context.Context, c *dafty.Client) error {
	_, err := c.Create(ctx, dafty.ExtractStyleRequest{Url: "https://example.com/"}, "uid-1")
	return err
}

// Whether a create that got no answer may have made a job is all that a broken connection
// has to tell.
func TestBrokenConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	_ = listener.Close()
	passed, cancelPassed := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelPassed()
	given, giveUp := context.WithCancel(t.Context())
	giveUp()

	for _, tt := range []struct {
		name   string
		ctx    context.Context
		url    string
		scheme string
		handle func(*connection)
		unsent bool
		says   string
		is     error
	}{
		{name: "connection refused", url: closed, unsent: true, says: "Dafty can't be reached: connect: connection refused"},
		{name: "TLS with a server that has none", scheme: "https:", handle: func(c *connection) { c.answer(400, "") }, unsent: true, says: "Dafty can't be reached"},
		{name: "given up before", ctx: given, handle: func(*connection) {}, unsent: true, says: "given up", is: context.Canceled},
		{name: "deadline passed before", ctx: passed, handle: func(*connection) {}, unsent: true, says: "in time", is: context.DeadlineExceeded},
		{name: "reset before the request is read", handle: func(c *connection) { _, _ = c.reader.Peek(1); c.reset() }, says: "Dafty can't be reached"},
		{name: "reset after the request is read", handle: func(c *connection) { c.request(); c.reset() }, says: "Dafty can't be reached"},
		{name: "closed after the request is read", handle: func(c *connection) { c.request() }, says: "Dafty can't be reached: EOF"},
		{name: "another protocol", handle: func(c *connection) { c.request(); fmt.Fprint(c, "220 smtp.example.com\r\n") }, says: "malformed HTTP"},
		{name: "half an answer's head", handle: func(c *connection) { c.request(); fmt.Fprint(c, "HTTP/1.1 202 Acc") }, says: "Dafty can't be reached"},
		{name: "reset within the body", handle: func(c *connection) {
			c.request()
			fmt.Fprint(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 500\r\n\r\n{\"data\"")
		}, says: "broke off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := tt.url
			if tt.handle != nil {
				url = listen(t, tt.handle)
			}
			if tt.scheme != "" {
				url = tt.scheme + strings.TrimPrefix(url, "http:")
			}
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			e := dafty.AsError(create(ctx, newClient(t, url)))
			if e == nil || e.Kind != dafty.KindUnavailable || e.Unsent != tt.unsent || e.Refused() != tt.unsent {
				t.Fatalf("got %+v, want unsent %t", e, tt.unsent)
			}
			if !strings.Contains(e.Error(), tt.says) {
				t.Errorf("says %q, want %q", e, tt.says)
			}
			if tt.is != nil && !errors.Is(e, tt.is) {
				t.Errorf("is no %v", tt.is)
			}
		})
	}
}

// http.Transport sends a request with an Idempotency-Key once more by itself where a reused
// connection breaks. Dafty may still be at work on the first, and would make two jobs.
func TestNoReplayOnAReusedConnection(t *testing.T) {
	const body = `{"url":"https://example.com/"}`
	plain := func(getBody bool) func(string) error {
		return func(url string) error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/styles/extract", strings.NewReader(body))
			if err != nil {
				return err
			}
			req.Header.Set("Idempotency-Key", "uid-1")
			if !getBody {
				req.GetBody = nil
			}
			resp, err := replayer.Do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
	}
	for _, tt := range []struct {
		name  string
		post  func(url string) error
		posts int32
	}{
		{name: "this client", posts: 1, post: func(url string) error {
			return create(t.Context(), dafty.New(url, apiKey, "test", replayer))
		}},
		// Should this one fail, http.Transport has changed, and the test above proves nothing.
		{name: "a plain request, which is replayed", posts: 2, post: plain(true)},
		{name: "a plain request without GetBody", posts: 1, post: plain(false)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var posts, connections atomic.Int32
			url := listen(t, func(c *connection) {
				connections.Add(1)
				for {
					switch request := c.request(); {
					case strings.HasPrefix(request, "GET"):
						c.answer(200, pendingJob)
					case strings.HasPrefix(request, "POST"):
						posts.Add(1)
						if c.number > 1 {
							c.answer(202, pendingJob)
						}
						return // The first one is read, and closed on.
					default:
						return
					}
				}
			})
			t.Cleanup(replayer.CloseIdleConnections)
			// A look leaves a connection to be reused.
			if _, err := dafty.New(url, apiKey, "test", replayer).Job(t.Context(), jobID, false); err != nil {
				t.Fatal(err)
			}
			err := tt.post(url)
			if got := posts.Load(); got != tt.posts {
				t.Errorf("%d POSTs reached the server, want %d", got, tt.posts)
			}
			if (err == nil) != (tt.posts == 2) {
				t.Errorf("got error %v", err)
			}
			if e := dafty.AsError(err); e != nil && e.Unsent {
				t.Error("the request had left")
			}
			if got := connections.Load(); got != tt.posts {
				t.Errorf("%d connections, so that none was reused", got)
			}
		})
	}
}

var replayer = dafty.NewHTTPClient()

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			other, others := always(t, httpAnswer(200, pendingJob))
			url, _ := always(t, httpAnswer(status, "", "Location: "+other+"/jobs/"+jobID))
			client := newClient(t, url)
			_, lookErr := client.Job(t.Context(), jobID, false)
			_, cancelErr := client.Cancel(t.Context(), jobID)
			for _, err := range []error{lookErr, cancelErr, create(t.Context(), client)} {
				e := dafty.AsError(err)
				if e == nil || e.Kind != dafty.KindUnavailable || e.Status != status || e.Refused() || !strings.Contains(e.Message, "redirect") {
					t.Errorf("got %+v", e)
				}
			}
			if got := others.Load(); got != 0 {
				t.Errorf("%d requests reached the other host", got)
			}
		})
	}
}

// An answer is given up at the limit: neither its announced nor its unpacked size is taken
// into memory.
func TestAnswersAreBounded(t *testing.T) {
	const size = 64 << 20
	stream := func(w io.Writer) {
		chunk := bytes.Repeat([]byte(" "), 64<<10)
		for range size / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name   string
		handle http.HandlerFunc
		says   string
	}{
		{"endless body", func(w http.ResponseWriter, _ *http.Request) { stream(w) }, "longer than"},
		{"endless error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound); stream(w) }, "longer than"},
		{"packed body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			packer := gzip.NewWriter(w)
			stream(packer)
			_ = packer.Close()
		}, "longer than"},
		{"endless header", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			w.WriteHeader(http.StatusOK)
		}, "can't be reached"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handle)
			defer server.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e := dafty.AsError(create(t.Context(), newClient(t, server.URL)))
			runtime.ReadMemStats(&after)
			if e == nil || e.Kind != dafty.KindUnavailable || e.Unsent || !strings.Contains(e.Message, tt.says) {
				t.Errorf("got %+v", e)
			}
			// The server's share is in it too.
			if used := after.TotalAlloc - before.TotalAlloc; used > size/4 {
				t.Errorf("took %d MB", used>>20)
			}
		})
	}
	t.Run("another protocol's endless line", func(t *testing.T) {
		url := listen(t, func(c *connection) {
			c.request()
			stream(c)
		})
		e := dafty.AsError(create(t.Context(), newClient(t, url)))
		if e == nil || len(e.Error()) > 8<<10 {
			t.Errorf("got %d bytes", len(e.Error()))
		}
	})
	t.Run("an answer at the limit", func(t *testing.T) {
		body := pendingJob + strings.Repeat(" ", 1<<20-len(pendingJob))
		url, _ := always(t, httpAnswer(202, body))
		if err := create(t.Context(), newClient(t, url)); err != nil {
			t.Error(err)
		}
		url, _ = always(t, httpAnswer(202, body+" "))
		if err := create(t.Context(), newClient(t, url)); err == nil {
			t.Error("one byte more is accepted")
		}
	})
}

// doer answers without a network, in virtual time.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

func TestTimeouts(t *testing.T) {
	never := func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	slowBody := func(req *http.Request) (*http.Response, error) {
		body, writer := io.Pipe()
		context.AfterFunc(req.Context(), func() { _ = writer.CloseWithError(req.Context().Err()) })
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
	}
	look := func(wait bool) func(context.Context, *dafty.Client) error {
		return func(ctx context.Context, c *dafty.Client) error { _, err := c.Job(ctx, jobID, wait); return err }
	}
	cancel := func(ctx context.Context, c *dafty.Client) error { _, err := c.Cancel(ctx, jobID); return err }
	reserve := func(ctx context.Context, c *dafty.Client) error {
		_, err := c.Reserve(ctx, "logo", "image/png")
		return err
	}
	complete := func(ctx context.Context, c *dafty.Client) error { _, err := c.Complete(ctx, "up_1"); return err }
	for _, tt := range []struct {
		name  string
		call  func(context.Context, *dafty.Client) error
		limit time.Duration // the caller's own
		after time.Duration
	}{
		{name: "look", call: look(false), after: 20 * time.Second},
		{name: "held look outlasts the 55 s that Dafty holds it", call: look(true), after: 75 * time.Second},
		{name: "cancel", call: cancel, after: 20 * time.Second},
		{name: "reservation of an upload", call: reserve, after: 20 * time.Second},
		{name: "end of an upload", call: complete, after: 20 * time.Second},
		{name: "create, by its caller's deadline", call: create, limit: 29 * time.Second, after: 29 * time.Second},
		{name: "held look, by its caller's deadline", call: look(true), limit: time.Second, after: time.Second},
	} {
		for name, server := range map[string]doer{"no answer": never, "no body": slowBody} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx := t.Context()
					if tt.limit > 0 {
						var stop context.CancelFunc
						ctx, stop = context.WithTimeout(ctx, tt.limit)
						defer stop()
					}
					began := time.Now()
					e := dafty.AsError(tt.call(ctx, dafty.New("http://127.0.0.1", apiKey, "test", server)))
					if got := time.Since(began); got != tt.after {
						t.Errorf("given up after %v, want %v", got, tt.after)
					}
					if e == nil || e.Kind != dafty.KindUnavailable || !errors.Is(e, context.DeadlineExceeded) || !strings.Contains(e.Message, "in time") {
						t.Errorf("got %+v", e)
					}
				})
			})
		}
	}
}

// The bytes of an upload have the time that a slow line takes.
func TestPutTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		e := dafty.AsError(dafty.New("https://dafty.test", apiKey, "test", doer(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})).Put(t.Context(), "https://storage.test/up_1", "image/png", []byte("x")))
		if got := time.Since(began); got != 2*time.Minute {
			t.Errorf("given up after %v", got)
		}
		if e == nil || e.Kind != dafty.KindUnavailable || !errors.Is(e, context.DeadlineExceeded) || e.Message != "the storage for uploads didn't answer in time" {
			t.Errorf("got %+v", e)
		}
	})
}

func TestGivenUpOnTheWay(t *testing.T) {
	read := make(chan struct{})
	hold := make(chan struct{})
	defer close(hold)
	url := listen(t, func(c *connection) {
		c.request()
		close(read)
		<-hold
	})
	ctx, giveUp := context.WithCancel(t.Context())
	go func() { <-read; giveUp() }()
	e := dafty.AsError(create(ctx, newClient(t, url)))
	if e == nil || e.Kind != dafty.KindUnavailable || e.Unsent || !errors.Is(e, context.Canceled) {
		t.Errorf("got %+v", e)
	}
}
