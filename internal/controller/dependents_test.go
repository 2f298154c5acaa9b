package controller_test

import (
	"errors"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
)

// indexOf returns an index of these objects.
func indexOf(jobs []*v1alpha1.DaftyJob, assets []*v1alpha1.DaftyAsset) controller.Index {
	return controller.Index{
		Jobs: func(field, value string) (found []v1alpha1.DaftyJob, err error) {
			for _, job := range jobs {
				if slices.Contains(controller.Indexes[field](job), value) {
					found = append(found, *job)
				}
			}
			return found, nil
		},
		Assets: func(field, value string) (found []v1alpha1.DaftyAsset, err error) {
			for _, asset := range assets {
				if slices.Contains(controller.AssetIndexes[field](asset), value) {
					found = append(found, *asset)
				}
			}
			return found, nil
		},
	}
}

// Whom a change of a DaftyJob or DaftyAsset concerns: those that wait for it, and where it is new, those that wait for these.
func TestDependents(t *testing.T) {
	onJob := func(name string) v1alpha1.ImageReference {
		return v1alpha1.ImageReference{JobRef: &v1alpha1.JobReference{Name: name}}
	}
	onAsset := func(name string) v1alpha1.ImageReference {
		return v1alpha1.ImageReference{AssetRef: &v1alpha1.AssetReference{Name: name}}
	}
	request := func(on []v1alpha1.ImageReference) *v1alpha1.ImageGenerate {
		return &v1alpha1.ImageGenerate{Prompt: "a", References: on}
	}
	job := func(name string, on ...v1alpha1.ImageReference) *v1alpha1.DaftyJob {
		job := &v1alpha1.DaftyJob{Spec: v1alpha1.DaftyJobSpec{ImageGenerate: request(on)}}
		job.Name = name
		return job
	}
	asset := func(name string, on ...v1alpha1.ImageReference) *v1alpha1.DaftyAsset {
		asset := &v1alpha1.DaftyAsset{}
		asset.Name, asset.Generation, asset.Spec.Template.Spec.ImageGenerate = name, 2, request(on)
		return asset
	}
	seen := func(object client.Object) client.Object {
		switch object := object.(type) {
		case *v1alpha1.DaftyJob:
			object.Status.Phase = v1alpha1.PhasePending
		case *v1alpha1.DaftyAsset:
			object.Status.ObservedGeneration = 2
		}
		return object
	}
	pending := asset("a")
	pending.Status.Pending = &v1alpha1.PendingJob{JobName: "a-1"}
	jobs := []*v1alpha1.DaftyJob{
		job("on-job-a", onJob("a")), job("on-asset-a", onAsset("a")), job("on-both", onJob("a"), onAsset("a"), onAsset("a")),
		job("on-on-job-a", onJob("on-job-a")), job("on-asset-on-job-a", onAsset("asset-on-job-a")), job("on-asset-on-asset-a", onAsset("asset-on-asset-a")),
		job("a", onAsset("asset-on-job-a")), job("other", onJob("b"), onAsset("b")),
	}
	assets := []*v1alpha1.DaftyAsset{
		asset("asset-on-job-a", onJob("a")), asset("asset-on-asset-a", onAsset("a")), asset("asset-other", onAsset("b")),
	}
	index := indexOf(jobs, assets)
	for _, tc := range []struct {
		name string
		of   client.Object
		want []string
	}{
		{"a DaftyJob", seen(job("a")), []string{"on-both", "on-job-a"}},
		{"a new DaftyJob", job("a"), []string{"on-asset-on-job-a", "on-both", "on-job-a", "on-on-job-a"}},
		{"a DaftyAsset", seen(asset("a")), []string{"on-asset-a", "on-both"}},
		{"a DaftyAsset with a new spec", asset("a"), []string{"on-asset-a", "on-asset-on-asset-a", "on-both"}},
		{"a DaftyAsset that others go by", asset("asset-on-job-a"), []string{"a", "on-asset-on-job-a", "on-both", "on-job-a", "on-on-job-a"}},
		{"a DaftyAsset with a DaftyJob on record", seen(pending), []string{"a-1", "on-asset-a", "on-both"}},
		{"a DaftyJob that nobody waits for", job("c"), nil},
		{"a DaftyAsset that nobody waits for", asset("c"), nil},
	} {
		var got []string
		var err error
		switch of := tc.of.(type) {
		case *v1alpha1.DaftyJob:
			got, err = index.Dependents(of)
		case *v1alpha1.DaftyAsset:
			got, err = index.AssetDependents(of)
		}
		if slices.Sort(got); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, %v; want %v", tc.name, got, err, tc.want)
		}
	}
	broken := index
	broken.Assets = func(string, string) ([]v1alpha1.DaftyAsset, error) { return nil, errors.New("the cache is at its end") }
	if _, err := broken.Dependents(job("a")); err == nil {
		t.Error("a new DaftyJob: no error")
	}
	if _, err := broken.Dependents(seen(job("a")).(*v1alpha1.DaftyJob)); err != nil {
		t.Errorf("no DaftyAssets are listed for one that isn't new: %v", err)
	}
}
