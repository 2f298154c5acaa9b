// Package lease has the lease of the leader election, with a health check.
package lease

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// grace is how long a leader may take to end after its lease has expired. It ends by itself, and at once.
const grace = 20 * time.Second

// podNamespace is a file of every pod that has a service account.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Timing is the timing of a leader election.
type Timing struct {
	// Duration is how long a standby waits for a leader that has stopped to renew.
	Duration time.Duration
	// RenewDeadline is how long a leader tries to renew before it ends.
	RenewDeadline time.Duration
	// RetryPeriod is the time between two tries to renew, or to get the lease.
	RetryPeriod time.Duration
}

// DefaultTiming is what Kubernetes' own controllers use.
var DefaultTiming = Timing{Duration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}

// jitter is the factor by which client-go may lengthen a retry period.
const jitter = 1.2

// Check returns what is wrong with a timing, by the names of the flags, or nil.
func (t Timing) Check() error {
	switch {
	case t.RetryPeriod <= 0:
		return errors.New("--leader-elect-retry-period must be more than 0, such as 2s")
	case t.RenewDeadline <= time.Duration(jitter*float64(t.RetryPeriod)):
		return fmt.Errorf("--leader-elect-renew-deadline (%s) must be more than %.1f times --leader-elect-retry-period (%s), as one try to renew may fail",
			t.RenewDeadline, jitter, t.RetryPeriod)
	case t.Duration < time.Second:
		return fmt.Errorf("--leader-elect-lease-duration (%s) must be 1s or more: a lease counts whole seconds", t.Duration)
	case t.Duration.Truncate(time.Second) <= t.RenewDeadline:
		return fmt.Errorf("--leader-elect-lease-duration (%s, of which whole seconds count) must be more than --leader-elect-renew-deadline (%s): "+
			"a leader must give up before another may take over", t.Duration, t.RenewDeadline)
	}
	return nil
}

// Lease is the resource lock of the manager. controller-runtime has no place for client-go's own health check of a leader
// election, so Lease records when it was last renewed.
type Lease struct {
	resourcelock.Interface
	duration time.Duration
	recorder atomic.Pointer[resourcelock.EventRecorder]

	mu sync.Mutex
	// leads is set from the first renewal until the lease is given back, and renewed is the last one.
	leads   bool
	renewed time.Time
}

// New returns the lease of that name. Its namespace is the pod's own by default, and "default" outside a cluster.
func New(config *rest.Config, namespace, name string, timing Timing) (*Lease, error) {
	if namespace == "" {
		namespace = "default"
		if own, err := os.ReadFile(podNamespace); err == nil {
			namespace = strings.TrimSpace(string(own))
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("naming this process for the leader election: %w", err)
	}
	l := &Lease{duration: timing.Duration}
	l.Interface, err = resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, name,
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID()), EventRecorder: (*recorder)(l)}, config, timing.RenewDeadline)
	if err != nil {
		return nil, fmt.Errorf("leader election: %w", err)
	}
	return l, nil
}

// Record sets the recorder of the events of the leader election. Earlier events are dropped.
func (l *Lease) Record(by resourcelock.EventRecorder) { l.recorder.Store(&by) }

// recorder records events once the lease has a recorder, which comes from the manager that is made with the lease.
type recorder Lease

// Eventf implements resourcelock.EventRecorder.
func (r *recorder) Eventf(about runtime.Object, kind, reason, message string, args ...any) {
	if by := r.recorder.Load(); by != nil {
		(*by).Eventf(about, kind, reason, message, args...)
	}
}

// Create implements resourcelock.Interface.
func (l *Lease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Create(ctx, record)
	l.wrote(record, err)
	return err
}

// Update implements resourcelock.Interface.
func (l *Lease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Update(ctx, record)
	l.wrote(record, err)
	return err
}

func (l *Lease) wrote(record resourcelock.LeaderElectionRecord, err error) {
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leads, l.renewed = record.HolderIdentity == l.Identity(), time.Now()
}

// Healthy is a health check. A leader that can't renew its lease ends by itself. If it hasn't, although another may lead by now,
// it is stuck and has to be killed. A standby is healthy.
func (l *Lease) Healthy(*http.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ago := time.Since(l.renewed); l.leads && ago > l.duration+grace {
		return fmt.Errorf("this process leads, but hasn't renewed its lease for %s: another may lead by now", ago.Round(time.Second))
	}
	return nil
}
