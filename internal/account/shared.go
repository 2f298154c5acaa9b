package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"time"
)

// shared is what all Trackers of a process have in common.
type shared struct {
	config Config
	// ctx ends the calls, which outlive the reconciles that begin them.
	ctx context.Context
	// open ends, by shut, when nothing new is to be begun; settled tells that one more answer is in status.
	open    context.Context
	shut    context.CancelFunc
	settled chan struct{}

	accounts *accounts
	cancels  cancelRecords
}

func newShared(ctx context.Context, config Config) *shared {
	config.Sender = cmp.Or(config.Sender, rand.Text())
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.WakeFirst == nil {
		config.WakeFirst = config.Wake
	}
	s := &shared{config: config, ctx: ctx, settled: make(chan struct{}, 1), cancels: newCancelRecords()}
	s.open, s.shut = context.WithCancel(ctx)
	s.accounts = newAccounts(ctx, &s.config)
	return s
}

// draining reports whether nothing new may begin. Whoever asks holds the tracker's lock until what it then begins is on record
// there: Drain sees it.
func (s *shared) draining() bool { return s.open.Err() != nil }
