package simulation

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
)

// mutations break the operator, each in the way of a bug that operators have. Each invariant
// that the judge holds is broken by one of them at least.
var mutations = []struct {
	name     string
	mutation mutation
	// finds is the invariant that it breaks.
	finds string
}{
	{"the resourceVersion is left out of status writes", mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		if metadata, ok := patch["metadata"].(map[string]any); ok && patch["status"] != nil {
			delete(metadata, "resourceVersion")
		}
		return false
	}}, "paid twice|contract|false|stuck"},
	{"the write-ahead is never written", mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		return submissionOf(patch)["idempotencyKey"] != nil
	}}, "paid twice|contract|left running|stuck"},
	{"the finalizer is never added", mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		metadata, _ := patch["metadata"].(map[string]any)
		return metadata["finalizers"] != nil
	}}, "stuck"},
	{"the finalizer goes once the job's id is known", mutation{patch: func(job *v1alpha1.DaftyJob, patch map[string]any) bool {
		metadata, _ := patch["metadata"].(map[string]any)
		if metadata["annotations"] != nil {
			metadata["finalizers"] = nil
		}
		return metadata["finalizers"] != nil && job.Status.JobID != ""
	}}, "left running"},
	{"a cancel is taken for done, and nobody is asked", mutation{dafty: func(calls account.Dafty) account.Dafty { return cancelsNothing{calls} }}, "left running|stuck|false"},
	{"each POST has a key of its own", mutation{request: func(req *http.Request) {
		if key := req.Header.Get("Idempotency-Key"); key != "" {
			req.Header.Set("Idempotency-Key", fmt.Sprintf("%s.%d", key, time.Now().UnixNano()))
		}
	}}, "paid twice"},
	{"a timeout is taken for a refusal", mutation{dafty: func(calls account.Dafty) account.Dafty { return refusesOnTimeout{calls} }}, "paid twice|false|left running"},
	{"a lost connection is taken for a failed job", mutation{dafty: func(calls account.Dafty) account.Dafty { return failsOnTrouble{calls} }}, "false|left running"},
	{"a job that isn't there is said to be after one 5xx", mutation{dafty: func(calls account.Dafty) account.Dafty { return absentOnTrouble{calls} }}, "false|left running"},
	{"a POST has no deadline", mutation{
		dafty: func(calls account.Dafty) account.Dafty { return endless{calls} }, play: leaderOversleeps,
	}, "paid twice|contract|stuck"},
	{"clocks are a minute apart", mutation{skew: time.Minute}, "paid twice|contract"},
	{"Dafty's memory is taken for longer than it is", mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		if submission := submissionOf(patch); submission["startedAt"] != nil {
			submission["startedAt"] = time.Now().Add(6 * time.Hour).UTC().Format(time.RFC3339)
		}
		return false
	}, play: longOutage}, "paid twice"},
	{"the API key is in the User-Agent", mutation{request: func(req *http.Request) {
		req.Header.Set("User-Agent", "dafty-operator "+req.Header.Get("X-Api-Key"))
	}}, "leaked"},
	{"a final phase is written over", mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		if s, ok := patch["status"].(map[string]any); ok && s["phase"] == "Completed" {
			s["phase"] = "Processing"
		}
		return false
	}}, "stuck|false"},
}

// TestMutations sees to it that the judge finds each.
func TestMutations(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(300) {
				h := draw(seed)
				h.options.mutation = m.mutation
				play := h.play
				if m.mutation.play != nil {
					play = m.mutation.play
				}
				for _, problem := range run(t, h.options, play).problems {
					if slices.Contains(strings.Split(m.finds, "|"), invariantOf(problem)) {
						t.Logf("seed %d: %s", seed, problem)
						return
					}
				}
			}
			t.Error("no history found it")
		})
	}
}

// leaderOversleeps stops the leader between its write-ahead and its POST until another leader repeats it.
func leaderOversleeps(w *world) {
	pause := w.chance.between(44*time.Second, time.Minute, "the leader oversleeps")
	stopLeaderAt(w, "before", pause)
	w.begin(image)
	w.pass(pause + 3*time.Minute)
}

// submissionOf is the submission in a patch, nil where it has none.
func submissionOf(patch map[string]any) map[string]any {
	status, _ := patch["status"].(map[string]any)
	submission, _ := status["submission"].(map[string]any)
	return submission
}

// endless makes creates that are never given up.
type endless struct{ account.Dafty }

func (c endless) Create(ctx context.Context, create dafty.Create, key string) (*dafty.Job, error) {
	return c.Dafty.Create(context.WithoutCancel(ctx), create, key)
}

// cancelsNothing says of a job that its cancel has ended it, and asks nobody.
type cancelsNothing struct{ account.Dafty }

func (c cancelsNothing) Cancel(_ context.Context, id string) (*dafty.Job, error) {
	return &dafty.Job{Id: id, Status: dafty.Failed}, nil
}

// refusesOnTimeout takes a create without an answer for one that was refused.
type refusesOnTimeout struct{ account.Dafty }

func (c refusesOnTimeout) Create(ctx context.Context, create dafty.Create, key string) (*dafty.Job, error) {
	job, err := c.Dafty.Create(ctx, create, key)
	if e := dafty.AsError(err); e != nil && e.Kind == dafty.KindUnavailable {
		return nil, &dafty.CallError{Kind: dafty.KindRateLimit, Message: "taken for a refusal"}
	}
	return job, err
}

// failsOnTrouble takes a look that failed for a job that failed.
type failsOnTrouble struct{ account.Dafty }

func (c failsOnTrouble) Job(ctx context.Context, id string, wait bool) (*dafty.Job, error) {
	if job, err := c.Dafty.Job(ctx, id, wait); err == nil {
		return job, nil
	}
	return &dafty.Job{Id: id, Status: dafty.Failed}, nil
}

// absentOnTrouble takes a look that failed for a job that isn't there.
type absentOnTrouble struct{ account.Dafty }

func (c absentOnTrouble) Job(ctx context.Context, id string, wait bool) (*dafty.Job, error) {
	job, err := c.Dafty.Job(ctx, id, wait)
	if err != nil {
		return nil, &dafty.CallError{Kind: dafty.KindNotFound, Message: "taken for absent"}
	}
	return job, nil
}
