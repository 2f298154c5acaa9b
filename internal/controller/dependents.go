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
	// dependsOn is the field index of the DaftyJobs that a DaftyJob still waits for, or that the template of a DaftyAsset refers
	// to, by name.
	dependsOn = "dependsOn"
	// dependsOnAsset is the same of DaftyAssets.
	dependsOnAsset = "dependsOnAsset"
	// ofAccount is the field index of the DaftyAccount that a DaftyJob names and hasn't done with.
	ofAccount = "ofAccount"
	// followedJob is the field index of the job at Dafty that a DaftyJob follows, by id in lower case.
	followedJob = "followedJob"
)

// Indexes are the field indexes of DaftyJobs that the reconciler reads by.
var Indexes = map[string]client.IndexerFunc{
	dependsOn: func(obj client.Object) []string {
		jobs, _ := lifecycle.Needs(obj.(*v1alpha1.DaftyJob))
		return jobs
	},
	dependsOnAsset: func(obj client.Object) []string { return lifecycle.NeedsAssets(obj.(*v1alpha1.DaftyJob)) },
	ofAccount: func(obj client.Object) []string {
		job := obj.(*v1alpha1.DaftyJob)
		if job.Spec.AccountRef == nil || job.Status.Phase.Final() {
			return nil
		}
		return []string{job.Spec.AccountRef.Name}
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

// AssetIndexes are the field indexes of DaftyAssets.
var AssetIndexes = map[string]client.IndexerFunc{
	dependsOn: func(obj client.Object) []string {
		return lifecycle.DependsOn(&obj.(*v1alpha1.DaftyAsset).Spec.Template.Spec)
	},
	dependsOnAsset: func(obj client.Object) []string {
		return lifecycle.DependsOnAssets(&obj.(*v1alpha1.DaftyAsset).Spec.Template.Spec)
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

// indexedAssets returns the DaftyAssets of a namespace that have a value in a field index. They aren't to be changed.
func (r *Reconciler) indexedAssets(ctx context.Context, namespace, field, value string) ([]v1alpha1.DaftyAsset, error) {
	if !r.WithAssets {
		return nil, nil
	}
	assets := &v1alpha1.DaftyAssetList{}
	if err := r.List(ctx, assets, client.InNamespace(namespace), client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing DaftyAssets: %w", err)
	}
	return assets.Items, nil
}

// dependents returns the DaftyJobs that a change of a DaftyJob or DaftyAsset concerns, for the watch to bring them back.
func (r *Reconciler) dependents(ctx context.Context, obj client.Object) []reconcile.Request {
	index := Index{
		Jobs: func(field, value string) ([]v1alpha1.DaftyJob, error) {
			return r.indexed(ctx, obj.GetNamespace(), field, value)
		},
		Assets: func(field, value string) ([]v1alpha1.DaftyAsset, error) {
			return r.indexedAssets(ctx, obj.GetNamespace(), field, value)
		},
	}
	var names []string
	var err error
	switch changed := obj.(type) {
	case *v1alpha1.DaftyJob:
		names, err = index.Dependents(changed)
	case *v1alpha1.DaftyAsset:
		names, err = index.AssetDependents(changed)
	}
	if err != nil {
		// Only where the cache is at its end.
		log.FromContext(ctx).Error(err, "looking for the DaftyJobs that wait", "name", obj.GetName())
	}
	var requests []reconcile.Request
	for _, name := range names {
		requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: name}})
	}
	return requests
}

// Index finds the objects of a namespace that have a value in one of the Indexes or AssetIndexes.
type Index struct {
	Jobs   func(field, value string) ([]v1alpha1.DaftyJob, error)
	Assets func(field, value string) ([]v1alpha1.DaftyAsset, error)
}

// Dependents returns the names of the DaftyJobs that wait for job, or adopt the job at Dafty which it adopts or has. Where job is
// new, those that wait for these are among them, and so on: it may close a circle.
func (x Index) Dependents(job *v1alpha1.DaftyJob) ([]string, error) {
	found, err := x.waiting(lifecycle.JobNode(job.Name), job.Status.Phase == "")
	id := strings.ToLower(cmp.Or(job.Spec.AdoptJobID, job.Status.JobID))
	if err != nil || id == "" {
		return found, err
	}
	following, err := x.Jobs(followedJob, id)
	for i := range following {
		other := &following[i]
		if other.Name != job.Name && !slices.Contains(found, other.Name) && other.Spec.AdoptJobID != "" && !other.Status.Phase.Final() {
			found = append(found, other.Name)
		}
	}
	return found, err
}

// AssetDependents returns the names of the DaftyJobs that wait for asset, and of the one that it has on record. Where its spec is
// new, those that wait for these are among them, and so on: it may close a circle.
func (x Index) AssetDependents(asset *v1alpha1.DaftyAsset) ([]string, error) {
	found, err := x.waiting(lifecycle.AssetNode(asset.Name), asset.Status.ObservedGeneration != asset.Generation)
	if pending := asset.Status.Pending; pending != nil && !slices.Contains(found, pending.JobName) {
		found = append(found, pending.JobName)
	}
	return found, err
}

// waiting returns the names of the DaftyJobs that wait for a node; with all, also of those that wait for it by way of others.
func (x Index) waiting(on lifecycle.Node, all bool) (found []string, err error) {
	seen := map[lifecycle.Node]bool{on: true}
	for nodes := []lifecycle.Node{on}; len(nodes) > 0; nodes = nodes[1:] {
		field := dependsOn
		if nodes[0].IsAsset() {
			field = dependsOnAsset
		}
		jobs, err := x.Jobs(field, nodes[0].Name)
		if err != nil {
			return found, err
		}
		var next []lifecycle.Node
		for i := range jobs {
			next = append(next, lifecycle.JobNode(jobs[i].Name))
		}
		if all {
			assets, err := x.Assets(field, nodes[0].Name)
			if err != nil {
				return found, err
			}
			for i := range assets {
				next = append(next, lifecycle.AssetNode(assets[i].Name))
			}
		}
		for _, node := range next {
			if seen[node] {
				continue
			}
			seen[node] = true
			if !node.IsAsset() {
				found = append(found, node.Name)
			}
			if all {
				nodes = append(nodes, node)
			}
		}
	}
	return found, nil
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

// ofAccount returns the DaftyJobs that name a DaftyAccount and aren't submitted yet, for the watch to bring them back.
func (r *Reconciler) ofAccount(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.unsubmitted(ctx, client.MatchingFields{ofAccount: obj.GetName()})
}

// ofNamespace returns those of a namespace that name any.
func (r *Reconciler) ofNamespace(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.unsubmitted(ctx, client.InNamespace(obj.GetName()))
}

func (r *Reconciler) unsubmitted(ctx context.Context, of client.ListOption) (requests []reconcile.Request) {
	jobs := &v1alpha1.DaftyJobList{}
	if err := r.List(ctx, jobs, of, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "looking for the DaftyJobs of a DaftyAccount")
	}
	for i := range jobs.Items {
		if job := &jobs.Items[i]; job.Spec.AccountRef != nil && job.Status.JobID == "" && !job.Status.Phase.Final() {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(job)})
		}
	}
	return requests
}
