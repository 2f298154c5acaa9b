// Package subprocess is what tests and benchmarks need to run the built operator as a process of their own: an address for
// it to listen at, and that it doesn't outlive them.
package subprocess

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreeAddress returns a loopback address that nobody listens at. Its port isn't one of those that the system gives to
// connections (from 32768 on with Linux): such a one may be taken again before the process listens at it.
func FreeAddress() (string, error) {
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
