package controller_test

import (
	"context"
	"errors"
	"strings"
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
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// The right to write goes before the DaftyJob does, as with a RoleBinding of a namespace that is being deleted: the job is
// cancelled all the same, and nobody is told at each try that the cancel was given up.
func TestDeletionWithoutTheRightToWrite(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{"cancelled": 5 * time.Minute, "given up": time.Second} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			w.apply("job", aLogo)
			id := w.submitted("job")
			w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			var tries atomic.Int32
			var allowed atomic.Bool
			forbidden := func(job *v1alpha1.DaftyJob) error {
				if job.DeletionTimestamp == nil || allowed.Load() {
					return nil
				}
				return apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("daftyjobs").GroupResource(), "job", errors.New("no"))
			}
			m := &meddled{status: forbidden, metadata: func(job *v1alpha1.DaftyJob) error {
				err := forbidden(job)
				if err != nil {
					tries.Add(1)
				}
				return err
			}}
			w.stop()
			w.extra = func(r *controller.Reconciler) { m.Client, r.Client, r.DeletionTimeout = r.Client, m, timeout }
			if name == "given up" {
				w.deleteSecret() // before the new operator can read it
			}
			w.startOperator()
			w.delete("job")
			if name == "cancelled" {
				w.Eventually(func() bool { entry, _ := w.sim.Job(id); return entry.Cancelled }).WithTimeout(patience).Should(BeTrue())
			} else {
				w.Eventually(tries.Load).WithTimeout(patience).Should(BeNumerically(">=", 3))
			}
			allowed.Store(true)
			w.eventuallyGone(patience, "job")
			w.Expect(strings.Count(logged.String(), "INFO\tgave up cancelling after 1s: job "+id)).To(Equal(map[string]int{"given up": 1}[name]))
		})
	}
}

// A namespace is deleted with all that is in it. Its controller, the real one, deletes the Secret and the DaftyJobs in an
// order of its own, and waits for their finalizers.
func TestNamespaceDeletion(t *testing.T) {
	t.Parallel()
	cp, err := kubetest.New(t.Context(), kubetest.Options{ControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})

	// The operator has used the key before, and still has it in memory.
	for name, before := range map[string]func(*world){
		"the Secret goes with it":   func(*world) {},
		"the Secret is gone before": func(w *world) { w.deleteSecret() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, cp, daftysim.Options{Manual: true})
			w.apply("queued", aLogo)
			w.apply("processing", aLogo)
			w.apply("completed", aLogo)
			w.apply("suspended", `{desiredState: Suspended, imageGenerate: {prompt: A logo}}`)
			processing, completed := w.submitted("processing"), w.submitted("completed")
			w.Expect(w.sim.Start(processing)).To(Succeed())
			w.Expect(w.sim.Finish(completed, daftysim.Succeed)).To(Succeed())
			w.eventually("queued", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			w.eventually("processing", v1alpha1.PhaseProcessing, v1alpha1.ReasonProcessing)
			w.eventually("completed", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.eventually("suspended", v1alpha1.PhasePending, v1alpha1.ReasonSuspended)
			w.sim.Inject(daftysim.Fault{Operation: daftysim.GenerateImage, Kind: daftysim.FaultResetAfter})
			w.apply("in-doubt", aLogo)
			w.Eventually(w.sim.Ledger).WithTimeout(patience).Should(HaveLen(4))

			before(w)
			w.deleteNamespace()

			w.eventuallyNoNamespace(longPatience)
			for _, entry := range w.sim.Ledger() {
				w.Expect(entry.Terminal()).To(BeTrue(), "%+v runs on", entry)
				w.Expect(entry.Cancelled).To(Equal(entry.JobID != completed), "%+v", entry)
				w.Expect(abandonment(entry.JobID, entry.IdempotencyKey)).To(BeEmpty())
			}
			w.wantCharges(4)
		})
	}

	t.Run("no operator runs, and all have ended", func(t *testing.T) {
		w := newWorldOn(t, cp, daftysim.Options{})
		for _, name := range []string{"one", "two"} {
			w.apply(name, aLogo)
			w.eventuallyReleased(name)
		}
		w.stop()
		w.deleteNamespace()
		w.eventuallyNoNamespace(patience)
		w.wantCharges(2)
	})

	// A fresh operator knows no key, and nobody can create the Secret again: only the deletion timeout ends it.
	t.Run("the operator is restarted when the Secret is gone", func(t *testing.T) {
		const timeout = 20 * time.Second
		w := newWorldOn(t, cp, daftysim.Options{Manual: true})
		w.apply("queued", aLogo)
		queued := w.submitted("queued")
		w.eventually("queued", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
		w.sim.Inject(daftysim.Fault{Operation: daftysim.GenerateImage, Kind: daftysim.FaultHang, Effect: true})
		w.apply("in-doubt", aLogo)
		w.Eventually(w.sim.Ledger).WithTimeout(patience).Should(HaveLen(2))
		inDoubt := w.sim.Ledger()[1]
		w.stop()

		w.deleteNamespace()
		w.Eventually(func() bool {
			key := types.NamespacedName{Namespace: w.Namespace, Name: v1alpha1.DefaultSecretName}
			return apierrors.IsNotFound(w.Client.Get(t.Context(), key, &corev1.Secret{}))
		}).WithTimeout(patience).Should(BeTrue(), "the Secret goes")
		w.Eventually(func() (*metav1.Time, error) {
			job, err := w.watched("queued")
			return job.DeletionTimestamp, err
		}).WithTimeout(patience).ShouldNot(BeNil())
		// Meanwhile the namespace says what it waits for, to whoever describes it.
		w.Eventually(w.namespaceMessages).WithTimeout(patience).Should(ContainSubstring("dafty.ai/cancel in 2 resource instances"))

		w.extra = func(r *controller.Reconciler) { r.DeletionTimeout = timeout }
		started := time.Now()
		w.startOperator()

		// While it waits, the object says what for.
		waiting := w.passes("queued", v1alpha1.PhaseQueued, v1alpha1.ReasonWaitingForCredentials)
		w.Expect(ready(waiting).Message).To(And(ContainSubstring(queued), ContainSubstring("the deletion waits for it until")))

		w.eventuallyNoNamespace(patience)
		w.Expect(time.Since(started)).To(BeNumerically(">=", timeout), "it was tried for that long")
		w.Expect(abandonment(queued)).To(ContainSubstring("may still run and cost"))
		w.Expect(abandonment(inDoubt.IdempotencyKey)).To(ContainSubstring("may still run and cost"))
		// Said and meant: nobody could cancel them.
		w.Expect(w.sim.Running()).To(HaveLen(2))
	})
}

// newWorldOn is newWorld on a control plane of the test's own.
func newWorldOn(t *testing.T, cp *kubetest.ControlPlane, opts daftysim.Options) *world {
	t.Helper()
	t.Parallel()
	w := newWorldIn(t, cp.Env(t), opts)
	w.putSecret(apiKey)
	return w
}

func (w *world) deleteNamespace() {
	w.t.Helper()
	w.MustKubectl(w.t, "delete", "namespace", w.Namespace, "--wait=false")
}

func (w *world) namespace() (*corev1.Namespace, error) {
	namespace := &corev1.Namespace{}
	return namespace, w.Client.Get(context.Background(), client.ObjectKey{Name: w.Namespace}, namespace)
}

// namespaceMessages returns what kubectl describe shows of a namespace that doesn't end.
func (w *world) namespaceMessages() (string, error) {
	namespace, err := w.namespace()
	var messages []string
	for _, condition := range namespace.Status.Conditions {
		messages = append(messages, condition.Message)
	}
	return strings.Join(messages, "; "), err
}

func (w *world) eventuallyNoNamespace(within time.Duration) {
	w.t.Helper()
	w.Eventually(func() bool {
		_, err := w.namespace()
		return apierrors.IsNotFound(err)
	}).WithTimeout(within).WithPolling(100*time.Millisecond).Should(BeTrue(), func() string {
		messages, err := w.namespaceMessages()
		return "the namespace stays: " + messages + " " + errorText(err)
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// abandonment returns the line of the log that tells of a job let go, found by any of these words.
func abandonment(words ...string) string {
	for line := range strings.Lines(logged.String()) {
		// The events package writes events into the log too, at other levels.
		if !strings.Contains(line, "\tINFO\t") || !strings.Contains(line, v1alpha1.EventCancelAbandoned) {
			continue
		}
		for _, word := range words {
			if strings.Contains(line, word) {
				return line
			}
		}
	}
	return ""
}
