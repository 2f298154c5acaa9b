package lifecycle

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"dafty.ai/dafty-operator/internal/dafty"
)

// An error's text may differ each time although it says the same: it holds the id of a trace or a request, a time, a port. Each
// look that fails would be a write. So where nothing differs but such parts, the text that is in status stays, for a while.
// Only what others wrote is compared so, as what the operator says of ids, times and counts is news; and whatever else
// changes takes the newest text with it.

// sameNewsFor is how long a text stays that differs so.
const sameNewsFor = 10 * time.Minute

// sameNews puts texts back into a decision that tell nothing new.
func (d *decider) sameNews(decision *Decision) {
	before := &d.Job.Status
	told := d.Known.Since
	if d.Known.StatusWrittenAt.After(told) {
		told = d.Known.StatusWrittenAt
	}
	if d.Now.Sub(told) >= sameNewsFor || equality.Semantic.DeepEqual(*before, decision.Status) {
		return
	}
	foreign := d.foreignTexts()
	if len(foreign) == 0 {
		return
	}
	calm := decision.Status.DeepCopy()
	for i := range calm.Conditions {
		c := &calm.Conditions[i]
		if old := meta.FindStatusCondition(before.Conditions, c.Type); old != nil && sameQuote(old.Message, c.Message, foreign) {
			c.Message = old.Message
		}
	}
	if equality.Semantic.DeepEqual(*before, *calm) {
		decision.Status = *calm
	}
}

// foreignTexts returns what others wrote that a message may quote.
func (d *decider) foreignTexts() (texts []string) {
	add := func(err *dafty.CallError) {
		if err != nil && err.Message != "" {
			texts = append(texts, err.Message)
		}
	}
	known := &d.Known
	if known.Trouble != nil {
		add(known.Trouble.Err)
	}
	if known.Submission != nil {
		add(known.Submission.Err)
	}
	if known.Cancel != nil {
		add(known.Cancel.Err)
	}
	for _, upload := range known.Uploads {
		add(upload.Err)
	}
	for _, search := range known.Searches {
		add(search.Err)
	}
	if known.Block != nil && known.Block.Message != "" {
		texts = append(texts, known.Block.Message)
	}
	return texts
}

// sameQuote reports whether a message says the same as the one before, but for what varies in the text that it quotes.
func sameQuote(before, message string, quotes []string) bool {
	for _, quote := range quotes {
		head, tail, found := strings.Cut(message, quote)
		if !found {
			continue
		}
		old, begins := strings.CutPrefix(before, head)
		old, ends := strings.CutSuffix(old, tail)
		if begins && ends && SameText(old, quote) {
			return true
		}
	}
	return false
}
