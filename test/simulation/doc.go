// Package simulation runs the operator, an API server and Dafty in one process, under virtual
// time, through histories that no test of single cases would think of, and holds what came of
// them against the invariants of the design: never paid twice, never left running, never stuck,
// never false, never leaked.
//
// Real are: the reconciler, the lifecycle, the accounts, the Dafty client, and the simulated
// Dafty. Modelled are: the API server (apiserver.go), what a process sees of it (cache.go,
// client.go), the network to Dafty (network.go), and the operator's process with its work
// queue (process.go) and its lease (lease.go).
//
// A history (history.go) is a list of events drawn from one seed: what users do, and what goes
// wrong. All smaller chance (how long a call takes, whether it breaks) is drawn from the seed
// and from what the call is, not from the order in which goroutines happen to run; and as
// each call takes a time of its own, time alone says what comes first. So a seed replays
// exactly, and an event can be taken out without changing all that follows (shrink.go).
//
// At the end the world is healed, and the judge (invariants.go) compares the objects with Dafty's
// ledger.
package simulation
