package poll

import (
	"dafty.ai/dafty-operator/internal/dafty"
)

// maxPages bounds a sweep, against lists that don't end.
const maxPages = 200

// sweep is one reading of the lists, page by page.
type sweep struct {
	// members are the Targets that it can judge: those that were there before it began.
	members map[*Target]bool
	// lists are those that are left, cursor where the first of them goes on.
	lists  []dafty.JobStatus
	cursor string
	pages  int
	// seen are the ids that were listed, in small letters, and listed what the lists tell of each.
	seen   map[string]bool
	listed map[dafty.JobStatus][]dafty.ListedJob
	// whole is set where the lists tell of the ends, and busy while a page is on its way.
	whole, busy bool
}
