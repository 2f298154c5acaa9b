// Package account holds all that exists once per Dafty API key: the client, the pacing of its
// calls, what holds its submissions back, and the watching of its jobs in flight.
//
// Nothing here blocks a reconcile. A Tracker starts calls in the background, keeps their
// answers, and wakes the DaftyJob's reconcile when there is news. It decides nothing: what
// the answers mean for a DaftyJob is for package lifecycle to say.
package account
