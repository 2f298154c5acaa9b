package main

import (
	"math"
	"slices"
	"time"
)

// percentile returns the smallest value that at least the share p (0 to 1) of the values aren't above; 0 without values.
func percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// mostWithin returns how many of the ordered times lie within any span of that length, without its end, at most.
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
