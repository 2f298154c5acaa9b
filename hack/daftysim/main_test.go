package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// start runs the program until the test ends, and gives its base URL.
func start(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), in, io.Discard)
		_ = in.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func ask(t *testing.T, method, url, key, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", key)
	r.Header.Set("Idempotency-Key", "k")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // all of it is read
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

func TestRun(t *testing.T) {
	base := start(t, "--api-key", "shop=secret", "--api-key", "plain", "--credits", "1", "--variant", "upload-status=200", "--manual")
	for _, tt := range []struct {
		name, method, url, key, body string
		status                       int
		has                          string
	}{
		{"account", "GET", base + "/account", "secret", "", 200, `"name":"shop"`},
		{"another account", "GET", base + "/account", "plain", "", 200, `"name":"default"`},
		{"unknown key", "GET", base + "/account", "guess", "", 401, "UNAUTHORIZED"},
		{"variant", "POST", base + "/uploads", "secret", `{"filename":"a","contentType":"image/png"}`, 200, "uploadUrl"},
		{"create", "POST", base + "/images/generate", "secret", `{"prompt":"A cat"}`, 202, "pending"},
		{"no credits", "POST", base + "/videos/image-to-video", "plain", `{"prompt":"A cat","image":"https://example.com/a.png"}`, 402, "INSUFFICIENT_CREDITS"},
		{"ledger", "GET", strings.TrimSuffix(base, daftysim.BasePath) + "/_sim/ledger", "", "", 200, `"account": "shop"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := ask(t, tt.method, tt.url, tt.key, tt.body)
			if status != tt.status || !strings.Contains(body, tt.has) {
				t.Errorf("answer is %d %s", status, body)
			}
		})
	}
}

func TestRunTakesAnyKeyWhereNoneIsGiven(t *testing.T) {
	if status, body := ask(t, "GET", start(t)+"/account", "whoever", ""); status != 200 {
		t.Errorf("answer is %d %s", status, body)
	}
}

func TestParse(t *testing.T) {
	s, err := parse([]string{"--fast", "--processing-for", "imageToVideo=9s", "--no-limits", "--concurrent-videos", "2", "--seed", "5"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o := s.options
	for name, ok := range map[string]bool{
		"pending":    o.PendingFor(daftysim.GenerateImage) == 50*time.Millisecond,
		"processing": o.ProcessingFor(daftysim.GenerateImage) == 150*time.Millisecond,
		"video":      o.ProcessingFor(daftysim.ImageToVideo) == 9*time.Second,
		"limits":     o.Limits == daftysim.NoLimits,
		"ceiling":    o.Ceilings.Videos == 2,
		"any key":    o.AnyKey,
		"seed":       o.Seed == 5,
		"listen":     s.listen == "127.0.0.1:8090",
	} {
		if !ok {
			t.Errorf("%s is not as said", name)
		}
	}
}

func TestRefusedFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--variant", "weather=fair"},
		{"--variant", "list-order"},
		{"--api-key", "shop="},
		{"--processing-for", "imageToVideo"},
		{"stray"},
		{"--listen", "nowhere"},
		{"--listen", "0.0.0.0:0"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
