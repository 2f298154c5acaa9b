package dafty

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
)

// leastKey is the shortest API key that is redacted. Dafty has none that is shorter, and redacting it would spoil words and ids
// that happen to contain it.
const leastKey = 8

// redactor returns a replacer of an API key in texts, in each form that a server may quote it in: as it is, as JSON, and as part
// of a URL.
func redactor(apiKey string) *strings.Replacer {
	if len(apiKey) < leastKey {
		return strings.NewReplacer()
	}
	const instead = "[redacted]"
	forms := []string{apiKey, instead, url.QueryEscape(apiKey), instead, url.PathEscape(apiKey), instead}
	for _, html := range []bool{true, false} {
		var quoted strings.Builder
		encoder := json.NewEncoder(&quoted)
		encoder.SetEscapeHTML(html)
		if encoder.Encode(apiKey) == nil {
			text := strings.TrimSpace(quoted.String())
			inner := text[1 : len(text)-1]
			forms = append(forms, inner, instead, strings.ReplaceAll(inner, "/", `\/`), instead)
		}
	}
	return strings.NewReplacer(forms...)
}

// redactJSON returns an answer without the API key, which would otherwise get into status or a log.
func redactJSON(body []byte, redact func(string) string) []byte {
	if !bytes.ContainsRune(body, '\\') {
		return []byte(redact(string(body)))
	}
	// JSON can spell any character in several ways: what counts is what a text says.
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil || decoder.More() {
		return []byte(redact(string(body)))
	}
	clean, err := json.Marshal(redactValue(value, redact))
	if err != nil {
		return nil
	}
	return clean
}

func redactValue(value any, redact func(string) string) any {
	switch value := value.(type) {
	case string:
		return redact(value)
	case []any:
		for i := range value {
			value[i] = redactValue(value[i], redact)
		}
	case map[string]any:
		clean := make(map[string]any, len(value))
		for name, field := range value {
			clean[redact(name)] = redactValue(field, redact)
		}
		return clean
	}
	return value
}
