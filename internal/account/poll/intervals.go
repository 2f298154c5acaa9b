package poll

import "time"

const (
	// longPollTime is how long Dafty holds a long poll, about.
	longPollTime = 55 * time.Second
	// sweepInterval is the time between two sweeps, so that Processing shows within 10 s.
	sweepInterval = 8 * time.Second
	// crowdedSweepInterval is the same where the lists tell of the ends, too.
	crowdedSweepInterval = 10 * time.Second
	// firstSweep is how long after the first job the lists are read first.
	firstSweep = 2 * time.Second
	// confirmInterval is the time between looks at a job whose cancel must be confirmed, at first.
	confirmInterval = time.Second
	// pollInterval is the least time between two long polls that Dafty didn't hold, and the most between looks at a job that is
	// being cancelled.
	pollInterval = 5 * time.Second
	// Debounce is how long the poller waits for more of what makes it decide again: jobs often begin or end together, and each
	// is to be known before the first gets the call that should be another's.
	Debounce = time.Millisecond
	// MaxBackoff is the longest time between two looks that fail.
	MaxBackoff = time.Minute
)
