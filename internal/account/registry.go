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
}

// Registry holds an Account for each API key in use, and a Tracker for each DaftyJob that is
// underway.
type Registry struct {
	config Config
	ctx    context.Context

	mu       sync.Mutex
	accounts map[[sha256.Size]byte]*Account
	trackers map[types.NamespacedName]*Tracker
}

// NewRegistry makes an empty registry. Its calls end with ctx.
func NewRegistry(ctx context.Context, config Config) *Registry {
	config.Sender = cmp.Or(config.Sender, rand.Text())
	return &Registry{
		config:   config,
		ctx:      ctx,
		accounts: map[[sha256.Size]byte]*Account{},
		trackers: map[types.NamespacedName]*Tracker{},
	}
}

// Tracker is that of the DaftyJob with this name and uid, made where there is none. An
// earlier object of the same name is forgotten.
func (r *Registry) Tracker(name types.NamespacedName, uid types.UID) *Tracker {
	r.mu.Lock()
	t := r.trackers[name]
	if t != nil && t.uid == uid {
		r.mu.Unlock()
		return t
	}
	ctx, stop := context.WithCancel(r.ctx)
	fresh := &Tracker{registry: r, name: name, uid: uid, ctx: ctx, stop: stop, since: time.Now()}
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
		a = newAccount(apiKey, r.config.Client(apiKey), r.config.Limits)
		r.accounts[id] = a
	}
	a.users++
	return a
}

// retain is acquire for an account that is in use already.
func (r *Registry) retain(a *Account) *Account {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.users++
	return a
}

// release gives an account back. It is dropped once it is unused and has nothing to remember:
// what a key has used of its minute counts for the next DaftyJob too.
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
