package installtest

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// weakenings are what each takes a Pod out of Pod Security's "restricted".
var weakenings = map[string]func(*corev1.PodSpec){
	"may run as root":             func(p *corev1.PodSpec) { p.SecurityContext.RunAsNonRoot = nil },
	"has no seccomp profile":      func(p *corev1.PodSpec) { p.SecurityContext.SeccompProfile = nil },
	"may gain privileges":         func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil },
	"keeps capabilities":          func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.Capabilities = nil },
	"is privileged":               func(p *corev1.PodSpec) { p.Containers[0].SecurityContext = privileged.DeepCopy() },
	"is in the node's network":    func(p *corev1.PodSpec) { p.HostNetwork = true },
	"mounts a folder of the node": mountNode,
}

var privileged = corev1.SecurityContext{Privileged: new(true), RunAsNonRoot: new(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}

func mountNode(p *corev1.PodSpec) {
	p.Volumes = append(p.Volumes, corev1.Volume{Name: "node", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}})
}

// RestrictedPod has the API server make a Pod of a Deployment's template in a namespace that takes only restricted ones, and
// sees that it refuses each weaker one: so that what it was asked means something. What Pod Security doesn't ask for, and a
// careful installation has, is looked at too.
func RestrictedPod(t *testing.T, env *kubetest.Env, ns string, template corev1.PodTemplateSpec) {
	t.Helper()
	pod := func(change func(*corev1.PodSpec)) error {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "restricted-", Namespace: ns}, Spec: *template.Spec.DeepCopy()}
		change(&p.Spec)
		return env.Client.Create(t.Context(), p)
	}
	if err := pod(func(*corev1.PodSpec) {}); err != nil {
		t.Errorf("the Pod is refused: %v", err)
	}
	for weakening, change := range weakenings {
		if err := pod(change); err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) {
			t.Errorf("a Pod that %s: %v; want it refused by Pod Security", weakening, err)
		}
	}
	container := template.Spec.Containers[0]
	if security := container.SecurityContext; security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem {
		t.Error("the root file system can be written")
	}
	if container.LivenessProbe == nil || container.ReadinessProbe == nil {
		t.Error("there are no probes")
	}
	if container.Resources.Requests.Cpu().IsZero() || container.Resources.Requests.Memory().IsZero() || container.Resources.Limits.Memory().IsZero() {
		t.Error("there are no requests, or no limit of memory")
	}
	if grace := template.Spec.TerminationGracePeriodSeconds; grace == nil || *grace < 60 {
		t.Error("it isn't given the minute that a request to Dafty may take to be answered")
	}
}
