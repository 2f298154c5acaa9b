package account

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Dafty is the part of *dafty.Client that is used here.
type Dafty interface {
	Create(ctx context.Context, create dafty.Create, idempotencyKey string) (*dafty.Job, error)
	Job(ctx context.Context, id string, wait bool) (*dafty.Job, error)
	List(ctx context.Context, status dafty.JobStatus, cursor string) (*dafty.JobPage, error)
	Cancel(ctx context.Context, id string) (*dafty.Job, error)
	Reserve(ctx context.Context, filename, contentType string) (*dafty.Reservation, error)
	Put(ctx context.Context, to, contentType string, content []byte) error
	Complete(ctx context.Context, id string) (uploadID string, err error)
}

// Account is one API key: its client, its pacing, what holds its submissions back, the watching of its jobs, and its
// uploads.
//
// Trackers are never told anything under its lock: what is to be woken is collected under
// it, and woken after.
type Account struct {
	id [sha256.Size]byte
	// key is a function so that no way of printing an Account shows the API key.
	key    func() string
	client Dafty
	// label is its name in metrics.
	label string
	// uploads have a lock of their own, as they outlive the account.
	uploads *uploads

	mu      sync.Mutex
	classes map[dafty.Class]*class
	// breaker holds back the submissions of every class.
	breaker *breaker
	// refusals are the submissions that met a refusal of the key, by who sent them.
	refusals keyRefusals
	keys     keys
	poller   poller
	// cancels wait for their turn.
	cancels cancelQueue

	// users counts the trackers and calls that refer to the account; the registry guards it.
	users int
}

// class is what is counted and held by class of call.
type class struct {
	limiter     limiter
	breaker     *breaker
	queue       queue
	concurrency concurrency
	// durations is how long its jobs take.
	durations durations
}

// newAccount makes the account of an API key. before is until when calls of the process before this one may still
// count.
func newAccount(apiKey string, client Dafty, limits Limits, before time.Time) *Account {
	a := &Account{
		id:       sha256.Sum256([]byte(apiKey)),
		key:      func() string { return apiKey },
		client:   measured{client},
		uploads:  newUploads(),
		keys:     keys{},
		refusals: keyRefusals{by: map[*Tracker]*keyRefusal{}},
		classes:  map[dafty.Class]*class{},
	}
	for name, limit := range DefaultLimits {
		if own, ok := limits[name]; ok {
			limit = own
		}
		c := &class{limiter: newLimiter(limit, name != dafty.ClassOther), concurrency: newConcurrency()}
		if name == dafty.ClassOther || name == dafty.ClassUpload {
			// Submissions are on record, and are recalled one by one.
			c.limiter.before = before
		}
		a.classes[name] = c
	}
	a.poller = newPoller(a)
	return a
}
