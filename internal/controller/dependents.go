package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// dependsOn is the field index of the DaftyJobs that a DaftyJob still waits for, by name.
	dependsOn = "dependsOn"
	// followedJob is the field index of the job at Dafty that a DaftyJob follows, by id in lower case.
	followedJob = "followedJob"
)

// Indexes are the field indexes that the reconciler reads by.
var Indexes = map[string]client.IndexerFunc{
	dependsOn: func(obj client.Object) []string {
		jobs, _ := lifecycle.Needs(obj.(*v1alpha1.DaftyJob))
		return jobs
	},
	followedJob: func(obj client.Object) []string {
		job := obj.(*v1alpha1.DaftyJob)
		var ids []string
		if id := job.Spec.AdoptJobID; id != "" {
			ids = append(ids, strings.ToLower(id))
		}
		// One that has ended is followed no more, and there are many of them.
		if id := strings.ToLower(job.Status.JobID); id != "" && !job.Status.Phase.Final() && len(ids) == 0 {
			ids = append(ids, id)
		}
		return ids
	},
}

// indexed returns the DaftyJobs of a namespace that have a value in a field index. They aren't to be changed.
func (r *Reconciler) indexed(ctx context.Context, namespace, field, value string) ([]v1alpha1.DaftyJob, error) {
	jobs := &v1alpha1.DaftyJobList{}
	if err := r.List(ctx, jobs, client.InNamespace(namespace), client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing DaftyJobs: %w", err)
	}
	return jobs.Items, nil
}

// dependents returns the DaftyJobs that Dependents finds, for the watch to bring them back.
func (r *Reconciler) dependents(ctx context.Context, obj client.Object) []reconcile.Request {
	var requests []reconcile.Request
	names, err := Dependents(obj.(*v1alpha1.DaftyJob), func(field, value string) ([]v1alpha1.DaftyJob, error) {
		return r.indexed(ctx, obj.GetNamespace(), field, value)
	})
	if err != nil {
		// Only where the cache is at its end.
		log.FromContext(ctx).Error(err, "looking for the DaftyJobs that wait", "name", obj.GetName())
	}
	for _, name := range names {
		requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: name}})
	}
	return requests
}

// Dependents returns the names of the DaftyJobs that wait for job, or adopt the job at Dafty which it adopts or has. indexed
// returns the DaftyJobs of the namespace that have a value in one of the Indexes. Where job is new, those that wait for these
// are among them, and so on: it may close a circle.
func Dependents(job *v1alpha1.DaftyJob, indexed func(field, value string) ([]v1alpha1.DaftyJob, error)) ([]string, error) {
	var found []string
	seen := map[string]bool{job.Name: true}
	for names := []string{job.Name}; len(names) > 0; names = names[1:] {
		waiting, err := indexed(dependsOn, names[0])
		if err != nil {
			return found, err
		}
		for i := range waiting {
			name := waiting[i].Name
			if seen[name] {
				continue
			}
			seen[name] = true
			found = append(found, name)
			if job.Status.Phase == "" {
				names = append(names, name)
			}
		}
	}
	id := strings.ToLower(cmp.Or(job.Spec.AdoptJobID, job.Status.JobID))
	if id == "" {
		return found, nil
	}
	following, err := indexed(followedJob, id)
	for i := range following {
		if other := &following[i]; !seen[other.Name] && other.Spec.AdoptJobID != "" && !other.Status.Phase.Final() {
			found = append(found, other.Name)
		}
	}
	return found, err
}

// awaited reports whether another DaftyJob still waits for what this one made.
func (r *Reconciler) awaited(ctx context.Context, job *v1alpha1.DaftyJob) (bool, error) {
	jobs, err := r.indexed(ctx, job.Namespace, dependsOn, job.Name)
	return slices.ContainsFunc(jobs, func(other v1alpha1.DaftyJob) bool {
		return lifecycle.Wanted(&other)
	}), err
}

// adopter returns the name of another DaftyJob that is to follow the job which this one adopts, empty where there is none. One
// that follows it goes before one that doesn't yet, and of two alike the older: the cache may have told each of two that
// begin at the same moment that the other doesn't.
func (r *Reconciler) adopter(ctx context.Context, job *v1alpha1.DaftyJob) (string, error) {
	if job.Spec.AdoptJobID == "" || job.Status.Phase.Final() {
		return "", nil
	}
	jobs, err := r.indexed(ctx, job.Namespace, followedJob, strings.ToLower(job.Spec.AdoptJobID))
	if err != nil {
		return "", err
	}
	for i := range jobs {
		other := &jobs[i]
		if other.UID == job.UID {
			continue
		}
		follows, first := other.Status.JobID != "", job.Status.JobID == ""
		if follows && first || follows != first && !other.Status.Phase.Final() && olderThan(other, job) {
			return other.Name, nil
		}
	}
	return "", nil
}

func olderThan(a, b *v1alpha1.DaftyJob) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}
