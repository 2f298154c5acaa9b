package lifecycle

import "time"

const (
	// SubmitTimeout is how long after its write-ahead a POST is given up.
	SubmitTimeout = 30 * time.Second
	// clockSkew is how far the clocks of two machines may be apart.
	clockSkew = 15 * time.Second
	// RepeatAfter is how long after its write-ahead a POST has surely passed, if it was another
	// machine's.
	RepeatAfter = SubmitTimeout + clockSkew
	// answeredRepeatAfter is how long to wait after Dafty's own word that it failed (a 5xx in
	// its error form): that request has passed.
	answeredRepeatAfter = 5 * time.Second
	// keyMemory is how long Dafty surely remembers an idempotency key: about 24 h by its
	// documentation, less a margin.
	keyMemory = 23 * time.Hour
	// recancelAfter is how long an accepted cancel may take to show before it is sent again.
	recancelAfter = 30 * time.Second
	// notFoundLooks is how often Dafty must say in a row that it doesn't know a job.
	notFoundLooks = 2
	// unheardOf is for how long after a job was made Dafty's word that it doesn't know it isn't trusted. The contract says
	// nothing of such a lag; to give up a job that runs would be worse than to ask a few times more.
	unheardOf = 30 * time.Second
	// credentialsPoll is how often a missing or rejected key is looked for at first, and
	// maxCredentialsPoll after it was missing for long: Secrets can't be watched without the right
	// to read all of them.
	credentialsPoll    = 5 * time.Second
	maxCredentialsPoll = time.Minute
	// lastingRefusals is after how many refusals in a row an upload is a person's to mend: half a minute, which a
	// server that is being replaced may take.
	lastingRefusals = 6
	// uploadAsk is how soon a job that waits for an upload is decided about again, should the end of the upload not wake it.
	uploadAsk = time.Minute
	// searchAsk is the same for a search in a style.
	searchAsk = time.Minute
	// searchAgain is how soon a search that found nothing to use is made again at first, and maxSearchAgain once it has done so for
	// long: only a person who adds to the style at Dafty can change that, and each time is a call.
	searchAgain    = 5 * time.Minute
	maxSearchAgain = time.Hour
	// retryAfter is how long after its first failure a job is tried again, and maxRetryAfter after many: as a batch/v1 Job.
	retryAfter    = 10 * time.Second
	maxRetryAfter = 6 * time.Minute
	// ThumbnailFor is for how long after its end a video's thumbnail is looked for.
	ThumbnailFor = 2 * time.Minute
	// deleteAgain is how soon an object is to go after all whose deletion had to wait for another that refers to it.
	deleteAgain = 10 * time.Second
	// storePoll is how soon a result that can't be written to its ConfigMap is tried again at first, and maxStorePoll once
	// that has lasted.
	storePoll    = 10 * time.Second
	maxStorePoll = 30 * time.Second
	// budgetGrace is how long after the end of a budget's period a job looks by itself whether it may go: it is told before, in
	// its turn.
	budgetGrace = 15 * time.Minute
	// maxBackoff is the longest time between two tries of anything.
	maxBackoff = 5 * time.Minute
)
