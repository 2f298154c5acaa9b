package resultmap

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/internal/apierror"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// contested returns the outcome for a ConfigMap that somebody changes each time that it is put right.
func contested(name types.NamespacedName, done string, wait time.Duration) lifecycle.StoreOutcome {
	return lifecycle.StoreOutcome{After: wait, Problem: fmt.Sprintf(
		"ConfigMap %q is %s by somebody else each time that it is written; it is written again, but not at once. To find out by whom, "+
			"see: kubectl get configmap -n %s %s -o yaml --show-managed-fields",
		name.Name, done, name.Namespace, name.Name)}
}

// unreadable returns the outcome for a ConfigMap that the API server doesn't show. Where it doesn't even refuse, nothing is known.
func unreadable(ctx context.Context, name string, err error) lifecycle.StoreOutcome {
	log.FromContext(ctx).Error(err, "reading the ConfigMap of the result", "configMap", name)
	words := apierror.Describe(err)
	return lifecycle.StoreOutcome{
		Unknown: !apierror.IsLasting(err),
		Problem: fmt.Sprintf("ConfigMap %q can't be read: %s; it is tried again. If it lasts, a cluster administrator must look at the API server, "+
			"and at the operator's rights", name, words),
	}
}

// refused returns the outcome for a ConfigMap that the API server doesn't let be written.
func refused(ctx context.Context, configMap *corev1.ConfigMap, err error) lifecycle.StoreOutcome {
	log.FromContext(ctx).Error(err, "writing the ConfigMap of the result", "configMap", configMap.Name)
	words := apierror.Describe(err)
	advice := "labels and annotations that a policy asks for can be given in spec.resultConfigMapMetadata"
	switch {
	case configMap.Immutable != nil && *configMap.Immutable:
		advice = "somebody has made it immutable: delete it, and it is written anew"
	case apierrors.IsForbidden(err) && strings.Contains(words, "cannot "): // by its rights
		advice = "give the operator's service account the rights of docs/security.md"
	}
	return lifecycle.StoreOutcome{Problem: fmt.Sprintf("ConfigMap %q can't be written: %s; %s. It is tried again, at least every 30 seconds", configMap.Name,
		strings.TrimSuffix(words, "."), advice)}
}
