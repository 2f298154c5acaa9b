package simulation

import (
	"sync"
	"time"
)

// random draws from a seed by the name of what is decided. Two goroutines that run at the same
// instant draw the same whichever comes first, as no draw depends on another name's.
type random struct {
	seed uint64

	mu    sync.Mutex
	drawn map[string]uint64
}

func newRandom(seed uint64) *random { return &random{seed: seed, drawn: map[string]uint64{}} }

// roll returns the next number drawn for what. What seeds mean depends on these strings: a better word for one changes them.
func (r *random) roll(what string) uint64 {
	r.mu.Lock()
	r.drawn[what]++
	n := r.drawn[what]
	r.mu.Unlock()
	// FNV-1a, then the finalizer of splitmix64: few instructions, and the same on any machine.
	h := r.seed ^ 14695981039346656037
	for i := range len(what) {
		h = (h ^ uint64(what[i])) * 1099511628211
	}
	h += n * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// oneIn is true for one draw in n.
func (r *random) oneIn(n uint64, what string) bool { return r.roll(what)%n == 0 }

// between is a time from lo to hi, to the nanosecond: two of them are hardly ever equal.
func (r *random) between(lo, hi time.Duration, what string) time.Duration {
	return lo + time.Duration(r.roll(what)%uint64(hi-lo)) //nolint:gosec // hi is after lo.
}
