package account

import (
	"testing"
	"time"
)

func TestLasting(t *testing.T) {
	const s = time.Second
	// One of 100 s, 101 s … 163 s each.
	var spread []time.Duration
	for i := range remembered {
		spread = append(spread, time.Duration(100+i)*s)
	}
	for _, tt := range []struct {
		name string
		took []time.Duration
		age  time.Duration
		want float64
	}{
		{"nothing known", nil, time.Hour, 1},
		{"too little known", spread[:fewToTell-1], 0, 1},
		{"just enough known", spread[:fewToTell], 0, 0},
		{"young", spread, 40 * s, 0},
		{"the first may end while it is held", spread, 41 * s, 1.0 / remembered},
		{"half may", spread, 69 * s, 31.0 / remembered},
		{"all that are as old may", spread, 120 * s, 1},
		{"older than any", spread, 300 * s, 1},
		{"clocks that differ", append([]time.Duration{-s, 0}, spread[:fewToTell-1]...), 0, 1},
		{"the oldest are forgotten", append([]time.Duration{s, s, s}, spread...), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l lasting
			for _, d := range tt.took {
				l.add(d)
			}
			if got := l.mayEnd(tt.age); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
