package simulation

import (
	"math/rand/v2"
	"slices"
	"time"
)

// accountEventKinds are the events of histories with DaftyAccounts, beside those of eventKinds that don't create and end namespaces,
// each as often as it is likely. They are a list of their own, as those with DaftyAssets are.
var accountEventKinds = []eventKind{
	{"account created", 10, createAccount},
	{"DaftyJob with an account", 50, createWithAccount},
	{"DaftyJobs at once", 24, createManyWithAccount},
	{"budgets changed", 20, changeBudgets},
	{"account suspended or resumed", 10, suspendAccount},
	{"account deleted", 4, deleteAccount},
	{"account's secret", 5, putAccountSecret},
	{"account's secret gone", 2, deleteAccountSecret},
	{"namespace labelled", 10, labelNamespace},
	{"selector changed", 5, changeSelector},
	{"account's writes refused", 6, refuseAccountWrites},
	{"watch of accounts lags", 5, accountWatchLags},
	{"watch of accounts breaks", 4, accountWatchBreaks},
}

// drawWithAccounts makes the history with DaftyAccounts of a seed. It begins some time before a period of its budgets ends, or as one
// begins.
func drawWithAccounts(seed uint64) history {
	r := rand.New(rand.NewPCG(seed, 0xacc07)) //nolint:gosec // Chance, not secrecy.
	h := history{options: drawOptions(r, seed)}
	h.options.accounts = true
	begin := []time.Duration{time.Second, 23*time.Hour + 50*time.Minute, 4*time.Hour + 45*time.Minute, 11 * time.Hour}[r.IntN(4)]
	h.events = append(h.events, event{gap: begin + time.Duration(r.Int64N(int64(10*time.Minute))), kind: "account created", choice: r.Uint64()})
	h.events = append(h.events, event{gap: time.Second, kind: "DaftyJobs at once", choice: r.Uint64()})
	kinds := slices.DeleteFunc(slices.Clone(eventKinds), func(kind eventKind) bool { return kind.name == "create" || kind.name == "namespace gone" })
	h.drawEvents(r, append(kinds, accountEventKinds...), 4+r.IntN(16))
	return h
}
