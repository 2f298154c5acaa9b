package controller_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// meddled is the operator's client, with somebody who comes before it. An error of theirs is
// what the operator gets, and its call isn't made.
type meddled struct {
	client.Client
	// read comes before a Secret is read, status and metadata before a DaftyJob is patched.
	read             func(types.NamespacedName) error
	status, metadata func(*v1alpha1.DaftyJob) error
}

func (m *meddled) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if _, ok := into.(*corev1.Secret); ok && m.read != nil {
		if err := m.read(key); err != nil {
			return err
		}
	}
	return m.Client.Get(ctx, key, into, opts...)
}

func (m *meddled) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if job, ok := obj.(*v1alpha1.DaftyJob); ok && m.metadata != nil {
		if err := m.metadata(job); err != nil {
			return err
		}
	}
	return m.Client.Patch(ctx, obj, patch, opts...)
}

func (m *meddled) Status() client.SubResourceWriter {
	return &meddledStatus{m.Client.Status(), m.status}
}

type meddledStatus struct {
	client.SubResourceWriter
	before func(*v1alpha1.DaftyJob) error
}

func (m *meddledStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	if job, ok := obj.(*v1alpha1.DaftyJob); ok && m.before != nil {
		if err := m.before(job); err != nil {
			return err
		}
	}
	return m.SubResourceWriter.Patch(ctx, obj, patch, opts...)
}

// meddle has the operator work through m.
func (w *world) meddle(m *meddled) {
	w.t.Helper()
	w.stop()
	w.extra = func(r *controller.Reconciler) { m.Client, r.Client = r.Client, m }
	w.startOperator()
}

// isWriteAhead tells the status that must stand before a request leaves.
func isWriteAhead(job *v1alpha1.DaftyJob) bool {
	return job.Status.Phase == v1alpha1.PhaseSubmitting && job.Status.InDoubt()
}

// A request leaves once its attempt is on record, and not before: whoever finds the object
// after a crash would otherwise pay for another.
func TestNothingLeavesBeforeItIsOnRecord(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"the API server fails":      apierrors.NewInternalError(errors.New("no")),
		"the API server is away":    errors.New("connection refused"),
		"another write comes first": apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("daftyjobs").GroupResource(), "job", errors.New("no")),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			var failures atomic.Int32
			var recorded atomic.Pointer[time.Time]
			w.meddle(&meddled{status: func(job *v1alpha1.DaftyJob) error {
				if !isWriteAhead(job) || recorded.Load() != nil {
					return nil
				}
				if failures.Add(1) <= 3 {
					return failure
				}
				now := time.Now()
				recorded.Store(&now)
				return nil
			}})
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			for _, r := range w.sim.Requests() {
				if r.Operation == daftysim.GenerateImage {
					w.Expect(r.Time).To(BeTemporally(">=", *recorded.Load()), "it left before it was on record")
				}
			}
			w.Expect(w.requests(daftysim.GenerateImage)).To(Equal(1))
			w.wantCharges(1)
		})
	}
}

// Somebody changes the object between the operator's look at it and its write-ahead: what was
// decided rests on an object that is no more, and nothing is sent.
func TestAnOldObjectIsNotSubmitted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(w *world)
		then   func(w *world)
	}{
		"called off by spec": {
			change: func(w *world) { w.cancel("job") },
			then: func(w *world) {
				w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission)
			},
		},
		"called off by delete": {
			change: func(w *world) { w.delete("job") },
			then:   func(w *world) { w.eventuallyGone(patience, "job") },
		},
		"suspended": {
			change: func(w *world) {
				w.MustKubectl(w.t, "patch", "daftyjob", "job", "--type", "merge", "-p", `{"spec":{"desiredState":"Suspended"}}`)
			},
			then: func(w *world) { w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonSuspended) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			var changed atomic.Bool
			w.meddle(&meddled{status: func(job *v1alpha1.DaftyJob) error {
				if isWriteAhead(job) && !changed.Swap(true) {
					tc.change(w)
				}
				return nil
			}})
			w.apply("job", aLogo)
			tc.then(w)
			w.Expect(changed.Load()).To(BeTrue())
			w.Expect(w.requests(daftysim.GenerateImage)).To(BeZero())
		})
	}
}

// Two operators find the same object at the same moment, as when a lease is lost late: the one
// whose write comes second sends nothing until the other's request has surely passed.
func TestTheSecondLeaderWaits(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	var other atomic.Pointer[time.Time]
	w.meddle(&meddled{status: func(job *v1alpha1.DaftyJob) error {
		if isWriteAhead(job) && other.Load() == nil {
			theirs, err := w.get("job")
			if err != nil {
				return err
			}
			theirs.Status = *job.Status.DeepCopy()
			now := metav1.Now().Rfc3339Copy()
			theirs.Status.Submission.StartedAt, theirs.Status.Submission.SentAt = &now, &now
			theirs.Status.Submission.IdempotencyKey = string(job.UID) + "-1"
			if err := w.Client.Status().Update(context.Background(), theirs); err != nil {
				return err
			}
			other.Store(&now.Time)
		}
		return nil
	}})
	w.apply("job", aLogo)
	w.eventuallyWithin(longPatience, "job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	for _, r := range w.sim.Requests() {
		if r.Operation == daftysim.GenerateImage {
			w.Expect(r.Time).To(BeTemporally(">=", other.Load().Add(45*time.Second)))
		}
	}
	w.wantCharges(1)
}

// The name belongs to another object by the time that the operator writes to it: that one must
// not inherit the job of the one before.
func TestAnotherObjectIsNotAnnotated(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	var replaced atomic.Pointer[v1alpha1.DaftyJob]
	w.meddle(&meddled{metadata: func(job *v1alpha1.DaftyJob) error {
		if job.Annotations[v1alpha1.JobAnnotation] == "" || replaced.Load() != nil {
			return nil
		}
		before, err := w.get("job")
		if err != nil {
			return err
		}
		replaced.Store(before.DeepCopy())
		before.Finalizers = nil
		return errors.Join(
			w.Client.Update(context.Background(), before),
			w.Client.Delete(context.Background(), before),
			w.Client.Create(context.Background(), &v1alpha1.DaftyJob{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "job"}, Spec: before.Spec,
			}),
		)
	}})
	w.apply("job", aLogo)
	w.Eventually(replaced.Load).WithTimeout(patience).ShouldNot(BeNil())
	job := w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(job.UID).NotTo(Equal(replaced.Load().UID))
	w.Expect(job.Status.JobID).NotTo(Equal(replaced.Load().Status.JobID))
	w.wantCharges(2)
}

// A Secret that can't be read is looked for again, and said where a person must act.
func TestSecretCannotBeRead(t *testing.T) {
	t.Parallel()
	secrets := corev1.SchemeGroupVersion.WithResource("secrets").GroupResource()
	for name, tc := range map[string]struct {
		failure error
		says    string // empty: nothing is worth saying
	}{
		"the API server is away": {failure: errors.New("connection refused")},
		"no right to":            {failure: apierrors.NewForbidden(secrets, v1alpha1.DefaultSecretName, errors.New("no")), says: "may not read Secret"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			var mended atomic.Bool
			var reads atomic.Int32
			w.meddle(&meddled{read: func(types.NamespacedName) error {
				if reads.Add(1); mended.Load() {
					return nil
				}
				return tc.failure
			}})
			w.apply("job", aLogo)
			if tc.says != "" {
				job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
				w.Expect(ready(job).Message).To(ContainSubstring(tc.says))
			}
			w.Eventually(reads.Load).WithTimeout(patience).Should(BeNumerically(">=", 3))
			mended.Store(true)
			w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.wantCharges(1)
		})
	}
}

// No Secret of another namespace is ever read, one of the same name where the operator or
// everybody looks least of all.
func TestSecretsOfOtherNamespacesAreNotRead(t *testing.T) {
	w := newWorldWithoutSecret(t, daftysim.Options{})
	// In the namespace that a client falls back to. No other test has a Secret of this name.
	elsewhere := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: w.Namespace},
		StringData: map[string]string{v1alpha1.DefaultSecretKey: apiKey},
	}
	w.Expect(w.Client.Create(t.Context(), elsewhere)).To(Succeed())
	var foreign atomic.Pointer[types.NamespacedName]
	w.meddle(&meddled{read: func(name types.NamespacedName) error {
		if name.Namespace != w.Namespace {
			foreign.Store(&name)
		}
		return nil
	}})
	w.apply("job", `{credentialsSecretRef: {name: `+w.Namespace+`}, imageGenerate: {prompt: A logo}}`)
	w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
	w.cancel("job")
	w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission)
	w.Expect(foreign.Load()).To(BeNil())
	w.Expect(w.sim.Requests()).To(BeEmpty())
}
