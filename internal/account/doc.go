// Package account makes the calls to Dafty. All that exists once per API key is here: the client, the limits of its calls, what
// blocks its submissions, and the polling of its jobs in flight.
//
// Nothing here blocks a reconcile. A Tracker starts calls in the background, keeps their
// answers, and wakes the DaftyJob's reconcile when there is news. It decides nothing: what
// the answers mean for a DaftyJob is for package lifecycle to say.
//
// Its words:
//
//   - Registry: all Accounts and Trackers of this process.
//   - Account: one API key. Two Secrets with the same key share one.
//   - Tracker: what this process has heard about one DaftyJob, and the calls that are made for it.
//   - class: a group of calls that Dafty limits together, such as all creates of images.
//   - window: which calls a minute had. limiter: when the next call may go. It learns the limit from Dafty's answers.
//   - acquire: to wait for a call's share of the limit, and to take it.
//   - reserve: calls of a minute that are left for what can't wait, such as cancels.
//   - claim: the turn to submit that a DaftyJob has taken. It lapses if it isn't used.
//   - queue: the DaftyJobs of a class that wait for their turn. cancelQueue: the cancels that wait for theirs.
//   - concurrency: how many jobs of a class run, where Dafty has said that there are too many.
//   - breaker: blocks the submissions of a class or of an API key after a refusal. A probe is the one submission that is let
//     through to find out whether its cause is gone.
//   - keys: the idempotency keys of requests that are on their way. No two requests of one key are at the same time.
//   - poll: one job that is asked about until it has ended. poller: all of an Account's. A long poll is a request that Dafty
//     answers when the job ends. A sweep reads the lists of jobs that haven't ended.
//   - lastUsed, previous: the Accounts of the API keys that a DaftyJob had before the one in its Secret.
//   - on…: what is learned from an answer. remove: to forget a Tracker that is gone.
package account
