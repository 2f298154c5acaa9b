package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// tellMissingRights logs in which namespaces DaftyJobs can't be listed: one such namespace holds up all others, as nothing
// begins before all are listed, and what client-go says of it doesn't say so. Whoever has an account may ask this.
func tellMissingRights(ctx context.Context, api client.Writer, namespaces map[string]cache.Config, log logr.Logger) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "daftyjobs",
			},
		}}
		if err := api.Create(ctx, review); err != nil {
			log.Error(err, "asking whether DaftyJobs may be listed", "namespace", namespace)
			continue
		}
		if !review.Status.Allowed {
			log.Error(nil, "DaftyJobs may not be listed in a namespace of --watch-namespaces, and until they may, none of any namespace is worked on: "+
				"create the namespace, with its Role and RoleBinding, or take it off the list", "namespace", namespace)
		}
	}
}
