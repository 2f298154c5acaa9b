package controller

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
)

// maxNote is how long the API lets an event's note be, in bytes.
const maxNote = 1024

// recordEvents makes a decision's news events and lines of the log.
func (r *Reconciler) recordEvents(ctx context.Context, job *v1alpha1.DaftyJob, decision lifecycle.Decision) {
	if release, _ := decision.Step.(lifecycle.RemoveFinalizer); release.Abandoned {
		metrics.RecordAbandoned()
	}
	if event := decision.Event; event != nil {
		r.emit(ctx, job, event, decision.Step.String())
	}
	if event := decision.StoreEvent; event != nil {
		r.emit(ctx, job, event, lifecycle.StoreResult{}.String())
	}
}

// emit sends an event to the API server, and writes a line of the log.
func (r *Reconciler) emit(ctx context.Context, job *v1alpha1.DaftyJob, event *lifecycle.Event, action string) {
	emitEvent(r.Recorder, job, event, action)
	log.FromContext(ctx).Info(event.Message, "reason", event.Reason, "phase", job.Status.Phase)
}

// emitEvent sends an event to the API server.
func emitEvent(recorder events.EventRecorder, about runtime.Object, event *lifecycle.Event, action string) {
	kind := corev1.EventTypeNormal
	if event.Warning {
		kind = corev1.EventTypeWarning
	}
	note := event.Message
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	recorder.Eventf(about, nil, kind, event.Reason, action, "%s", note)
}
