package budget

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Submission is an attempt of a DaftyJob that is to be sent.
type Submission struct {
	// Reservation has what identifies it, without charges.
	Reservation v1alpha1.Reservation
	// Created orders those who wait: the oldest goes first.
	Created time.Time
	// Wake tells it to come again. It must not block.
	Wake func()
}

// NewSubmission returns the submission of an attempt of a DaftyJob as it was read.
func NewSubmission(job *v1alpha1.DaftyJob, attempt int32, wake func()) Submission {
	return Submission{
		Reservation: v1alpha1.Reservation{UID: job.UID, Namespace: job.Namespace, Name: job.Name, Attempt: attempt, ResourceVersion: job.ResourceVersion},
		Created:     job.CreationTimestamp.Time,
		Wake:        wake,
	}
}

// Book has the budgets of all accounts in this process. It is safe for concurrent use.
type Book struct {
	// client reads from a cache and writes; live reads past it.
	client client.Client
	live   client.Reader
	clock  clock.WithDelayedExecution
	// start runs a function for an account without waiting for it.
	start func(account string, f func())

	mu    sync.Mutex
	pages map[string]*page
}

// NewBook returns a Book that reads DaftyAccounts and DaftyJobs from c, or past its cache from live, and writes the accounts' status with c.
func NewBook(c client.Client, live client.Reader, clk clock.WithDelayedExecution) *Book {
	return &Book{client: c, live: live, clock: clk, start: func(_ string, f func()) { go f() }, pages: map[string]*page{}}
}

// StartBy has another way to run functions for accounts without waiting for them than a goroutine each. Call it before all else.
func (b *Book) StartBy(start func(account string, f func())) { b.start = start }

// page returns that of an account, a new one where there is none.
func (b *Book) page(account string) *page {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[account]
	if p == nil {
		p = &page{book: b, account: account, settles: map[settleKey]bool{}, waiters: newWaiters()}
		b.pages[account] = p
	}
	return p
}

// Changed takes note of an account as it is in the cache. Call it whenever the account has changed there: what waits learns
// of changed budgets, and of what other processes have given back.
func (b *Book) Changed(account *v1alpha1.DaftyAccount) {
	b.page(account.Name).changed(account)
}

// Forget forgets an account that is gone, and those who wait for it.
func (b *Book) Forget(account string) {
	b.mu.Lock()
	p := b.pages[account]
	delete(b.pages, account)
	b.mu.Unlock()
	if p != nil {
		p.close()
	}
}

// Check returns why a submission must wait, nil where it may be reserved. It writes nothing. What must wait is remembered, and
// is woken when it is worth another try.
func (b *Book) Check(ctx context.Context, account string, s Submission) (*Exhausted, error) {
	p := b.page(account)
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	return p.check(s)
}

// Counts reports whether a submission is to be reserved: not where the account is known as one without budgets. The first budget that it
// gets holds once it is seen; after that, Reserve meets each change.
func (b *Book) Counts(account string, uid types.UID) bool { return b.page(account).counts(uid) }

// Reserve counts a submission, which may then go on record in the version of the DaftyJob that it names, and be sent.
// Nothing may be sent where it returns anything but nil. It waits for the API server; many at a time share a write.
// Another call of the same attempt counts nothing more.
func (b *Book) Reserve(ctx context.Context, account string, s Submission) (*Exhausted, error) {
	p := b.page(account)
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	r := p.enqueue(s)
	select {
	case <-r.done:
		return r.exhausted, r.err
	case <-ctx.Done():
		return nil, ctx.Err() // It may be on record by now: another call finds it, or it is settled as left over.
	}
}

// Settle takes a reservation off the record by its verdict, unless it was renewed since for another version of the DaftyJob. It
// doesn't block: it goes with the next write. One that is lost with the process is left over for Observe or Sweep.
func (b *Book) Settle(account string, r v1alpha1.Reservation, v Verdict) {
	if v != Keep {
		b.page(account).settle(r, v == Taken)
	}
}

// Observe settles the reservation of a DaftyJob if its record shows what became of it. Call it with what was read or
// written, after each change of its status.
func (b *Book) Observe(account string, job *v1alpha1.DaftyJob) {
	if r := b.page(account).reservation(job.UID); r != nil {
		b.Settle(account, *r, Judge(r, job))
	}
}

// Released settles the reservation of a DaftyJob whose finalizer was taken off: nothing of it goes on record any more, as that needs
// the version from before.
func (b *Book) Released(ctx context.Context, account string, job *v1alpha1.DaftyJob) {
	p := b.page(account)
	if p.load(ctx) != nil {
		return // the account is gone, or its reservations are swept
	}
	r := p.reservation(job.UID)
	if r == nil {
		return
	}
	verdict := judge(r, job, true) // whatever its version: the API server need not give a deleted object a newer one
	if verdict == Keep {
		verdict = Taken
	}
	b.Settle(account, *r, verdict)
}

// Withdraw forgets that a DaftyJob waits for an account: it is gone, or isn't to be submitted at present.
func (b *Book) Withdraw(account string, uid types.UID) { b.page(account).withdraw(uid) }

// Sweep settles the reservations of an account that an earlier process has left, or whose DaftyJob is gone.
func (b *Book) Sweep(ctx context.Context, account string) error {
	p := b.page(account)
	if err := p.load(ctx); err != nil {
		return err
	}
	for _, r := range p.reservations() {
		job, err := b.readJob(ctx, r)
		if err != nil {
			return fmt.Errorf("settling the reservations of DaftyAccount %q: %w", account, err)
		}
		b.Settle(account, r, Judge(&r, job))
	}
	return nil
}

// readJob returns the DaftyJob of a reservation, nil where the API server has none of that name.
func (b *Book) readJob(ctx context.Context, r v1alpha1.Reservation) (*v1alpha1.DaftyJob, error) {
	name := types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
	for _, from := range []client.Reader{b.client, b.live} {
		job := &v1alpha1.DaftyJob{}
		err := from.Get(ctx, name, job)
		if err == nil && job.UID == r.UID {
			return job, nil
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
	}
	return nil, nil
}

// readAccount reads an account from the cache, or past it.
func (b *Book) readAccount(ctx context.Context, from client.Reader, name string) (*v1alpha1.DaftyAccount, error) {
	account := &v1alpha1.DaftyAccount{}
	err := from.Get(ctx, types.NamespacedName{Name: name}, account)
	if apierrors.IsNotFound(err) {
		b.Forget(name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading DaftyAccount %q for its budgets: %w", name, err)
	}
	return account, nil
}
