package daftysim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// answer is a complete HTTP answer, which a fault can still spoil.
type answer struct {
	status int
	header http.Header
	body   []byte
	gone   bool // the client left, or the simulator closed, before there was anything to say
}

// refusal is an error in Dafty's form.
type refusal struct {
	status     int
	code       string
	message    string
	details    map[string]any
	retryAfter int // seconds; 0: no header
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

func invalid(fields fieldErrors) *refusal {
	details := map[string]any{}
	for field, why := range fields {
		details[field] = why
	}
	return &refusal{status: http.StatusBadRequest, code: "VALIDATION_ERROR", message: "Invalid request: " + fields.String(), details: details}
}

func notFound(format string, args ...any) *refusal {
	return &refusal{status: http.StatusNotFound, code: "NOT_FOUND", message: fmt.Sprintf(format, args...)}
}

func unauthorized() *refusal {
	return &refusal{status: http.StatusUnauthorized, code: "UNAUTHORIZED", message: "The API key is missing or invalid"}
}

// The wire forms. Pointers stand for what may be absent or null.
type (
	envelope struct {
		Data       any             `json:"data"`
		NextCursor json.RawMessage `json:"nextCursor,omitempty"`
		Extra      *extra          `json:"meta,omitempty"`
	}
	extra struct {
		Region string `json:"region"`
	}
	wireJob struct {
		ID        string      `json:"id"`
		Type      string      `json:"type"`
		Status    string      `json:"status"`
		CreatedAt string      `json:"createdAt"`
		Result    *wireResult `json:"result,omitempty"`
		Error     *wireError  `json:"error,omitempty"`
		Extra     *extra      `json:"trace,omitempty"`
	}
	wireResult struct {
		Images []wireImage `json:"images,omitempty"`
		Video  *wireVideo  `json:"video,omitempty"`
		Style  *wireStyle  `json:"style,omitempty"`
	}
	wireImage struct {
		ID     string `json:"id"`
		URL    string `json:"url"`
		Width  *int   `json:"width"`
		Height *int   `json:"height"`
	}
	wireVideo struct {
		ID              string  `json:"id"`
		URL             string  `json:"url"`
		DurationSeconds *int    `json:"durationSeconds"`
		ThumbnailURL    *string `json:"thumbnailUrl"`
		Width           *int    `json:"width"`
		Height          *int    `json:"height"`
	}
	wireStyle struct {
		ID string `json:"id"`
	}
	wireError struct {
		Code    string          `json:"code,omitempty"`
		Message string          `json:"message"`
		Details json.RawMessage `json:"details,omitempty"`
	}
)

// absent is how an absent value is shown: left out, or as null.
func (n Nulls) absent() json.RawMessage {
	if n == NullsNull {
		return json.RawMessage("null")
	}
	return nil
}

// size is a width, a height or a duration, which may be absent.
func (n Nulls) size(value int) *int {
	if n == NullsNull {
		return nil
	}
	return &value
}

// write returns a date as a job shows it.
func (c CreatedAt) write(t time.Time) string {
	switch c {
	case CreatedAtMinutes:
		return t.UTC().Format("2006-01-02T15:04Z")
	case CreatedAtPicoseconds:
		return t.UTC().Format("2006-01-02T15:04:05.000000000") + "000Z"
	default:
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
}

func jsonAnswer(status int, v any) answer {
	return answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: marshal(v)}
}

func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // the wire forms always marshal
	}
	return raw
}

// data wraps an answer's payload in Dafty's envelope.
func (s *Simulator) data(status int, payload any) answer {
	e := envelope{Data: payload}
	if s.variants().ExtraFields == ExtraFieldsPresent {
		e.Extra = &extra{Region: "eu-1"}
	}
	return jsonAnswer(status, e)
}

func (s *Simulator) refuse(r *refusal) answer {
	v := s.variants()
	e := wireError{Code: r.code, Message: r.message, Details: v.Nulls.absent()}
	if len(r.details) > 0 {
		e.Details = marshal(r.details)
	}
	if v.ErrorBody == ErrorBodyMessageOnly {
		e = wireError{Message: r.message}
	}
	a := jsonAnswer(r.status, struct {
		Error wireError `json:"error"`
	}{e})
	if r.retryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(r.retryAfter))
	}
	return a
}

// write sends the answer, or drops the connection if there is none.
func (a answer) write(w http.ResponseWriter) {
	if a.gone {
		panic(http.ErrAbortHandler) // to return would answer an empty 200
	}
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may have left; the ledger knows what was done
}

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }
