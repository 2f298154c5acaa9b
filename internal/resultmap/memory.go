package resultmap

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/dafty"
)

const (
	// contestedFrom is after how many restorations in a row the next isn't made at once.
	contestedFrom = 5
	// contestedFor is how soon after one another is one in a row.
	contestedFor = 2 * time.Minute
	// restoreWithin is the longest wait for a restoration.
	restoreWithin = 30 * time.Second
)

// Memory is what this process remembers of the ConfigMaps of all owners of one kind. It is a saving: without it, they are read.
// Its zero value is ready to use.
type Memory struct {
	mu sync.Mutex
	// right are the versions of those that were found right since status was written.
	right map[types.NamespacedName]string
	// restorations are the last ones.
	restorations map[types.NamespacedName]restoration
}

// restoration counts how often in a row a ConfigMap was put right, and when the last time was.
type restoration struct {
	count int
	last  time.Time
}

func (m *Memory) remember(owner types.NamespacedName, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.right == nil {
		m.right = map[types.NamespacedName]string{}
	}
	m.right[owner] = version
}

func (m *Memory) isRight(owner types.NamespacedName, version string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	right, ok := m.right[owner]
	return ok && right == version
}

func (m *Memory) restored(owner types.NamespacedName, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.restorations == nil {
		m.restorations = map[types.NamespacedName]restoration{}
	}
	last := m.restorations[owner]
	if now.Sub(last.last) > contestedFor {
		last.count = 0
	}
	m.restorations[owner] = restoration{count: last.count + 1, last: now}
}

// restoreAfter returns how long the next restoration is to wait, 0 where it isn't to: who changes a ConfigMap each time that it is put
// right is a program, and two of them would go on as fast as they can.
func (m *Memory) restoreAfter(owner types.NamespacedName, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.restorations[owner]
	since := now.Sub(last.last)
	if last.count < contestedFrom || since > contestedFor {
		return 0
	}
	return max(0, dafty.Backoff(2*time.Second, last.count-contestedFrom+1, restoreWithin)-since)
}

// Forget forgets an owner that is gone.
func (m *Memory) Forget(owner types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.right, owner)
	delete(m.restorations, owner)
}
