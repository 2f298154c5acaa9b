package lifecycle_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// A text that others wrote, and that differs only in ids, times and numbers, isn't written again for a while.
func TestSameNews(t *testing.T) {
	const minute = time.Minute
	unavailable := func(message string) *dafty.CallError {
		return &dafty.CallError{Kind: dafty.KindUnavailable, Status: 503, Code: "UPSTREAM", Message: message}
	}
	for _, tt := range []struct {
		name          string
		before, after *dafty.CallError
		later         time.Duration
		written       bool
	}{
		{"the same", unavailable("upstream failed"), unavailable("upstream failed"), minute, false},
		{"a trace id", unavailable("upstream failed, trace 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f"), unavailable("upstream failed, trace 9a0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b40"), minute, false},
		{"a request id in quotes", unavailable(`failed ("id":"req_Ab9")`), unavailable(`failed ("id":"req_xY3k")`), minute, false},
		{"base 64", unavailable("failed at aGVsbG8gd29y+/bGQ9=."), unavailable("failed at d29ybGQ1aGVsbG8/bw==."), minute, false},
		{"letters alone", unavailable("failed: kjhsdfkjhsdfkjhaskdjfh"), unavailable("failed: qwepoiqwepoiqwepoizxcm"), minute, false},
		{"a time", unavailable("down since 2026-11-29T23:01:00.123Z"), unavailable("down since 2026-11-29T23:02:31.9Z"), minute, false},
		{"a port", unavailable("read tcp 10.0.0.7:53122->192.0.2.1:443: connection reset"), unavailable("read tcp 10.0.0.7:40001->192.0.2.1:443: connection reset"), minute, false},
		{"after a while", unavailable("trace 1a"), unavailable("trace 2b"), 11 * minute, true},
		{"other words", unavailable("upstream failed, trace 1a"), unavailable("database failed, trace 2b"), minute, true},
		{"more words", unavailable("trace 1a"), unavailable("trace 1a: no route"), minute, true},
		{"another code", unavailable("trace 1a"), &dafty.CallError{Kind: dafty.KindUnavailable, Status: 502, Code: "GATEWAY", Message: "trace 2b"}, minute, true},
		{"another kind", unavailable("trace 1a"), refusal(dafty.KindInsufficientCredits), minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			look := func(job *DaftyJob, err *dafty.CallError, now time.Duration) lifecycle.Decision {
				return lifecycle.Next(lifecycle.Snapshot{
					Job: job, Known: with(keyA, since(0), trouble(err, 2, keyA)), Now: t0.Add(now), DeletionTimeout: deletionTimeout,
				})
			}
			job := newJob(taken(PhaseProcessing))
			job.Status = look(job, tt.before, 0).Status
			got := look(job, tt.after, tt.later)
			if written := asJSON(got.Status) != asJSON(job.Status); written != tt.written {
				t.Errorf("written: %t, want %t\n%s\n%s", written, tt.written, asJSON(job.Status.Conditions), asJSON(got.Status.Conditions))
			}
			if ready := meta.FindStatusCondition(got.Status.Conditions, ConditionReady); tt.written && !strings.Contains(ready.Message, tt.after.Message) {
				t.Errorf("the newest text isn't told: %s", ready.Message)
			}
		})
	}
	t.Run("the operator's own numbers are news", func(t *testing.T) {
		job := newJob(taken(PhaseProcessing))
		err := unavailable("trace 1a")
		in := lifecycle.Snapshot{Job: job, Known: with(keyA, since(0), trouble(err, 2, keyA)), Now: t0, DeletionTimeout: deletionTimeout}
		job.Status = lifecycle.Next(in).Status
		for i := range job.Status.Conditions {
			// As if it were about another job.
			c := &job.Status.Conditions[i]
			c.Message = strings.Replace(c.Message, jobID, "00000001-8b1d-4e43-9d9c-0d7a3a1c2b4f", 1)
		}
		if got := lifecycle.Next(in); asJSON(got.Status) == asJSON(job.Status) {
			t.Error("the id of the job is taken for a trace's")
		}
	})
	t.Run("what else changes takes the newest text with it", func(t *testing.T) {
		job := newJob(taken(PhaseQueued))
		in := lifecycle.Snapshot{Job: job, Known: with(keyA, since(0), trouble(unavailable("trace 1a"), 2, keyA)), Now: t0, DeletionTimeout: deletionTimeout}
		job.Status = lifecycle.Next(in).Status
		in.Known = with(keyA, since(0), looked(daftys(dafty.Processing)), trouble(unavailable("trace 2b"), 2, keyA))
		got := lifecycle.Next(in)
		if ready := meta.FindStatusCondition(got.Status.Conditions, ConditionReady); !strings.Contains(ready.Message, "trace 2b") {
			t.Errorf("it tells %s", ready.Message)
		}
	})
}

// An annotation that somebody puts back is theirs.
func TestAnnotationPutBack(t *testing.T) {
	const first = "00000001-8b1d-4e43-9d9c-0d7a3a1c2b4f"
	written := func(known *lifecycle.Known) { known.Annotated = jobID }
	for _, tt := range []struct {
		name, value string
		known       func(*lifecycle.Known)
		want        lifecycle.Step
	}{
		{"there is none", "", nil, lifecycle.Annotate{}},
		{"somebody took it off", "", written, lifecycle.Annotate{}},
		{"of the attempt before", "shop/hero:" + first, nil, lifecycle.Annotate{}},
		{"of the attempt before, put back", "shop/hero:" + first, written, lifecycle.Follow{}},
		{"of another object", "shop/other:" + first, nil, lifecycle.Annotate{}},
		{"of another object, put back", "shop/other:" + first, written, lifecycle.Follow{}},
		{"of another job, put back", "shop/hero:99999999-8b1d-4e43-9d9c-0d7a3a1c2b4f", written, lifecycle.Follow{}},
		{"its own", "shop/hero:" + jobID, nil, lifecycle.Follow{}},
		{"of the attempt before, and that was written for the one before", "shop/hero:" + first, func(known *lifecycle.Known) { known.Annotated = first }, lifecycle.Annotate{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job := newJob(taken(PhaseProcessing), func(job *DaftyJob) {
				job.Status.FailedJobIDs = []string{first}
				job.Annotations = map[string]string{JobAnnotation: tt.value}
				if tt.value == "" {
					job.Annotations = nil
				}
			})
			known := with(keyA, looked(daftys(dafty.Processing)))
			if tt.known != nil {
				tt.known(&known)
			}
			if got := lifecycle.Next(lifecycle.Snapshot{Job: job, Known: known, Now: t0.Add(time.Minute), DeletionTimeout: deletionTimeout}); !reflect.DeepEqual(got.Step, tt.want) {
				t.Errorf("then %s, want %s", got.Step, tt.want)
			}
		})
	}
}
