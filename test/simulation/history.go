package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// jobNames are the names that objects have.
var jobNames = []string{"one", "two", "three"}

// history is an env and what happens in it.
type history struct {
	options options
	events  []event
}

// event is one thing that happens, so long after the one before. What it does depends only on
// choice and on the state of the env, so that events before it can be left out.
type event struct {
	gap    time.Duration
	kind   string
	choice uint64
}

// eventKind is what can happen.
type eventKind struct {
	name   string
	weight int
	play   func(e *env, pick picker)
}

// eventKinds are all events of histories without DaftyAssets, each as often as it is likely.
var eventKinds = []eventKind{
	{"create", 24, createJob},
	{"suspend", 3, func(e *env, pick picker) { e.setDesiredState(pick, v1alpha1.DesiredSuspended) }},
	{"release", 5, func(e *env, pick picker) { e.setDesiredState(pick, v1alpha1.DesiredCompleted) }},
	{"cancel", 8, func(e *env, pick picker) { e.setDesiredState(pick, v1alpha1.DesiredCancelled) }},
	{"tool applies", 6, toolApplies},
	{"policy Orphan", 3, setOrphan},
	{"delete", 10, deleteJob},
	{"namespace gone", 1, deleteNamespace},
	{"secret", 6, putSecret},
	{"image", 3, putImage},
	{"result tampered with", 4, tamperWithResult},
	{"secret gone", 3, deleteSecret},
	{"crash", 6, crashNow},
	{"crash at effect", 14, crashSoon},
	{"pause", 10, pauseProcess},
	{"clock jump", 2, clockJump},
	{"Dafty faults", 16, changeDaftyFaults},
	{"API faults", 6, changeAPIFaults},
	{"writes refused", 5, refuseWrites},
	{"watch lags", 4, watchLags},
	{"watch breaks", 4, watchBreaks},
	{"account", 8, changeAccount},
	{"key revoked", 2, revokeKey},
	{"job moves", 5, moveJob},
	{"status lost", 3, loseStatus},
	{"finalizer taken off", 2, takeFinalizerOff},
	{"annotation taken off", 2, takeAnnotationOff},
	{"restore", 3, restore},
	{"restore with status", 3, restoreWithStatus},
	{"user answers", 3, func(e *env, _ picker) { e.answerMessages() }},
}

// allVariants takes a while to make. drawnVariants are those that each history draws one of; the readings of searches are drawn
// beside it, for the histories that have any.
var (
	allVariants   = daftysim.AllVariants()
	drawnVariants = slices.DeleteFunc(slices.Clone(allVariants), func(v daftysim.NamedVariants) bool {
		name, _, _ := strings.Cut(v.Name, "=")
		return slices.Contains([]string{"similarity", "asset-name", "search-finds", "account-object"}, name)
	})
)

// draw makes the history of a seed.
func draw(seed uint64) history {
	r := rand.New(rand.NewPCG(seed, 0x5eed)) //nolint:gosec // Chance, not secrecy.
	h := history{options: drawOptions(r, seed)}
	h.drawSearches(seed)
	h.events = append(h.events, event{gap: time.Second, kind: "create", choice: r.Uint64()})
	h.drawEvents(r, eventKinds, 2+r.IntN(14))
	return h
}

// drawOptions draws the options of an env.
func drawOptions(r *rand.Rand, seed uint64) options {
	times := []time.Duration{100 * time.Millisecond, 2 * time.Second, 20 * time.Second, 3 * time.Minute, 2 * time.Hour}
	waits := times[:4] // a job that waits is asked about every 5 s, which takes the simulation long
	drawn := options{
		seed:       seed,
		replicas:   1 + r.IntN(2),
		variants:   drawnVariants[r.IntN(len(drawnVariants))].Variants,
		pending:    waits[r.IntN(len(waits))],
		processing: times[r.IntN(len(times))],
		manual:     r.IntN(8) == 0,
		creating:   time.Duration(r.Int64N(int64(maxProcessing))) + time.Millisecond,
	}
	if r.IntN(3) == 0 {
		drawn.creating /= 50 // mostly it is fast
	}
	return drawn
}

// drawEvents adds so many events.
func (h *history) drawEvents(r *rand.Rand, kinds []eventKind, n int) {
	total := 0
	for _, kind := range kinds {
		total += kind.weight
	}
	for range n {
		at := r.IntN(total)
		for _, kind := range kinds {
			if at -= kind.weight; at < 0 {
				h.events = append(h.events, event{gap: drawGap(r), kind: kind.name, choice: r.Uint64()})
				break
			}
		}
	}
}

// drawGap is a time between two events: mostly short, as that is when things meet.
func drawGap(r *rand.Rand) time.Duration {
	most := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute}[r.IntN(5)]
	switch r.IntN(500) {
	case 0, 1, 2:
		most = 3 * time.Hour
	case 3:
		return 22*time.Hour + time.Duration(r.Int64N(int64(4*time.Hour)))
	}
	return time.Duration(r.Int64N(int64(most)))
}

// play plays the events.
func (h history) play(e *env) {
	for _, event := range h.events {
		e.advance(event.gap)
		for _, kind := range slices.Concat(eventKinds, assetEventKinds, accountEventKinds) {
			if kind.name == event.kind {
				e.do(func() { kind.play(e, picker{bits: event.choice, accounts: h.options.accounts}) })
				if e.searches && event.choice>>32%3 == 0 {
					e.do(e.addToStyle)
				}
				if event.choice>>48%4 == 0 {
					e.scrape()
				}
			}
		}
	}
	e.crashAt = point{} // crashes in a healed env are for the crash points
}

// String lists the events.
func (h history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d processes, pending %s, processing %s, manual %t, creates take %s, variants not by default:",
		h.options.seed, h.options.replicas, h.options.pending, h.options.processing, h.options.manual, h.options.creating)
	standard := allVariants[0].Variants.Readings()
	for name, reading := range h.options.variants.Readings() {
		if standard[name] != reading {
			fmt.Fprintf(&b, " %s=%s", name, reading)
		}
	}
	if h.options.searches {
		b.WriteString("; with searches")
	}
	b.WriteString("\n")
	for _, event := range h.events {
		fmt.Fprintf(&b, "  +%s %s %x\n", event.gap.Round(time.Millisecond), event.kind, event.choice)
	}
	return b.String()
}

// picker makes an event's choices, each from other bits.
type picker struct {
	bits uint64
	// accounts has it pick among the names of histories with DaftyAccounts.
	accounts bool
}

func (p *picker) n(n int) int {
	got := int(p.bits % uint64(n)) //nolint:gosec // Small.
	p.bits = (p.bits ^ p.bits>>29) * 0xbf58476d1ce4e5b9
	p.bits ^= p.bits >> 32
	return got
}

func (p *picker) job() string {
	names := jobNames
	if p.accounts {
		names = placedNames
	}
	return names[p.n(len(names))]
}

func pick[T any](p *picker, from ...T) T { return from[p.n(len(from))] }
