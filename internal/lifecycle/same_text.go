package lifecycle

import "strings"

// SameText reports whether two texts of Dafty, of a proxy or of the API server differ only in what may be another each time: ids,
// times, addresses and counts. What differs so is neither written nor told again.
func SameText(a, b string) bool { return a == b || withoutTokens(a) == withoutTokens(b) }

// longToken is from how many letters on a word is taken for a token without digits.
const longToken = 20

// withoutTokens returns a text without what varies in it: each word that has a digit, or is too long for one.
func withoutTokens(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return !ofToken(r) })
	var out strings.Builder
	for _, word := range words {
		at := strings.Index(text, word)
		out.WriteString(text[:at])
		text = text[at+len(word):]
		if strings.ContainsAny(word, "0123456789") || len(word) >= longToken {
			word = "*"
		}
		out.WriteString(word)
	}
	return out.String() + text
}

// ofToken reports whether a character may be a part of an id, a time, an address, or a number.
func ofToken(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-_.:+/=", r)
}
