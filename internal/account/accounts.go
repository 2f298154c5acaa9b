package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
)

// accounts holds an Account for each API key in use. It is safe for concurrent use.
type accounts struct {
	ctx    context.Context // It ends the accounts' polling.
	config *Config
	// salt is this process's own, and is told nobody.
	salt string

	mu   sync.Mutex
	byID map[[sha256.Size]byte]*Account
	// uploads are those of the accounts that were dropped.
	uploads map[[sha256.Size]byte]*uploads
	// previousUntil is until when calls of the process before this one may still count, recalled those of them that are on
	// record.
	previousUntil time.Time
	recalled      []Recalled
}

// Recalled is a submission that is on record in a DaftyJob's status.
type Recalled struct {
	UID types.UID
	// RecordUID is what the record's hash is over, where that isn't UID (see v1alpha1.DaftyJobStatus.UID).
	RecordUID  types.UID
	Submission *v1alpha1.Submission
	Class      dafty.Class
}

// recalledAfter is how long after its record a submission was counted by Dafty at the latest, as a rule. The record has whole
// seconds.
const recalledAfter = 2 * time.Second

func newAccounts(ctx context.Context, config *Config) *accounts {
	return &accounts{
		ctx: ctx, config: config, salt: rand.Text(),
		byID: map[[sha256.Size]byte]*Account{}, uploads: map[[sha256.Size]byte]*uploads{},
	}
}

func (as *accounts) recall(submissions []Recalled) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.recalled = submissions
}

// acquire returns the account of an API key, until it is released.
func (as *accounts) acquire(apiKey string) *Account {
	as.mu.Lock()
	defer as.mu.Unlock()
	id := sha256.Sum256([]byte(apiKey))
	a := as.byID[id]
	if a == nil {
		a = as.newAccount(apiKey)
		as.byID[id] = a
	}
	a.users++
	return a
}

// newAccount is called with the lock held.
func (as *accounts) newAccount(apiKey string) *Account {
	now := time.Now()
	if as.previousUntil.IsZero() {
		as.previousUntil = now.Add(ratelimit.WindowLength)
	}
	a := newAccount(as.ctx, apiKey, as.config.Client(apiKey), as.config.Limits, as.previousUntil)
	a.label = label(as.salt, apiKey)
	if uploads := as.uploads[a.id]; uploads != nil {
		a.uploads = uploads
		delete(as.uploads, a.id)
	}
	if !now.Before(as.previousUntil) {
		as.recalled = nil
	}
	for _, old := range as.recalled {
		if Hash(cmp.Or(old.RecordUID, old.UID), apiKey) == old.Submission.CredentialsHash {
			as.recallOne(a, old, now)
		}
	}
	return a
}

// recallOne counts a submission against the minute of its API key.
func (as *accounts) recallOne(a *Account, old Recalled, now time.Time) {
	// Less than nothing by a clock that was ahead.
	ago := max(as.config.Now().Sub(old.Submission.SentAt.Add(recalledAfter)), 0)
	sent := max(as.config.Now().Sub(old.Submission.SentAt.Time), 0)
	a.gate.Recall(ratelimit.Submission{
		By: &ratelimit.Caller{UID: old.UID}, Class: old.Class, Key: old.Submission.IdempotencyKey,
	}, now.Add(-ago), now.Add(lifecycle.RepeatAfter-sent))
}

// retain is acquire for an account that is in use already.
func (as *accounts) retain(a *Account) *Account {
	as.mu.Lock()
	defer as.mu.Unlock()
	a.users++
	return a
}

// release gives an account back. It is dropped once it is unused and has nothing to remember but its uploads: what a key has
// used of its minute counts for the next DaftyJob too.
func (as *accounts) release(a *Account) {
	if a == nil {
		return
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	if a.users--; a.users == 0 {
		as.dropWhenQuiet(a)
	}
}

// dropWhenQuiet is called with the lock held and the account unused.
func (as *accounts) dropWhenQuiet(a *Account) {
	wait := time.Until(a.gate.QuietAt())
	if wait <= 0 {
		delete(as.byID, a.id)
		if a.uploads.any() {
			as.uploads[a.id] = a.uploads
		}
		return
	}
	time.AfterFunc(wait, func() {
		as.mu.Lock()
		defer as.mu.Unlock()
		if a.users == 0 && as.byID[a.id] == a {
			as.dropWhenQuiet(a)
		}
	})
}

func (as *accounts) load() metrics.Load {
	as.mu.Lock()
	all := slices.Collect(maps.Values(as.byID))
	as.mu.Unlock()
	load, now := metrics.NewLoad(), time.Now()
	for _, a := range all {
		load.Add(a.load(now))
	}
	return load
}
