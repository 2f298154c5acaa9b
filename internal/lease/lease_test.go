package lease

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

func TestTiming(t *testing.T) {
	for _, tc := range []struct {
		name   string
		timing Timing
		want   string
	}{
		{"the default", DefaultTiming, ""},
		{"short", Timing{4 * time.Second, 2 * time.Second, 500 * time.Millisecond}, ""},
		{"no retry period", Timing{Duration: 15 * time.Second, RenewDeadline: 10 * time.Second}, "--leader-elect-retry-period must be more than 0"},
		{"no time to try again", Timing{15 * time.Second, 2 * time.Second, 2 * time.Second}, "--leader-elect-renew-deadline (2s) must be more than 1.2 times --leader-elect-retry-period (2s)"},
		{"two leaders at once", Timing{10 * time.Second, 10 * time.Second, 2 * time.Second}, "--leader-elect-lease-duration (10s, of which whole seconds count) must be more than --leader-elect-renew-deadline (10s)"},
		{"two leaders at once, as a lease counts whole seconds", Timing{4900 * time.Millisecond, 4500 * time.Millisecond, time.Second}, "(4.9s, of which whole seconds count) must be more than --leader-elect-renew-deadline (4.5s)"},
		{"less than a lease can say", Timing{900 * time.Millisecond, 500 * time.Millisecond, 100 * time.Millisecond}, "must be 1s or more"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.timing.Check()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Check: %v, want %q", err, tc.want)
			}
		})
	}
}

// lock is an API server's answers.
type lock struct {
	resourcelock.Interface
	err error
}

func (*lock) Identity() string                                                  { return "me" }
func (l *lock) Create(context.Context, resourcelock.LeaderElectionRecord) error { return l.err }
func (l *lock) Update(context.Context, resourcelock.LeaderElectionRecord) error { return l.err }

func TestHealthy(t *testing.T) {
	mine, nobodys := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}, resourcelock.LeaderElectionRecord{}
	expired := DefaultTiming.Duration + grace + time.Second
	for _, tc := range []struct {
		name    string
		do      func(l *Lease, api *lock)
		healthy bool
	}{
		{"a standby", func(*Lease, *lock) { time.Sleep(time.Hour) }, true},
		{"a standby that is refused the lease", func(l *Lease, api *lock) {
			api.err = errors.New("it is another's")
			_ = l.Create(t.Context(), mine)
			time.Sleep(time.Hour)
		}, true},
		{"a leader that renews", func(l *Lease, _ *lock) {
			_ = l.Create(t.Context(), mine)
			for range 20 {
				time.Sleep(2 * time.Second)
				_ = l.Update(t.Context(), mine)
			}
		}, true},
		{"a leader that is about to end", func(l *Lease, _ *lock) {
			_ = l.Create(t.Context(), mine)
			time.Sleep(DefaultTiming.Duration + time.Second)
		}, true},
		{"a leader that goes on without its lease", func(l *Lease, api *lock) {
			_ = l.Create(t.Context(), mine)
			api.err = errors.New("no answer")
			for range int(expired / time.Second) {
				time.Sleep(time.Second)
				_ = l.Update(t.Context(), mine)
			}
		}, false},
		{"a leader whose election hangs", func(l *Lease, _ *lock) {
			_ = l.Create(t.Context(), mine)
			time.Sleep(expired)
		}, false},
		{"one that has given the lease back", func(l *Lease, _ *lock) {
			_ = l.Create(t.Context(), mine)
			_ = l.Update(t.Context(), nobodys)
			time.Sleep(expired)
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := &lock{}
				l := &Lease{Interface: api, duration: DefaultTiming.Duration}
				tc.do(l, api)
				if err := l.Healthy(nil); (err == nil) != tc.healthy {
					t.Errorf("Healthy: %v, want healthy %t", err, tc.healthy)
				}
			})
		})
	}
}
