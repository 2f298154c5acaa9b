package dafty

import "testing"

// A key as short as a word, as somebody may put into a Secret by mistake, leaves answers
// alone: they would be spoilt.
func TestShortKeysSpoilNothing(t *testing.T) {
	for key, want := range map[string]string{
		"":         "a photo of dk_12345",
		"photo":    "a photo of dk_12345",
		"dk_12345": "a photo of [redacted]",
	} {
		if got := redactor(key).Replace("a photo of dk_12345"); got != want {
			t.Errorf("with the key %q it reads %q, want %q", key, got, want)
		}
	}
}
