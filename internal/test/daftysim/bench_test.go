package daftysim

import (
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkCreateAndGet tells what a job costs a load test.
func BenchmarkCreateAndGet(b *testing.B) {
	for _, skip := range []bool{false, true} {
		b.Run(map[bool]string{false: "validated", true: "trusted"}[skip], func(b *testing.B) {
			sim := New(Options{AnyKey: true, Limits: NoLimits, SkipAnswerValidation: skip, RequestLog: -1, ProcessingFor: Fixed(time.Hour)})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				benchmarkOne(b, sim, i)
			}
		})
	}
}

func benchmarkOne(b *testing.B, sim *Simulator, i int) {
	b.Helper()
	ask := func(method, path, body string) {
		r := httptest.NewRequest(method, BasePath+path, strings.NewReader(body))
		r.Header.Set("X-Api-Key", "k")
		r.Header.Set("User-Agent", "bench")
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Idempotency-Key", strconv.Itoa(i))
		}
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, r)
		if w.Code >= 300 {
			b.Fatal(w.Code, w.Body)
		}
	}
	ask("POST", "/images/generate", `{"prompt":"A cat","aspectRatio":"16:9"}`)
	ask("GET", "/jobs?limit=1", "")
}
