package dafty

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxName bounds a job's id, status and type, in bytes. Nothing of Dafty's is longer.
const maxName = 255

// withoutSeconds is a form of date that Dafty may write, and that isn't RFC 3339.
const withoutSeconds = "2006-01-02T15:04Z07:00"

// readJob reads a job leniently: a field of an unexpected form, such as a clip's length with
// a fraction, is left out and must not hide how the job stands.
func readJob(body []byte) (*Job, error) {
	var envelope JobEnvelope
	err := json.Unmarshal(body, &envelope)
	var wrongType *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &wrongType) {
		// A date that can't be read makes the decoder stop, which a wrong type doesn't.
		var fields struct {
			Data map[string]json.RawMessage `json:"data"`
		}
		if json.Unmarshal(body, &fields) != nil {
			return nil, err
		}
		var created string
		_ = json.Unmarshal(fields.Data["createdAt"], &created)
		if at := readTime(created); at.IsZero() {
			delete(fields.Data, "createdAt")
		} else {
			fields.Data["createdAt"] = json.RawMessage(at.UTC().Format(`"` + time.RFC3339 + `"`))
		}
		if body, err = json.Marshal(fields); err != nil {
			return nil, err
		}
		envelope = JobEnvelope{}
		if err = json.Unmarshal(body, &envelope); err != nil && !errors.As(err, &wrongType) {
			return nil, err
		}
	}
	if failure := envelope.Data.Error; failure != nil {
		failure.Code, failure.Message = JobErrorCode(shortened(string(failure.Code))), shortened(failure.Message)
	}
	return &envelope.Data, nil
}

// readTime reads a date as Dafty writes it, the zero time where it is none.
func readTime(text string) time.Time {
	for _, form := range []string{time.RFC3339, withoutSeconds} {
		if at, err := time.Parse(form, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

// answerError returns the error that an answer with another status than 2xx means.
func answerError(resp *http.Response, body []byte) *CallError {
	e := &CallError{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	var envelope struct {
		Error *struct {
			// Read leniently: only message is certain, and nothing else may spoil it.
			Code    any    `json:"code"`
			Message string `json:"message"`
			Details any    `json:"details"`
		} `json:"error"`
	}
	daftys := json.Unmarshal(body, &envelope) == nil && envelope.Error != nil && envelope.Error.Message != ""
	if daftys {
		code, _ := envelope.Error.Code.(string)
		e.Code, e.Message = shortened(code), shortened(envelope.Error.Message)
		e.Details, _ = envelope.Error.Details.(map[string]any)
	} else {
		e.Message = "Dafty answered " + statusText(resp.StatusCode) + " without saying why"
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		e.Message = "Dafty's URL answered with a redirect, which is not followed, as the API key must go nowhere else: check --dafty-url"
	}
	e.Kind = kindOf(resp.StatusCode, e.Code, daftys)
	return e
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return strconv.Itoa(status)
}

// shortened cuts a text to maxText.
func shortened(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText-len("…")], "") + "…"
}

// maxRetryAfter bounds what an answer can ask for, against garbage in a header.
const maxRetryAfter = time.Hour

// retryAfter returns the value of the header Retry-After, in either form (RFC 9110, 10.2.3).
func retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		// Out of range is the nearest number. Bounded first: as nanoseconds it could overflow.
		return time.Duration(max(0, min(seconds, int64(maxRetryAfter/time.Second)))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	// By the server's own clock if the answer has it, as ours may differ.
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}
