package lifecycle

import (
	"fmt"

	"dafty.ai/dafty-operator/internal/dafty"
)

// MarshalText lets what is known be shown as JSON.
func (q StyleQuery) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s %q %d", q.StyleID, q.Query, q.Limit), nil
}

// HasMeaning reports whether the table of errors has a row for a kind. MeaningOf doesn't show it: a kind may mean just what an
// unknown one does.
func HasMeaning(kind dafty.Kind) bool {
	_, has := meanings[kind]
	return has
}
