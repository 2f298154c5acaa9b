package charts_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dafty.ai/dafty-operator/internal/test/installtest"
)

// kustomize and Helm install the same, but for names: with all that both can do, in all namespaces and in some.
func TestKustomizeAndHelmAgree(t *testing.T) {
	const components = "components: [CONFIG/network-policy, CONFIG/admission-policy, CONFIG/prometheus, CONFIG/grafana"
	const all = "networkPolicy.enabled=true,admissionPolicy.enabled=true,metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true"
	for name, c := range map[string]struct {
		overlay map[string]string
		values  string
	}{
		"in all namespaces": {
			map[string]string{".": "resources: [CONFIG/default]\n" + components + "]\n"},
			all,
		},
		"in some, with metrics for anybody": {
			map[string]string{
				".": "resources: [CONFIG/default, team-a, team-b]\n" + components + ", CONFIG/plain-metrics, CONFIG/watch-namespaces]\n" +
					"patches:\n- target: {kind: Deployment}\n  patch: |-\n    - op: add\n      path: /spec/template/spec/containers/0/args/-\n      value: --watch-namespaces=team-a,team-b\n",
				"team-a": "namespace: team-a\nresources: [CONFIG/watched-namespace]\n",
				"team-b": "namespace: team-b\nresources: [CONFIG/watched-namespace]\n",
			},
			all + ",metrics.secure=false,watchNamespaces={team-a,team-b}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			byKustomize := describe(t, installtest.Overlay(t, c.overlay))
			byHelm := describe(t, render(t, "--set", c.values))
			if diff := cmp.Diff(byKustomize, byHelm); diff != "" {
				t.Errorf("- by kustomize, + by Helm:\n%s", diff)
			}
		})
	}
}

// deploymentName is how an alert asks for the operator's Deployment.
var deploymentName = regexp.MustCompile(`deployment=~?\\"[^"]*"`)

// installation is what is left of one without names, labels and selectors.
type installation struct {
	Replicas  int32
	Pod       corev1.PodSpec
	Roles     []string
	Accounts  int
	Secrets   int
	CRDs      map[string]any
	Budget    policyv1.PodDisruptionBudgetSpec
	Policy    networkingv1.NetworkPolicySpec
	Admission []string
	Ports     []corev1.ServicePort
	Scrapes   any
	Alerts    string
	Dashboard any
}

func describe(t *testing.T, manifests string) installation {
	t.Helper()
	deployment := installtest.Find[appsv1.Deployment](t, manifests, "Deployment", "")
	described := installation{
		CRDs:     map[string]any{},
		Replicas: *deployment.Spec.Replicas,
		Pod:      deployment.Spec.Template.Spec,
		Budget:   installtest.Find[policyv1.PodDisruptionBudget](t, manifests, "PodDisruptionBudget", "").Spec,
		Policy:   installtest.Find[networkingv1.NetworkPolicy](t, manifests, "NetworkPolicy", "").Spec,
		Ports:    installtest.Find[corev1.Service](t, manifests, "Service", "").Spec.Ports,
	}
	described.Budget.Selector = nil
	described.Policy.PodSelector.MatchLabels = nil
	pod := &described.Pod
	pod.ServiceAccountName = ""
	for i := range pod.TopologySpreadConstraints {
		pod.TopologySpreadConstraints[i].LabelSelector = nil
	}
	container := &pod.Containers[0]
	container.Image, container.ImagePullPolicy = "", ""
	for _, from := range container.EnvFrom {
		data := installtest.Find[corev1.ConfigMap](t, manifests, "ConfigMap", from.ConfigMapRef.Name).Data
		for name, value := range data {
			container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: value})
		}
	}
	container.EnvFrom = nil
	slices.SortFunc(container.Env, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })

	for _, object := range installtest.Objects(t, manifests) {
		switch object.GetKind() {
		case "ClusterRole", "Role":
			described.Roles = append(described.Roles, describeRole(t, object))
		case "CustomResourceDefinition":
			described.CRDs[object.GetName()] = object.Object["spec"]
		case "ServiceMonitor":
			described.Scrapes, _, _ = unstructured.NestedSlice(object.Object, "spec", "endpoints")
		case "PrometheusRule":
			spec, err := json.Marshal(object.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			described.Alerts = deploymentName.ReplaceAllString(string(spec), "")
		case "ConfigMap":
			if strings.HasSuffix(object.GetName(), "-dashboard") {
				described.Dashboard = object.Object["data"]
			}
		case "ValidatingAdmissionPolicy":
			spec, err := json.Marshal(object.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			described.Admission = append(described.Admission, string(spec))
		case "ServiceAccount":
			described.Accounts++
		case "Secret":
			described.Secrets++
		}
	}
	slices.Sort(described.Roles)
	slices.Sort(described.Admission)
	for what, missing := range map[string]bool{"admission policies": len(described.Admission) != 3, "CRD of each kind": len(described.CRDs) != 3, "scrapes": described.Scrapes == nil, "alerts": described.Alerts == "", "dashboard": described.Dashboard == nil} {
		if missing {
			t.Errorf("there is no %s", what)
		}
	}
	return described
}

// describeRole has where it is, what it adds to, and its rules. The operator's own namespace is one of the names that differ.
func describeRole(t *testing.T, role *unstructured.Unstructured) string {
	t.Helper()
	var rules []string
	listed, _, err := unstructured.NestedSlice(role.Object, "rules")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range listed {
		raw, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, string(raw))
	}
	var adds []string
	for label := range role.GetLabels() {
		if strings.HasPrefix(label, "rbac.authorization.k8s.io/") {
			adds = append(adds, label)
		}
	}
	// Neither has an order.
	slices.Sort(rules)
	slices.Sort(adds)
	return fmt.Sprintf("%s %q %v %s", role.GetKind(), role.GetNamespace(), adds, rules)
}
