package ratelimit

import (
	"slices"
	"time"
)

const (
	// sightingLife is how long others who use the key are reckoned with after they were last noticed: a whole window, and the
	// time until the next answer.
	sightingLife = WindowLength + 15*time.Second
	// guessLife is the same where a refusal tells of them, and nothing else does: each costs one.
	guessLife = 5 * time.Minute
)

// sightings are how much of a minute others were seen to use.
type sightings []sighting

// sighting is how many calls of a minute others had used when an answer came.
type sighting struct {
	at    time.Time
	calls int
	// life is how long it is reckoned with.
	life time.Duration
}

// used returns how many calls of a minute others were seen to use.
func (s *sightings) used(now time.Time) int {
	*s = slices.DeleteFunc(*s, func(each sighting) bool { return now.Sub(each.at) >= each.life })
	most := 0
	for _, each := range *s {
		most = max(most, each.calls)
	}
	return most
}
