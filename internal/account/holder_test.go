package account

import (
	"context"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// A key is asked about once at a time; what was heard of another is forgotten; failures and refusals are counted in a row.
func TestHolder(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		h := w.registry.Holder("agency")
		if w.registry.Holder("agency") != h {
			t.Fatal("another Holder of the same name")
		}
		h.Ask()
		if known := h.Known(); known.HasKey || known.Asking {
			t.Fatalf("without a key: %+v", known)
		}
		h.SetAPIKey("k1")
		h.Ask()
		h.Ask()
		if known := h.Known(); !known.HasKey || !known.Asking || known.Answer != nil {
			t.Fatalf("while it is asked: %+v", known)
		}
		if woken := w.woken(); len(woken) != 1 || woken[0] != "agency" {
			t.Errorf("woken: %v", woken)
		}
		if known := h.Known(); known.Asking || known.Answer == nil || string(known.Answer.Account) != `{"plan":"team"}` || known.Answer.Err != nil {
			t.Fatalf("answered: %+v", known)
		}
		refused := &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401}
		answers := []error{refused, refused, &dafty.CallError{Kind: dafty.KindUnavailable}}
		w.dafty("k1").onUpload(func(context.Context, string) error {
			next := answers[0]
			answers = answers[1:]
			return next
		})
		for i, want := range []Answer{{Failures: 1, Refusals: 1}, {Failures: 2, Refusals: 2}, {Failures: 3}} {
			h.Ask()
			w.woken()
			if got := h.Known().Answer; got.Failures != want.Failures || got.Refusals != want.Refusals || got.Err == nil || got.Account != nil {
				t.Errorf("failure %d: %+v", i, got)
			}
		}
		h.SetAPIKey("k2")
		if known := h.Known(); known.Answer != nil {
			t.Errorf("of another key: %+v", known)
		}
	})
}

// An answer that comes after the key was changed, or the account is gone, says nothing of the new one. Nothing is left of it.
func TestHolderIsOvertaken(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		slow := func(ctx context.Context, _ string) error {
			select {
			case <-time.After(5 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		w.dafty("k1").onUpload(slow)
		w.dafty("k2").onUpload(slow)
		h := w.registry.Holder("agency")
		h.SetAPIKey("k1")
		h.Ask()
		h.SetAPIKey("k2")
		time.Sleep(time.Minute)
		if known := h.Known(); known.Asking || known.Answer != nil {
			t.Errorf("after the key was changed: %+v", known)
		}
		h.Ask()
		w.registry.ForgetHolder("agency")
		w.woken()
		h.SetAPIKey("k3")
		h.Ask()
		if known := h.Known(); known.HasKey || known.Asking {
			t.Errorf("after it is gone: %+v", known)
		}
		time.Sleep(5 * time.Minute) // until what was used of the minutes doesn't count any more
		if left := w.accounts(); left != 0 {
			t.Errorf("%d API keys are kept", left)
		}
	})
}

// What creates have shown of credits is kept for as long as a Holder has the key, and told of no other.
func TestHolderKnowsCredits(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		h := w.registry.Holder("agency")
		h.SetAPIKey("k1")
		if h.Known().Credits != nil {
			t.Fatal("nothing was shown yet")
		}
		empty := &dafty.CallError{Kind: dafty.KindInsufficientCredits, Status: 402, Message: "no credits"}
		w.dafty("k1").onCreate(func(context.Context, string) (*dafty.Job, error) { return nil, empty })
		tracker := w.tracker("job", "k1")
		w.submit(tracker, image)
		if credits := h.Known().Credits; credits == nil || credits.Refusal != empty {
			t.Fatalf("after a refusal: %+v", credits)
		}
		w.dafty("k1").onCreate(func(context.Context, string) (*dafty.Job, error) {
			return nil, &dafty.CallError{Kind: dafty.KindUnavailable, Status: 500}
		})
		time.Sleep(time.Hour)
		w.submit(tracker, image)
		if credits := h.Known().Credits; credits == nil || credits.Refusal != empty {
			t.Errorf("an outage tells nothing of it: %+v", credits)
		}
		w.dafty("k1").onCreate(func(context.Context, string) (*dafty.Job, error) { return job(dafty.Pending), nil })
		time.Sleep(time.Hour)
		w.submit(tracker, image)
		if credits := h.Known().Credits; credits == nil || credits.Refusal != nil {
			t.Errorf("after Dafty took one: %+v", credits)
		}
		w.forget("job")
		w.registry.ForgetHolder("agency")
	})
}

// What Dafty says of an account may have the API key in it, which leaves this package in no form.
func TestHolderTellsNoKey(t *testing.T) {
	const key = `dk_live_"<1`
	got := string(redacted([]byte(`{"keys":["dk_live_\"<1","dk_live_\"\u003c1"],"header":"Bearer dk_live_\"<1","plan":"team"}`), key))
	if want := `{"keys":["REDACTED","REDACTED"],"header":"Bearer REDACTED","plan":"team"}`; got != want {
		t.Errorf("got %s", got)
	}
	if got := string(redacted([]byte(`{"header":"Bearer dk_live_1"}`), "dk_live_1")); got != `{"header":"Bearer REDACTED"}` {
		t.Errorf("got %s", got)
	}
}
