package simulation

import (
	"cmp"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// accountUse is the use of a DaftyAccount from a namespace.
type accountUse struct{ account, namespace string }

// bookClock is the clock of a process, with timers, which go off late where it is paused.
type bookClock struct {
	processClock
	clock.RealClock
}

// Now implements clock.PassiveClock.
func (c bookClock) Now() time.Time { return c.processClock.Now() }

// Since implements clock.PassiveClock.
func (c bookClock) Since(t time.Time) time.Duration { return c.processClock.Since(t) }

// AfterFunc implements clock.WithDelayedExecution.
func (c bookClock) AfterFunc(d time.Duration, f func()) clock.Timer {
	p := c.p
	var due func()
	due = func() {
		p.env.mu.Lock()
		defer p.env.mu.Unlock()
		switch {
		case p.dead:
		case p.paused():
			p.whenResumed(func() { go due() })
		default:
			go f()
		}
	}
	return c.RealClock.AfterFunc(d, due)
}

// countSoon has the DaftyAccount of a DaftyJob looked at in a while, as the controller does.
func (p *process) countSoon(job *v1alpha1.DaftyJob) {
	if ref := job.Spec.AccountRef; ref != nil {
		p.accountQueue.add(ref.Name, 5*time.Second)
	}
}

// wakeAccount is how the accounts bring a DaftyAccount to be reconciled.
func (p *process) wakeAccount(name string) {
	p.env.mu.Lock()
	defer p.env.mu.Unlock()
	p.accountQueue.add(name, 0)
}

// accountChanged brings the DaftyJobs back that a change of a DaftyAccount concerns.
func (p *process) accountChanged(before, after *v1alpha1.DaftyAccount) {
	account := cmp.Or(after, before)
	p.accountQueue.add(account.Name, 0)
	p.noteHeld()
	// Only of its spec, as status changes often.
	generation := fmt.Sprint(account.UID, " ", account.Generation)
	if p.accounts.get(account.Name) != nil && p.generations[account.Name] == generation {
		return
	}
	p.generations[account.Name] = generation
	p.addUnsubmitted(func(job *v1alpha1.DaftyJob) bool { return job.Spec.AccountRef.Name == account.Name })
}

// namespaceChanged does so for those that a change of a namespace's labels concerns.
func (p *process) namespaceChanged(before, after *metav1.PartialObjectMetadata) {
	object := cmp.Or(after, before)
	p.noteHeld()
	p.addUnsubmitted(func(job *v1alpha1.DaftyJob) bool { return job.Namespace == object.Name })
}

func (p *process) addUnsubmitted(concerns func(*v1alpha1.DaftyJob) bool) {
	for _, job := range all(p.jobs.objects) {
		if job.Spec.AccountRef != nil && job.Status.JobID == "" && !job.Status.Phase.Final() && concerns(job) {
			p.queue.add(job.Name, 0)
		}
	}
}

// noteHeld notes what the process can know of which account may be used from where.
func (p *process) noteHeld() {
	for name := range p.env.api.accountNames {
		account := p.accounts.get(name)
		if account != nil && len(account.Spec.Budgets) == 0 {
			p.unbudgeted[name] = always
		} else if p.unbudgeted[name].Equal(always) {
			p.unbudgeted[name] = time.Now()
		}
		for _, namespace := range placedNamespaces {
			use := accountUse{name, namespace}
			if account != nil && !account.Spec.Suspend && selects(account, p.namespaces.get(namespace)) {
				delete(p.held, use)
			} else if _, known := p.held[use]; !known {
				p.held[use] = time.Now()
			}
		}
	}
}

// always is after all that happens.
var always = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// selects reports whether a DaftyAccount is for a namespace.
func selects(account *v1alpha1.DaftyAccount, namespace *metav1.PartialObjectMetadata) bool {
	selector, err := metav1.LabelSelectorAsSelector(account.Spec.Namespaces)
	if err != nil || namespace == nil {
		return false
	}
	return selector.Matches(labels.Set(namespace.Labels))
}

// relistAccounts brings what a process sees of DaftyAccounts and namespaces to where the cluster is.
func (p *process) relistAccounts() {
	p.namespaces.relist(p.env.api.namespaces)
	p.accounts.relist(p.env.api.accounts)
}

// cachedAccount reads a DaftyAccount from the process's cache.
func (p *process) cachedAccount(name string, into *v1alpha1.DaftyAccount) error {
	p.env.mu.Lock()
	defer p.env.mu.Unlock()
	account := p.accounts.get(name)
	if account == nil {
		return apierrors.NewNotFound(accountResource, name)
	}
	account.DeepCopyInto(into)
	if mutate := p.env.mutation.readAccount; mutate != nil {
		mutate(into)
	}
	return nil
}

// cachedNamespace reads the labels of a namespace from the process's cache.
func (p *process) cachedNamespace(name string, into *metav1.PartialObjectMetadata) error {
	p.env.mu.Lock()
	defer p.env.mu.Unlock()
	object := p.namespaces.get(name)
	if object == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name)
	}
	object.DeepCopyInto(into)
	return nil
}

// patchAccount is one write of a DaftyAccount's status.
func (c apiClient) patchAccount(of *v1alpha1.DaftyAccount, patch client.Patch) error {
	e, what := c.p.env, "patch status of account "+of.Name
	data, err := patch.Data(of)
	if err != nil {
		return err
	}
	if mutate := e.mutation.patchAccount; mutate != nil {
		var dropped bool
		with := func(of *v1alpha1.DaftyAccount, patch map[string]any) bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return mutate(e, of, patch)
		}
		if data, dropped = mutated(data, of, with); dropped {
			return nil
		}
	}
	if err := c.travel(what); err != nil {
		return err
	}
	var stored *v1alpha1.DaftyAccount
	err = c.apply(what, func() (shown string, err error) {
		if stored, err = e.api.patchAccount(of.Name, data); err != nil {
			return "", err
		}
		return describeAccount(stored), nil
	}, func() { e.reached("account written") })
	if goneErr := c.travel(what + " answer"); goneErr != nil {
		return goneErr
	}
	if err != nil {
		return err
	}
	stored.DeepCopyInto(of)
	if mutate := e.mutation.readAccount; mutate != nil {
		mutate(of)
	}
	return nil
}
