package account

import (
	"context"
	"crypto/sha256"
	"time"

	"dafty.ai/dafty-operator/internal/account/poll"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/metrics"
)

// Account is one API key: its client, its rate limit, the polling of its jobs, and its uploads.
type Account struct {
	id [sha256.Size]byte
	// key is a function so that no way of printing an Account shows the API key.
	key    func() string
	client client
	// label is its name in metrics.
	label  string
	gate   *ratelimit.Gate
	poller *poll.Poller
	// uploads outlive the account.
	uploads *uploads

	// users counts the trackers and calls that refer to the account; the lock of accounts guards it.
	users int
}

// newAccount returns the account of an API key. Its polling ends with ctx. Calls of the process before this one may still count
// until previousUntil.
func newAccount(ctx context.Context, apiKey string, calls Dafty, limits Limits, previousUntil time.Time) *Account {
	a := &Account{
		id:      sha256.Sum256([]byte(apiKey)),
		key:     func() string { return apiKey },
		client:  client{calls},
		gate:    ratelimit.New(limits.orDefault(), previousUntil),
		uploads: newUploads(),
	}
	a.poller = poll.New(ctx, a.gate, a.client)
	return a
}

// remove forgets a caller that is gone, and returns who is to be woken in its place.
func (a *Account) remove(by *ratelimit.Caller) ratelimit.Callers {
	a.uploads.remove(by)
	return a.gate.Remove(by)
}

// finished lets the next job in, as one of the class has ended.
func (a *Account) finished(by *ratelimit.Caller, class dafty.Class) {
	a.gate.Finished(by, class).Wake()
}

func (a *Account) load(now time.Time) metrics.Load {
	load := metrics.NewLoad()
	load.Held = a.poller.LongPolls()
	for name, class := range a.gate.Load(now) {
		load.Classes[name] = metrics.ClassLoad{InFlight: class.InFlight, Waiting: class.Waiting, Oldest: class.Oldest}
		if class.Remaining != nil {
			load.Remaining[metrics.Minute{Account: a.label, Class: name}] = *class.Remaining
		}
	}
	return load
}
