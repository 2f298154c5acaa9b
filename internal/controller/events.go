package controller

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
)

// maxNote is the API's bound of an event's note, in bytes.
const maxNote = 1024

// recordEvent makes a decision's news an event and a line of the log.
func (r *Reconciler) recordEvent(ctx context.Context, job *v1alpha1.DaftyJob, decision lifecycle.Decision) {
	if decision.Abandoned {
		metrics.RecordAbandoned()
	}
	if event := decision.Event; event != nil {
		r.emit(ctx, job, event, string(decision.Step))
	}
}

// emit makes an event one of the API server's and a line of the log.
func (r *Reconciler) emit(ctx context.Context, job *v1alpha1.DaftyJob, event *lifecycle.Event, action string) {
	kind := corev1.EventTypeNormal
	if event.Warning {
		kind = corev1.EventTypeWarning
	}
	note := event.Message
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	r.Recorder.Eventf(job, nil, kind, event.Reason, action, "%s", note)
	log.FromContext(ctx).Info(event.Message, "reason", event.Reason, "phase", job.Status.Phase)
}
