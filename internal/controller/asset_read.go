package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/resultmap"
)

// readAsset reads all that a decision about a DaftyAsset rests on. The snapshot is nil where none is to be made now.
func (r *AssetReconciler) readAsset(ctx context.Context, name types.NamespacedName) (s *asset.Snapshot, wait time.Duration, err error) {
	expected := r.writes.expected(name)
	read := &v1alpha1.DaftyAsset{}
	if err := r.Get(ctx, name, read); err != nil {
		if apierrors.IsNotFound(err) {
			r.writes.forget(name)
			r.results.Forget(name)
			r.memory.forget(name)
		}
		return nil, 0, client.IgnoreNotFound(err)
	}
	now := r.Clock.Now()
	if r.writes.stale(read, now) {
		return nil, staleFor, nil
	}
	if isBefore(read, expected) {
		// The cache was given it since.
		if err := r.Get(ctx, name, read); err != nil {
			return nil, 0, client.IgnoreNotFound(err)
		}
	}
	s = &asset.Snapshot{Asset: read, Now: now, Known: r.memory.known(read, now)}
	if s.Jobs, err = r.jobsOf(ctx, read); err != nil {
		return nil, 0, err
	}
	if err := r.readUpstream(ctx, s); err != nil {
		return nil, 0, err
	}
	if current := read.Status.Current; current != nil {
		store := r.store()
		s.ResultChanged = store.Changed(ctx, r.resultOwner(read), current.JobID, current.Result)
	}
	return s, 0, nil
}

// jobsOf returns the DaftyJobs that an asset controls. The one that is pending is asked for past the cache before it is taken for
// deleted: the cache of DaftyJobs may be behind the one of assets.
func (r *AssetReconciler) jobsOf(ctx context.Context, of *v1alpha1.DaftyAsset) ([]*v1alpha1.DaftyJob, error) {
	list := &v1alpha1.DaftyJobList{}
	if err := r.List(ctx, list, client.InNamespace(of.Namespace), client.MatchingFields{MadeByIndex: of.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing DaftyJobs: %w", err)
	}
	var jobs []*v1alpha1.DaftyJob
	for i := range list.Items {
		if _, uid, _ := lifecycle.MadeBy(&list.Items[i]); uid == of.UID {
			jobs = append(jobs, &list.Items[i])
		}
	}
	jobs = r.memory.correct(client.ObjectKeyFromObject(of), jobs, r.Clock.Now())
	p := of.Status.Pending
	if p == nil || p.UID == "" || p.FinishedAt != nil || slices.ContainsFunc(jobs, func(job *v1alpha1.DaftyJob) bool { return job.UID == p.UID }) {
		return jobs, nil
	}
	there, err := r.liveJob(ctx, of.Namespace, p.JobName)
	if err != nil {
		return nil, err
	}
	if there != nil && there.UID == p.UID {
		jobs = append(jobs, there)
	}
	return jobs, nil
}

// liveJob reads a DaftyJob from the API server, nil where there is none.
func (r *AssetReconciler) liveJob(ctx context.Context, namespace, name string) (*v1alpha1.DaftyJob, error) {
	job := &v1alpha1.DaftyJob{}
	if err := (ListReader{r.Live}).Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, job); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading DaftyJob %q: %w", name, err)
	}
	return job, nil
}

// readUpstream reads the assets that the template names, and whether they lead back to it.
func (r *AssetReconciler) readUpstream(ctx context.Context, s *asset.Snapshot) error {
	edges := lifecycle.AssetEdges(s.Asset)
	if len(edges) == 0 {
		return nil
	}
	var failed error
	upstream := func(name string) *v1alpha1.DaftyAsset {
		if name == s.Asset.Name {
			return s.Asset
		}
		read := &v1alpha1.DaftyAsset{}
		err := r.Get(ctx, types.NamespacedName{Namespace: s.Asset.Namespace, Name: name}, read)
		if err == nil {
			return read
		}
		if !apierrors.IsNotFound(err) {
			failed = errors.Join(failed, fmt.Errorf("reading DaftyAsset %q: %w", name, err))
		}
		return nil
	}
	job := func(name string) *v1alpha1.DaftyJob {
		read := &v1alpha1.DaftyJob{}
		err := r.Get(ctx, types.NamespacedName{Namespace: s.Asset.Namespace, Name: name}, read)
		if err == nil {
			return read
		}
		if !apierrors.IsNotFound(err) {
			failed = errors.Join(failed, fmt.Errorf("reading DaftyJob %q: %w", name, err))
		}
		return nil
	}
	s.Upstream = map[string]*v1alpha1.DaftyAsset{}
	for _, name := range lifecycle.DependsOnAssets(&s.Asset.Spec.Template.Spec) {
		if read := upstream(name); read != nil {
			s.Upstream[name] = read
		}
	}
	if way := lifecycle.FindCycle(lifecycle.AssetNode(s.Asset.Name), lifecycle.Edges(job, upstream)); way != nil {
		s.Cycle = lifecycle.DescribeCycle(way)
	}
	return failed
}

// store returns what keeps results in ConfigMaps.
func (r *AssetReconciler) store() *resultmap.Store {
	return &resultmap.Store{Client: r.Client, Clock: r.Clock, Versions: r.Results, Memory: &r.results}
}

// resultOwner returns an asset as the owner of its ConfigMap.
func (r *AssetReconciler) resultOwner(of *v1alpha1.DaftyAsset) resultmap.Owner {
	return resultmap.Owner{
		Object:        of,
		Kind:          asset.Kind,
		ConfigMap:     of.Spec.ResultConfigMap,
		Metadata:      of.Spec.ResultConfigMapMetadata,
		ManyJobs:      true,
		StoredIn:      of.Status.ResultConfigMap,
		StoredVersion: of.Status.ResultConfigMapVersion,
		Exists: func(ctx context.Context) (bool, error) {
			list := &v1alpha1.DaftyAssetList{}
			err := r.Live.List(ctx, list, client.InNamespace(of.Namespace), client.MatchingFields{"metadata.name": of.Name})
			return slices.ContainsFunc(list.Items, func(is v1alpha1.DaftyAsset) bool { return is.UID == of.UID }), err
		},
	}
}
