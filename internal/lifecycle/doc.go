// Package lifecycle decides what happens to a DaftyJob next. It is pure: it knows no clock,
// no network and no client. Next takes the object, what this process has heard from Dafty,
// and the time; it returns the status to write and the one step to take after it.
//
// The order matters: status is written first, under the resourceVersion that was read, and
// the step is taken only when that write succeeded. A submission is thus on record before
// its request leaves, and a stale cache or a second leader loses with a conflict and sends
// nothing.
//
// Its words:
//
//   - DaftyJob: the object. Job: what Dafty makes for it, and what it costs.
//   - Snapshot: all that a decision rests on. Known: what this process has heard. References: what was read of the objects that
//     the spec refers to.
//   - Decision: the status to write, and the Step to take after it, with the Step's own arguments.
//   - StoreResult: the step that writes the result's ConfigMap, before the end is on record. Its outcome is in Known.Stored.
//   - attempt: a job that the spec asks for; spec.backoffLimit allows more than one. Each has an idempotency key of its own.
//   - submission: the request that makes a job. It is in doubt while it may have reached Dafty and its answer isn't known.
//   - confirm: to find out what became of a submission in doubt, by a repeat with the same idempotency key.
//   - refused: Dafty's answer proves that no job was made. A Refusal is the API server's, of one of the operator's writes.
//   - Block: why the API key can't be used for a submission now.
//   - Meaning: what a kind of Dafty's errors means: its reason, who acts, what it blocks (kinds.go has the table).
//   - form: one of the ways to name an image in a request: by url, by its variation's id or by its job's id.
//   - verdict: what the conditions are to say: inProgress, stalled, current or failed, as in kstatus.
//   - setStatus writes a verdict; keepStatus leaves what is there; finish is the end; release lets a deleted object go.
//   - called off: cancelled by its spec, deleted, or past its deadline. Abandoned: let go although the cancel isn't confirmed.
//   - pick up: to follow the job that the annotation names. adopt: to follow the one of spec.adoptJobID.
//
// Read on in next.go, which says in one switch what a job can come to, and in docs/lifecycle.md,
// which draws it.
package lifecycle
