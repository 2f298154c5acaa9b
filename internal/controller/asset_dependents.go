package controller

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// MadeByIndex is the field index of the DaftyAsset that made a DaftyJob, by name.
const MadeByIndex = "madeBy"

// MadeByAsset indexes a DaftyJob by the name of the DaftyAsset that made it.
func MadeByAsset(obj client.Object) []string {
	if name, _, made := lifecycle.MadeBy(obj.(*v1alpha1.DaftyJob)); made {
		return []string{name}
	}
	return nil
}

// dependents returns the DaftyAssets that a change of a DaftyAsset or DaftyJob concerns, for the watch to bring them back.
func (r *AssetReconciler) dependents(ctx context.Context, obj client.Object) (requests []reconcile.Request) {
	index := r.index(ctx, obj.GetNamespace())
	var names []string
	var err error
	switch changed := obj.(type) {
	case *v1alpha1.DaftyAsset:
		names, err = index.AssetsOfAsset(changed)
	case *v1alpha1.DaftyJob:
		names, err = index.AssetsOfJob(changed)
	}
	if err != nil {
		// Only where the cache is at its end.
		log.FromContext(ctx).Error(err, "looking for the DaftyAssets that it concerns", "name", obj.GetName())
	}
	for _, name := range names {
		requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: name}})
	}
	return requests
}

// index finds the objects of a namespace in the cache. They aren't to be changed.
func (r *AssetReconciler) index(ctx context.Context, namespace string) Index {
	return Index{
		Jobs: func(field, value string) ([]v1alpha1.DaftyJob, error) {
			jobs := &v1alpha1.DaftyJobList{}
			err := r.List(ctx, jobs, client.InNamespace(namespace), client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy)
			return jobs.Items, err
		},
		Assets: func(field, value string) ([]v1alpha1.DaftyAsset, error) {
			assets := &v1alpha1.DaftyAssetList{}
			err := r.List(ctx, assets, client.InNamespace(namespace), client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy)
			return assets.Items, err
		},
	}
}

// AssetsOfAsset returns the names of the DaftyAssets that refer to one. Where its spec is new, those that refer to these are among
// them, and so on: it may close a cycle, or open one.
func (x Index) AssetsOfAsset(of *v1alpha1.DaftyAsset) ([]string, error) {
	return x.referring(lifecycle.AssetNode(of.Name), of.Status.ObservedGeneration != of.Generation || of.DeletionTimestamp != nil)
}

// AssetsOfJob returns the name of the DaftyAsset that a DaftyJob belongs to, or whose wanted name it may have, and of those that
// refer to it.
func (x Index) AssetsOfJob(job *v1alpha1.DaftyJob) (names []string, err error) {
	name, _, made := lifecycle.MadeBy(job)
	if !made {
		name = asset.NameFrom(job.Name)
	}
	if name != "" {
		names = append(names, name)
	}
	if made {
		return names, nil
	}
	found, err := x.referring(lifecycle.JobNode(job.Name), job.Status.Phase == "")
	return append(names, found...), err
}

// referring returns the names of the DaftyAssets that refer to a node; with all, also of those that do so by way of others, through
// DaftyJobs too.
func (x Index) referring(to lifecycle.Node, all bool) (found []string, err error) {
	seen := map[lifecycle.Node]bool{to: true}
	for nodes := []lifecycle.Node{to}; len(nodes) > 0; nodes = nodes[1:] {
		waiting, err := x.waitingFor(nodes[0], all)
		if err != nil {
			return found, err
		}
		for _, next := range waiting {
			if seen[next] {
				continue
			}
			seen[next] = true
			if next.IsAsset() {
				found = append(found, next.Name)
			}
			if all {
				nodes = append(nodes, next)
			}
		}
	}
	return found, nil
}

// waitingFor returns what refers to a node: DaftyAssets, and DaftyJobs where they are asked for.
func (x Index) waitingFor(node lifecycle.Node, jobsToo bool) (found []lifecycle.Node, err error) {
	field := dependsOn
	if node.IsAsset() {
		field = dependsOnAsset
	}
	assets, err := x.Assets(field, node.Name)
	if err != nil {
		return nil, err
	}
	for i := range assets {
		found = append(found, lifecycle.AssetNode(assets[i].Name))
	}
	if !jobsToo {
		return found, nil
	}
	jobs, err := x.Jobs(field, node.Name)
	if err != nil {
		return nil, err
	}
	for i := range jobs {
		found = append(found, lifecycle.JobNode(jobs[i].Name))
	}
	return found, nil
}
