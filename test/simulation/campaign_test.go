package simulation

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// TestCampaigns crashes the operator at each step of the campaigns under readings that only together leave few forms, or one:
// each DaftyJob completes, and is paid for once. With SIMULATE_N it does so under all of them.
func TestCampaigns(t *testing.T) {
	t.Parallel()
	// few leave only the url, the variation's id or the job's id; with the last, none names another image than the first.
	few := map[string]bool{"url refused, variation, job, fresh": true, "url refused, job, job-400, same": true}
	for _, url := range []daftysim.ResultURL{daftysim.ResultURLAccepted, daftysim.ResultURLRefused} {
		for _, references := range []daftysim.References{daftysim.ReferencesURL, daftysim.ReferencesVariation, daftysim.ReferencesJob} {
			for _, imageID := range []daftysim.ImageID{daftysim.ImageIDVariation, daftysim.ImageIDJob, daftysim.ImageIDJob400} {
				for _, refused := range []daftysim.RefusedKey{daftysim.RefusedKeyFresh, daftysim.RefusedKeySame} {
					name := fmt.Sprintf("url %s, %s, %s, %s", url, references, imageID, refused)
					none := url == daftysim.ResultURLRefused && references == daftysim.ReferencesURL
					if none || os.Getenv("SIMULATE_N") == "" && !few[name] {
						continue
					}
					t.Run(name, func(t *testing.T) {
						v := daftysim.NamedVariants{Name: name, Variants: allVariants[0].Variants}
						v.Variants.ResultURL, v.Variants.References, v.Variants.ImageID, v.Variants.RefusedKey = url, references, imageID, refused
						for _, s := range campaignScenarios() {
							if onlyFirst := url == daftysim.ResultURLRefused && references == daftysim.ReferencesJob; !onlyFirst || s.name == "a campaign of first images" {
								crashEverywhere(t, s, v)
							}
						}
					})
				}
			}
		}
	}
}

// Two DaftyJobs that share a key and ask for different things share the first's job, or the second asks a user: what Dafty
// does is open, and neither is ever paid for twice.
func TestOneKeyForTwoRequests(t *testing.T) {
	t.Parallel()
	for _, reading := range []daftysim.OtherBody{daftysim.OtherBodyFirst, daftysim.OtherBodyConflict, daftysim.OtherBodyUnprocessable} {
		t.Run(string(reading), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := allVariants[0].Variants
				v.OtherBody = reading
				e := newEnv(options{seed: 1, replicas: 1, variants: v, pending: time.Second, processing: time.Second, creating: 100 * time.Millisecond})
				shared := func(name, prompt string) *v1alpha1.DaftyJob {
					job := image()
					job.Name, job.Spec.ImageGenerate.Prompt, job.Spec.IdempotencyKey = name, v1alpha1.Prompt(prompt), "spring"
					return job
				}
				e.create(func() *v1alpha1.DaftyJob { return shared("one", "a mountain") })
				e.advance(time.Minute)
				e.do(func() { e.invariants.bodies = map[string][]byte{}; e.api.create(shared("two", "a lake")) })
				e.advance(10 * time.Minute)
				want := string(v1alpha1.PhaseCompleted)
				if reading != daftysim.OtherBodyFirst {
					want = "Submitting/SubmissionUnknown [spring-1]"
				}
				e.do(func() {
					if is := describe(e.api.get("two")); is != want && (reading != daftysim.OtherBodyFirst || e.api.get("two").Status.JobID != e.api.get("one").Status.JobID) {
						t.Errorf("two is %s\n%s", is, e.trace)
					}
					if made := len(e.sim.Ledger()); made != 1 {
						t.Errorf("%d jobs were made", made)
					}
					e.api.tamper("two", func(job *v1alpha1.DaftyJob) {
						job.Annotations = map[string]string{v1alpha1.ResubmitAnnotation: "spring-1"}
					})
				})
				e.advance(time.Hour)
				e.do(func() {
					if two := e.api.get("two"); two.Status.Phase != v1alpha1.PhaseCompleted {
						t.Errorf("once a user has said that there is no job, two is %s\n%s", describe(two), e.trace)
					}
					if made := len(e.sim.Ledger()); reading != daftysim.OtherBodyFirst && made != 2 {
						t.Errorf("%d jobs were made", made)
					}
					e.over = true
					for _, p := range e.processes {
						p.dead = true
						p.stop()
					}
				})
				e.sim.Close()
				time.Sleep(time.Minute)
			})
		})
	}
}

// formRefused plays a campaign while Dafty takes no url of a result as a reference.
func formRefused(e *env) {
	v := e.variants
	v.ResultURL = daftysim.ResultURLRefused
	e.sim.SetVariants(v)
	campaign(e, clipOf(0), editOf(0))
}

// promptBlamed takes the refusal of an image for one that no other form of it can mend.
type promptBlamed struct{ account.Dafty }

func (c promptBlamed) Create(ctx context.Context, create dafty.Create, key string) (*dafty.Job, error) {
	job, err := c.Dafty.Create(ctx, create, key)
	if e := dafty.AsError(err); e != nil && (e.Kind == dafty.KindInvalid || e.Kind == dafty.KindNotFound) {
		e.Kind, e.Details = dafty.KindInvalid, map[string]any{"prompt": "taken for its fault"}
	}
	return job, err
}
