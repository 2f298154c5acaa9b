package ratelimit

import (
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// What a submission waited for is the last that wasn't the rate limit: that one meets whoever goes on.
func TestWaitReasons(t *testing.T) {
	for _, row := range []struct {
		given []dafty.Kind
		then  dafty.Kind
	}{
		{nil, ""},
		{[]dafty.Kind{dafty.KindRateLimit}, dafty.KindRateLimit},
		{[]dafty.Kind{dafty.KindRateLimit, dafty.KindConcurrency}, dafty.KindConcurrency},
		{[]dafty.Kind{dafty.KindConcurrency, dafty.KindRateLimit, dafty.KindRateLimit}, dafty.KindConcurrency},
		{[]dafty.Kind{dafty.KindConcurrency, dafty.KindInsufficientCredits}, dafty.KindInsufficientCredits},
	} {
		w := queued{}
		for _, kind := range row.given {
			w.waits(time.Now(), kind)
		}
		if w.why != row.then {
			t.Errorf("%v: %q, want %q", row.given, w.why, row.then)
		}
	}
}
