package ratelimit

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Caller is one who submits with an API key. Its address identifies it.
type Caller struct {
	// UID identifies it among those whose requests may have the same idempotency key.
	UID types.UID
	// Created orders those who wait: the oldest goes first.
	Created time.Time
	// Wake tells it to come again. It must not block.
	Wake func()
}

// Callers are to be woken, once no lock is held.
type Callers []*Caller

// Wake wakes each of them.
func (c Callers) Wake() {
	for _, each := range c {
		each.Wake()
	}
}
