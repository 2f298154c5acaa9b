// Package lifecycle decides what happens to a DaftyJob next. It is pure: it knows no clock,
// no network and no client. Next takes the object, what this process has heard from Dafty,
// and the time; it gives the status to write and the one step to take after it.
//
// The order matters: status is written first, under the resourceVersion that was read, and
// the step is taken only when that write succeeded. A submission is thus on record before
// its request leaves, and a stale cache or a second leader loses with a conflict and sends
// nothing.
//
// Read on in next.go, which says in one switch what a job can come to, and in docs/lifecycle.md,
// which draws it.
package lifecycle
