package lifecycle

import "dafty.ai/dafty-operator/internal/dafty"

// HasMeaning reports whether the table of errors has a row for a kind. MeaningOf doesn't show it: a kind may mean just what an
// unknown one does.
func HasMeaning(kind dafty.Kind) bool {
	_, has := meanings[kind]
	return has
}
