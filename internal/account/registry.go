package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Config is what a Registry is made of.
type Config struct {
	// Client makes the client of an API key.
	Client func(apiKey string) Dafty
	// Wake is told of each DaftyJob that there is news about, and must not block.
	Wake func(types.NamespacedName)
	// Limits are the calls of a minute, by default DefaultLimits.
	Limits Limits
	// Sender names this process among all that ever ran (see v1alpha1.Submission.Sender), by default at random.
	Sender string
	// Now is the clock of the times in status, by default time.Now.
	Now func() time.Time
}

// Registry holds an Account for each API key in use, and a Tracker for each DaftyJob that is
// underway.
type Registry struct {
	config Config
	ctx    context.Context
	// open ends, by shut, when nothing new is to be begun; settled tells that one more answer is in status.
	open    context.Context
	shut    context.CancelFunc
	settled chan struct{}
	// salt is this process's own, and is told nobody.
	salt string
	// cancels are who had a job cancelled and why (cancelledBy), by its id in small letters: another DaftyJob may share it,
	// and status may be set back.
	cancels *lru.Cache

	mu       sync.Mutex
	accounts map[[sha256.Size]byte]*Account
	trackers map[types.NamespacedName]*Tracker
	// uploads are those of the accounts that were dropped.
	uploads map[[sha256.Size]byte]*uploads
	// before is until when calls of the process before this one may still count, recalled those of them that
	// are on record.
	before   time.Time
	recalled []Recalled
}

// Recalled is a submission that is on record in a DaftyJob's status.
type Recalled struct {
	UID types.UID
	// RecordUID is what the record's hash is over, where that isn't UID (see v1alpha1.DaftyJobStatus.UID).
	RecordUID  types.UID
	Submission *v1alpha1.Submission
	Class      dafty.Class
}

// Recall tells of the submissions that other processes made, before anything else is asked: they count against the
// minutes of their API keys.
func (r *Registry) Recall(submissions []Recalled) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recalled = submissions
}

// maxCancels is how many cancels are remembered. Who shares a job hears of its end within a minute, in which each API key has 120 of them.
const maxCancels = 100000

// NewRegistry makes an empty registry. Its calls end with ctx.
func NewRegistry(ctx context.Context, config Config) *Registry {
	config.Sender = cmp.Or(config.Sender, rand.Text())
	if config.Now == nil {
		config.Now = time.Now
	}
	open, shut := context.WithCancel(ctx)
	return &Registry{
		config:   config,
		ctx:      ctx,
		open:     open,
		shut:     shut,
		settled:  make(chan struct{}, 1),
		salt:     rand.Text(),
		cancels:  lru.New(maxCancels),
		accounts: map[[sha256.Size]byte]*Account{},
		trackers: map[types.NamespacedName]*Tracker{},
		uploads:  map[[sha256.Size]byte]*uploads{},
	}
}

// Tracker is that of the DaftyJob with this name and uid, made where there is none. An
// earlier object of the same name is forgotten. The one that was created first goes first.
func (r *Registry) Tracker(name types.NamespacedName, uid types.UID, created time.Time) *Tracker {
	r.mu.Lock()
	t := r.trackers[name]
	if t != nil && t.uid == uid {
		r.mu.Unlock()
		return t
	}
	ctx, stop := context.WithCancel(r.ctx)
	fresh := &Tracker{registry: r, name: name, uid: uid, created: created, ctx: ctx, stop: stop, since: time.Now()}
	r.trackers[name] = fresh
	r.mu.Unlock()
	if t != nil {
		t.close()
	}
	return fresh
}

// Forget drops the tracker of a DaftyJob that has ended or is gone, and its calls with it.
func (r *Registry) Forget(name types.NamespacedName) {
	r.mu.Lock()
	t := r.trackers[name]
	delete(r.trackers, name)
	r.mu.Unlock()
	if t != nil {
		t.close()
	}
}

// acquire gives the account of an API key, until it is released.
func (r *Registry) acquire(apiKey string) *Account {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := sha256.Sum256([]byte(apiKey))
	a := r.accounts[id]
	if a == nil {
		a = r.newAccount(apiKey)
		r.accounts[id] = a
	}
	a.users++
	return a
}

// newAccount is called with the registry locked.
func (r *Registry) newAccount(apiKey string) *Account {
	now := time.Now()
	if r.before.IsZero() {
		r.before = now.Add(windowLength)
	}
	a := newAccount(apiKey, r.config.Client(apiKey), r.config.Limits, r.before)
	a.label = label(r.salt, apiKey)
	if uploads := r.uploads[a.id]; uploads != nil {
		a.uploads = uploads
		delete(r.uploads, a.id)
	}
	if !now.Before(r.before) {
		r.recalled = nil
	}
	for _, old := range r.recalled {
		if c := a.classes[old.Class]; c != nil && Hash(cmp.Or(old.RecordUID, old.UID), apiKey) == old.Submission.CredentialsHash {
			ago := r.config.Now().Sub(old.Submission.SentAt.Add(recalledAfter))
			c.limiter.recall(now.Add(-max(ago, 0))) // less than none by a clock that was ahead
			if key := old.Submission.IdempotencyKey; key != "" {
				// It may still be on its way, and another DaftyJob may have the same key.
				ago := max(r.config.Now().Sub(old.Submission.SentAt.Time), 0)
				a.keys.reserve(old.UID, key, now.Add(lifecycle.RepeatAfter-ago), now)
			}
		}
	}
	return a
}

// recalledAfter is how long after its record a submission was counted by Dafty at the latest, as a rule. The record
// has whole seconds.
const recalledAfter = 2 * time.Second

// retain is acquire for an account that is in use already.
func (r *Registry) retain(a *Account) *Account {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.users++
	return a
}

// release gives an account back. It is dropped once it is unused and has nothing to remember
// but its uploads: what a key has used of its minute counts for the next DaftyJob too.
func (r *Registry) release(a *Account) {
	if a == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.users--; a.users == 0 {
		r.dropWhenQuiet(a)
	}
}

// dropWhenQuiet is called with the registry locked and the account unused.
func (r *Registry) dropWhenQuiet(a *Account) {
	wait := time.Until(a.quietAt())
	if wait <= 0 {
		delete(r.accounts, a.id)
		if a.uploads.any() {
			r.uploads[a.id] = a.uploads
		}
		return
	}
	time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if a.users == 0 && r.accounts[a.id] == a {
			r.dropWhenQuiet(a)
		}
	})
}

// Hash is what v1alpha1.Submission.CredentialsHash holds of an API key. The uid keeps equal
// keys of two objects from looking equal.
func Hash(uid types.UID, apiKey string) string {
	sum := sha256.Sum256([]byte(string(uid) + "\x00" + apiKey))
	return hex.EncodeToString(sum[:4])
}
