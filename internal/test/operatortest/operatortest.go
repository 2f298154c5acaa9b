// Package operatortest is what tests need that run the built operator as a process: where it listens, what it says, and
// what it serves.
package operatortest

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/subprocess"
)

// FreeAddress is [subprocess.FreeAddress].
func FreeAddress(t testing.TB) string {
	t.Helper()
	address, err := subprocess.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// Log is all that a process says, and is read while it is written.
type Log struct {
	mu      sync.Mutex
	content bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.Write(p)
}

// String is what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.String()
}

// Get asks the operator, by https whoever signed its certificate, with a token where there is one. The status is 0 where
// there is no answer.
func Get(t testing.TB, url, token string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token = strings.TrimSpace(token); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // It makes its certificate itself.
	resp, err := c.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	content, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content)
}
