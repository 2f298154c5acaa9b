package simulation

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// recorder takes a process's events.
type recorder struct{ p *process }

// Eventf implements events.EventRecorder.
func (r recorder) Eventf(regarding, _ runtime.Object, kind, reason, _, note string, args ...any) {
	e := r.p.env
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.p.dead {
		return
	}
	message := fmt.Sprintf(note, args...)
	if of, is := regarding.(*v1alpha1.DaftyAsset); is {
		e.trace.add(r.p.id, "tells of DaftyAsset %s: %s", of.Name, reason)
		e.invariants.noAPIKey("an event", message)
		return
	}
	if of, is := regarding.(*v1alpha1.DaftyAccount); is {
		e.trace.add(r.p.id, "tells of DaftyAccount %s: %s", of.Name, reason)
		e.invariants.noAPIKey("an event", message)
		return
	}
	job := regarding.(*v1alpha1.DaftyJob)
	if kind == corev1.EventTypeWarning {
		e.trace.add(r.p.id, "warns of %s: %s", job.Name, reason)
	}
	if slices.Contains(e.mutation.muted, reason) {
		return
	}
	e.invariants.noteRefusalEvent(r.p, job, reason, message)
	e.invariants.checkEvent(job, reason, message)
}
