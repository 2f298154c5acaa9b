package controller

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// secretAge is how long a Secret that was read serves the other DaftyJobs that name it. After a restart thousands do.
const secretAge = time.Second

// secretReads are the Secrets that were read a moment ago. None is kept for longer.
type secretReads struct {
	mu     sync.Mutex
	newest map[types.NamespacedName]*secretRead
}

// secretRead is one read, for all who ask while it goes on, and for a moment after.
type secretRead struct {
	done   chan struct{}
	secret *corev1.Secret
	err    error
}

// read reads a Secret, or returns what a read of a moment ago has brought.
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
			forget() // the next one who asks tries again
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
