package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// jobState is what a watch has shown of a DaftyJob, and when.
type jobState struct {
	uid     types.UID
	jobID   string
	phase   v1alpha1.Phase
	changes int // after it was made
	// processing is when it was first seen Processing, or ended without that.
	made, processing, final time.Time
}

// watcher watches the DaftyJobs of a namespace. It decodes only the fields that it needs, as it runs on the machine that is measured.
type watcher struct {
	// ended gets the name of each that reached a final phase.
	ended chan string

	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	jobs   map[string]*jobState
	phases map[v1alpha1.Phase]int
}

// roomForEnded is more than any scenario has jobs.
const roomForEnded = 1 << 18

// watch watches a namespace without DaftyJobs, or without any that matter.
func (e *environment) watch(ctx context.Context, namespace string) (*watcher, error) {
	list := &metav1.PartialObjectMetadataList{}
	body, err := e.kube.watching.Get().Namespace(namespace).Resource("daftyjobs").Param("limit", "1").Do(ctx).Raw()
	if err == nil {
		err = json.Unmarshal(body, list)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &watcher{
		ended: make(chan string, roomForEnded), cancel: cancel, done: make(chan struct{}),
		jobs: map[string]*jobState{}, phases: map[v1alpha1.Phase]int{},
	}
	go func() {
		defer close(w.done)
		if err := w.follow(ctx, e.kube, namespace, list.ResourceVersion); err != nil && ctx.Err() == nil {
			e.fail(fmt.Errorf("the bench's own watch: %w", err))
		}
	}()
	e.atEnd(w.stop)
	return w, nil
}

func (w *watcher) stop() error {
	w.cancel()
	<-w.done
	return nil
}

// follow watches, and again from the last version when the API server ends a watch.
func (w *watcher) follow(ctx context.Context, c *kubeClient, namespace, version string) error {
	for ctx.Err() == nil {
		stream, err := c.watching.Get().Namespace(namespace).Resource("daftyjobs").
			Param("watch", "true").Param("resourceVersion", version).Param("allowWatchBookmarks", "true").Stream(ctx)
		if err != nil {
			return err
		}
		version, err = w.read(stream, version)
		_ = stream.Close() // it has ended
		if err != nil {
			return err
		}
	}
	return nil
}

// event has the fields that are needed of a watch's event.
type event struct {
	Type   string
	Object struct {
		Message  string // of an error
		Metadata struct {
			Name, ResourceVersion string
			UID                   types.UID
		}
		Status statusSeen
	}
}

// statusSeen decodes the status of a DaftyJob, and that of an error, which is a string.
type statusSeen struct {
	Phase v1alpha1.Phase
	JobID string
}

func (s *statusSeen) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return nil
	}
	type plain statusSeen
	return json.Unmarshal(b, (*plain)(s))
}

// read observes events until the stream ends, and returns the version of the last.
func (w *watcher) read(stream io.Reader, version string) (string, error) {
	decoder := json.NewDecoder(stream)
	for {
		var e event
		switch err := decoder.Decode(&e); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return version, nil
		case err != nil:
			return version, err
		case e.Type == "ERROR":
			return version, errors.New(e.Object.Message)
		}
		version = e.Object.Metadata.ResourceVersion
		if e.Type == "ADDED" || e.Type == "MODIFIED" {
			w.observe(e, time.Now())
		}
	}
}

func (w *watcher) observe(e event, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	job := w.jobs[e.Object.Metadata.Name]
	if job == nil {
		job = &jobState{uid: e.Object.Metadata.UID, made: now}
		w.jobs[e.Object.Metadata.Name] = job
		w.phases[""]++
	} else {
		job.changes++
	}
	phase := e.Object.Status.Phase
	w.phases[job.phase]--
	w.phases[phase]++
	job.phase, job.jobID = phase, e.Object.Status.JobID
	if job.processing.IsZero() && (phase == v1alpha1.PhaseProcessing || phase.Final()) {
		job.processing = now
	}
	if job.final.IsZero() && phase.Final() {
		job.final = now
		select {
		case w.ended <- e.Object.Metadata.Name:
		default: // nobody listens
		}
	}
}

// count returns how many are in one of the phases.
func (w *watcher) count(phases ...v1alpha1.Phase) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, phase := range phases {
		n += w.phases[phase]
	}
	return n
}

// finals returns how many are in a final phase.
func (w *watcher) finals() int {
	return w.count(v1alpha1.PhaseCompleted, v1alpha1.PhaseFailed, v1alpha1.PhaseCancelled)
}

// snapshot returns the DaftyJobs as they were last seen, by name.
func (w *watcher) snapshot() map[string]jobState {
	w.mu.Lock()
	defer w.mu.Unlock()
	jobs := make(map[string]jobState, len(w.jobs))
	for name, job := range w.jobs {
		jobs[name] = *job
	}
	return jobs
}
