package dafty_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"dafty.ai/dafty-operator/internal/dafty"
)

const (
	apiKey = "dk_live_0a1b2c3d4e5f"
	jobID  = "3f0c9a52-6d1e-4b7a-8c35-9e2f1d4b6a70"

	pendingJob = `{"data":{"id":"` + jobID + `","type":"image.generate","status":"pending","createdAt":"2026-01-02T03:04:05Z"}}`
)

// newClient is a client for the API at baseURL, with connections of its own.
func newClient(t *testing.T, baseURL string) *dafty.Client {
	t.Helper()
	return newClientWithKey(t, baseURL, apiKey)
}

func newClientWithKey(t *testing.T, baseURL, key string) *dafty.Client {
	t.Helper()
	httpClient := dafty.NewHTTPClient()
	t.Cleanup(httpClient.CloseIdleConnections)
	return dafty.New(baseURL, key, "dafty-operator/1.2.3", httpClient)
}

// connection is one TCP connection to a raw server.
type connection struct {
	net.Conn
	// number counts the connections from 1.
	number int
	reader *bufio.Reader
}

// request reads one request as it came, byte for byte. It is empty where none came.
func (c *connection) request() string {
	var raw bytes.Buffer
	req, err := http.ReadRequest(bufio.NewReaderSize(io.TeeReader(c.reader, &raw), 1))
	if err != nil {
		return ""
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return ""
	}
	return raw.String()
}

func (c *connection) answer(status int, body string) {
	fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), len(body), body)
}

// reset closes the connection such that the peer sees a reset.
func (c *connection) reset() {
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// listen serves each connection to a loopback port with handle, and gives the base URL.
func listen(t *testing.T, handle func(*connection)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				handle(&connection{Conn: conn, number: number, reader: bufio.NewReader(conn)})
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// always answers every request alike, and counts them.
func always(t *testing.T, answer string) (baseURL string, requests *atomic.Int32) {
	t.Helper()
	requests = &atomic.Int32{}
	return listen(t, func(c *connection) {
		for c.request() != "" {
			requests.Add(1)
			_, _ = io.WriteString(c, answer)
		}
	}), requests
}

// httpAnswer is an answer as it stands on the wire.
func httpAnswer(status int, body string, headers ...string) string {
	var extra strings.Builder
	for _, header := range headers {
		extra.WriteString(header + "\r\n")
	}
	return fmt.Sprintf("HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), &extra, len(body), body)
}

func TestCreatesOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		name   string
		create dafty.Create
		class  dafty.Class
		path   string
		body   string
	}{
		{
			name:   "image generation, least",
			create: dafty.GenerateImageRequest{Prompt: "a mountain"},
			class:  dafty.ClassImageCreate,
			path:   "/images/generate",
			body:   `{"prompt":"a mountain"}`,
		},
		{
			name: "image generation, everything",
			create: dafty.GenerateImageRequest{
				Prompt:      "a \"mountain\" & 山",
				AspectRatio: new(dafty.GenerateImageRequestAspectRatio("16:9")),
				Quality:     new(dafty.GenerateImageRequestQuality("high")),
				Resolution:  new(dafty.GenerateImageRequestResolution("4K")),
				References:  &dafty.References{"https://example.com/a.png?x=1&y=2", "up_7"},
				StyleId:     new("style-1"),
				Variations:  new(4),
			},
			class: dafty.ClassImageCreate,
			path:  "/images/generate",
			// encoding/json writes & as \u0026: the same text to whoever reads JSON.
			body: `{"aspectRatio":"16:9","prompt":"a \"mountain\" \u0026 山","quality":"high","references":["https://example.com/a.png?x=1\u0026y=2","up_7"],"resolution":"4K","styleId":"style-1","variations":4}`,
		},
		{
			name:   "image edit, least",
			create: dafty.EditImageRequest{ImageId: jobID, Prompt: "snow"},
			class:  dafty.ClassImageCreate,
			path:   "/images/edit",
			body:   `{"imageId":"` + jobID + `","prompt":"snow"}`,
		},
		{
			name:   "image edit, everything",
			create: dafty.EditImageRequest{ImageId: jobID, Prompt: "snow", References: &dafty.References{"up_7"}},
			class:  dafty.ClassImageCreate,
			path:   "/images/edit",
			body:   `{"imageId":"` + jobID + `","prompt":"snow","references":["up_7"]}`,
		},
		{
			name:   "image resize, least",
			create: dafty.ResizeImageRequest{ImageId: jobID, AspectRatio: "1:1"},
			class:  dafty.ClassImageCreate,
			path:   "/images/resize",
			body:   `{"aspectRatio":"1:1","imageId":"` + jobID + `"}`,
		},
		{
			name:   "image resize, everything",
			create: dafty.ResizeImageRequest{ImageId: jobID, AspectRatio: "1:1", Resolution: new(dafty.Resolution("2K"))},
			class:  dafty.ClassImageCreate,
			path:   "/images/resize",
			body:   `{"aspectRatio":"1:1","imageId":"` + jobID + `","resolution":"2K"}`,
		},
		{
			name:   "image upscale, least",
			create: dafty.UpscaleImageRequest{ImageId: jobID},
			class:  dafty.ClassImageCreate,
			path:   "/images/upscale",
			body:   `{"imageId":"` + jobID + `"}`,
		},
		{
			name:   "image upscale, everything",
			create: dafty.UpscaleImageRequest{ImageId: jobID, Resolution: new(dafty.Resolution("4K"))},
			class:  dafty.ClassImageCreate,
			path:   "/images/upscale",
			body:   `{"imageId":"` + jobID + `","resolution":"4K"}`,
		},
		{
			name:   "image to video, least",
			create: dafty.ImageToVideoRequest{Image: "up_7", Prompt: "pan"},
			class:  dafty.ClassVideoCreate,
			path:   "/videos/image-to-video",
			body:   `{"image":"up_7","prompt":"pan"}`,
		},
		{
			name: "image to video, everything",
			create: dafty.ImageToVideoRequest{
				Image: "up_7", Prompt: "pan", Duration: new(8), Audio: new(false), NegativePrompt: new(""),
				Resolution: new(dafty.ImageToVideoRequestResolution("720p")),
			},
			class: dafty.ClassVideoCreate,
			path:  "/videos/image-to-video",
			body:  `{"audio":false,"duration":8,"image":"up_7","negativePrompt":"","prompt":"pan","resolution":"720p"}`,
		},
		{
			name:   "video from frames, least",
			create: dafty.VideoFramesRequest{StartImage: "up_1", EndImage: "up_2", Prompt: "melt"},
			class:  dafty.ClassVideoCreate,
			path:   "/videos/frames",
			body:   `{"endImage":"up_2","prompt":"melt","startImage":"up_1"}`,
		},
		{
			name: "video from frames, everything",
			create: dafty.VideoFramesRequest{
				StartImage: "up_1", EndImage: "up_2", Prompt: "melt", Duration: new(4), Audio: new(true), NegativePrompt: new("text"),
				Resolution: new(dafty.VideoFramesRequestResolution("480p")), AspectRatio: new(dafty.VideoFramesRequestAspectRatio("9:16")),
			},
			class: dafty.ClassVideoCreate,
			path:  "/videos/frames",
			body:  `{"aspectRatio":"9:16","audio":true,"duration":4,"endImage":"up_2","negativePrompt":"text","prompt":"melt","resolution":"480p","startImage":"up_1"}`,
		},
		{
			name:   "style extraction",
			create: dafty.ExtractStyleRequest{Url: "https://example.com/"},
			class:  dafty.ClassStyleExtract,
			path:   "/styles/extract",
			body:   `{"url":"https://example.com/"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan string, 1)
			url := listen(t, func(c *connection) {
				seen <- c.request()
				c.answer(http.StatusAccepted, pendingJob)
			})
			job, err := newClient(t, url).Create(t.Context(), tt.create, "uid-1.2")
			if err != nil {
				t.Fatal(err)
			}
			if job.Id != jobID || job.Status != dafty.Pending {
				t.Errorf("got job %+v", job)
			}
			want := "POST " + tt.path + " HTTP/1.1\r\n" +
				"Host: " + strings.TrimPrefix(url, "http://") + "\r\n" +
				"User-Agent: dafty-operator/1.2.3\r\n" +
				fmt.Sprintf("Content-Length: %d\r\n", len(tt.body)) +
				"Accept: application/json\r\n" +
				"Content-Type: application/json\r\n" +
				"Idempotency-Key: uid-1.2\r\n" +
				"X-Api-Key: " + apiKey + "\r\n" +
				"Accept-Encoding: gzip\r\n" +
				"\r\n" + tt.body
			if got := <-seen; got != want {
				t.Errorf("on the wire:\n%s\nwant:\n%s", got, want)
			}
			if got := tt.create.Class(); got != tt.class {
				t.Errorf("counts as %s, want %s", got, tt.class)
			}
		})
	}
}

func TestOtherCallsOnTheWire(t *testing.T) {
	look := func(wait bool) func(*testing.T, *dafty.Client) error {
		return func(t *testing.T, c *dafty.Client) error { _, err := c.Job(t.Context(), jobID, wait); return err }
	}
	cancel := func(t *testing.T, c *dafty.Client) error { _, err := c.Cancel(t.Context(), jobID); return err }
	create := func(t *testing.T, c *dafty.Client) error {
		_, err := c.Create(t.Context(), dafty.ExtractStyleRequest{}, "k")
		return err
	}
	for _, tt := range []struct {
		name string
		base string
		call func(*testing.T, *dafty.Client) error
		line string
		body string // with the headers that only a request with a body has
	}{
		{name: "look", call: look(false), line: "GET /jobs/" + jobID},
		{name: "held look", call: look(true), line: "GET /jobs/" + jobID + "?wait=true"},
		{name: "cancel", call: cancel, line: "POST /jobs/" + jobID + "/cancel", body: "Content-Length: 0\r\n"},
		{name: "base with a path", base: "/api/v1", call: look(false), line: "GET /api/v1/jobs/" + jobID},
		{name: "base with a path and a slash", base: "/api/v1/", call: look(false), line: "GET /api/v1/jobs/" + jobID},
		{name: "base with slashes", base: "/api/v1//", call: cancel, line: "POST /api/v1/jobs/" + jobID + "/cancel", body: "Content-Length: 0\r\n"},
		{name: "base with a slash alone", base: "/", call: look(false), line: "GET /jobs/" + jobID},
		{name: "create under a path", base: "/api/v1", call: create, line: "POST /api/v1/styles/extract"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan string, 1)
			url := listen(t, func(c *connection) {
				seen <- c.request()
				c.answer(http.StatusOK, pendingJob)
			})
			if err := tt.call(t, newClient(t, url+tt.base)); err != nil {
				t.Fatal(err)
			}
			got := <-seen
			if line, _, _ := strings.Cut(got, "\r\n"); line != tt.line+" HTTP/1.1" {
				t.Errorf("got %q, want %q", line, tt.line)
			}
			if strings.HasPrefix(tt.line, "POST /api/v1/styles") {
				return
			}
			want := tt.line + " HTTP/1.1\r\n" +
				"Host: " + strings.TrimPrefix(url, "http://") + "\r\n" +
				"User-Agent: dafty-operator/1.2.3\r\n" + tt.body +
				"Accept: application/json\r\n" +
				"X-Api-Key: " + apiKey + "\r\n" +
				"Accept-Encoding: gzip\r\n\r\n"
			if got != want {
				t.Errorf("on the wire:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// An id can come from an annotation that a person wrote: it must reach no other resource.
func TestJobIDsAreOneSegmentOfThePath(t *testing.T) {
	for _, tt := range []struct{ id, path string }{
		{id: "", path: ""},
		{id: ".", path: ""},
		{id: "..", path: ""},
		{id: "../uploads", path: "/jobs/..%2Fuploads"},
		{id: "a/cancel", path: "/jobs/a%2Fcancel"},
		{id: "a?b=c#d", path: "/jobs/a%3Fb=c%23d"},
		{id: "a b\r\nX-Evil: 1", path: "/jobs/a%20b%0D%0AX-Evil:%201"},
	} {
		t.Run(tt.id, func(t *testing.T) {
			paths := make(chan string, 2)
			url := listen(t, func(c *connection) {
				for {
					req := c.request()
					if req == "" {
						return
					}
					paths <- strings.Fields(req)[1]
					c.answer(http.StatusNotFound, `{"error":{"code":"NOT_FOUND","message":"no"}}`)
				}
			})
			client := newClient(t, url)
			_, lookErr := client.Job(t.Context(), tt.id, false)
			_, cancelErr := client.Cancel(t.Context(), tt.id)
			if tt.path == "" {
				for _, err := range []error{lookErr, cancelErr} {
					if e := dafty.AsError(err); e == nil || !e.Unsent || e.Kind != dafty.KindUnavailable {
						t.Errorf("got %v, want a call that isn't sent", err)
					}
				}
				return
			}
			if got := <-paths; got != tt.path {
				t.Errorf("looked at %s, want %s", got, tt.path)
			}
			if got := <-paths; got != tt.path+"/cancel" {
				t.Errorf("cancelled %s, want %s", got, tt.path+"/cancel")
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for _, tt := range []struct {
		url      string
		insecure bool
		says     string // empty: it can be used
	}{
		{url: dafty.DefaultURL},
		{url: "https://example.com"},
		{url: "https://example.com:8443/api/v1/"},
		{url: "HTTPS://EXAMPLE.COM"},
		{url: "http://127.0.0.1:8080"},
		{url: "http://127.8.9.10"},
		{url: "http://[::1]:8080/api"},
		{url: "http://localhost:8080"},
		{url: "http://LOCALHOST"},
		{url: "http://example.com", insecure: true},
		{url: "http://10.0.0.1", insecure: true},
		{url: "http://example.com", says: "plain http"},
		{url: "http://10.0.0.1", says: "plain http"},
		{url: "http://0.0.0.0", says: "plain http"},
		{url: "http://localhost.example.com", says: "plain http"},
		{url: "http://127.0.0.1.example.com", says: "plain http"},
		{url: "http://2130706433", says: "plain http"}, // 127.0.0.1, to some resolvers
		{url: "", says: "must begin with https://"},
		{url: "app.dafty.ai/api/v1", says: "must begin with https://"},
		{url: "//app.dafty.ai", says: "must begin with https://"},
		{url: "ftp://app.dafty.ai", insecure: true, says: "must begin with https://"},
		{url: "file:///etc/passwd", says: "must begin with https://"},
		{url: "https://", says: "names no host"},
		{url: "https:///api/v1", says: "names no host"},
		{url: "https://:8443", says: "names no host"},
		{url: "https:app.dafty.ai", says: "names no host"},
		{url: "https://user@app.dafty.ai", says: "no user name"},
		{url: "https://user:hunter2@app.dafty.ai", says: "no user name"},
		{url: "http://user:hunter2@example.com", says: "no user name"},
		{url: "https://app.dafty.ai?key=hunter2", says: "no query"},
		{url: "https://app.dafty.ai/#hunter2", says: "no query"},
		{url: "https://user:hunter2@app.dafty.ai:port", says: "can't be parsed"},
		{url: "https://app.dafty.ai/\n", says: "can't be parsed"},
	} {
		t.Run(tt.url, func(t *testing.T) {
			err := dafty.CheckURL(tt.url, tt.insecure)
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says != "" && err == nil:
				t.Error("accepted")
			case tt.says != "" && !strings.Contains(err.Error(), tt.says):
				t.Errorf("says %q, want %q", err, tt.says)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("shows a secret: %v", err)
			}
		})
	}
}
