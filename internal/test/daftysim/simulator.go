package daftysim

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// BasePath is where the API begins; results and storage lie beside it.
const BasePath = "/api/v1"

// Simulator is one simulated Dafty. It is an [http.Handler]; [Serve] and
// [ServeInMemory] put it on a socket. All methods may be called at any time,
// from any goroutine.
type Simulator struct {
	contract *contract
	clock    clock.Clock
	gallery  *gallery
	closed   chan struct{}

	mu         sync.Mutex
	opts       Options
	random     *rand.Rand
	accounts   map[string]*account
	keys       map[string]*apiKey
	jobs       map[string]*job
	order      []*job // as they were made
	uploads    map[string]*upload
	faults     []*fault
	lastFault  int
	log        requestLog
	violations []string
	// A status outside of the contract may have been shown by hand.
	statusesShown bool
	waits         int           // requests held by wait=true
	events        chan struct{} // closed and replaced whenever something happens

	// Job time is the clock's less all the time spent on hold, so that holding
	// moves every due time at once.
	heldAt  time.Time // on the clock; zero: not on hold
	holding time.Duration
}

var _ http.Handler = (*Simulator)(nil)

// New makes a Dafty. It panics on a reading of a variant that doesn't exist.
func New(opts Options) *Simulator {
	opts = opts.withDefaults()
	if err := opts.Variants.validate(); err != nil {
		panic("daftysim: " + err.Error())
	}
	s := &Simulator{
		contract: loadContract(),
		clock:    opts.Clock,
		gallery:  newGallery(),
		closed:   make(chan struct{}),
		opts:     opts,
		random:   newRandom(opts.Seed),
		accounts: map[string]*account{},
		keys:     map[string]*apiKey{},
		jobs:     map[string]*job{},
		uploads:  map[string]*upload{},
		log:      requestLog{bound: opts.RequestLog},
		events:   make(chan struct{}),
	}
	for _, a := range opts.Accounts {
		s.addAccount(a)
	}
	return s
}

// Close ends every request that is held, by wait=true or by a fault. The
// simulator's state can still be read.
func (s *Simulator) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
}

// SetVariants changes how the contract is read, from now on. It panics as
// [New] does.
func (s *Simulator) SetVariants(v Variants) {
	v = v.withDefaults()
	if err := v.validate(); err != nil {
		panic("daftysim: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Variants = v
}

func (s *Simulator) variants() Variants {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opts.Variants
}

func (s *Simulator) now() time.Time { return s.clock.Now() }

// Held returns how many requests wait=true holds at present.
func (s *Simulator) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waits
}

// happened wakes those who wait for something to happen. The caller holds the
// lock.
func (s *Simulator) happened() {
	close(s.events)
	s.events = make(chan struct{})
}

func newRandom(seed uint64) *rand.Rand {
	var key [32]byte
	if seed == 0 {
		_, _ = crand.Read(key[:]) // never fails, as documented
	} else {
		binary.LittleEndian.PutUint64(key[:], seed)
	}
	return rand.New(rand.NewChaCha8(key))
}

// uuid draws a version 4 UUID. The caller holds the lock.
func (s *Simulator) uuid() string {
	hi, lo := s.random.Uint64(), s.random.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff)
}

// WaitUntil returns once cond holds. It is asked again whenever a request
// arrives, is held or is answered and whenever a job is moved by hand, but not when
// only the clock changes. The error is the context's.
func (s *Simulator) WaitUntil(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		events := s.events
		s.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-events:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
