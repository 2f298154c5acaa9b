package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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

// readCredentials tells the tracker the API key, or gives the problem why there is none, for
// the user. The Secret is read from the object's own namespace and from no other.
func (r *Reconciler) readCredentials(ctx context.Context, job *v1alpha1.DaftyJob, tracker *account.Tracker) (problem string, err error) {
	if job.Status.Phase.Final() && !lifecycle.ThumbnailWanted(job, r.Clock.Now()) {
		return "", nil
	}
	age := keyAge
	if wanted := job.DeletionTimestamp.IsZero() && !lifecycle.CancelRequested(job); wanted && (job.Status.JobID != "" || job.Status.InDoubt()) && tracker.Healthy() {
		age = followingKeyAge
	}
	if tracker.CredentialsReadWithin(age) {
		return "", nil
	}
	ref := job.Spec.CredentialsSecretRef
	var secret *corev1.Secret
	var refusal apierrors.APIStatus
	secret, err = r.secrets.read(ctx, r.Client, types.NamespacedName{Namespace: job.Namespace, Name: ref.Name})
	switch {
	case apierrors.IsNotFound(err):
		tracker.SetAPIKey("")
		return fmt.Sprintf("Secret %q isn't there; create it: kubectl create secret generic -n %s %s --from-literal=%s=YOUR_API_KEY",
			ref.Name, job.Namespace, ref.Name, ref.Key), nil
	case apierrors.IsForbidden(err):
		tracker.SetAPIKey("")
		return fmt.Sprintf("the operator may not read Secret %q in namespace %q; give its service account the right to get it", ref.Name, job.Namespace), nil
	case errors.As(err, &refusal):
		// The API server answers, but can't give this Secret, as where it can't decrypt it. That may
		// last, and must hold up no deletion. A key that was read before stays in use.
		log.FromContext(ctx).Error(err, "reading the Secret", "secret", ref.Name)
		return fmt.Sprintf("Secret %q can't be read: %s; it is tried again, and if it lasts, a cluster administrator must look at the API server", ref.Name, err), nil
	case err != nil:
		return "", fmt.Errorf("reading Secret %q: %w", ref.Name, err)
	}
	key, problem := apiKey(secret, ref.Key)
	tracker.SetAPIKey(key)
	tracker.SetSecretVersion(string(secret.UID) + "/" + secret.ResourceVersion)
	return problem, nil
}

// secretAge is how long a Secret that was read serves the other DaftyJobs that name it. After a restart thousands do.
const secretAge = time.Second

// secretReads are the Secrets that were read a moment ago. None is kept for longer.
type secretReads struct {
	mu     sync.Mutex
	newest map[types.NamespacedName]*secretRead
}

// secretRead is one, for all who ask while it goes on, and for a moment after.
type secretRead struct {
	done   chan struct{}
	secret *corev1.Secret
	err    error
}

func (s *secretReads) read(ctx context.Context, c client.Reader, name types.NamespacedName) (*corev1.Secret, error) {
	s.mu.Lock()
	read := s.newest[name]
	if read == nil {
		read = &secretRead{done: make(chan struct{}), secret: &corev1.Secret{}}
		if s.newest == nil {
			s.newest = map[types.NamespacedName]*secretRead{}
		}
		s.newest[name] = read
		s.mu.Unlock()
		read.err = c.Get(ctx, name, read.secret)
		close(read.done)
		forget := func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.newest[name] == read {
				delete(s.newest, name)
			}
		}
		if read.err != nil {
			forget() // the next one who asks tries anew
		} else {
			time.AfterFunc(secretAge, forget)
		}
		return read.secret, read.err
	}
	s.mu.Unlock()
	select {
	case <-read.done:
		return read.secret, read.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// apiKey takes the API key from a Secret. Blank space around it is a slip of whoever made
// the Secret (echo without -n); no key has any.
func apiKey(secret *corev1.Secret, name string) (key, problem string) {
	value, ok := secret.Data[name]
	if !ok {
		return "", fmt.Sprintf("Secret %q has no key %q; add it with the API key as its value", secret.Name, name)
	}
	key = strings.TrimSpace(string(value))
	if key == "" {
		return "", fmt.Sprintf("key %q of Secret %q is empty; put the API key there", name, secret.Name)
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return "", fmt.Sprintf("key %q of Secret %q holds characters that no API key has (was it encoded twice?); put the API key there as it is", name, secret.Name)
		}
	}
	return key, ""
}
