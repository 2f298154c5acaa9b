// Package poll asks Dafty about the jobs in flight of one API key until they have ended: it decides whom to ask next, and how,
// within what package ratelimit allows.
//
// It is given the calls to make, and tells each Follower what came of them. It knows no DaftyJob and no API key, and doesn't
// judge an answer: whether a look failed, and when to look again, is for the Follower to say.
//
// Its words:
//
//   - Target: one job that is asked about until it has ended. Poller: all Targets of an API key.
//   - look: to ask about one job. A long poll is a look that Dafty answers when the job ends, or after about 55 s.
//   - sweep: to read the lists of the jobs that haven't ended, page by page.
//   - plan: how the minute's calls are divided between long polls, sweeps and looks.
//   - crowded: there are more jobs than the minute has long polls for. The lists tell of the ends, too.
//   - durations: how long the last jobs took, which tells which may end within a long poll.
package poll
