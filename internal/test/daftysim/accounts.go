package daftysim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// account owns jobs, images, styles and uploads; its keys share them.
type account struct {
	name         string
	apiKeys      []*apiKey
	credits      int
	allowance    int // jobs left; Unlimited: no bound
	unsubscribed bool
	jobs         []*job // in the order they were made
	pictures     map[string]*picture
	styles       map[string]*style // by id
	uploads      map[string]*upload
}

// apiKey carries what Dafty counts per key.
type apiKey struct {
	account  *account
	number   int // among its account's keys, from 1
	revoked  bool
	windows  map[Class]*window
	held     map[string]*record // by Idempotency-Key
	inFlight map[string]int     // POSTs on the wire, by Idempotency-Key
	active   []*job             // may hold ended ones until somebody looks
}

// AddAccount adds an account. If there is one of that name, keys, images and
// styles are added to it, and its balance is set.
func (s *Simulator) AddAccount(a Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addAccount(a)
}

func (s *Simulator) addAccount(a Account) *account {
	if a.Name == "" {
		a.Name = fmt.Sprintf("account-%d", len(s.accounts)+1)
	}
	acc := s.accounts[a.Name]
	if acc == nil {
		acc = &account{name: a.Name, pictures: map[string]*picture{}, styles: map[string]*style{}, uploads: map[string]*upload{}}
		s.accounts[a.Name] = acc
	}
	acc.credits = orDefault(a.Credits, DefaultCredits)
	acc.allowance = orDefault(a.Allowance, Unlimited)
	acc.unsubscribed = a.Unsubscribed
	for _, key := range a.APIKeys {
		s.addKey(acc, key)
	}
	for _, image := range a.Images {
		s.addImage(acc, image)
	}
	for _, style := range a.Styles {
		s.addStyle(acc, style)
	}
	return acc
}

// orDefault returns the value of an option: zero means the default, and a
// negative value zero.
func orDefault(n, value int) int {
	switch {
	case n == 0:
		return value
	case n < 0:
		return 0
	}
	return n
}

func (s *Simulator) addKey(acc *account, key string) {
	if known := s.keys[key]; known != nil && known.account == acc {
		known.revoked = false
		return
	}
	k := &apiKey{account: acc, number: len(acc.apiKeys) + 1, windows: map[Class]*window{}, held: map[string]*record{}, inFlight: map[string]int{}}
	acc.apiKeys = append(acc.apiKeys, k)
	s.keys[key] = k
}

// AddKey adds a key to an account, which is made if it doesn't exist.
func (s *Simulator) AddKey(accountName, apiKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if acc := s.accounts[accountName]; acc != nil {
		s.addKey(acc, apiKey)
		return
	}
	s.addAccount(Account{Name: accountName, APIKeys: []string{apiKey}})
}

// RevokeKey takes effect at once; [Simulator.AddKey] takes it back.
func (s *Simulator) RevokeKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[key]; k != nil {
		k.revoked = true
	} else {
		// Known as revoked, so that AnyKey doesn't take it in.
		s.keys[key] = &apiKey{revoked: true}
	}
}

// AccountOf returns the account that a key belongs to, "" if it is unknown.
func (s *Simulator) AccountOf(apiKey string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accountName(apiKey)
}

func (s *Simulator) accountName(key string) string {
	if k := s.keys[key]; k != nil && k.account != nil {
		return k.account.name
	}
	return ""
}

// change applies f to an account, which is made if it doesn't exist.
func (s *Simulator) change(name string, f func(*account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acc := s.accounts[name]
	if acc == nil {
		acc = s.addAccount(Account{Name: name})
	}
	f(acc)
}

// SetCredits sets the named account's balance, in CU.
func (s *Simulator) SetCredits(name string, credits int) {
	s.change(name, func(a *account) { a.credits = credits })
}

// TopUp adds to the named account's balance, in CU.
func (s *Simulator) TopUp(name string, credits int) {
	s.change(name, func(a *account) { a.credits += credits })
}

// SetAllowance sets how many jobs the named account may still create in the period;
// [Unlimited] lifts the bound.
func (s *Simulator) SetAllowance(name string, jobs int) {
	s.change(name, func(a *account) { a.allowance = jobs })
}

// SetSubscribed switches SUBSCRIPTION_REQUIRED off (true) or on (false) for the named account.
func (s *Simulator) SetSubscribed(name string, subscribed bool) {
	s.change(name, func(a *account) { a.unsubscribed = !subscribed })
}

// Credits returns the named account's balance, in CU.
func (s *Simulator) Credits(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[name]; a != nil {
		return a.credits
	}
	return 0
}

// SetCeilings changes the bounds on jobs in flight.
func (s *Simulator) SetCeilings(c Ceilings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Ceilings = c
}

// presentedKey returns the key of a request, preferably of x-api-key.
func presentedKey(h http.Header) string {
	if key := h.Get("X-Api-Key"); key != "" {
		return key
	}
	scheme, key, _ := strings.Cut(h.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(key)
	}
	return ""
}

// authenticate returns the key of a request. The caller holds the lock.
func (s *Simulator) authenticate(key string) *apiKey {
	k := s.keys[key]
	switch {
	case key == "":
		return nil
	case k != nil && !k.revoked:
		return k
	case k == nil && s.opts.AnyKey:
		a := s.opts.NewAccount
		a.Name, a.APIKeys = "", []string{key}
		s.addAccount(a)
		return s.keys[key]
	default:
		return nil
	}
}

// running drops the key's ended jobs and returns those in flight.
func (s *Simulator) running(k *apiKey) []*job {
	k.active = slices.DeleteFunc(k.active, func(j *job) bool {
		s.advance(j)
		return j.terminal()
	})
	return k.active
}
