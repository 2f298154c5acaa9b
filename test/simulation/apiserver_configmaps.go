package simulation

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// results are the ConfigMaps that have the label of results.
func (a *apiServer) results() map[string]*corev1.ConfigMap {
	found := map[string]*corev1.ConfigMap{}
	for name, configMap := range a.configMaps {
		if labelled(configMap) {
			found[name] = configMap
		}
	}
	return found
}

func labelled(configMap *corev1.ConfigMap) bool {
	return configMap != nil && configMap.Labels[v1alpha1.ResultLabel] == v1alpha1.ResultLabelValue
}

// putConfigMap stores a ConfigMap, or deletes it if after is nil, and notifies all watches.
func (a *apiServer) putConfigMap(name string, after *corev1.ConfigMap) {
	a.revision++
	before := a.configMaps[name]
	delete(a.configMaps, name)
	if after != nil {
		after.Name, after.Namespace, after.ResourceVersion = name, namespace, strconv.FormatInt(a.revision, 10)
		a.configMaps[name] = after
	}
	if !labelled(before) && !labelled(after) {
		return
	}
	shown := after
	if !labelled(after) {
		shown = nil
	}
	for _, p := range a.env.processes {
		p.results.notify(name, shown, a.revision)
		p.assetResults.notify(name, shown, a.revision)
	}
}

// collect is the garbage collector: what an object owned goes a while after it.
func (a *apiServer) collect(uid types.UID) {
	a.env.afterFunc(a.env.random.between(50*time.Millisecond, 5*time.Second, "what "+string(uid)+" owned goes"), func() {
		a.collectJobs(uid)
		for _, name := range slices.Sorted(maps.Keys(a.configMaps)) {
			if owner := metav1.GetControllerOf(a.configMaps[name]); owner != nil && owner.UID == uid {
				a.env.trace.add("api", "ConfigMap %s goes with its owner", name)
				a.putConfigMap(name, nil)
			}
		}
	})
}

// createConfigMap is the operator's create.
func (a *apiServer) createConfigMap(configMap *corev1.ConfigMap) error {
	switch {
	case a.terminating:
		return apierrors.NewForbidden(configMapResource, configMap.Name, errors.New("the namespace is being terminated"))
	case a.configMaps[configMap.Name] != nil:
		return apierrors.NewAlreadyExists(configMapResource, configMap.Name)
	}
	return a.storeConfigMap(configMap)
}

// patchConfigMap is the operator's patch of what it has read.
func (a *apiServer) patchConfigMap(configMap *corev1.ConfigMap) error {
	stored := a.configMaps[configMap.Name]
	switch {
	case stored == nil:
		return apierrors.NewNotFound(configMapResource, configMap.Name)
	case stored.ResourceVersion != configMap.ResourceVersion:
		return apierrors.NewConflict(configMapResource, configMap.Name, errors.New("it has changed"))
	}
	return a.storeConfigMap(configMap)
}

func (a *apiServer) storeConfigMap(configMap *corev1.ConfigMap) error {
	stored := configMap.DeepCopy()
	a.env.invariants.checkConfigMap(a.configMaps[configMap.Name], stored)
	a.putConfigMap(configMap.Name, stored)
	configMap.ResourceVersion = stored.ResourceVersion // as the answer has it
	return nil
}
