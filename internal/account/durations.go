package account

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

// durations is how long the last jobs of a class took, from their creation at Dafty to their end. A minute that doesn't
// carry a held request for each job is best spent on those that may end within one.
type durations struct {
	took []time.Duration // oldest first
}

// add notes that a job took so long.
func (l *durations) add(d time.Duration) {
	if d <= 0 {
		return // by clocks that differ
	}
	if len(l.took) == remembered {
		l.took = slices.Delete(l.took, 0, 1)
	}
	l.took = append(l.took, d)
}

// mayEnd is the share of those that got as old as a job is which ended within the time that a held request lasts, 1
// where that isn't known. Those that run on although they are older tell, too.
func (l *durations) mayEnd(age time.Duration, ages []time.Duration) float64 {
	margin := time.Duration(early * float64(age))
	within, longer := 0, outlasting(ages, age+heldFor+margin)
	for _, d := range l.took {
		switch {
		case d < age-margin:
		case d <= age+heldFor+margin:
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

// outlasting is how many of the ages are beyond one.
func outlasting(ages []time.Duration, age time.Duration) int {
	i, _ := slices.BinarySearch(ages, age)
	return len(ages) - i
}
