package controller

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

func finishedJob(name string, at time.Time) *v1alpha1.DaftyJob {
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	job.Status.Phase, job.Status.FinishedAt = v1alpha1.PhaseCompleted, new(metav1.NewTime(at))
	return job
}

// What ended a while ago is released at no more than 20 a second, however many there are and however often they are looked at.
func TestOldReleasesAreSpread(t *testing.T) {
	const jobs = 1000
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &releases{}
	waiting := map[string]*v1alpha1.DaftyJob{}
	for i := range jobs {
		name := fmt.Sprintf("job-%d", i)
		waiting[name] = finishedJob(name, start.Add(-time.Hour))
	}
	for now := start; len(waiting) > 0; now = now.Add(time.Second) {
		if now.Sub(start) > jobs/20*time.Second+time.Second {
			t.Fatalf("%d aren't released after %s", len(waiting), now.Sub(start))
		}
		if wait := r.wait(finishedJob("fresh", now.Add(-time.Minute)), now); wait != 0 {
			t.Errorf("what has just ended waits for %s", wait)
		}
		released := 0
		for name, job := range waiting {
			if r.wait(job, now) == 0 {
				delete(waiting, name)
				released++
			}
		}
		if released > 20+1 {
			t.Errorf("%d are released within a second", released)
		}
	}
	if len(r.turns) != 0 {
		t.Errorf("%d turns are kept", len(r.turns))
	}
}

// One that the API server refused waits for an hour, and keeps nobody else waiting.
func TestRefusedReleasesWaitForAnHour(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &releases{}
	refused, other := finishedJob("refused", now), finishedJob("other", now.Add(-time.Hour))
	if wait := r.refused(refused, now); wait != time.Hour {
		t.Errorf("it waits for %s", wait)
	}
	if wait := r.wait(refused, now.Add(59*time.Minute)); wait != time.Minute {
		t.Errorf("it waits for %s", wait)
	}
	if wait := r.wait(other, now); wait != 0 {
		t.Errorf("another waits for %s", wait)
	}
	if wait := r.wait(refused, now.Add(time.Hour)); wait != 0 {
		t.Errorf("after an hour it waits for %s", wait)
	}
	r.refused(refused, now)
	again := refused.DeepCopy()
	again.UID = "another"
	if wait := r.wait(again, now); wait != 0 {
		t.Errorf("another of its name waits for %s", wait)
	}
	r.refused(refused, now)
	r.forget(client.ObjectKeyFromObject(refused))
	if len(r.turns) != 0 {
		t.Error("its turn is kept although it is gone")
	}
}
