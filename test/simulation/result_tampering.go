package simulation

import (
	corev1 "k8s.io/api/core/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// tamperedKey marks data that isn't the operator's.
const tamperedKey = "tampered"

// tamperings are what users do to ConfigMaps that hold results.
var tamperings = []struct {
	what string
	do   func(*corev1.ConfigMap)
}{
	{"changes", func(c *corev1.ConfigMap) { c.Data[tamperedKey] = "yes" }},
	{"empties", func(c *corev1.ConfigMap) { c.Data = map[string]string{tamperedKey: "yes"} }},
	{"adds bytes to", func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{tamperedKey: []byte("yes")} }},
	{"takes the label off", func(c *corev1.ConfigMap) { delete(c.Labels, v1alpha1.ResultLabel) }},
	{"takes the owner off", func(c *corev1.ConfigMap) { c.OwnerReferences = nil }},
	{"takes owner, label and annotations off", func(c *corev1.ConfigMap) { c.OwnerReferences, c.Labels, c.Annotations = nil, nil, nil }},
	{"takes the owner off, and changes", func(c *corev1.ConfigMap) { c.OwnerReferences, c.Data[tamperedKey] = nil, "yes" }},
	{"annotates", func(c *corev1.ConfigMap) {
		c.Annotations = map[string]string{v1alpha1.ResultOfAnnotation: c.Annotations[v1alpha1.ResultOfAnnotation], "note": "theirs"}
	}},
}

// tamperWithResult changes, deletes or replaces the ConfigMap of a result as a user, or creates one of that name.
func tamperWithResult(e *env, p picker) {
	name := "result-of-" + p.job()
	tamper(e, p, name)
}

func tamper(e *env, p picker, name string) {
	a := e.api
	stored := a.configMaps[name]
	at := p.n(len(tamperings) + 3)
	switch {
	case stored == nil && at%3 > 0 || a.terminating && stored == nil:
	case stored == nil, at == len(tamperings):
		e.trace.add("user", "puts a ConfigMap of their own at %s", name)
		a.putConfigMap(name, &corev1.ConfigMap{Data: map[string]string{tamperedKey: "yes"}})
	case at > len(tamperings):
		e.trace.add("user", "deletes ConfigMap %s", name)
		a.putConfigMap(name, nil)
	default:
		e.trace.add("user", "%s ConfigMap %s", tamperings[at].what, name)
		changed := stored.DeepCopy()
		if changed.Data == nil {
			changed.Data = map[string]string{}
		}
		tamperings[at].do(changed)
		a.putConfigMap(name, changed)
	}
}
