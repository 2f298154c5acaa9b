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
	"dafty.ai/dafty-operator/internal/controller"
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

// watchable returns which kinds can be watched beside DaftyJobs, and logs why where one can't: an upgrade that left out CRDs, or the
// role, must not keep DaftyJobs from being looked after.
func (o *options) watchable(config *rest.Config, scheme *runtime.Scheme, log logr.Logger) (with controller.Kinds, err error) {
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return with, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	kinds := kinds{api: api, rights: rights{api: api, log: log}}
	if with.Assets, err = kinds.watchable(ctx, "DaftyAsset", "daftyassets", watchedNamespaces(o.namespaces())); err != nil {
		return with, err
	}
	if len(o.namespaces()) > 0 {
		return with, nil // without the right to what is cluster-scoped
	}
	with.Accounts, err = kinds.watchable(ctx, "DaftyAccount", "daftyaccounts", []string{metav1.NamespaceAll})
	if with.Accounts && !kinds.rights.mayList(ctx, metav1.NamespaceAll, "", "namespaces") {
		log.Error(nil, "namespaces may not be listed, so DaftyAccounts aren't looked after, and DaftyJobs that refer to one wait: give the operator's "+
			"service account the ClusterRole of this version, with list and watch of namespaces, and restart it")
		with.Accounts = false
	}
	return with, err
}

// kinds asks the API server which kinds can be watched.
type kinds struct {
	api    client.Client
	rights rights
}

// watchable reports whether a kind is installed and can be listed in all namespaces that are watched.
func (k kinds) watchable(ctx context.Context, kind, resource string, namespaces []string) (bool, error) {
	of := v1alpha1.GroupVersion.WithKind(kind)
	switch _, err := k.api.RESTMapper().RESTMapping(of.GroupKind(), of.Version); {
	case meta.IsNoMatchError(err):
		k.rights.log.Error(nil, fmt.Sprintf("the CRD %s.%s isn't installed, so %ss aren't looked after, and DaftyJobs that refer to one wait: "+
			"install the CRDs of this version of the operator, and restart it", resource, of.Group, kind))
		return false, nil
	case err != nil:
		return false, fmt.Errorf("asking the API server which kinds it has: %w", err)
	}
	for _, namespace := range namespaces {
		if !k.rights.mayList(ctx, namespace, of.Group, resource) {
			k.rights.log.Error(nil, fmt.Sprintf("%ss may not be listed, so they aren't looked after in any namespace, and DaftyJobs that refer to one wait: "+
				"give the operator's service account the Role or ClusterRole of this version, with list and watch of %s, and restart it", kind, resource),
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
