package account

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Holder has the API key of one DaftyAccount at hand, and asks Dafty whom it belongs to. Its methods never block on a call.
type Holder struct {
	shared *shared
	name   string
	ctx    context.Context // It ends the calls when the DaftyAccount is gone.
	stop   context.CancelFunc

	mu      sync.Mutex
	closed  bool
	account *Account
	// asking is set while a call is on its way, and answer what the newest brought, nil where there was none with this key.
	asking bool
	answer *Answer
	// changed is set once the key was another before.
	changed bool
}

// Answer is what came of asking whom an API key belongs to.
type Answer struct {
	// Account is what Dafty says, as it came but for the API key; nil where the call failed.
	Account json.RawMessage
	// Err is the failure, and Failures how many there were in a row, Refusals how many of those in a row refused the key.
	Err      *dafty.CallError
	Failures int
	Refusals int
	At       time.Time
}

// Holding is what is known of an API key. All of it is in memory only.
type Holding struct {
	// HasKey reports whether there is a key.
	HasKey bool
	// Changed reports whether this process has seen the key change.
	Changed bool
	// Asking reports whether a call is on its way, and Answer is the newest answer, nil where there was none with this key.
	Asking bool
	Answer *Answer
	// Credits is what creates have shown, nil while none has told.
	Credits *ratelimit.Credits
	// Minutes are the present minute's calls, by class.
	Minutes map[dafty.Class]ratelimit.Minute
	// Unfollowed are jobs that run and that nobody follows, as far as lists have told.
	Unfollowed []dafty.ListedJob
}

// Holder returns the Holder of a DaftyAccount, a new one where there is none.
func (r *Registry) Holder(name string) *Holder {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.holders[name]
	if h == nil {
		h = &Holder{shared: r.shared, name: name}
		h.ctx, h.stop = context.WithCancel(r.ctx)
		r.holders[name] = h
	}
	return h
}

// ForgetHolder drops the Holder of a DaftyAccount that is gone. Trackers keep the keys that they have.
func (r *Registry) ForgetHolder(name string) {
	r.mu.Lock()
	h := r.holders[name]
	delete(r.holders, name)
	r.mu.Unlock()
	if h == nil {
		return
	}
	h.stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.shared.accounts.release(h.account)
	h.account = nil
}

// SetAPIKey tells the API key of the account, empty where there is none. What was heard with another is forgotten.
func (h *Holder) SetAPIKey(apiKey string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.account != nil && h.account.key() == apiKey || h.account == nil && apiKey == "" {
		return
	}
	h.shared.accounts.release(h.account)
	h.changed = h.changed || h.account != nil
	h.account, h.answer = nil, nil
	if apiKey != "" {
		h.account = h.shared.accounts.acquire(apiKey)
	}
}

// Known returns all that is known by now.
func (h *Holder) Known() Holding {
	h.mu.Lock()
	a, known := h.account, Holding{HasKey: h.account != nil, Changed: h.changed, Asking: h.asking, Answer: copied(h.answer)}
	if a != nil {
		h.shared.accounts.retain(a)
	}
	h.mu.Unlock()
	if a == nil {
		return known
	}
	defer h.shared.accounts.release(a)
	now := time.Now()
	known.Credits, known.Minutes, known.Unfollowed = a.gate.Credits(), a.gate.Minutes(now), a.poller.Unfollowed(now)
	return known
}

// Ask asks whom the key belongs to, in the background. It changes nothing while that is being asked already.
func (h *Holder) Ask() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.account == nil || h.asking || h.shared.draining() {
		return
	}
	h.asking = true
	go h.ask(h.shared.accounts.retain(h.account))
}

func (h *Holder) ask(a *Account) {
	defer h.shared.accounts.release(a)
	turn, err := a.gate.Acquire(h.ctx, dafty.ClassOther, ratelimit.ReservedForLooks)
	var raw json.RawMessage
	var failure *dafty.CallError
	if err == nil {
		raw, failure = a.client.Account(h.ctx, turn)
		raw = redacted(raw, a.key())
	}
	h.mu.Lock()
	h.asking = false
	if news := err == nil && h.account == a && !h.closed; news {
		answer := &Answer{Account: raw, Err: failure, At: h.shared.config.Now()}
		if before := h.answer; failure != nil {
			answer.Failures = 1
			if before != nil {
				answer.Failures += before.Failures
			}
			if failure.Kind == dafty.KindUnauthorized {
				answer.Refusals = 1
				if before != nil {
					answer.Refusals += before.Refusals
				}
			}
		}
		h.answer = answer
	}
	h.mu.Unlock()
	if wake := h.shared.config.WakeAccount; wake != nil {
		wake(h.name)
	}
}

// redacted returns JSON without an API key, in whichever of the forms that JSON may have it.
func redacted(raw json.RawMessage, apiKey string) json.RawMessage {
	forms := [][]byte{[]byte(apiKey)}
	for _, escapeHTML := range []bool{false, true} {
		var quoted bytes.Buffer
		encoder := json.NewEncoder(&quoted)
		encoder.SetEscapeHTML(escapeHTML)
		if encoder.Encode(apiKey) != nil {
			return nil
		}
		forms = append(forms, bytes.Trim(quoted.Bytes(), "\"\n"))
	}
	for _, form := range forms {
		raw = bytes.ReplaceAll(raw, form, []byte("REDACTED"))
	}
	return raw
}
