package simulation

import (
	"context"
	"encoding/json"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// write is a write that isn't a patch of a DaftyJob.
func (c apiClient) write(what string, write func() error) error {
	if err := c.travel(what); err != nil {
		return err
	}
	err := c.apply(what, func() (string, error) { return "", write() }, func() {})
	if goneErr := c.travel(what + " answer"); goneErr != nil {
		return goneErr
	}
	return err
}

// apply makes a write have its effect, unless the process is dead or a fault hits it; its answer may be lost. write returns
// what to show of it in the trace, and then follows a success.
func (c apiClient) apply(what string, write func() (shown string, err error), then func()) error {
	e := c.p.env
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.refused(c.p, what, c.kind == ""); err != nil && !c.p.dead {
		return err
	}
	n, alive := c.p.beginEffect(what)
	if !alive {
		return context.Canceled
	}
	spoilt := e.apiFaults.hit(e, what)
	if spoilt && e.random.oneIn(2, what+" has no effect") {
		e.trace.add(c.p.id, "%s: fails, without effect", what)
		return apierrors.NewInternalError(errors.New("etcdserver: leader changed"))
	}
	shown, err := write()
	switch {
	case err != nil:
		e.trace.add(c.p.id, "%s: %s", what, apierrors.ReasonForError(err))
	case shown != "":
		e.trace.add(c.p.id, "%s: %s", what, shown)
	default:
		e.trace.add(c.p.id, "%s", what)
	}
	c.p.endEffect(n)
	if err != nil {
		return err
	}
	then()
	if spoilt {
		e.trace.add(c.p.id, "%s: the answer is lost", what)
		return apierrors.NewTimeoutError("the server was unable to return a response in the time allotted", 1)
	}
	return nil
}

// Patch implements client.Writer.
func (c apiClient) Patch(_ context.Context, obj client.Object, patch client.Patch, _ ...client.PatchOption) error {
	if configMap, ok := obj.(*corev1.ConfigMap); ok {
		if c.p.env.mutation.keepResults && c.kind != "" {
			return nil
		}
		return c.write("patch configmap "+obj.GetName(), func() error { return c.p.env.api.patchConfigMap(configMap) })
	}
	return c.patch(obj, patch, false)
}

// Status implements client.StatusClient.
func (c apiClient) Status() client.SubResourceWriter { return statusClient{c: c} }

type statusClient struct {
	client.SubResourceWriter
	c apiClient
}

// Patch implements client.SubResourceWriter.
func (s statusClient) Patch(_ context.Context, obj client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	return s.c.patch(obj, patch, true)
}

// patch is one write: it travels, has its effect, and the answer travels back. A crash or a
// fault can come between any two of these.
func (c apiClient) patch(obj client.Object, patch client.Patch, status bool) error {
	if asset, ok := obj.(*v1alpha1.DaftyAsset); ok {
		return c.patchAsset(asset, patch, status)
	}
	if of, ok := obj.(*v1alpha1.DaftyAccount); ok {
		return c.patchAccount(of, patch)
	}
	job, e := obj.(*v1alpha1.DaftyJob), c.p.env
	data, err := patch.Data(obj)
	if err != nil {
		return err
	}
	what := "patch " + job.Name
	if status {
		what = "patch status of " + job.Name
	}
	if mutate := e.mutation.patch; mutate != nil {
		var dropped bool
		if data, dropped = mutated(data, job, mutate); dropped {
			return nil
		}
	}
	if err := c.travel(what); err != nil {
		return err
	}
	stored, err := c.patchStored(job.Name, what, status, data)
	if goneErr := c.travel(what + " answer"); goneErr != nil {
		return goneErr
	}
	if err != nil {
		return err
	}
	stored.DeepCopyInto(job)
	return nil
}

func (c apiClient) patchStored(name, what string, status bool, data []byte) (stored *v1alpha1.DaftyJob, err error) {
	before := (*v1alpha1.DaftyJob)(nil)
	err = c.apply(what, func() (shown string, err error) {
		before = c.p.env.api.get(name)
		c.p.env.invariants.writer = c.p
		defer func() { c.p.env.invariants.writer = nil }()
		switch stored, err = c.p.env.api.patch(name, status, data); {
		case err != nil:
			return "", err
		case status:
			return describe(stored), nil
		default:
			return describePatch(data), nil
		}
	}, func() {
		c.p.env.invariants.checkRelease(before, stored)
		if stored.Status.InDoubt() {
			c.p.env.reached("before")
		}
	})
	return stored, err
}

// patchAsset is the same for a DaftyAsset.
func (c apiClient) patchAsset(of *v1alpha1.DaftyAsset, patch client.Patch, status bool) error {
	e, what := c.p.env, "patch asset "+of.Name
	if status {
		what = "patch status of asset " + of.Name
	}
	data, err := patch.Data(of)
	if err != nil {
		return err
	}
	if mutate := e.mutation.patchAsset; mutate != nil {
		var dropped bool
		if data, dropped = mutated(data, of, mutate); dropped {
			return nil
		}
	}
	var stored *v1alpha1.DaftyAsset
	if err := c.travel(what); err != nil {
		return err
	}
	err = c.apply(what, func() (shown string, err error) {
		if stored, err = e.api.patchAsset(of.Name, status, data); err != nil {
			return "", err
		}
		return describeAsset(stored), nil
	}, func() {})
	if goneErr := c.travel(what + " answer"); goneErr != nil {
		return goneErr
	}
	if err != nil {
		return err
	}
	stored.DeepCopyInto(of)
	return nil
}

// mutated lets a mutation change a patch, or drop it.
func mutated[T any](data []byte, of *T, mutate func(*T, map[string]any) bool) ([]byte, bool) {
	var patch map[string]any
	if err := json.Unmarshal(data, &patch); err != nil {
		panic(err)
	}
	drop := mutate(of, patch)
	data, err := json.Marshal(patch)
	if err != nil {
		panic(err)
	}
	return data, drop
}
