package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// tellMissingRights logs in which namespaces DaftyJobs can't be listed: one such namespace holds up all others, as nothing
// begins before all are listed, and what client-go says of it doesn't say so. It logs too where ConfigMaps can't be, as with
// the role of an older version: nobody else would say what follows of it. Whoever has an account may ask this.
func tellMissingRights(ctx context.Context, api client.Writer, namespaces map[string]cache.Config, log logr.Logger) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	rights := rights{api: api, log: log}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		if !rights.mayList(ctx, namespace, v1alpha1.GroupVersion.Group, "daftyjobs") {
			log.Error(nil, "DaftyJobs may not be listed in a namespace of --watch-namespaces, and until they may, none of any namespace is worked on: "+
				"create the namespace, with its Role and RoleBinding, or take it off the list", "namespace", namespace)
		}
	}
	for _, namespace := range watchedNamespaces(namespaces) {
		if !rights.mayList(ctx, namespace, "", "configmaps") {
			log.Error(nil, "ConfigMaps may not be listed, and until they may in all namespaces that are watched, a result's ConfigMap that somebody "+
				"deletes or changes isn't written again: give the operator's service account the Role or ClusterRole of this version, with list "+
				"and watch of configmaps", "namespace", namespace)
		}
	}
}

// assetsWatchable reports whether DaftyAssets can be watched, and logs why where they can't: an upgrade that left out CRDs, or the
// role, must not keep DaftyJobs from being looked after.
func (o *options) assetsWatchable(config *rest.Config, scheme *runtime.Scheme, log logr.Logger) (bool, error) {
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return false, err
	}
	of := v1alpha1.GroupVersion.WithKind("DaftyAsset")
	switch _, err := api.RESTMapper().RESTMapping(of.GroupKind(), of.Version); {
	case meta.IsNoMatchError(err):
		log.Error(nil, "the CRD daftyassets.dafty.ai isn't installed, so DaftyAssets aren't looked after, and DaftyJobs that refer to one wait: "+
			"install the CRDs of this version of the operator, and restart it")
		return false, nil
	case err != nil:
		return false, fmt.Errorf("asking the API server which kinds it has: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, namespace := range watchedNamespaces(o.namespaces()) {
		if !(rights{api: api, log: log}).mayList(ctx, namespace, v1alpha1.GroupVersion.Group, "daftyassets") {
			log.Error(nil, "DaftyAssets may not be listed, so they aren't looked after in any namespace, and DaftyJobs that refer to one wait: give the "+
				"operator's service account the Role or ClusterRole of this version, with list and watch of daftyassets, and restart it",
				"namespace", namespace)
			return false, nil
		}
	}
	return true, nil
}

// watchedNamespaces returns the names of those that are watched, the empty one for all.
func watchedNamespaces(namespaces map[string]cache.Config) []string {
	if len(namespaces) == 0 {
		return []string{metav1.NamespaceAll}
	}
	return slices.Sorted(maps.Keys(namespaces))
}

// rights asks the API server what the operator may do.
type rights struct {
	api client.Writer
	log logr.Logger
}

// mayList reports whether the operator may list a resource, in all namespaces where namespace is empty, and true where the API
// server doesn't say.
func (r rights) mayList(ctx context.Context, namespace, group, resource string) bool {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "list", Group: group, Resource: resource},
	}}
	if err := r.api.Create(ctx, review); err != nil {
		r.log.Error(err, "asking whether "+resource+" may be listed", "namespace", namespace)
		return true
	}
	return review.Status.Allowed
}
