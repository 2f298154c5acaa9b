package poll

import (
	"slices"
	"time"
)

const (
	// remembered is how many jobs of a class tell how long the next will take.
	remembered = 64
	// fewToTell is how many it takes to tell anything.
	fewToTell = 8
	// early is by how much of its age a job may end before others did.
	early = 0.1
)

// durations are how long the last jobs of a class took, from their creation at Dafty to their end. A minute that doesn't carry a
// long poll for each job is best spent on those that may end within one.
type durations struct {
	took []time.Duration // oldest first
}

// add notes that a job took so long.
func (d *durations) add(took time.Duration) {
	if took <= 0 {
		return // by clocks that differ
	}
	if len(d.took) == remembered {
		d.took = slices.Delete(d.took, 0, 1)
	}
	d.took = append(d.took, took)
}

// mayEnd returns the share of those that got as old as a job is which ended within the time of a long poll, 1 where that isn't
// known. Those that run on although they are older tell, too.
func (d *durations) mayEnd(age time.Duration, ages []time.Duration) float64 {
	margin := time.Duration(early * float64(age))
	within, longer := 0, outlasting(ages, age+longPollTime+margin)
	for _, took := range d.took {
		switch {
		case took < age-margin:
		case took <= age+longPollTime+margin:
			within++
		default:
			longer++
		}
	}
	if within+longer < fewToTell {
		return 1
	}
	return float64(within) / float64(within+longer)
}

// outlasting returns how many of the ages are beyond one.
func outlasting(ages []time.Duration, age time.Duration) int {
	i, _ := slices.BinarySearch(ages, age)
	return len(ages) - i
}
