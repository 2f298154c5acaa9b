package account

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Tracker follows one DaftyJob's job at Dafty. Its methods never block on a call, and it
// wakes nobody under a lock. Locks are taken in the order tracker, registry, account.
type Tracker struct {
	registry *Registry
	name     types.NamespacedName
	uid      types.UID
	ctx      context.Context
	stop     context.CancelFunc
	// since is when this process began to look after the DaftyJob, created when its user did.
	since, created time.Time

	mu     sync.Mutex
	closed bool
	// secret is the account of the key in the Secret, nil where there is none; lastUsed the one
	// that a call was last made with, or where none was yet (lastUsedUnverified), that the Secret had before. Each is a reference of its
	// own in the registry.
	secret             *Account
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
	// statusWrittenAt is when the status was last written, by the clock of status, and annotated the id that was last written into the
	// annotation.
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
	poll       *poll
	// owes is set while a create or a cancel is on its way, or its answer isn't in status yet.
	owes        bool
	callContext origin
	// thumbnails is set while one is looked for.
	thumbnails bool
	// gaveUp is set once a deletion was told to have given up.
	gaveUp bool
}

func (t *Tracker) wake() { t.registry.config.Wake(t.name) }

// Known is all that was heard so far.
func (t *Tracker) Known() lifecycle.Known {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := lifecycle.Known{
		Sender: t.registry.config.Sender, Since: t.since, StatusWrittenAt: t.statusWrittenAt, Annotated: t.annotated,
		Job: t.job, Trouble: copied(t.trouble), Cancel: copied(t.cancel), CancelSent: t.cancelSent, Submission: copied(t.submission),
	}
	if t.secret != nil {
		known.Credentials.Secret = Hash(t.uid, t.secret.key())
		t.asked, known.Uploads = t.secret.uploads.known(t.asked)
	}
	if t.job != nil {
		if by, cancelled := t.registry.cancelOf(t.job.Id); cancelled && by.uid == t.uid {
			known.Cancelled = by.cause
		} else {
			known.CancelledElsewhere = cancelled
		}
	}
	if t.lastUsed != nil {
		known.Credentials.LastUsed, known.Credentials.LastUsedUnverified = Hash(t.uid, t.lastUsed.key()), t.lastUsedUnverified
	}
	return known
}

// StatusWritten tells that the status was written.
func (t *Tracker) StatusWritten() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.statusWrittenAt = t.registry.config.Now()
}

// Annotated tells that the job's id was written into the annotation.
func (t *Tracker) Annotated(jobID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.annotated = jobID
}

// Healthy says that a request is on its way or was accepted, or that the job is followed, and that nothing is wrong: no
// other API key is needed.
func (t *Tracker) Healthy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trouble != nil {
		return false
	}
	return t.poll != nil || t.submission != nil && (!t.submission.Done || t.submission.Err == nil)
}

func copied[T any](from *T) *T {
	if from == nil {
		return nil
	}
	to := *from
	return &to
}

func (t *Tracker) close() {
	t.stop()
	t.mu.Lock()
	t.closed = true
	t.settle()
	t.stopPolling()
	var wake []*Tracker
	for _, a := range []*Account{t.secret, t.lastUsed, t.previous} {
		if a != nil {
			wake = append(wake, a.remove(t)...)
			t.registry.release(a)
		}
	}
	t.secret, t.lastUsed, t.previous = nil, nil, nil
	t.mu.Unlock()
	wakeAll(wake)
}
