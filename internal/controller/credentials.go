package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// keyAge is how long an API key that was read is taken for the one in the Secret.
	keyAge = 5 * time.Second
	// followingKeyAge is the same for a job that is submitted or followed without trouble: that the key is no longer
	// accepted shows there first.
	followingKeyAge = time.Minute
)

// credentials are what was read of the API key that a spec names.
type credentials struct {
	// read reports whether the Secret was asked for, and is as said here. Otherwise the key that the tracker has stands.
	read bool
	// apiKey is empty where there is none.
	apiKey string
	// version changes with the Secret. It is empty where the Secret wasn't read.
	version string
	// problem says why there is no API key, for the user.
	problem string
}

// tell tells a tracker what was read.
func (c credentials) tell(tracker *account.Tracker) {
	if !c.read {
		return
	}
	tracker.SetAPIKey(c.apiKey)
	if c.version != "" {
		tracker.SetSecretVersion(c.version)
	}
}

// readCredentials reads the API key, where the tracker needs it again, and the DaftyAccount that the spec names.
func (r *Reconciler) readCredentials(ctx context.Context, job *v1alpha1.DaftyJob, tracker *account.Tracker) (credentials, *lifecycle.Account, error) {
	if job.Status.Phase.Final() && !lifecycle.ThumbnailWanted(job, r.Clock.Now()) {
		return credentials{}, nil, nil
	}
	var from *v1alpha1.DaftyAccount
	var of *lifecycle.Account
	if ref := job.Spec.AccountRef; ref != nil {
		var err error
		if from, of, err = r.readAccount(ctx, job.Namespace, ref.Name); err != nil {
			return credentials{}, nil, err
		}
	}
	age := keyAge
	if wanted := job.DeletionTimestamp.IsZero() && !lifecycle.CancelRequested(job); wanted && (job.Status.JobID != "" || job.Status.InDoubt()) &&
		tracker.Healthy() {
		age = followingKeyAge
	}
	if tracker.CredentialsReadWithin(age) {
		return credentials{}, of, nil
	}
	var read credentials
	var err error
	switch {
	case of == nil:
		read, err = r.readSecret(ctx, job)
	case from == nil:
		read = credentials{read: true, problem: of.Denied}
	default:
		read, err = r.readAccountKey(ctx, from)
		if of.Denied != "" && !sentWith(job, read.apiKey) {
			read.apiKey, read.problem = "", of.Denied
		}
	}
	return read, of, err
}

// readSecret reads the API key from the object's own namespace and from no other.
func (r *Reconciler) readSecret(ctx context.Context, job *v1alpha1.DaftyJob) (credentials, error) {
	ref := job.Spec.SecretRef()
	return r.secrets.readKey(ctx, r.Client, keyPlace{
		secret: types.NamespacedName{Namespace: job.Namespace, Name: ref.Name}, key: ref.Key, called: fmt.Sprintf("Secret %q", ref.Name),
	})
}

// keyPlace is where an API key stands.
type keyPlace struct {
	secret types.NamespacedName
	key    string
	// called is the Secret as the user knows it.
	called string
}

// readKey reads an API key.
func (s *secretReads) readKey(ctx context.Context, c client.Reader, from keyPlace) (credentials, error) {
	var refusal apierrors.APIStatus
	secret, err := s.read(ctx, c, from.secret)
	switch {
	case apierrors.IsNotFound(err):
		return credentials{read: true, problem: fmt.Sprintf("%s isn't there; create it: kubectl create secret generic -n %s %s --from-literal=%s=YOUR_API_KEY",
			from.called, from.secret.Namespace, from.secret.Name, from.key)}, nil
	case apierrors.IsForbidden(err):
		return credentials{read: true, problem: fmt.Sprintf("the operator may not read Secret %q in namespace %q; give its service account the right to get it",
			from.secret.Name, from.secret.Namespace)}, nil
	case errors.As(err, &refusal):
		// The API server answers, but can't give this Secret, as where it can't decrypt it. That may
		// last, and must hold up no deletion. A key that was read before stays in use.
		log.FromContext(ctx).Error(err, "reading the Secret", "secret", from.secret.Name, "secretNamespace", from.secret.Namespace)
		return credentials{problem: fmt.Sprintf("%s can't be read: %s; it is tried again, and if it lasts, a cluster administrator must look at the API server",
			from.called, err)}, nil
	case err != nil:
		return credentials{}, fmt.Errorf("reading %s: %w", from.called, err)
	}
	key, problem := apiKey(secret, from)
	return credentials{read: true, apiKey: key, version: string(secret.UID) + "/" + secret.ResourceVersion, problem: problem}, nil
}

// apiKey takes the API key from a Secret. Blank space around it is a slip of whoever made
// the Secret (echo without -n); no key has any.
func apiKey(secret *corev1.Secret, from keyPlace) (key, problem string) {
	value, ok := secret.Data[from.key]
	if !ok {
		return "", fmt.Sprintf("%s has no key %q; add it with the API key as its value", from.called, from.key)
	}
	key = strings.TrimSpace(string(value))
	if key == "" {
		return "", fmt.Sprintf("key %q of %s is empty; put the API key there", from.key, from.called)
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return "", fmt.Sprintf("key %q of %s holds characters that no API key has (was it encoded twice?); put the API key there as it is", from.key, from.called)
		}
	}
	return key, ""
}
