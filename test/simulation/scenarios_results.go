package simulation

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// aResult is an image whose result is stored.
func aResult() *v1alpha1.DaftyJob {
	job := image()
	job.Spec.ResultConfigMap = "result-of-one"
	return job
}

// resultDeleted deletes the ConfigMap of a result.
func resultDeleted(e *env) {
	e.create(aResult)
	e.advance(time.Minute)
	e.do(func() {
		e.trace.add("user", "deletes ConfigMap result-of-one")
		e.api.putConfigMap("result-of-one", nil)
	})
	e.advance(time.Minute)
}

// resultReplaced puts a user's ConfigMap in the place of a result's.
func resultReplaced(e *env) {
	e.create(aResult)
	e.advance(time.Minute)
	e.do(func() {
		e.trace.add("user", "puts a ConfigMap of their own at result-of-one")
		e.api.putConfigMap("result-of-one", &corev1.ConfigMap{Data: map[string]string{tamperedKey: "yes"}})
	})
	e.advance(time.Minute)
}

// resultDisowned removes the owner of the ConfigMap of a result.
func resultDisowned(e *env) {
	e.create(aResult)
	e.advance(time.Minute)
	e.do(func() {
		if stored := e.api.configMaps["result-of-one"]; stored != nil {
			e.trace.add("user", "takes the owner off ConfigMap result-of-one")
			disowned := stored.DeepCopy()
			disowned.OwnerReferences = nil
			e.api.putConfigMap("result-of-one", disowned)
		}
	})
	e.advance(time.Minute)
}
