package prometheus_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

const (
	namespace = "dafty-operator-system"
	// patience is for a small machine with much to do; nothing takes so long otherwise.
	patience = 2 * time.Minute
)

// One after the other: they are about the one installation a cluster has.
func TestInstallation(t *testing.T) {
	env := kubetest.Start(t)
	installtest.PrometheusCRDs(t, env)
	manifests := overlay(t, "")
	strictly := []string{"--server-side", "--validate=strict"}
	if _, stderr, err := env.Apply(t, manifests, strictly...); err != nil || stderr != "" {
		t.Fatalf("%v\n%s", err, stderr)
	}
	env.MustKubectl(t, "wait", "--for=condition=Established", "crd/daftyjobs.dafty.ai", "crd/daftyassets.dafty.ai", "--timeout=60s")
	fitsTogether(t, manifests, namespace)

	t.Run("what the CRDs don't have is refused", func(t *testing.T) {
		for field, wrong := range map[string]string{"scrapeTimeout: 10s": "scrapeTimeOut: 10s", "for: 5m": "for: 5 minutes", "alert: DaftyQueueOld": "alarm: DaftyQueueOld"} {
			if _, stderr, err := env.Apply(t, strings.Replace(manifests, field, wrong, 1), append(strictly, "--dry-run=server")...); err == nil {
				t.Errorf("%s: let in: %s", wrong, stderr)
			}
		}
	})
	t.Run("under another prefix and in another namespace", func(t *testing.T) {
		env.MustKubectl(t, "create", "namespace", "media")
		elsewhere := overlay(t, "namespace: media\nnamePrefix: team-\n")
		fitsTogether(t, elsewhere, "media")
		env.MustApply(t, elsewhere, append(strictly, "--dry-run=server")...)
	})

	var fresh, busy series
	if !t.Run("the operator lets the scraper in", func(t *testing.T) { fresh, busy = scrapeNewOperator(t, env) }) {
		return
	}
	t.Run("the alerts ask for what is there from the start", func(t *testing.T) {
		alerts, _ := readAlerts(t)
		var expressions []string
		for _, alert := range alerts {
			expressions = append(expressions, alert.Expr)
		}
		for i, a := range parse(t, expressions) {
			for _, complaint := range fresh.complaints(a, true) {
				t.Errorf("%s: %s", alerts[i].Alert, complaint)
			}
		}
	})
	t.Run("the dashboard asks for what is there", func(t *testing.T) { dashboardAsks(t, busy) })
	t.Run("the commands of the runbooks work", func(t *testing.T) { runbooksRun(t, env) })
}

// overlay builds config/default with the two components, as a user's kustomization would.
func overlay(t *testing.T, more string) string {
	t.Helper()
	return installtest.Overlay(t, map[string]string{".": more + "resources: [CONFIG/default]\ncomponents: [CONFIG/prometheus, CONFIG/grafana]\n"})
}

// fitsTogether follows the names from the ServiceMonitor on, and looks for the dashboard.
func fitsTogether(t *testing.T, manifests, namespace string) {
	t.Helper()
	objects := map[string][]*unstructured.Unstructured{}
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), object); err != nil {
			t.Fatal(err)
		}
		objects[object.GetKind()] = append(objects[object.GetKind()], object)
		if ns := object.GetNamespace(); ns != "" && ns != namespace {
			t.Errorf("%s %s is in %s", object.GetKind(), object.GetName(), ns)
		}
	}
	only := func(kind string) map[string]any {
		t.Helper()
		if len(objects[kind]) != 1 {
			t.Fatalf("there are %d of the kind %s", len(objects[kind]), kind)
		}
		return objects[kind][0].Object
	}
	named := func(kind, name string) *unstructured.Unstructured {
		t.Helper()
		for _, object := range objects[kind] {
			if object.GetName() == name {
				return object
			}
		}
		t.Fatalf("there is no %s %s", kind, name)
		return nil
	}
	text := func(object map[string]any, path ...string) string {
		value, _, _ := unstructured.NestedString(object, path...)
		return value
	}

	monitor, service := only("ServiceMonitor"), objects["Service"][0]
	wanted, _, _ := unstructured.NestedStringMap(monitor, "spec", "selector", "matchLabels")
	if len(wanted) == 0 {
		t.Error("the ServiceMonitor looks for any Service")
	}
	for label, value := range wanted {
		if service.GetLabels()[label] != value {
			t.Errorf("the Service has %s %q, the ServiceMonitor looks for %q", label, service.GetLabels()[label], value)
		}
	}
	if job := service.GetLabels()[text(monitor, "spec", "jobLabel")]; job != "dafty-operator" {
		t.Errorf("the job is called %q, and the alerts and docs say dafty-operator", job)
	}
	endpoints, _, _ := unstructured.NestedSlice(monitor, "spec", "endpoints")
	endpoint := endpoints[0].(map[string]any)
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	if port := ports[0].(map[string]any)["name"]; port != endpoint["port"] {
		t.Errorf("the Service has the port %v, the ServiceMonitor looks for %v", port, endpoint["port"])
	}
	secret := named("Secret", text(endpoint, "authorization", "credentials", "name"))
	account := secret.GetAnnotations()[corev1.ServiceAccountNameKey]
	named("ServiceAccount", account)
	bound := false
	for _, binding := range objects["ClusterRoleBinding"] {
		subjects, _, _ := unstructured.NestedSlice(binding.Object, "subjects")
		subject := subjects[0].(map[string]any)
		if subject["name"] == account && subject["namespace"] == namespace {
			bound = true
			named("ClusterRole", text(binding.Object, "roleRef", "name"))
		}
	}
	if !bound {
		t.Errorf("%s is bound to no ClusterRole", account)
	}

	_, dashboard := readDashboard(t)
	found := 0
	for _, config := range objects["ConfigMap"] {
		if config.GetLabels()["grafana_dashboard"] == "1" && text(config.Object, "data", "dafty-operator.json") == string(dashboard) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("there are %d dashboards", found)
	}
	only("PrometheusRule")
}

// scrapeNewOperator starts the operator and scrapes it as Prometheus would: before it has anything to do, and after it has
// looked at a DaftyJob.
func scrapeNewOperator(t *testing.T, env *kubetest.Env) (fresh, busy series) {
	g := NewWithT(t)
	// Without a Secret, so that nobody is asked about it.
	env.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAccount\nmetadata: {name: agency}\n"+
		"spec: {apiKeySecretRef: {namespace: default, name: agency}, budgets: [{per: Account, period: Day, submissions: 1}]}\n")
	address := operatortest.FreeAddress(t)
	operator := operatortest.Run(t, operatortest.Config{
		Program: operatortest.Program(t),
		Args: []string{"--kubeconfig", env.Kubeconfig, "--leader-elect", "--leader-election-namespace", namespace,
			"--metrics-bind-address", address, "--metrics-secure", "--health-probe-bind-address", "0"},
		Env: []string{"DAFTY_URL=http://127.0.0.1:1/api/v1"}, // nobody is there, and no job is either
	})
	t.Cleanup(func() {
		if err := operator.Stop(patience); err != nil {
			t.Error(err)
		}
	})

	var secret corev1.Secret
	name := client.ObjectKey{Namespace: namespace, Name: "dafty-operator-metrics-scraper-token"}
	g.Eventually(func() ([]byte, error) {
		err := env.Client.Get(t.Context(), name, &secret)
		return secret.Data[corev1.ServiceAccountTokenKey], err
	}).WithTimeout(patience).ShouldNot(BeEmpty(), "Kubernetes gives the scraper a token")

	var body string
	g.Eventually(func() string {
		var status int
		status, body = operatortest.Get(t, "https://"+address+"/metrics", string(secret.Data[corev1.ServiceAccountTokenKey]))
		return fmt.Sprint(status, strings.Contains(body, "dafty_held_requests"), strings.Contains(body, "controller_runtime_active_workers{"))
	}).WithTimeout(patience).Should(Equal("200 true true"), "it leads, and lets the scraper in")
	if status, _ := operatortest.Get(t, "https://"+address+"/metrics", ""); status != http.StatusUnauthorized && status != http.StatusForbidden {
		t.Errorf("metrics for anybody: status %d", status)
	}
	fresh = readSeries(t, body)
	env.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: later}\nspec: {desiredState: Suspended, imageGenerate: {prompt: A mountain}}\n")
	env.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: later}\n"+
		"spec: {suspend: true, template: {spec: {imageGenerate: {prompt: A mountain}}}}\n")
	g.Eventually(func() string {
		_, body = operatortest.Get(t, "https://"+address+"/metrics", string(secret.Data[corev1.ServiceAccountTokenKey]))
		return body
	}).WithTimeout(patience).Should(And(
		ContainSubstring(`dafty_jobs_unfinished{reason="Suspended"} 1`),
		ContainSubstring(`dafty_assets{reason="Suspended"} 1`),
		// Known once the first reconcile has returned.
		ContainSubstring(`controller_runtime_reconcile_time_seconds_bucket{controller="dafty-operator"`),
		ContainSubstring(`controller_runtime_reconcile_time_seconds_bucket{controller="daftyasset"`),
		ContainSubstring(`controller_runtime_reconcile_time_seconds_bucket{controller="daftyaccount"`),
	))
	return fresh, readSeries(t, body)
}
