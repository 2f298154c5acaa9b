package simulation

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// liveReader reads past a process's cache.
type liveReader struct {
	client.Reader
	p    *process
	kind string
}

// List implements client.Reader.
func (l liveReader) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	name, _ := o.FieldSelector.RequiresExactMatch("metadata.name")
	if err := (apiClient{p: l.p, kind: l.kind}).read("list " + name); err != nil {
		return err
	}
	e := l.p.env
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mutation.noLiveReads {
		return nil
	}
	switch list := list.(type) {
	case *v1alpha1.DaftyJobList:
		job := e.api.get(name)
		if e.mutation.cachedLiveReads {
			job = l.p.jobs.get(name)
		}
		if job != nil {
			list.Items = append(list.Items, *job.DeepCopy())
		}
	case *v1alpha1.DaftyAssetList:
		if asset := e.api.asset(name); asset != nil {
			list.Items = append(list.Items, *asset.DeepCopy())
		}
	}
	return nil
}

// Get implements client.Reader.
func (l liveReader) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	if err := (apiClient{p: l.p, kind: l.kind}).read("get " + key.Name); err != nil {
		return err
	}
	e := l.p.env
	e.mu.Lock()
	defer e.mu.Unlock()
	switch obj := obj.(type) {
	case *v1alpha1.DaftyJob:
		job := e.api.get(key.Name)
		if job == nil || e.mutation.noLiveReads {
			return apierrors.NewNotFound(jobResource, key.Name)
		}
		job.DeepCopyInto(obj)
		if mutate := e.mutation.readToSettle; mutate != nil {
			mutate(obj)
		}
	case *v1alpha1.DaftyAccount:
		account := e.api.account(key.Name)
		if account == nil || e.mutation.noLiveReads {
			return apierrors.NewNotFound(accountResource, key.Name)
		}
		account.DeepCopyInto(obj)
		if mutate := e.mutation.readAccount; mutate != nil {
			mutate(obj)
		}
	}
	return nil
}
