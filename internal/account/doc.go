// Package account makes the calls to Dafty. All that exists once per API key is here: the client, the limits of its calls, what
// blocks its submissions, and the polling of its jobs in flight.
//
// Nothing here blocks a reconcile. A Tracker starts calls in the background, keeps their answers, and wakes the DaftyJob's
// reconcile when there is news. It decides nothing: what the answers mean for a DaftyJob is for package lifecycle to say.
//
// Each layer knows those before it only: package ratelimit decides when a call may leave, package poll which job to ask about
// next; client sends; an Account is these for one API key, accounts all of them; a Tracker is one DaftyJob, a file for each act;
// the Registry is at the top.
//
// Its words, beside those of ratelimit and poll:
//
//   - Registry: all Accounts and Trackers of this process. shared is what its Trackers have in common.
//   - Holder: the API key of one DaftyAccount, and what Dafty says of it.
//   - Account: one API key. Two Secrets with the same key share one.
//   - Tracker: what this process has heard about one DaftyJob, and the calls that are made for it.
//   - send: to make a call in a turn that was taken for it. Every call to Dafty leaves there.
//   - follow: to have a job polled until it has ended. follower is what a Tracker is to package poll.
//   - lastUsed, previous: the Accounts of the API keys that a DaftyJob had before the one in its Secret.
//   - doubt: an API key was refused once. rejected: it was refused again, or the job isn't known under it.
//   - owes, settle: a create or a cancel is on its way, or its answer isn't in status yet; it is.
//   - on…: what is learned from an answer. remove: to forget a Tracker that is gone.
package account
