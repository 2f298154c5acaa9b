// Package operatortest is what tests need that run the built operator as a process: where it listens, what it says, and
// what it serves.
package operatortest

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// FreeAddress is a loopback address that nobody listens at. Its port isn't one of those that the system gives to
// connections (from 32768 on with Linux): such a one may be taken again before the operator listens at it.
func FreeAddress(t testing.TB) string {
	t.Helper()
	const from, below, tries = 20_000, 32_768, 100
	var err error
	for range tries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(from+rand.IntN(below-from))) //nolint:gosec // No secret.
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatalf("no free address was found in %d tries; the last: %v", tries, err)
	return ""
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
