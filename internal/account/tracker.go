package account

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/account/poll"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Tracker follows one DaftyJob's job at Dafty. Its methods never block on a call, and it wakes nobody under a lock. Locks are
// taken in the order Tracker, accounts, and what an Account consists of.
type Tracker struct {
	shared *shared
	name   types.NamespacedName
	// caller is the DaftyJob, as far as packages ratelimit and poll know it.
	caller ratelimit.Caller
	ctx    context.Context // It ends the calls when the DaftyJob is gone.
	stop   context.CancelFunc
	// since is when this process began to look after the DaftyJob.
	since time.Time

	mu     sync.Mutex
	closed bool
	// secret is the account of the key in the Secret, nil where there is none. It and the next two are references of their own
	// in accounts.
	secret *Account
	// lastUsed is the account that a call was last made with, or where none was yet (lastUsedUnverified), that of the key that
	// the Secret had before.
	lastUsed           *Account
	lastUsedUnverified bool
	// previous was in the Secret after lastUsed, and no call was made with it that Dafty has answered.
	previous *Account
	// used is when the key in the Secret was last told.
	used time.Time
	// rejected is the account that was last told that its key, or the job under it, isn't known; doubted the one that was
	// told so of its key at least once since it was last accepted.
	rejected, doubted *Account
	// asked are the contents that the secret's account was asked to upload, by digest.
	asked []string
	// searches are those that were made with the secret's account since a person last changed anything.
	searches map[lifecycle.StyleQuery]*search
	// statusWrittenAt is when the status was last written, by the clock of status, and annotated the id that was last written
	// into the annotation.
	statusWrittenAt time.Time
	annotated       string
	// version is that of the DaftyJob, secretVersion that of its Secret, and changed when either changed, or the DaftyJob was
	// new.
	version, secretVersion string
	changed                time.Time

	claimed    claim
	submission *lifecycle.SubmissionCall
	failures   int
	class      dafty.Class
	job        *dafty.Job
	// endedAt is when the answer arrived that told of the job's end, for metrics.
	endedAt time.Time
	// followed is the id of the job that trouble, missed and cancel are about.
	followed string
	trouble  *lifecycle.Trouble
	// missed counts the looks that failed in a row, with whatever key and error, lookRefusals those of them that met a
	// refusal of the key.
	missed, lookRefusals int
	cancel               *lifecycle.CancelCall
	// cancelSent is set once a cancel of the job has left, whatever came of it.
	cancelSent bool
	// following is the polling of the job, nil while it isn't polled.
	following *following
	// owes is set while a create or a cancel is on its way, or its answer isn't in status yet.
	owes        bool
	callContext callContext
	// thumbnails is set while one is looked for.
	thumbnails bool
	// abandoned is set once a deletion was told to have given up.
	abandoned bool
}

// claim is a turn to submit that was taken from an account. It counts for ratelimit.ClaimLife.
type claim struct {
	account *Account
	class   dafty.Class
	at      time.Time
	key     string
}

// following is the polling of a tracker's job with an account.
type following struct {
	account *Account
	target  *poll.Target
}

func newTracker(s *shared, name types.NamespacedName, uid types.UID, created time.Time) *Tracker {
	t := &Tracker{shared: s, name: name, since: time.Now()}
	t.caller = ratelimit.Caller{UID: uid, Created: created, Wake: t.Wake}
	t.ctx, t.stop = context.WithCancel(s.ctx)
	return t
}

// Wake has the DaftyJob reconciled soon. It doesn't block.
func (t *Tracker) Wake() { t.shared.config.Wake(t.name) }

// wakeFirst is Wake for news that somebody waits for.
func (t *Tracker) wakeFirst() { t.shared.config.WakeFirst(t.name) }

// Known returns all that was heard so far.
func (t *Tracker) Known() lifecycle.Known {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := lifecycle.Known{
		Sender: t.shared.config.Sender, Since: t.since, StatusWrittenAt: t.statusWrittenAt, Annotated: t.annotated,
		Job: t.job, Trouble: copied(t.trouble), Cancel: copied(t.cancel), CancelSent: t.cancelSent, Submission: copied(t.submission),
	}
	if t.secret != nil {
		known.Credentials.Secret = t.hash(t.secret)
		t.asked, known.Uploads = t.secret.uploads.known(t.asked)
		known.Searches = t.knownSearches()
	}
	if t.job != nil {
		if by, cancelled := t.shared.cancels.get(t.job.Id); cancelled && by.uid == t.caller.UID {
			known.Cancelled = by.cause
		} else {
			known.CancelledElsewhere = cancelled
		}
	}
	if t.lastUsed != nil {
		known.Credentials.LastUsed, known.Credentials.LastUsedUnverified = t.hash(t.lastUsed), t.lastUsedUnverified
	}
	return known
}

func copied[T any](from *T) *T {
	if from == nil {
		return nil
	}
	to := *from
	return &to
}

// hash returns the name of an account's key in the DaftyJob's status.
func (t *Tracker) hash(a *Account) string { return Hash(t.caller.UID, a.key()) }

// accounts returns those of the keys at hand.
func (t *Tracker) accounts() []*Account {
	var all []*Account
	for _, a := range []*Account{t.secret, t.lastUsed, t.previous} {
		if a != nil {
			all = append(all, a)
		}
	}
	return all
}

// EndedAt returns when the answer arrived that told of the job's end, zero where none has.
func (t *Tracker) EndedAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.endedAt
}

// Healthy reports whether a request is on its way or was accepted, or the job is polled, and nothing is wrong: no other API key
// is needed.
func (t *Tracker) Healthy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trouble != nil {
		return false
	}
	return t.following != nil || t.submission != nil && (!t.submission.Done || t.submission.Err == nil)
}

// MarkAbandoned notes that a deletion has given up the job's cancel, and reports whether that is news.
func (t *Tracker) MarkAbandoned() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.abandoned
	t.abandoned = true
	return !before
}
