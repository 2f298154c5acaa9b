// Package budget keeps the submissions of a DaftyAccount within its budgets, by not one too many, whatever crashes, runs twice
// or wakes up late.
//
// What is used stands in the account's status alone. Each submission goes through the same protocol:
//
//  1. It is reserved: counted in status.usage, and put into status.reservations with the DaftyJob's resourceVersion, under the
//     resourceVersion of the account.
//  2. Its record is written into exactly that version of the DaftyJob.
//  3. The request is sent.
//  4. When the DaftyJob's record shows what became of it, the reservation is settled: it goes, and what was refused is given
//     back.
//
// The fence: a submission is given back only where it can no longer be put on record. The record can be written into one version
// of the DaftyJob, and by nobody once there is a newer one. So a newer version without a record of the attempt proves that nothing
// was sent, or that what was sent was refused; and the reservation that is given back must still be the one of before, by
// its resourceVersion, or somebody has reserved the attempt for the newer version (see Judge and Book.Settle). Nobody gives back
// because of what they mean to do or not to do: another process may have reserved the same attempt for the same version,
// and be about to write.
//
// While an attempt is in doubt its reservation is kept. So a repeat, or a request with a fresh key that follows one that was
// refused, in the place of a record in doubt of the same attempt, needs no reservation of its own.
//
// What can't be known counts as spent: an attempt whose DaftyJob is gone, and a status that was set back.
//
// Its words:
//
//   - Book: the budgets of all accounts in this process. page: those of one account.
//   - Submission: an attempt of a DaftyJob that is to be sent.
//   - period: how long a budget lasts, by its first day.
//   - tally: the counts of one account at one time. It decides, and does no I/O.
//   - charge: an entry of usage that a reservation is counted in.
//   - settle: to take a reservation off the record, as spent or given back.
//   - behind: the clock shows a period that may be gone from the record, as newer ones are there.
//   - waiter: a Submission that met Exhausted. Its turn is the room that is kept for it, as it is older than others.
//   - due: to be woken. offer: to make those due that there is room for.
package budget
