package account

import (
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
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

// claim is a turn to submit under a key that was taken from an account. It counts for a while only: what
// was free or held then need not be so later.
type claim struct {
	account *Account
	class   dafty.Class
	at      time.Time
	key     string
}

// claimLife is how long a turn that was taken may be used.
const claimLife = 30 * time.Second

func (c claim) of(a *Account, key string) bool {
	return c.account == a && c.key == key && time.Since(c.at) < claimLife
}

func (t *Tracker) wake() { t.registry.config.Wake(t.name) }

// SetAPIKey tells the API key that the Secret now holds, empty where it holds none. Another key
// may know another truth, so that what was in trouble is tried anew.
func (t *Tracker) SetAPIKey(apiKey string) {
	t.mu.Lock()
	t.used = time.Now()
	if t.closed || t.secret != nil && t.secret.key() == apiKey || t.secret == nil && apiKey == "" {
		t.mu.Unlock()
		return
	}
	before := t.secret
	if before != nil && before != t.lastUsed && before != t.rejected {
		// It may be all that there is to cancel the job with, or to ask for the answer that a process before has missed.
		if t.lastUsed == nil {
			t.lastUsed, t.lastUsedUnverified = t.registry.retain(before), true
		} else {
			t.registry.release(t.previous)
			t.previous = t.registry.retain(before)
		}
	}
	t.secret = nil
	if apiKey != "" {
		t.secret = t.registry.acquire(apiKey)
		t.trouble, t.missed, t.lookRefusals, t.cancel, t.rejected, t.doubted = nil, 0, 0, nil, nil, nil
	}
	t.asked = nil
	var wake []*Tracker
	if before != nil {
		wake = before.remove(t)
		t.registry.release(before)
	}
	t.mu.Unlock()
	wakeAll(wake)
}

// CredentialsReadWithin says whether the Secret had a key when it was last told, and that was so long ago at most.
func (t *Tracker) CredentialsReadWithin(age time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.secret != nil && time.Since(t.used) <= age
}

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

// Rehash are the hashes of the keys at hand for the DaftyJob, by those for uid.
func (t *Tracker) Rehash(uid types.UID) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := map[string]string{}
	for _, a := range []*Account{t.secret, t.lastUsed, t.previous} {
		if a != nil {
			own[Hash(uid, a.key())] = Hash(t.uid, a.key())
		}
	}
	return own
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

// Claim takes a turn to submit, or says what the submission waits for; the reconcile is
// woken where that ends early. A turn that isn't used stays with the tracker for a while. follows says that the submission
// follows one that was refused at once.
func (t *Tracker) Claim(create dafty.Create, submission *v1alpha1.Submission, follows bool) *lifecycle.Block {
	hold, wake := t.claim(create, submission, follows)
	wakeAll(wake)
	return hold
}

func (t *Tracker) claim(create dafty.Create, submission *v1alpha1.Submission, follows bool) (*lifecycle.Block, []*Tracker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, key := t.accountFor(submission), submission.IdempotencyKey
	if a == nil || t.closed || t.claimed.of(a, key) && a.reserveKey(t, key) {
		return nil, nil
	}
	how := inTurn
	switch repeat := !submission.StartedAt.Equal(submission.SentAt); {
	case repeat:
		how = repeats
	case follows:
		how = atOnce
	}
	hold, taken, wake := a.claim(t, create.Class(), key, how)
	if hold == nil {
		t.claimed = claim{account: a, class: create.Class(), at: taken, key: key}
	}
	return hold, wake
}

// Withdraw tells that the job isn't to be submitted now, as one that is suspended: it holds up nobody who waits.
func (t *Tracker) Withdraw() {
	t.mu.Lock()
	a := t.secret
	t.mu.Unlock()
	if a != nil {
		wakeAll(a.withdraw(t))
	}
}

// GiveBack returns a turn that isn't used, as the submission can't be put on record: others of the API key may have it.
func (t *Tracker) GiveBack() {
	t.mu.Lock()
	a, taken, class := t.claimed.account, t.claimed.at, t.claimed.class
	t.claimed = claim{}
	t.mu.Unlock()
	if a != nil {
		wakeAll(a.giveBack(t, class, taken))
	}
}

// accountFor is the account whose key a submission is, or was, sent with.
func (t *Tracker) accountFor(submission *v1alpha1.Submission) *Account {
	for _, a := range []*Account{t.secret, t.lastUsed, t.previous} {
		if a != nil && Hash(t.uid, a.key()) == submission.CredentialsHash {
			return a
		}
	}
	return nil
}

// setLastUsed keeps a as the account that was last used.
func (t *Tracker) setLastUsed(a *Account) {
	if t.closed {
		return
	}
	t.lastUsedUnverified = false
	if t.doubted == a {
		t.doubted = nil
	}
	if before := t.lastUsed; before != a {
		t.lastUsed = t.registry.retain(a)
		t.registry.release(before)
	}
	t.registry.release(t.previous)
	t.previous = nil
}

// Submit sends the request of a submission that is on record in status.
func (t *Tracker) Submit(create dafty.Create, submission *v1alpha1.Submission) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accountFor(submission)
	if a == nil || t.closed {
		t.settle()
		return
	}
	t.setLastUsed(a)
	taken := t.claimed.at
	t.claimed = claim{}
	t.class = create.Class()
	call := &lifecycle.SubmissionCall{Record: *submission.DeepCopy()}
	t.submission = call
	go t.submit(t.call(t.ctx), t.registry.retain(a), create, call, taken)
}

func (t *Tracker) submit(ctx context.Context, a *Account, create dafty.Create, call *lifecycle.SubmissionCall, taken time.Time) {
	defer t.registry.release(a)
	// Counted from the write-ahead: whoever finds the attempt without an answer repeats it once
	// this deadline has surely passed. A clock that was set back must not put it off.
	left := min(call.Record.SentAt.Add(lifecycle.SubmitTimeout).Sub(t.registry.config.Now()), lifecycle.SubmitTimeout)
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	job, callErr := t.create(ctx, a, create, call.Record.IdempotencyKey, taken)

	t.mu.Lock()
	ended := false
	if callErr != nil {
		t.failures++
	} else {
		t.failures = 0
		_, ended = t.observe(job)
	}
	call.Done, call.Job, call.Err, call.Failures, call.KeyRefusals = true, job, callErr, t.failures, a.keyRefusals(t)
	if callErr != nil && (callErr.Kind == dafty.KindInvalid || callErr.Kind == dafty.KindNotFound) {
		// Perhaps for a picture that Dafty has forgotten: the next who wants it uploads it again.
		a.uploads.forget(t.asked)
	}
	t.mu.Unlock()
	if ended {
		a.ended(t, create.Class())
	}
	t.wake()
}

// create sends a request, if it still may.
func (t *Tracker) create(ctx context.Context, a *Account, create dafty.Create, key string, taken time.Time) (*dafty.Job, *dafty.CallError) {
	if !a.sends(t, create.Class(), key) {
		return nil, &dafty.CallError{Kind: dafty.KindUnavailable, Unsent: true,
			Message: "it took too long to write the request down, and another DaftyJob sends one with the same idempotency key meanwhile"}
	}
	ctx, rate := dafty.WithRate(ctx)
	job, err := a.client.Create(ctx, create, key)
	failure := dafty.AsError(err)
	a.submitted(t, create.Class(), taken, *rate, failure, ctx.Err() != nil)
	if failure == nil || failure.Refused() {
		a.releaseKey(t, key)
	}
	return job, failure
}

// observe keeps the newest answer about the job, and says whether it is news, and whether
// the news is the job's end. That is never taken back by an answer that is older; a video's
// thumbnail may come after it.
func (t *Tracker) observe(job *dafty.Job) (news, end bool) {
	before := t.job
	if before != nil && strings.EqualFold(before.Id, job.Id) && ended(before) {
		late := before.Status == dafty.Completed && job.Status == dafty.Completed && hasThumbnail(job) && !hasThumbnail(before)
		if late {
			t.job = job
		}
		return late, false
	}
	t.job = job
	if ended(job) {
		t.endedAt = time.Now()
	}
	dated := before != nil && before.CreatedAt.IsZero() && !job.CreatedAt.IsZero() // a list told of it before
	return before == nil || before.Id != job.Id || before.Status != job.Status || dated, ended(job)
}

// knowsEnd reports whether Dafty has said that the job ended: who asks decided before that came.
func (t *Tracker) knowsEnd(jobID string) bool {
	return t.job != nil && strings.EqualFold(t.job.Id, jobID) && ended(t.job)
}

func ended(job *dafty.Job) bool {
	return job.Status == dafty.Completed || job.Status == dafty.Failed
}

// Follow looks at the job until it has ended.
func (t *Tracker) Follow(jobID string, class dafty.Class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turnTo(jobID)
	a := t.caller(t.cancel != nil)
	switch {
	case a == nil || t.closed || t.registry.draining() || t.knowsEnd(jobID):
		return
	case t.poll != nil && t.poll.account == a && t.poll.jobID == jobID:
		a.enter(t.poll) // a Secret that was away for a moment gave its place back
		return
	}
	t.stopPolling()
	w := &poll{tracker: t, account: t.registry.retain(a), jobID: jobID, class: class, cancelling: t.cancel != nil}
	w.ctx, w.stop = context.WithCancel(t.call(t.ctx))
	switch now := time.Now(); {
	case t.missed > 0:
		// The backoff goes on where the one that looked before met trouble.
		w.look = now.Add(lifecycle.Backoff(time.Second, t.missed, maxTrouble))
	case t.cancel != nil:
		w.look, w.urgent = now, true
	}
	if t.job != nil && strings.EqualFold(t.job.Id, jobID) {
		w.status, w.made = t.job.Status, t.job.CreatedAt
	}
	t.poll, t.class = w, class
	a.follow(t.registry.ctx, w)
}

// turnTo forgets what was heard of another job: a person may have corrected the id.
func (t *Tracker) turnTo(jobID string) {
	if t.followed != "" && !strings.EqualFold(t.followed, jobID) {
		t.trouble, t.missed, t.lookRefusals, t.cancel, t.cancelSent = nil, 0, 0, nil, false
	}
	t.followed = jobID
}

// MarkAbandoned notes that a deletion has given up the job's cancel, and says whether that is news.
func (t *Tracker) MarkAbandoned() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.gaveUp
	t.gaveUp = true
	return !before
}

// stopPolling stops to look.
func (t *Tracker) stopPolling() {
	if t.poll == nil {
		return
	}
	t.poll.account.unfollow(t.poll)
	t.registry.release(t.poll.account)
	t.poll = nil
}

// caller is the account that a known job is asked about with: the Secret's; and the last
// good one where the Secret is gone, or where the job must be cancelled and the Secret's key
// can't.
func (t *Tracker) caller(cancelling bool) *Account {
	if t.secret != nil && (!cancelling || t.rejected != t.secret || t.lastUsed == nil) {
		return t.secret
	}
	if t.previous != nil && t.rejected == t.lastUsed {
		return t.previous
	}
	return t.lastUsed
}

// looked keeps what a look brought. held says that Dafty was asked to hold it.
func (t *Tracker) looked(w *poll, taken time.Time, held bool, job *dafty.Job, err *dafty.CallError) {
	t.mu.Lock()
	if t.poll != w {
		// Another looks in its place, with another key perhaps: this answer is none of its.
		t.mu.Unlock()
		return
	}
	a, cancelling := w.account, t.cancel != nil
	if err != nil {
		w.again(time.Now().Add(t.looksBad(a, err)), cancelling)
		t.mu.Unlock()
		t.wake()
		return
	}
	news, end := t.observe(job)
	news = news || t.trouble != nil
	t.trouble, t.missed, t.lookRefusals = nil, 0, 0
	t.setLastUsed(a)
	if end {
		if !cancelling {
			w.endsByItself(job)
		}
		t.stopPolling()
	} else {
		w.goesOn(job, cancelling, held, taken)
	}
	t.mu.Unlock()
	if end {
		a.ended(t, w.class)
	}
	if news {
		t.wake()
	}
}

// listed keeps that a list has the job under a status. It is no news that a job waits which is known to have begun.
func (t *Tracker) listed(w *poll, status dafty.JobStatus) {
	t.mu.Lock()
	if t.poll != w {
		t.mu.Unlock()
		return
	}
	t.setLastUsed(w.account) // it is the job's account
	if t.job != nil && (ended(t.job) || t.job.Status == status || t.job.Status == dafty.Processing) {
		t.mu.Unlock()
		return
	}
	job := dafty.Job{Id: w.jobID}
	if t.job != nil {
		job = *t.job
	}
	job.Status = status
	t.job = &job
	t.mu.Unlock()
	t.wake()
}

// looksBad keeps what went wrong with a look, and says when to look again.
func (t *Tracker) looksBad(a *Account, err *dafty.CallError) time.Duration {
	trouble := &lifecycle.Trouble{Err: err, Credentials: Hash(t.uid, a.key()), Failures: 1}
	if before := t.trouble; before != nil && before.Err.Kind == err.Kind && before.Credentials == trouble.Credentials {
		trouble.Failures = before.Failures + 1
	}
	t.trouble = trouble
	t.missed++
	switch {
	case err.Kind == dafty.KindUnauthorized:
		t.lookRefusals++
		trouble.Failures = t.lookRefusals
		t.refusedKey(a)
		if trouble.Failures == 1 {
			return max(secondLook, err.RetryAfter)
		}
		return max(lifecycle.Backoff(30*time.Second, trouble.Failures-1, maxHold), err.RetryAfter)
	case err.Kind == dafty.KindNotFound && trouble.Failures == 1:
		return max(secondLook, err.RetryAfter)
	case err.Kind == dafty.KindNotFound:
		// Under the key of another account the job isn't there, and won't be.
		t.rejected = a
		return max(lifecycle.Backoff(time.Second, t.missed, maxHold), err.RetryAfter)
	}
	return max(lifecycle.Backoff(time.Second, t.missed, maxTrouble), err.RetryAfter)
}

// Cancel cancels the job, as its user asked. Whether it has ended is for the looks to tell.
func (t *Tracker) Cancel(jobID string) { t.cancelFor(jobID, lifecycle.CancelForUser) }

// CancelOverdue is Cancel for a job that is past its deadline.
func (t *Tracker) CancelOverdue(jobID string) { t.cancelFor(jobID, lifecycle.CancelForDeadline) }

func (t *Tracker) cancelFor(jobID string, cause lifecycle.CancelCause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turnTo(jobID)
	a := t.caller(true)
	if a == nil || t.closed || t.registry.draining() || t.knowsEnd(jobID) || t.cancel != nil && !t.cancel.Done {
		return
	}
	t.owes = true
	call := &lifecycle.CancelCall{}
	if before := t.cancel; before != nil {
		call.Tries = before.Tries
		if before.Err != nil {
			call.Failures = before.Failures
		}
	}
	t.cancel = call
	go t.cancelJob(t.call(t.ctx), t.registry.retain(a), jobID, cause, call, call.Tries > 0)
}

func (t *Tracker) cancelJob(ctx context.Context, a *Account, jobID string, cause lifecycle.CancelCause, call *lifecycle.CancelCall, again bool) {
	defer t.registry.release(a)
	waiting, giveUp := context.WithCancel(ctx)
	defer context.AfterFunc(t.registry.open, giveUp)()
	defer giveUp()
	taken, err := a.acquireForCancel(waiting, again)
	t.mu.Lock()
	if err != nil {
		t.settle() // nothing was sent: the next process cancels it
		t.mu.Unlock()
		return
	}
	call.Sent, t.cancelSent = true, t.cancelSent || strings.EqualFold(t.followed, jobID)
	t.mu.Unlock()
	// Before it leaves, as others may read of its effect before its answer is here.
	before, already := t.registry.cancelOf(jobID)
	t.registry.setCancel(jobID, cancelledBy{t.uid, cause}.after(before))
	ctx, rate := dafty.WithRate(ctx)
	job, err := a.client.Cancel(ctx, jobID)
	callErr := dafty.AsError(err)
	if callErr != nil && (callErr.Unsent || callErr.Kind != dafty.KindUnavailable) && !already {
		t.registry.unsetCancel(jobID) // it had no effect
	}
	a.onResponse(dafty.ClassOther, taken, *rate, callErr)

	t.mu.Lock()
	end := false
	call.Done, call.At, call.Err = true, time.Now(), callErr
	call.Tries++
	switch {
	case callErr == nil:
		_, end = t.observe(job)
		t.setLastUsed(a)
		call.Failures = 0
	case callErr.Kind == dafty.KindUnauthorized:
		t.refusedKey(a)
		call.Failures++
	default:
		call.Failures++
	}
	class := t.class
	switch {
	case end:
		t.stopPolling()
	case t.poll != nil:
		t.poll.lookNow()
	}
	t.mu.Unlock()
	if end {
		a.ended(t, class)
	}
	t.wake()
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
