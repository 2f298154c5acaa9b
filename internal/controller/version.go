package controller

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// versionOf returns what changes with whatever a person changes of a DaftyJob, and with nothing that the operator writes.
func versionOf(job *v1alpha1.DaftyJob) string {
	annotations := maps.Clone(job.Annotations)
	delete(annotations, v1alpha1.JobAnnotation)
	// Maps of strings always have a JSON form, with their keys in order.
	raw, _ := json.Marshal([]map[string]string{annotations, job.Labels})
	sum := fnv.New64a()
	_, _ = sum.Write(raw) // never fails
	return fmt.Sprintf("%d-%x", job.Generation, sum.Sum64())
}
