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
	switch into := into.(type) {
	case *v1alpha1.DaftyAccount:
		list := &v1alpha1.DaftyAccountList{}
		return getListed(ctx, r, key, "daftyaccounts", list, &list.Items, into)
	case *v1alpha1.DaftyAsset:
		list := &v1alpha1.DaftyAssetList{}
		return getListed(ctx, r, key, "daftyassets", list, &list.Items, into)
	case *v1alpha1.DaftyJob:
		list := &v1alpha1.DaftyJobList{}
		return getListed(ctx, r, key, "daftyjobs", list, &list.Items, into)
	}
	return fmt.Errorf("no list of %T is read", into)
}

// getListed reads the object of a name as a list of one, whose items are those given.
func getListed[T any](ctx context.Context, r client.Reader, key client.ObjectKey, resource string, list client.ObjectList, items *[]T, into *T) error {
	if err := r.List(ctx, list, client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name}); err != nil {
		return err
	}
	if len(*items) == 0 {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource(resource).GroupResource(), key.Name)
	}
	*into = (*items)[0]
	return nil
}
