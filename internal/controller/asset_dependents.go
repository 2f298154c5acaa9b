package controller

import (
	"context"
	"fmt"

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

// dependentsOfAsset returns the DaftyAssets that refer to one, for the watch to bring them back. Where its spec is new, those that refer
// to these are among them, and so on: it may close a cycle, or open one.
func (r *AssetReconciler) dependentsOfAsset(ctx context.Context, obj client.Object) []reconcile.Request {
	of := obj.(*v1alpha1.DaftyAsset)
	return r.requests(ctx, of.Namespace, lifecycle.AssetNode(of.Name), of.Status.ObservedGeneration != of.Generation || of.DeletionTimestamp != nil)
}

// dependentsOfJob returns the DaftyAsset that a DaftyJob belongs to, or whose wanted name it may have, and those that refer to it.
func (r *AssetReconciler) dependentsOfJob(ctx context.Context, obj client.Object) []reconcile.Request {
	job := obj.(*v1alpha1.DaftyJob)
	name, _, made := lifecycle.MadeBy(job)
	if !made {
		name = asset.NameFrom(job.Name)
	}
	var requests []reconcile.Request
	if name != "" {
		requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: job.Namespace, Name: name}})
	}
	if made {
		return requests
	}
	return append(requests, r.requests(ctx, job.Namespace, lifecycle.JobNode(job.Name), job.Status.Phase == "")...)
}

// requests returns the DaftyAssets that refer to a node, and where all are asked for, those that refer to these, through DaftyJobs too.
func (r *AssetReconciler) requests(ctx context.Context, namespace string, node lifecycle.Node, all bool) (requests []reconcile.Request) {
	seen := map[lifecycle.Node]bool{node: true}
	for nodes := []lifecycle.Node{node}; len(nodes) > 0; nodes = nodes[1:] {
		waiting, err := r.waitingFor(ctx, namespace, nodes[0], all)
		if err != nil {
			// Only where the cache is at its end.
			log.FromContext(ctx).Error(err, "looking for the DaftyAssets that refer to it", "name", node.Name)
			return requests
		}
		for _, next := range waiting {
			if seen[next] {
				continue
			}
			seen[next] = true
			if next.IsAsset() {
				requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: next.Name}})
			}
			if all {
				nodes = append(nodes, next)
			}
		}
	}
	return requests
}

// waitingFor returns what refers to a node: DaftyAssets, and DaftyJobs where they are asked for.
func (r *AssetReconciler) waitingFor(ctx context.Context, namespace string, node lifecycle.Node, jobsToo bool) (found []lifecycle.Node, err error) {
	field := dependsOn
	if node.IsAsset() {
		field = dependsOnAsset
	}
	assets := &v1alpha1.DaftyAssetList{}
	err = r.List(ctx, assets, client.InNamespace(namespace), client.MatchingFields{field: node.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing DaftyAssets: %w", err)
	}
	for i := range assets.Items {
		found = append(found, lifecycle.AssetNode(assets.Items[i].Name))
	}
	if !jobsToo {
		return found, nil
	}
	jobs := &v1alpha1.DaftyJobList{}
	if err := r.List(ctx, jobs, client.InNamespace(namespace), client.MatchingFields{field: node.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing DaftyJobs: %w", err)
	}
	for i := range jobs.Items {
		found = append(found, lifecycle.JobNode(jobs.Items[i].Name))
	}
	return found, nil
}
