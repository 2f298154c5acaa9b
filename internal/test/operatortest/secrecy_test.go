package operatortest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A key is found in each form that a program may print it in, and nowhere else.
func TestFindKey(t *testing.T) {
	const apiKey = "dk_process_7be40c91d2a85f36"
	around := "{\"kind\":\"Secret\"}\x0a\x06apiKey\x12\x1b" + apiKey + "\x1a\x06Opaque"
	inJSON := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	unicode := ""
	for _, r := range apiKey {
		unicode += fmt.Sprintf(`\u%04x`, r)
	}
	found := map[string]string{
		"plain":                around,
		"base64 of the key":    inJSON(map[string][]byte{"apiKey": []byte(apiKey)}),
		"base64 of all":        base64.StdEncoding.EncodeToString([]byte(around)),
		"base64, one further":  base64.StdEncoding.EncodeToString([]byte("x" + around)),
		"base64, two further":  base64.RawURLEncoding.EncodeToString([]byte("xy" + around)),
		"hex":                  hex.EncodeToString([]byte(around)),
		"hex, big":             fmt.Sprintf("%X", around),
		"hex with spaces":      fmt.Sprintf("% x", around),
		"hex, each byte":       fmt.Sprintf("%# x", around),
		"a hex dump":           hex.Dump([]byte(around)),
		"a hex dump in JSON":   inJSON(map[string]string{"msg": "Response Body", "body": hex.Dump([]byte(around))}),
		"bytes":                fmt.Sprintf("%d", []byte(around)),
		"bytes in Go":          fmt.Sprintf("%#v", map[string][]byte{"apiKey": []byte(apiKey)}),
		"JSON's escapes":       `{"apiKey":"` + unicode + `"}`,
		"escapes in a text":    inJSON(`{"apiKey":"` + unicode + `"}`),
		"base64 in JSON twice": inJSON(inJSON(map[string][]byte{"apiKey": []byte(apiKey)})),
	}
	for i := range 16 { // wherever the lines of a dump are broken
		found[fmt.Sprintf("a hex dump, %d further", i)] = inJSON(hex.Dump([]byte(strings.Repeat("x", i) + around)))
	}
	for what, text := range found {
		if key, _ := FindKey(text, "dk_another", apiKey); key != apiKey {
			t.Errorf("%s: not found in %s", what, text)
		}
	}
	other := strings.ReplaceAll(around, apiKey[10:], "0123456789abcdef")
	for _, text := range []string{other, hex.Dump([]byte(other)), inJSON([]byte(other)), fmt.Sprintf("%d", []byte(other)), ""} {
		if key, form := FindKey(text, apiKey); key != "" {
			t.Errorf("found %s in %s", form, text)
		}
	}
}
