package operatortest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
)

var (
	// dumped is a line of a hex dump: an offset, up to 16 bytes, and their characters.
	dumped = regexp.MustCompile(`[0-9a-fA-F]{8,}  ?((?:[0-9a-fA-F]{2} {1,2}){1,16})`)
	// decimals is how fmt prints bytes.
	decimals = regexp.MustCompile(`\d{1,3}(?:[ ,]+\d{1,3}){7,}`)
	notHex   = regexp.MustCompile(`(?i)\\x|0x|[^0-9a-f]`)
)

// FindKey returns the first of some API keys that a text has, and in what form; empty if it has none. A log has texts within texts, so what is
// escaped is unescaped, twice.
func FindKey(text string, keys ...string) (key, form string) {
	for range 3 {
		if key, form = findKey(text, keys); key != "" {
			return key, form
		}
		text = unescaped(text)
	}
	return "", ""
}

func findKey(text string, keys []string) (key, form string) {
	lower := strings.ToLower(text)
	onlyHex := notHex.ReplaceAllString(lower, "")
	dump, lists := bytesOfDumps(text), bytesOfLists(text)
	for _, key := range keys {
		inHex := hex.EncodeToString([]byte(key))
		switch {
		case strings.Contains(text, key):
			return key, "as it is"
		case strings.Contains(lower, inHex), strings.Contains(onlyHex, inHex):
			return key, "in hex"
		case inBase64(text, []byte(key)):
			return key, "in base64"
		case bytes.Contains(dump, []byte(key)):
			return key, "in a hex dump"
		}
		for _, list := range lists {
			if bytes.Contains(list, []byte(key)) {
				return key, "as a list of bytes"
			}
		}
	}
	return "", ""
}

func inBase64(text string, key []byte) bool {
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			// What comes before the key, and after it, decides on the first and last characters of its base64.
			whole := encoding.EncodeToString(append(make([]byte, shift), key...))
			if strings.Contains(text, strings.TrimRight(whole, "=")[[]int{0, 2, 3}[shift]:len(whole)/4*4-4]) {
				return true
			}
		}
	}
	return false
}

// bytesOfDumps returns what the hex dumps in a text show, one after the other.
func bytesOfDumps(text string) []byte {
	var all []byte
	for _, line := range dumped.FindAllStringSubmatch(text, -1) {
		if raw, err := hex.DecodeString(strings.ReplaceAll(line[1], " ", "")); err == nil {
			all = append(all, raw...)
		}
	}
	return all
}

// bytesOfLists returns the bytes of each list of numbers in a text.
func bytesOfLists(text string) [][]byte {
	var all [][]byte
	for _, list := range decimals.FindAllString(text, -1) {
		var raw []byte
		for _, number := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' }) {
			n, _ := strconv.ParseUint(number, 10, 8) // what is no byte is no key's
			raw = append(raw, byte(n))
		}
		all = append(all, raw)
	}
	return all
}

var escape = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{3}|.)`)

// unescaped returns a text with escapes, as in JSON and in Go, replaced by what they stand for.
func unescaped(text string) string {
	return escape.ReplaceAllStringFunc(text, func(found string) string {
		plain, err := strconv.Unquote(`"` + found + `"`)
		if err != nil {
			return found[1:] // such as \/
		}
		return plain
	})
}
