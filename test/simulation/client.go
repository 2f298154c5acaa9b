package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
)

// apiClient is a process's client of the API server: DaftyJobs are read from the process's
// cache, Secrets and ConfigMaps live. What the operator must not call panics.
type apiClient struct {
	client.Client
	p *process
	// kind is in what is drawn for it, empty for the controller of DaftyJobs.
	kind string
}

// Get implements client.Reader.
func (c apiClient) Get(ctx context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	e := c.p.env
	switch obj := obj.(type) {
	case *v1alpha1.DaftyJob:
		e.mu.Lock()
		defer e.mu.Unlock()
		job := c.p.jobs.get(key.Name)
		if job == nil {
			return apierrors.NewNotFound(jobResource, key.Name)
		}
		job.DeepCopyInto(obj)
		mutate := e.mutation.read
		if c.kind == ofBudgets {
			mutate = e.mutation.readToSettle
		}
		if mutate != nil {
			mutate(obj)
		}
		return nil
	case *v1alpha1.DaftyAsset:
		e.mu.Lock()
		defer e.mu.Unlock()
		asset := c.p.assets.get(key.Name)
		if asset == nil {
			return apierrors.NewNotFound(assetResource, key.Name)
		}
		asset.DeepCopyInto(obj)
		if mutate := e.mutation.readMaker; mutate != nil && c.kind == "" {
			mutate(c.p.jobs.get(fmt.Sprint(ctx.Value(reconciledKey{}))), obj)
		}
		if mutate := e.mutation.readAsset; mutate != nil && c.kind != "" {
			mutate(e, obj)
		}
		return nil
	case *v1alpha1.DaftyAccount:
		return c.p.cachedAccount(key.Name, obj)
	case *metav1.PartialObjectMetadata:
		return c.p.cachedNamespace(key.Name, obj)
	case *corev1.Secret:
		return c.getSecret(key.Name, obj)
	case *corev1.ConfigMap:
		// Two DaftyJobs that want the same one at the same instant draw each for itself.
		if err := c.read(fmt.Sprint("get configmap ", key.Name, " for ", ctx.Value(reconciledKey{}))); err != nil {
			return err
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		configMap := e.api.configMaps[key.Name]
		if configMap == nil {
			return apierrors.NewNotFound(configMapResource, key.Name)
		}
		configMap.DeepCopyInto(obj)
		if mutate := e.mutation.readResult; mutate != nil {
			mutate(obj)
		}
		return nil
	}
	panic(fmt.Sprintf("simulation: the operator reads a %T", obj))
}

// getSecret reads a Secret in no time: DaftyJobs share a read that is under way, and all would go on at the same instant, in any
// order.
func (c apiClient) getSecret(name string, into *corev1.Secret) error {
	what := "get secret " + name
	if !c.p.gate(what) {
		return context.Canceled
	}
	if err := c.answer(what); err != nil {
		return err
	}
	e := c.p.env
	e.mu.Lock()
	defer e.mu.Unlock()
	secret := e.api.secrets[name]
	if secret == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	secret.DeepCopyInto(into)
	return nil
}

// read is a way to the API server and back that changes nothing.
func (c apiClient) read(what string) error {
	if err := c.travel(what); err != nil {
		return err
	}
	return c.answer(what)
}

// answer is what the API server makes of a read.
func (c apiClient) answer(what string) error {
	e := c.p.env
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.apiFaults.hit(e, what) {
		return apierrors.NewInternalError(errors.New("etcdserver: request timed out"))
	}
	return nil
}

// List implements client.Reader.
func (c apiClient) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	e := c.p.env
	o := (&client.ListOptions{}).ApplyOptions(opts)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch list := list.(type) {
	case *v1alpha1.DaftyJobList:
		for _, job := range all(c.p.jobs.objects) {
			if o.FieldSelector == nil || selected(jobIndexes, job, o.FieldSelector) {
				list.Items = append(list.Items, *job.DeepCopy())
			}
		}
		return nil
	case *v1alpha1.DaftyAssetList:
		for _, asset := range all(c.p.assets.objects) {
			if o.FieldSelector == nil || selected(controller.AssetIndexes, asset, o.FieldSelector) {
				list.Items = append(list.Items, *asset.DeepCopy())
			}
		}
		return nil
	}
	panic(fmt.Sprintf("simulation: the operator lists a %T", list))
}

// selected reports whether the field indexes have the object under the values that are asked for.
func selected(indexes map[string]client.IndexerFunc, obj client.Object, selector fields.Selector) bool {
	for _, r := range selector.Requirements() {
		if !slices.Contains(indexes[r.Field](obj), r.Value) {
			return false
		}
	}
	return true
}

// Create implements client.Writer, for ConfigMaps and DaftyJobs.
func (c apiClient) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	if job, ok := obj.(*v1alpha1.DaftyJob); ok {
		if mutate := c.p.env.mutation.create; mutate != nil {
			mutate(job)
		}
		return c.write("create "+job.Name, func() error { return c.p.env.api.createJob(job) })
	}
	return c.write("create configmap "+obj.GetName(), func() error { return c.p.env.api.createConfigMap(obj.(*corev1.ConfigMap)) })
}

// Delete implements client.Writer, for DaftyJobs.
func (c apiClient) Delete(_ context.Context, obj client.Object, opts ...client.DeleteOption) error {
	o := (&client.DeleteOptions{}).ApplyOptions(opts)
	return c.write("delete "+obj.GetName(), func() error {
		stored := c.p.env.api.get(obj.GetName())
		switch {
		case stored == nil:
			return apierrors.NewNotFound(jobResource, obj.GetName())
		case *o.Preconditions.UID != stored.UID, *o.Preconditions.ResourceVersion != stored.ResourceVersion:
			return apierrors.NewConflict(jobResource, obj.GetName(), errors.New("the preconditions don't hold"))
		}
		c.p.env.api.delete(obj.GetName())
		return nil
	})
}

// travel is a way to the API server or back.
func (c apiClient) travel(what string) error {
	p := c.p
	if !p.sleep(p.env.random.between(time.Millisecond, 20*time.Millisecond, p.id+" "+what+c.kind)) || !p.gate(what) {
		return context.Canceled
	}
	return nil
}
