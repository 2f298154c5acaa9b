package poll

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
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
		ages []time.Duration // of those that run
	}{
		{"nothing known", nil, time.Hour, 1, nil},
		{"too little known", spread[:fewToTell-1], 0, 1, nil},
		{"just enough known", spread[:fewToTell], 0, 0, nil},
		{"young", spread, 40 * s, 0, nil},
		{"the first may end within a long poll", spread, 41 * s, 1.0 / remembered, nil},
		{"half may", spread, 69 * s, 31.0 / remembered, nil},
		{"all that are as old may", spread, 120 * s, 1, nil},
		{"older than any", spread, 300 * s, 1, nil},
		{"clocks that differ", append([]time.Duration{-s, 0}, spread[:fewToTell-1]...), 0, 1, nil},
		{"many run that are far older", nil, 10 * s, 0, spread},
		{"few run that are older", nil, 100 * s, 1, spread[:fewToTell+30]},
		{"some ended, many run on", spread[:1], 45 * s, 1.0 / 60, spread},
		{"the oldest are forgotten", append([]time.Duration{s, s, s}, spread...), 0, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l durations
			for _, d := range tt.took {
				l.add(d)
			}
			if got := l.mayEnd(tt.age, tt.ages); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
