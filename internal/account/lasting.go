package account

import (
	"slices"
	"time"
)

const (
	// remembered is how many jobs of a class tell how long the next will take.
	remembered = 64
	// fewToTell is how many must have ended before they tell anything.
	fewToTell = 8
	// early is by how much of its age a job may end before others did.
	early = 0.1
)

// lasting is how long the last jobs of a class took, from their creation at Dafty to their end. A minute that doesn't
// carry a held request for each job is best spent on those that may end within one.
type lasting struct {
	took []time.Duration // oldest first
}

// add notes that a job took so long.
func (l *lasting) add(d time.Duration) {
	if d <= 0 {
		return // by clocks that differ
	}
	if len(l.took) == remembered {
		l.took = slices.Delete(l.took, 0, 1)
	}
	l.took = append(l.took, d)
}

func (l *lasting) known() bool { return len(l.took) >= fewToTell }

// mayEnd is the share of those that got as old as a job is which ended within the time that a held request lasts, 1
// where that isn't known.
func (l *lasting) mayEnd(age time.Duration) float64 {
	if !l.known() {
		return 1
	}
	margin := time.Duration(early * float64(age))
	older, within := 0, 0
	for _, d := range l.took {
		if d < age-margin {
			continue
		}
		older++
		if d <= age+heldFor+margin {
			within++
		}
	}
	if older == 0 {
		return 1
	}
	return float64(within) / float64(older)
}
