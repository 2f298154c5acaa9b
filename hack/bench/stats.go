package main

import (
	"math"
	"slices"
	"time"
)

// percentile is the smallest of the values that at least the share p, from 0 to 1, of them aren't above. Of none it
// is 0.
func percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// mostWithin is how many of the times, which are in order, lie within any span of that length, its end left out.
func mostWithin(times []time.Time, span time.Duration) int {
	most, first := 0, 0
	for last := range times {
		for times[last].Sub(times[first]) >= span {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
