package ratelimit

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/dafty"
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

// Block is why a submission waits. Its fields are those of lifecycle.Block.
type Block struct {
	// Kind and Message are of the refusal that caused it.
	Kind    dafty.Kind
	Message string
	// SameKey is set where it is no refusal: another Caller's request with the same idempotency key is on its way.
	SameKey bool
	// Once is set where the API key was refused once, to this Caller only.
	Once bool
	// Until is when to try again.
	Until time.Time
}
