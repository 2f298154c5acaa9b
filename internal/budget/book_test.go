package budget

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

const agency = "agency"

// env is an API server with one account, and a Book.
type env struct {
	testing.TB
	book  *Book
	clock *clocktesting.FakeClock
	// server is the API server. The Book reads through cache, if that is set, and patches after before and with after.
	server        client.WithWatch
	cache         client.Reader
	before, after func() error
	patches       atomic.Int32
	// running are the functions that the Book has started.
	running sync.WaitGroup

	mu    sync.Mutex
	woken []string
}

func newEnv(t testing.TB, budgets ...v1alpha1.Budget) *env {
	e := &env{TB: t, clock: clocktesting.NewFakeClock(noon), server: newServer(t, budgets...)}
	e.book = e.newBook(e.clock)
	return e
}

// newServer returns an API server with an account.
func newServer(t fataler, budgets ...v1alpha1.Budget) client.WithWatch {
	account := &v1alpha1.DaftyAccount{ObjectMeta: metav1.ObjectMeta{Name: agency}, Spec: v1alpha1.DaftyAccountSpec{Budgets: budgets}}
	return fake.NewClientBuilder().WithScheme(scheme(t)).WithStatusSubresource(account, &v1alpha1.DaftyJob{}).WithObjects(account).Build()
}

type fataler interface{ Fatal(args ...any) }

func scheme(t fataler) *runtime.Scheme {
	s := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// newBook returns that of another process.
func (e *env) newBook(clock *clocktesting.FakeClock) *Book {
	c := interceptor.NewClient(e.server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if e.cache != nil {
				return e.cache.Get(ctx, key, obj, opts...)
			}
			return c.Get(ctx, key, obj, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, _ string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			e.patches.Add(1)
			if e.before != nil {
				if err := e.before(); err != nil {
					return err
				}
			}
			if err := c.Status().Patch(ctx, obj, patch, opts...); err != nil || e.after == nil {
				return err
			}
			return e.after()
		},
	})
	book := NewBook(c, e.server, clock)
	book.StartBy(func(_ string, f func()) { e.running.Go(f) })
	return book
}

// submission returns one of DaftyJob shop/uid. The later the uid, the younger it is.
func (e *env) submission(uid string) Submission {
	return Submission{Reservation: reservationOf(uid, 1, "5"), Created: noon.Add(-time.Hour), Wake: func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.woken = append(e.woken, uid)
	}}
}

func (e *env) account() *v1alpha1.DaftyAccount {
	e.Helper()
	account := &v1alpha1.DaftyAccount{}
	if err := e.server.Get(e.Context(), types.NamespacedName{Name: agency}, account); err != nil {
		e.Fatal(err)
	}
	return account
}

// edit changes the account as a person does, and the cache tells of it.
func (e *env) edit(change func(*v1alpha1.DaftyAccount)) {
	e.Helper()
	account := e.account()
	change(account)
	if err := e.server.Update(e.Context(), account); err != nil {
		e.Fatal(err)
	}
	e.book.Changed(account)
	e.running.Wait()
}

func (e *env) reserve(s Submission) (*Exhausted, error) {
	defer e.running.Wait()
	return e.book.Reserve(e.Context(), agency, s)
}

// mustReserve reserves each of the DaftyJobs.
func (e *env) mustReserve(uids ...string) {
	e.Helper()
	for _, uid := range uids {
		if exhausted, err := e.reserve(e.submission(uid)); exhausted != nil || err != nil {
			e.Fatalf("%s: %v, %v", uid, exhausted, err)
		}
	}
}

// check reports whether a DaftyJob may be reserved.
func (e *env) check(uid string) bool {
	e.Helper()
	exhausted, err := e.book.Check(e.Context(), agency, e.submission(uid))
	if err != nil {
		e.Fatal(err)
	}
	e.running.Wait()
	return exhausted == nil
}

// wait has DaftyJobs wait.
func (e *env) wait(uids ...string) {
	e.Helper()
	for _, uid := range uids {
		if e.check(uid) {
			e.Fatalf("%s need not wait", uid)
		}
	}
}

func (e *env) settle(uid string, v Verdict) {
	e.book.Settle(agency, reservationOf(uid, 1, "5"), v)
	e.running.Wait()
}

func (e *env) step(d time.Duration) {
	e.clock.Step(d)
	e.running.Wait()
}

// wantWoken checks who was woken since it was last asked, in order.
func (e *env) wantWoken(uids ...string) {
	e.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.woken, uids) {
		e.Errorf("woken are %v, not %v", e.woken, uids)
	}
	e.woken = nil
}

// want checks what is on record.
func (e *env) want(used int64, reservations ...string) {
	e.Helper()
	status := e.account().Status
	if diff := cmp.Diff([]string{fmt.Sprint("Account/Day/Etc/UTC  2026-12-03: ", used)}, usageOf(&status)); diff != "" {
		e.Errorf("usage is (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(reservations, reservationsOf(&status)); diff != "" {
		e.Errorf("the reservations are (-want +got):\n%s", diff)
	}
}

func (e *env) wantPatches(n int32) {
	e.Helper()
	if got := e.patches.Swap(0); got != n {
		e.Errorf("%d writes, not %d", got, n)
	}
}

func daily(n int64) v1alpha1.Budget { return budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodDay, n) }

var (
	accounts    = v1alpha1.GroupVersion.WithResource("daftyaccounts").GroupResource()
	errConflict = apierrors.NewConflict(accounts, agency, errors.New("it has changed"))
)

// first returns err the first n times.
func first(n int, err error) func() error {
	return func() error {
		if n--; n < 0 {
			return nil
		}
		return err
	}
}

func TestReserveAndSettle(t *testing.T) {
	e := newEnv(t, daily(2))
	e.mustReserve("a", "b")
	e.want(2, "a-1@5", "b-1@5")
	if exhausted, err := e.reserve(e.submission("c")); exhausted == nil || err != nil {
		t.Errorf("%v, %v", exhausted, err)
	}
	e.wantPatches(2)
	e.settle("a", Keep)
	e.settle("a", Taken)
	e.settle("b", GivenBack)
	e.wantPatches(1) // somebody waits for that
	e.want(1)
	e.mustReserve("c")
	e.want(2, "c-1@5")
}

// An account without budgets has no write.
func TestNoBudgets(t *testing.T) {
	e := newEnv(t)
	if !e.check("a") {
		t.Error("it must wait")
	}
	e.mustReserve("a")
	e.settle("a", Taken)
	e.step(time.Hour)
	e.wantPatches(0)
}

// Nothing is counted of an account without budgets, but for what was reserved while it had any: its reservation must be for the version
// that it is sent with, or it would be given back.
func TestWhatCounts(t *testing.T) {
	e := newEnv(t)
	if !e.book.Counts(agency, "a") {
		t.Error("an account that isn't known is taken for one without budgets")
	}
	e.check("a")
	if e.book.Counts(agency, "a") {
		t.Error("it has no budgets")
	}
	e.edit(func(account *v1alpha1.DaftyAccount) { account.Spec.Budgets = []v1alpha1.Budget{daily(2)} })
	if !e.book.Counts(agency, "a") {
		t.Error("it has its first budget")
	}
	e.mustReserve("a")
	e.edit(func(account *v1alpha1.DaftyAccount) { account.Spec.Budgets = nil })
	if !e.book.Counts(agency, "a") || e.book.Counts(agency, "b") {
		t.Errorf("a was reserved: %t, and b wasn't: %t", e.book.Counts(agency, "a"), e.book.Counts(agency, "b"))
	}
	e.edit(func(account *v1alpha1.DaftyAccount) {
		account.Spec.Budgets = []v1alpha1.Budget{daily(2)}
		account.Spec.Budgets[0].TimeZone = "Nowhere/City"
	})
	if !e.book.Counts(agency, "b") {
		t.Error("what can't be counted isn't sent uncounted")
	}
}

// What is only settled waits for the next write, or for a moment.
func TestSettlesShareAWrite(t *testing.T) {
	e := newEnv(t, daily(9))
	e.mustReserve("a", "b", "c", "d")
	e.wantPatches(4)
	e.settle("a", Taken)
	e.settle("b", GivenBack)
	e.settle("b", GivenBack)
	e.step(settleAfter - 1)
	e.wantPatches(0)
	e.step(1)
	e.wantPatches(1)
	e.want(3, "c-1@5", "d-1@5")
	e.settle("c", Taken)
	e.mustReserve("e")
	e.wantPatches(1)
	e.want(4, "d-1@5", "e-1@5")
	e.step(time.Hour)
	e.wantPatches(0)
}

// What is to be settled isn't held up by a clock that is set back, as timers go by another.
func TestSettlesOnAClockThatIsSetBack(t *testing.T) {
	e := newEnv(t, daily(9))
	e.mustReserve("a")
	e.wantPatches(1)
	e.settle("a", Taken)
	e.clock.SetTime(noon.Add(-5 * time.Minute))
	e.book.page(agency).tick()
	e.running.Wait()
	e.wantPatches(1)
	e.want(1)
}

// While a write is under way, all that comes goes into the next, and each is told its own result: the oldest have what is left.
func TestABurstSharesWrites(t *testing.T) {
	e := newEnv(t, daily(600))
	e.mustReserve("0")
	e.patches.Store(0)
	under, goOn := make(chan struct{}), make(chan struct{})
	e.before = func() error {
		if e.patches.Load() == 1 {
			close(under)
			<-goOn
		}
		return nil
	}
	var all sync.WaitGroup
	var granted, waiting, failed atomic.Int32
	reserve := func(n int) {
		all.Go(func() {
			switch exhausted, err := e.book.Reserve(e.Context(), agency, e.submission(fmt.Sprintf("uid-%04d", n))); {
			case err != nil:
				failed.Add(1)
			case exhausted != nil:
				waiting.Add(1)
			default:
				granted.Add(1)
			}
		})
	}
	reserve(0)
	<-under
	for n := range 999 {
		reserve(999 - n)
	}
	p := e.book.page(agency)
	for gathered := 0; gathered < 999; {
		p.mu.Lock()
		gathered = len(p.reserves)
		p.mu.Unlock()
	}
	close(goOn)
	all.Wait()
	e.running.Wait()
	if granted.Load() != 599 || waiting.Load() != 401 || failed.Load() != 0 {
		t.Errorf("%d were reserved, %d wait, %d failed", granted.Load(), waiting.Load(), failed.Load())
	}
	e.wantPatches(2)
	for i, each := range p.waiters.byAge {
		if want := fmt.Sprintf("uid-%04d", 599+i); string(each.Reservation.UID) != want {
			t.Fatalf("%s waits, not %s", each.Reservation.UID, want)
		}
	}
}

func TestWritesThatFail(t *testing.T) {
	forbidden := apierrors.NewForbidden(accounts, agency, errors.New("a policy says no"))
	for _, tt := range []struct {
		name          string
		before, after func() error
		says          string
		// writes is how many there are until the call returns, and reserved whether it is on record then.
		writes   int32
		reserved bool
	}{
		{"conflicts", first(3, errConflict), nil, "", 4, true},
		{"conflicts without end", first(99, errConflict), nil, "it has changed", maxConflicts, false},
		{"forbidden", first(1, forbidden), nil, `writing the status of DaftyAccount "agency": daftyaccounts.dafty.ai "agency" is forbidden: a policy says no`, 1, false},
		{"too large", first(1, apierrors.NewRequestEntityTooLargeError("3 MiB")), nil, "3 MiB", 1, false},
		{"no answer, and not written", first(1, errors.New("connection reset")), nil, "connection reset", 1, false},
		{"no answer, but written", nil, first(1, errors.New("connection reset")), "connection reset", 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, daily(1))
			e.before, e.after = tt.before, tt.after
			exhausted, err := e.reserve(e.submission("a"))
			if exhausted != nil || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, %v", exhausted, err)
			}
			e.wantPatches(tt.writes)
			if got := len(e.account().Status.Reservations) == 1; got != tt.reserved {
				t.Errorf("on record: %t", got)
			}
			// Once it goes on, it is counted once, and whoever else comes meets that.
			e.before, e.after = nil, nil
			e.mustReserve("a")
			e.want(1, "a-1@5")
			if exhausted, err := e.reserve(e.submission("b")); exhausted == nil || err != nil {
				t.Errorf("another: %v, %v", exhausted, err)
			}
			e.want(1, "a-1@5")
		})
	}
}

// What was given back is so once, whatever becomes of the writes.
func TestSettlesThatFail(t *testing.T) {
	for name, set := range map[string]func(*env){
		"not written":           func(e *env) { e.before = first(2, errors.New("connection reset")) },
		"written all the same":  func(e *env) { e.after = first(2, errors.New("connection reset")) },
		"refused":               func(e *env) { e.before = first(2, apierrors.NewForbidden(accounts, agency, errors.New("no"))) },
		"conflicts without end": func(e *env) { e.before = first(2*maxConflicts, errConflict) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, daily(5))
			e.mustReserve("a", "b", "c")
			set(e)
			e.settle("a", GivenBack)
			e.settle("b", Taken)
			e.step(settleAfter)
			e.settle("c", GivenBack)
			for range 3 {
				e.step(2 * settleAfter)
			}
			e.want(1)
			e.patches.Store(0)
			e.step(time.Hour)
			e.wantPatches(0)
		})
	}
}

// The cache may be behind what this process has written, or what another has.
func TestACacheThatIsBehind(t *testing.T) {
	e := newEnv(t, daily(2))
	old := e.account()
	e.cache = fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(old).Build()
	e.mustReserve("a")
	e.book.Changed(old)
	if got := e.book.page(agency).known.ResourceVersion; got == old.ResourceVersion {
		t.Error("it takes the older one")
	}
	other := e.newBook(e.clock)
	for range 2 {
		if exhausted, err := other.Reserve(t.Context(), agency, e.submission("b")); exhausted != nil || err != nil {
			t.Errorf("%v, %v", exhausted, err)
		}
	}
	e.running.Wait()
	e.want(2, "a-1@5", "b-1@5")
	// This process doesn't know that, and finds out.
	if exhausted, err := e.reserve(e.submission("c")); exhausted == nil || err != nil {
		t.Errorf("%v, %v", exhausted, err)
	}
	e.want(2, "a-1@5", "b-1@5")
}

func TestAnAccountThatIsGone(t *testing.T) {
	e := newEnv(t, daily(2), budgetOf(v1alpha1.PerNamespace, v1alpha1.PeriodDay, 1))
	e.mustReserve("a")
	e.wait("b")
	if err := e.server.Delete(t.Context(), e.account()); err != nil {
		t.Fatal(err)
	}
	elsewhere := e.submission("c")
	elsewhere.Reservation.Namespace = "blog"
	for range 2 {
		if exhausted, err := e.reserve(elsewhere); exhausted != nil || !apierrors.IsNotFound(errors.Unwrap(err)) {
			t.Errorf("%v, %v", exhausted, err)
		}
		e.book.Forget(agency)
	}
	if _, err := e.book.Check(t.Context(), agency, e.submission("b")); !apierrors.IsNotFound(errors.Unwrap(err)) {
		t.Error(err)
	}
	e.settle("a", GivenBack)
	e.step(time.Hour)
	e.wantWoken()
}

// Who gives up waiting for the API server may have reserved all the same: the next call finds it.
func TestReserveThatIsGivenUp(t *testing.T) {
	e := newEnv(t, daily(1))
	ctx, cancel := context.WithCancel(t.Context())
	e.before = func() error { cancel(); return nil }
	if _, err := e.book.Reserve(ctx, agency, e.submission("a")); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	e.running.Wait()
	e.want(1, "a-1@5")
	e.mustReserve("a")
	e.want(1, "a-1@5")
}

// What is reserved and not settled is judged by its DaftyJob, as it is in the cache or, where it isn't there, at the API server.
func TestObserveAndSweep(t *testing.T) {
	e := newEnv(t, daily(9))
	jobs := map[string]*v1alpha1.DaftyJob{}
	for _, name := range []string{"untouched", "changed", "at-dafty", "gone", "not-in-the-cache"} {
		job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}}
		if err := e.server.Create(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		jobs[name] = job
		if exhausted, err := e.reserve(NewSubmission(job, 1, nil)); exhausted != nil || err != nil {
			t.Fatalf("%v, %v", exhausted, err)
		}
	}
	for _, name := range []string{"changed", "at-dafty"} {
		jobs[name].Labels = map[string]string{"a": "b"}
		if err := e.server.Update(t.Context(), jobs[name]); err != nil {
			t.Fatal(err)
		}
	}
	jobs["at-dafty"].Status = v1alpha1.DaftyJobStatus{JobID: "one", Attempts: 1}
	if err := e.server.Status().Update(t.Context(), jobs["at-dafty"]); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"untouched", "changed", "at-dafty"} {
		e.book.Observe(agency, jobs[name])
		e.step(settleAfter)
	}
	e.want(4, "gone-1@1", "not-in-the-cache-1@1", "untouched-1@1")

	// The next process settles what this one has left.
	if err := e.server.Delete(t.Context(), jobs["gone"]); err != nil {
		t.Fatal(err)
	}
	e.cache = fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(e.account(), jobs["untouched"]).Build()
	e.book = e.newBook(e.clock)
	if err := e.book.Sweep(t.Context(), agency); err != nil {
		t.Fatal(err)
	}
	e.step(settleAfter)
	e.want(4, "not-in-the-cache-1@1", "untouched-1@1")
}
