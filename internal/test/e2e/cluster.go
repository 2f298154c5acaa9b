package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// TryKubectl runs kubectl, and returns what it prints.
func (w *World) TryKubectl(ctx context.Context, args ...string) (string, error) {
	var output bytes.Buffer
	cmd := w.ControlPlane.KubectlCommand(ctx, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	return output.String(), err
}

// Kubectl runs a kubectl that has to succeed.
func (w *World) Kubectl(args ...string) string {
	w.Helper()
	output, err := w.TryKubectl(w.Context(), args...)
	if err != nil {
		w.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return output
}

// Port returns the port of an address.
func Port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// Listens waits until something listens at an address.
func (w *World) Listens(address string) {
	w.Helper()
	w.Eventually("something listens at "+address, func(g gomega.Gomega) {
		conn, err := (&net.Dialer{}).DialContext(w.Context(), "tcp", address)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		_ = conn.Close()
	})
}

// Healthy waits until /healthz at an address is answered.
func (w *World) Healthy(address string) {
	w.Helper()
	w.Eventually("healthz at "+address, func(g gomega.Gomega) {
		request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+address+"/healthz", http.NoBody)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		answer, err := http.DefaultClient.Do(request)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		_ = answer.Body.Close()
		g.Expect(answer.StatusCode).To(gomega.Equal(http.StatusOK))
	})
}

// Job reads a DaftyJob.
func (w *World) Job(namespace, name string) (*v1alpha1.DaftyJob, error) {
	job := &v1alpha1.DaftyJob{}
	return job, w.Client.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, job)
}

// MustJob reads a DaftyJob that has to be there.
func (w *World) MustJob(namespace, name string) *v1alpha1.DaftyJob {
	w.Helper()
	job, err := w.Job(namespace, name)
	if err != nil {
		w.Fatal(err)
	}
	return job
}

// Jobs lists the DaftyJobs of a namespace.
func (w *World) Jobs(namespace string) []v1alpha1.DaftyJob {
	w.Helper()
	list := &v1alpha1.DaftyJobList{}
	if err := w.Client.List(w.Context(), list, client.InNamespace(namespace)); err != nil {
		w.Fatal(err)
	}
	return list.Items
}

// Asset reads a DaftyAsset that has to be there.
func (w *World) Asset(namespace, name string) *v1alpha1.DaftyAsset {
	w.Helper()
	read := &v1alpha1.DaftyAsset{}
	if err := w.Client.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, read); err != nil {
		w.Fatal(err)
	}
	return read
}

// ConfigMap reads a ConfigMap.
func (w *World) ConfigMap(namespace, name string) (*corev1.ConfigMap, error) {
	object := &corev1.ConfigMap{}
	return object, w.Client.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
}

// WaitForPhase waits until a DaftyJob is in this phase.
func (w *World) WaitForPhase(namespace, name string, phase v1alpha1.Phase) *v1alpha1.DaftyJob {
	w.Helper()
	var job *v1alpha1.DaftyJob
	w.Eventually(fmt.Sprintf("DaftyJob %s is %s", name, phase), func(g gomega.Gomega) {
		var err error
		job, err = w.Job(namespace, name)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(job.Status.Phase).To(gomega.Equal(phase), "%+v", job.Status.Conditions)
	})
	return job
}

// WaitForDeletion waits until an object doesn't exist any more.
func (w *World) WaitForDeletion(object client.Object, namespace, name string) {
	w.Helper()
	w.Eventually(fmt.Sprintf("%T %s is gone", object, name), func(g gomega.Gomega) {
		err := w.Client.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
		g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue(), "%v", err)
	})
}

// Paid returns the ledger's entries of an account.
func (w *World) Paid(account string) []daftysim.Entry {
	return slices.DeleteFunc(w.Dafty.Ledger(), func(e daftysim.Entry) bool { return e.Account != account })
}

// CheckPaid checks how many jobs Dafty has made for an account.
func (w *World) CheckPaid(account string, jobs int) {
	w.Helper()
	if paid := w.Paid(account); len(paid) != jobs {
		w.Errorf("Dafty has made %d jobs for %s; want %d: %+v", len(paid), account, jobs, paid)
	}
}

// CheckCancelled checks that a job is cancelled at Dafty.
func (w *World) CheckCancelled(id string) {
	w.Helper()
	if entry, found := w.Dafty.Job(id); !found || !entry.Cancelled || !entry.Terminal() {
		w.Errorf("Dafty's job %q isn't cancelled: %+v", id, entry)
	}
}

// CheckLedger checks that nothing runs on, that no job was made twice for one key, and that Dafty was asked for nothing that it doesn't know.
func (w *World) CheckLedger() {
	w.Helper()
	if running := w.Dafty.Running(); len(running) > 0 {
		w.Errorf("still running, and paid for: %+v", running)
	}
	keys := map[string]bool{}
	for _, entry := range w.Dafty.Ledger() {
		if keys[entry.IdempotencyKey] {
			w.Errorf("two jobs of one key: %+v", entry)
		}
		keys[entry.IdempotencyKey] = true
	}
	for _, violation := range w.Dafty.Violations() {
		w.Errorf("%+v", violation)
	}
}

// WithoutCancels has Dafty refuse to cancel, until the returned function is called.
func (w *World) WithoutCancels(accounts ...string) (mend func()) {
	var ids []int
	for _, account := range accounts {
		ids = append(ids, w.Dafty.Inject(daftysim.Fault{
			Operation: daftysim.CancelJob, Account: account, Count: daftysim.Forever, Status: http.StatusServiceUnavailable, Code: "UNAVAILABLE", Message: "later",
		}))
	}
	return func() { w.Dafty.ClearFaults(ids...) }
}
