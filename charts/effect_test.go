package charts_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dafty.ai/dafty-operator/internal/test/installtest"
)

// rule is what is looked at here of a PrometheusRule.
type rule struct {
	Spec struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
}

// rules returns the alerts that a chart with these values has.
func rules(t *testing.T, args ...string) rule {
	t.Helper()
	for _, object := range installtest.Objects(t, render(t, args...)) {
		if object.GetKind() == "PrometheusRule" {
			raw, err := json.Marshal(object.Object)
			if err != nil {
				t.Fatal(err)
			}
			var found rule
			if err := json.Unmarshal(raw, &found); err != nil {
				t.Fatal(err)
			}
			return found
		}
	}
	t.Fatal("there is no PrometheusRule")
	return rule{}
}

// The monitors name the job for the app, and so must the alert that asks for it; the Deployment has the release's name.
func TestAlertsAskForTheJobOfTheMonitors(t *testing.T) {
	for app, args := range map[string][]string{
		"dafty-operator": {"--set", "metrics.prometheusRule.enabled=true"},
		"images":         {"--set", "metrics.prometheusRule.enabled=true,nameOverride=images"},
	} {
		asked := 0
		for _, group := range rules(t, args...).Spec.Groups {
			for _, alert := range group.Rules {
				for _, job := range strings.Split(alert.Expr, "job=")[1:] {
					asked++
					if !strings.HasPrefix(job, `"`+app+`"`) {
						t.Errorf("%s asks for %s; the job is %s", alert.Alert, alert.Expr, app)
					}
				}
				for _, name := range strings.Split(alert.Expr, "{deployment")[1:] {
					asked++
					if !strings.HasPrefix(name, `="dafty-operator"}`) && !strings.HasPrefix(name, `="dafty-operator-images"}`) {
						t.Errorf("%s asks for %s", alert.Alert, alert.Expr)
					}
				}
				if strings.Contains(alert.Expr, "controller=") && !strings.Contains(alert.Expr, `controller=~"dafty-operator|daftyasset|daftyaccount"`) {
					t.Errorf("%s: the controllers' names are in the program: %s", alert.Alert, alert.Expr)
				}
			}
		}
		if asked < 4 {
			t.Errorf("the alerts ask for %d jobs and Deployments", asked)
		}
	}
}

// Each alert goes to who looks after it, with a link that they can open.
func TestAlertsGetLabelsAndRunbooks(t *testing.T) {
	alerts := 0
	for _, group := range rules(t, "--values", everything).Spec.Groups {
		for _, alert := range group.Rules {
			alerts++
			if alert.Labels["team"] != "images" || alert.Labels["severity"] == "" {
				t.Errorf("%s has the labels %v", alert.Alert, alert.Labels)
			}
			if want := "https://wiki.example.com/dafty#" + strings.ToLower(alert.Alert); alert.Annotations["runbook_url"] != want {
				t.Errorf("%s has the runbook %s, want %s", alert.Alert, alert.Annotations["runbook_url"], want)
			}
		}
	}
	if alerts < 10 {
		t.Errorf("%d alerts", alerts)
	}
}

// Where rights aren't the chart's to give, it gives none.
func TestNoRightsAreGivenWhereTheyAreNotAskedFor(t *testing.T) {
	for _, object := range installtest.Objects(t, render(t, "--set", "rbac.create=false")) {
		if strings.HasPrefix(object.GetAPIVersion(), "rbac.authorization.k8s.io/") {
			t.Errorf("%s %s", object.GetKind(), object.GetName())
		}
	}
}

// OVN-Kubernetes, which OpenShift has, takes a port's name for all TCP ports, and judges DNS by the port of the Pods behind the
// Service: 5353 there. kustomize's policy is the same, which TestKustomizeAndHelmAgree sees to.
func TestNetworkPolicyOnOpenShift(t *testing.T) {
	policy := installtest.Find[networkingv1.NetworkPolicy](t, render(t, "--set", "networkPolicy.enabled=true,metrics.port=9443"), "NetworkPolicy", "").Spec
	if got := policy.Ingress[0].Ports; len(got) != 1 || got[0].Port.IntValue() != 9443 {
		t.Errorf("lets in to %v, want 9443 by its number", got)
	}
	dns := map[string]bool{}
	for _, port := range policy.Egress[0].Ports {
		dns[fmt.Sprint(*port.Protocol, port.Port)] = true
	}
	for _, want := range []string{"UDP53", "TCP53", "UDP5353", "TCP5353"} {
		if !dns[want] {
			t.Errorf("doesn't let out to %s: %v", want, dns)
		}
	}
}

// Two releases in one namespace that look after different ones would stand by for each other if they shared a lease. Where they
// look after the same ones, that is what they are to do.
func TestReleasesForDifferentNamespacesHaveALeaseEach(t *testing.T) {
	for _, c := range []struct{ release, values, id string }{
		{"dafty-operator", "replicas=2", ""},
		{"team-a", "replicas=2", ""},
		{"dafty-operator", "watchNamespaces={a}", ""},
		{"team-a", "watchNamespaces={a}", "team-a-dafty-operator.dafty.ai"},
		{"team-b", "watchNamespaces={b}", "team-b-dafty-operator.dafty.ai"},
		{"team-b", "watchNamespaces={b},leaderElection.id=images", "images"},
	} {
		manifests, err := installtest.Helm(t, "template", c.release, chart, "--set", c.values)
		if err != nil {
			t.Fatal(err)
		}
		id := ""
		for _, arg := range installtest.Find[appsv1.Deployment](t, manifests, "Deployment", "").Spec.Template.Spec.Containers[0].Args {
			if value, found := strings.CutPrefix(arg, "--leader-election-id="); found {
				id = value
			}
		}
		if id != c.id {
			t.Errorf("%s with %s has the lease %q, want %q", c.release, c.values, id, c.id)
		}
	}
}

// Metrics are served with the certificate in the Secret, where it is mounted, and scraped as it is to be checked.
func TestMetricsCertificate(t *testing.T) {
	for name, more := range map[string]string{"ServiceMonitor": "", "PodMonitor": "metrics.serviceMonitor.enabled=false,metrics.podMonitor.enabled=true"} {
		manifests := render(t, "--values", everything, "--set", more)
		pod := installtest.Find[appsv1.Deployment](t, manifests, "Deployment", "").Spec.Template.Spec
		container := pod.Containers[0]
		i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == "metrics-certificate" })
		if i < 0 || !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool {
			return m.Name == pod.Volumes[i].Name && m.ReadOnly && slices.Contains(container.Args, "--metrics-cert-path="+m.MountPath)
		}) {
			t.Errorf("volumes %v, mounts %v, arguments %v", pod.Volumes, container.VolumeMounts, container.Args)
		}
		if len(pod.Volumes) != 2 || len(container.VolumeMounts) != 2 {
			t.Errorf("the extra ones are lost: %v", pod.Volumes)
		}
		monitor := slices.IndexFunc(installtest.Objects(t, manifests), func(o *unstructured.Unstructured) bool { return o.GetKind() == name })
		scrapes, err := json.Marshal(installtest.Objects(t, manifests)[monitor].Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		if want := `"tlsConfig":{"ca":{"configMap":{"key":"ca.crt","name":"certificates"}},"serverName":"metrics.example.com"}`; !strings.Contains(string(scrapes), want) {
			t.Errorf("%s: %s", name, scrapes)
		}
	}
}

// More egress comes on top of what the operator can't do without.
func TestExtraEgressIsAdded(t *testing.T) {
	egress := func(args ...string) []networkingv1.NetworkPolicyEgressRule {
		return installtest.Find[networkingv1.NetworkPolicy](t, render(t, args...), "NetworkPolicy", "").Spec.Egress
	}
	own := egress("--set", "networkPolicy.enabled=true")
	more := egress("--set", "networkPolicy.enabled=true,networkPolicy.extraEgress[0].ports[0].port=4317")
	if len(own) == 0 || len(more) != len(own)+1 || more[len(own)].Ports[0].Port.IntValue() != 4317 {
		t.Errorf("%v becomes %v", own, more)
	}
}

// The last word on a label or an annotation is the narrower setting's, and no key is there twice, which some parsers refuse.
func TestNarrowerLabelsWin(t *testing.T) {
	manifests := render(t, "--set", "commonLabels.team=all,podLabels.team=pod,metrics.service.labels.team=service",
		"--set", `podAnnotations.kubectl\.kubernetes\.io/default-container=sidecar`)
	pod := installtest.Find[appsv1.Deployment](t, manifests, "Deployment", "").Spec.Template
	if got := pod.Labels["team"]; got != "pod" {
		t.Errorf("the Pod's label is %q", got)
	}
	if got := pod.Annotations["kubectl.kubernetes.io/default-container"]; got != "sidecar" {
		t.Errorf("the Pod's annotation is %q", got)
	}
	if got := installtest.Find[corev1.Service](t, manifests, "Service", "").Labels["team"]; got != "service" {
		t.Errorf("the Service's label is %q", got)
	}
	document := strings.Split(manifests, "\n---\n")
	service := document[slices.IndexFunc(document, func(d string) bool { return strings.Contains(d, "\nkind: Service\n") })]
	if n := strings.Count(service, "\n    team:"); n != 1 {
		t.Errorf("the label is there %d times in\n%s", n, service)
	}
}

// What is about the Pod's surroundings arrives in it.
func TestPodSettings(t *testing.T) {
	deployment := installtest.Find[appsv1.Deployment](t, render(t, "--values", everything), "Deployment", "")
	pod := deployment.Spec.Template.Spec
	container := pod.Containers[0]
	for what, wrong := range map[string]bool{
		"strategy":             deployment.Spec.Strategy.RollingUpdate.MaxSurge.IntValue() != 0 || deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 1,
		"revisionHistoryLimit": *deployment.Spec.RevisionHistoryLimit != 3,
		"dnsPolicy":            pod.DNSPolicy != corev1.DNSNone,
		"dnsConfig":            pod.DNSConfig == nil || *pod.DNSConfig.Options[0].Value != "2",
		"hostAliases":          len(pod.HostAliases) != 1,
		// What isn't set stays as it is by default.
		"liveness":  container.LivenessProbe.PeriodSeconds != 30 || container.LivenessProbe.TimeoutSeconds != 5 || container.LivenessProbe.InitialDelaySeconds != 15,
		"readiness": container.ReadinessProbe.InitialDelaySeconds != 0 || container.ReadinessProbe.SuccessThreshold != 2 || container.ReadinessProbe.PeriodSeconds != 10,
	} {
		if wrong {
			t.Errorf("%s: %+v", what, deployment.Spec)
		}
	}
}

// Objects of the user's own are installed, with what only the release knows filled in.
func TestExtraObjects(t *testing.T) {
	certificates := installtest.Find[corev1.ConfigMap](t, render(t, "--values", everything), "ConfigMap", "certificates")
	if certificates.Namespace != namespace || certificates.Data["ca.crt"] != "one" {
		t.Errorf("%+v", certificates)
	}
}

// A program on the same machine may be spoken to in the clear.
func TestLoopbackMayBePlain(t *testing.T) {
	for _, url := range []string{"http://localhost:8080/api/v1", "http://127.0.0.1/api/v1", "http://[::1]:8080/api/v1", "http://LOCALHOST"} {
		render(t, "--set-string", "dafty.url="+url)
	}
	render(t, "--set", "dafty.url=http://dafty.example.com,dafty.allowInsecureURL=true")
}

// A release may be called 1, and a label is text.
func TestNumbersAreTakenForNames(t *testing.T) {
	manifests, err := installtest.Helm(t, "template", "1", chart, "--set-string", "nameOverride=2")
	if err != nil {
		t.Fatal(err)
	}
	selector := installtest.Find[appsv1.Deployment](t, manifests, "Deployment", "").Spec.Selector.MatchLabels
	if selector["app.kubernetes.io/instance"] != "1" || selector["app.kubernetes.io/name"] != "2" {
		t.Errorf("the selector is %v", selector)
	}
}
