package operatortest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FreeAddress is [FindFreeAddress] for tests.
func FreeAddress(t testing.TB) string {
	t.Helper()
	address, err := FindFreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// FindFreeAddress returns a loopback address that nobody listens at. Its port isn't one of those that the system gives to
// connections (from 32768 on with Linux): such a one may be taken again before a process listens at it.
func FindFreeAddress() (string, error) {
	const from, below, tries = 20_000, 32_768, 100
	var err error
	for range tries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(from+rand.IntN(below-from))) //nolint:gosec // No secret.
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no free address was found in %d tries; the last: %w", tries, err)
}

// PodArgs returns the arguments of the operator's container with these addresses in place of the ports of its Pod.
func PodArgs(args []string, probes, metrics string) []string {
	replaced := make([]string, len(args))
	for i, arg := range args {
		replaced[i] = strings.Replace(strings.Replace(arg, "=:8081", "="+probes, 1), "=:8443", "="+metrics, 1)
	}
	return replaced
}

// Ready reports whether an operator that serves its probes at this address is ready.
func Ready(t testing.TB, probes string) bool {
	t.Helper()
	status, _ := Get(t, "http://"+probes+"/readyz", "")
	return status == http.StatusOK
}

// Get returns the answer of an operator, with a bearer token where there is one. By https, any certificate is accepted. The status is 0, and
// the body the error, if there is no answer.
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
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // The operator makes its certificate itself.
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	content, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content)
}
