package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// recording has all versions of a DaftyJob from its creation to its end, which show what the operator writes in which steps.
type recording []*unstructured.Unstructured

const (
	sampleNamespace = "bench-sample"
	samples         = 20
	// afterwards is how long a job's last writes may take after its end.
	afterwards = time.Second
)

// record plays a few jobs with an operator that it kills in the end, and returns the one with the median number of versions.
func (e *environment) record(ctx context.Context) (recording, error) {
	if err := e.kube.prepare(ctx, sampleNamespace, samples); err != nil {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DaftyJobList"))
	watching, err := e.kube.client.Watch(ctx, list, client.InNamespace(sampleNamespace))
	if err != nil {
		return nil, err
	}
	r := &recorder{versions: map[string]recording{}}
	var listening sync.WaitGroup
	listening.Go(func() { r.listen(watching.ResultChan()) })
	defer listening.Wait()
	defer watching.Stop()

	o, err := e.startWorking(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.kube.createJobs(ctx, sampleNamespace, samples, samples); err != nil {
		return nil, err
	}
	if err := waitFor(ctx, 2*time.Minute, "the samples to complete", r.completed); err != nil {
		return nil, err
	}
	pause(ctx, afterwards)
	return r.middle(), o.Kill()
}

// recorder keeps the versions of several DaftyJobs, by name.
type recorder struct {
	mu       sync.Mutex
	versions map[string]recording
}

func (r *recorder) listen(events <-chan watch.Event) {
	for event := range events {
		if object, ok := event.Object.(*unstructured.Unstructured); ok && event.Type != watch.Deleted {
			r.mu.Lock()
			r.versions[object.GetName()] = append(r.versions[object.GetName()], object)
			r.mu.Unlock()
		}
	}
}

func (r *recorder) completed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, versions := range r.versions {
		phase, _, _ := unstructured.NestedString(versions[len(versions)-1].Object, "status", "phase")
		if phase == string(v1alpha1.PhaseCompleted) {
			n++
		}
	}
	return n == samples
}

func (r *recorder) middle() recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []recording
	for _, versions := range r.versions {
		all = append(all, versions)
	}
	slices.SortFunc(all, func(a, b recording) int { return cmp.Compare(len(a), len(b)) })
	return all[len(all)/2]
}

func (r recording) last() *unstructured.Unstructured { return r[len(r)-1] }

// write is one write to a DaftyJob: a merge patch of it, or of its status.
type write struct {
	subresource string
	patch       map[string]any
}

// writes returns the writes that lead from each version to the next.
func (r recording) writes() ([]write, error) {
	var all []write
	for i := range r[1:] {
		before, after := bareVersion(r[i]), bareVersion(r[i+1])
		body, err := client.MergeFrom(before).Data(after)
		if err != nil {
			return nil, err
		}
		w := write{patch: map[string]any{}}
		if err := json.Unmarshal(body, &w.patch); err != nil {
			return nil, err
		}
		if _, ok := w.patch["status"]; ok {
			w.subresource = "status"
		}
		if len(w.patch) > 0 {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the sample was never written to")
	}
	return all, nil
}

// bareVersion returns a version without the fields that the API server sets.
func bareVersion(object *unstructured.Unstructured) *unstructured.Unstructured {
	object = object.DeepCopy()
	for _, field := range []string{"resourceVersion", "generation", "managedFields"} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	return object
}

// body returns the patch of a version, as the operator sends it: it fails if the object has changed since.
func (w write) body(version string) ([]byte, error) {
	patch := map[string]any{}
	for field, value := range w.patch {
		patch[field] = value
	}
	metadata := map[string]any{"resourceVersion": version}
	if own, ok := w.patch["metadata"].(map[string]any); ok {
		for field, value := range own {
			metadata[field] = value
		}
	}
	patch["metadata"] = metadata
	return json.Marshal(patch)
}

// versionOf returns the resourceVersion of an object in an answer of the API server.
func versionOf(body []byte) (string, error) {
	var object struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return "", err
	}
	if object.Metadata.ResourceVersion == "" {
		return "", fmt.Errorf("the answer has no resourceVersion")
	}
	return object.Metadata.ResourceVersion, nil
}
