package dafty

import "time"

// Backoff returns how long to wait before the next try after so many failures in a row: base, doubled for each failure after
// the first, up to limit.
func Backoff(base time.Duration, failures int, limit time.Duration) time.Duration {
	for range min(failures-1, 16) {
		base *= 2
	}
	return min(base, limit)
}
