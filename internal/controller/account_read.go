package controller

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// NamespaceMetadata returns an object to watch namespaces by: their labels say which DaftyAccounts they may use.
func NamespaceMetadata() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return object
}

// readAccount reads the DaftyAccount that an object of a namespace names, and what that may do with it. from is nil where there is
// none.
func (r *Reconciler) readAccount(ctx context.Context, namespace, name string) (from *v1alpha1.DaftyAccount, of *lifecycle.Account, err error) {
	of = &lifecycle.Account{Name: name}
	if !r.WithAccounts {
		of.Denied = fmt.Sprintf("spec.accountRef names DaftyAccount %q, and this operator runs without DaftyAccounts, as it does with --watch-namespaces; "+
			"create another DaftyJob under a new name, with credentialsSecretRef", name)
		return nil, of, nil
	}
	// In the same words, whether it isn't there or isn't for the namespace: who may not use it learns nothing of it.
	denied := fmt.Sprintf("there is no DaftyAccount %q for namespace %q; whoever runs the accounts can create it, or have it select the namespace, "+
		"and the job goes on by itself", name, namespace)
	from = &v1alpha1.DaftyAccount{}
	if err := r.Get(ctx, types.NamespacedName{Name: name}, from); err != nil {
		if apierrors.IsNotFound(err) {
			of.Denied = denied
			return nil, of, nil
		}
		return nil, nil, fmt.Errorf("reading DaftyAccount %q: %w", name, err)
	}
	r.Budgets.Changed(from) // it may be newer than what the controller of DaftyAccounts has seen
	selected, err := r.selects(ctx, from, namespace)
	if err != nil {
		return nil, nil, err
	}
	if !selected {
		of.Denied = denied
	}
	of.Suspended = from.Spec.Suspend
	return from, of, nil
}

// selects reports whether a DaftyAccount is for a namespace.
func (r *Reconciler) selects(ctx context.Context, from *v1alpha1.DaftyAccount, namespace string) (bool, error) {
	selector, err := metav1.LabelSelectorAsSelector(from.Spec.Namespaces)
	if err != nil {
		return false, nil //nolint:nilerr // The DaftyAccount tells it.
	}
	if selector.Empty() {
		return true, nil
	}
	object := NamespaceMetadata()
	if err := r.Get(ctx, types.NamespacedName{Name: namespace}, object); err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("reading namespace %q: %w", namespace, err)
	}
	return selector.Matches(labels.Set(object.Labels)), nil
}

// readAccountKey reads the API key of a DaftyAccount for a DaftyJob that uses it.
func (r *Reconciler) readAccountKey(ctx context.Context, from *v1alpha1.DaftyAccount) (credentials, error) {
	read, err := accountKey(ctx, r.Client, &r.secrets, from)
	if read.problem != "" {
		log.FromContext(ctx).V(1).Info("the DaftyAccount has no API key", "daftyAccount", from.Name, "problem", read.problem)
		// The names in it are for whoever runs the account.
		read.problem = fmt.Sprintf("DaftyAccount %q has no API key that can be read; whoever runs it sees why, and the job goes on by itself then: "+
			"kubectl describe daftyaccount %s", from.Name, from.Name)
	}
	return read, err
}

// accountKey reads the API key of a DaftyAccount. A problem is for whoever runs the account.
func accountKey(ctx context.Context, c client.Reader, secrets *secretReads, from *v1alpha1.DaftyAccount) (credentials, error) {
	ref := from.Spec.APIKeySecretRef
	return secrets.readKey(ctx, c, keyPlace{
		secret: types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, key: cmp.Or(ref.Key, v1alpha1.DefaultSecretKey),
		called: fmt.Sprintf("Secret %q of namespace %q", ref.Name, ref.Namespace),
	})
}

// sentWith reports whether a request of a DaftyJob was sent with an API key: what was submitted is followed and cancelled with it,
// although the DaftyAccount is no longer for the namespace. No record of it can be made up without the key.
func sentWith(job *v1alpha1.DaftyJob, apiKey string) bool {
	sent := job.Status.Submission
	uid := cmp.Or(lifecycle.RestoredFrom(job), job.UID)
	return apiKey != "" && sent != nil && sent.CredentialsHash == account.Hash(uid, apiKey)
}
