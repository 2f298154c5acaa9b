package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// ListReader reads a DaftyAccount, a DaftyAsset or a DaftyJob as a list of one: the operator has the right to list these and no right to get them.
type ListReader struct {
	client.Reader
}

// Get implements client.Reader.
func (r ListReader) Get(ctx context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	which := []client.ListOption{client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name}}
	switch into := into.(type) {
	case *v1alpha1.DaftyAccount:
		list := &v1alpha1.DaftyAccountList{}
		if err := r.List(ctx, list, which...); err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return notFound("daftyaccounts", key.Name)
		}
		*into = list.Items[0]
	case *v1alpha1.DaftyAsset:
		list := &v1alpha1.DaftyAssetList{}
		if err := r.List(ctx, list, which...); err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return notFound("daftyassets", key.Name)
		}
		*into = list.Items[0]
	case *v1alpha1.DaftyJob:
		list := &v1alpha1.DaftyJobList{}
		if err := r.List(ctx, list, which...); err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return notFound("daftyjobs", key.Name)
		}
		*into = list.Items[0]
	default:
		return fmt.Errorf("no list of %T is read", into)
	}
	return nil
}

func notFound(resource, name string) error {
	return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource(resource).GroupResource(), name)
}
