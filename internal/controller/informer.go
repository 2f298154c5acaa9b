package controller

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// NewInformer returns a shared informer that notices when the API server's store was set back, as the restore of an etcd backup does. A watch
// that is resumed there from a resourceVersion which is yet to come is silent, without an error, until the store has come that far; what
// happens until then is never seen.
func NewInformer(lw toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	if own, ok := lw.(*toolscache.ListWatch); ok {
		own.WatchFuncWithContext = watchOfThePresent(own.ListWithContextFunc, own.WatchFuncWithContext)
	}
	return toolscache.NewSharedIndexInformer(lw, object, resync, indexers)
}

// watchOfThePresent refuses to watch from a resourceVersion that the store doesn't have yet, with the error at which a reflector lists again. It
// costs the smallest of lists for each watch, of which there is one in some minutes.
func watchOfThePresent(list toolscache.ListWithContextFunc, watchFrom toolscache.WatchFuncWithContext) toolscache.WatchFuncWithContext {
	return func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		if from := options.ResourceVersion; from != "" && from != "0" {
			present, err := list(ctx, metav1.ListOptions{Limit: 1})
			if err != nil {
				return nil, err
			}
			of, err := meta.ListAccessor(present)
			if err != nil {
				return nil, err
			}
			if order, err := resourceversion.CompareResourceVersion(of.GetResourceVersion(), from); err == nil && order < 0 {
				return nil, apierrors.NewResourceExpired("the API server's store was set back: it is at resourceVersion " + of.GetResourceVersion() +
					", and " + from + " was seen before")
			}
		}
		return watchFrom(ctx, options)
	}
}
