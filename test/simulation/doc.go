// Package simulation runs the operator, an API server and Dafty in one process under virtual time, plays histories that no
// test of single cases would think of, and checks the invariants of the design: a job is never paid for twice, never left
// running, never stuck; status is never false; an API key never leaks; a DaftyAsset never loses a result; the
// budgets of a DaftyAccount are never exceeded.
//
// The reconcilers, the lifecycle, the decisions about DaftyAssets, the accounts, the budgets, the Dafty client and the simulated Dafty are the real
// ones. The rest is modelled:
//
//   - the API server, apiserver.go, apiserver_assets.go and apiserver_accounts.go, and what a process sees of it, cache.go, result_cache.go and
//     client.go
//   - the network to Dafty, network.go and dafty_answers.go
//   - a run of the operator, process.go, with its work queue, workqueue.go, and its lease, lease.go, and what a scrape of it shows, metrics.go
//
// # Glossary
//
//   - env: one simulated cluster, with Dafty, that one history happens in.
//   - event: one thing that a user does or that goes wrong.
//   - history: the options of an env, and the events in it, all drawn from one seed.
//   - scenario: a short life of one to three DaftyJobs, or one or two DaftyAssets, written down instead of drawn.
//   - effect: a write to the API server or a call to Dafty, counted from 1.
//   - crash point: before or after an effect. Each scenario is crashed at each of its points.
//   - variant: one reading of what Dafty's contract leaves open.
//   - fault: what goes wrong with one call to Dafty.
//   - refusal: the API server's error for a write, by a policy or a webhook.
//   - invariant: what must hold. Its name is the part of a problem before the colon: "paid twice", "left running", "stuck",
//     "false", "leaked", "contract", "paid unasked", of DaftyAssets "lost", and of DaftyAccounts "overspent".
//   - on record: what the status of a DaftyAsset speaks of, or where that is lost, its annotation. Each hash there is paid for once for
//     as long as it is there.
//   - Git: what a tool puts in the place of a DaftyAsset's spec.
//   - mutation, mutant: a way to break the operator on purpose; a mutation with a name and the invariants that must find it.
//   - healed: nothing goes wrong any more. At the end of each history the env is healed, and the invariants are checked.
//
// # Where to add
//
//   - an event: eventKinds in history.go; what users do is in user_actions.go, what goes wrong in fault_events.go. Those that are for
//     DaftyAssets: assetEventKinds in history_assets.go, and user_assets.go; for DaftyAccounts: accountEventKinds in history_accounts.go, and
//     user_accounts.go
//   - a fault: faults.go
//   - an invariant: invariants.go for what is checked at each write, call and event, invariants_end.go for the end; of DaftyAssets
//     invariants_assets.go and invariants_assets_end.go, of DaftyAccounts invariants_accounts.go and invariants_accounts_end.go
//   - a scenario: scenarios.go, scenarios_assets.go, scenarios_assets_refused.go, scenarios_accounts.go
//   - a mutant: mutants in mutations_test.go, assetMutants in asset_mutants_test.go, accountMutants in
//     account_mutants_test.go. "make docs" writes the seed that finds it to docs/reliability.md.
//
// # Seeds
//
// What is random (how long a call takes, whether it fails) is drawn from the seed and from a string that names what is decided,
// not from the order in which goroutines happen to run; and as each call takes a time of its own, only time decides what comes
// first. So an event can be left out without changing all that follows, which shrink.go relies on. To change such a string, or
// the weights and the order of eventKinds, changes what every seed means.
package simulation
