// Package ratelimit decides when the calls of one API key may leave, and how many: by what Dafty allows in a minute, by what it
// has refused, and by who came first.
//
// It knows the callers that it is given and the answers that it is told of. It makes no call, knows no DaftyJob and nothing of
// what is called for, and wakes nobody: what frees a turn returns whom to wake.
//
// Its words:
//
//   - Gate: all of the below for one API key.
//   - Caller: one who submits. Callers are compared by their addresses.
//   - class: a group of calls that Dafty limits together, such as all creates of images.
//   - Turn: a call's share of the minute. Each call leaves in a turn, and its answer ends it.
//   - window: which calls a minute had. limiter: when the next call may go. It learns the limit from Dafty's answers.
//   - acquire: to wait for a turn, and to take it. try: to take one only if it is there.
//   - reserved: calls of a minute that are left for what can't wait, such as cancels.
//   - claim: the turn to submit that a Caller has taken. It lapses if it isn't used.
//   - queue: the Callers of a class that wait for their turn. cancelQueue: the cancels that wait for theirs.
//   - concurrency: how many jobs of a class run, where Dafty has said that there are too many.
//   - breaker: blocks the submissions of a class or of an API key after a refusal. A probe is the one submission that is let
//     through to find out whether its cause is gone.
//   - lease: an idempotency key whose request is on its way. No two requests of one key are at the same time.
//   - Block: why a submission waits, and until when (lifecycle.Block).
package ratelimit
