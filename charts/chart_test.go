// Package charts_test installs the Helm chart on a real API server, and holds it against what kustomize makes.
package charts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

const (
	chart      = "charts/dafty-operator"
	release    = "dafty-operator"
	namespace  = "dafty-operator-system"
	everything = "charts/testdata/everything.yaml"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	kubetest.Main(m, kubetest.Options{CRDs: []string{}, ControllerManager: true})
}

// render is helm template.
func render(t *testing.T, args ...string) string {
	t.Helper()
	manifests, err := installtest.Helm(t, append([]string{"template", release, chart, "--namespace", namespace}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return manifests
}

// What the chart makes is taken by a real API server to the last field, and its Pods where only restricted ones are.
func TestChartIsTaken(t *testing.T) {
	env := kubetest.Start(t)
	installtest.PrometheusCRDs(t, env)
	for _, ns := range []string{namespace, "team-a", "team-b", "monitoring"} {
		env.MustKubectl(t, "create", "namespace", ns)
	}
	env.MustKubectl(t, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
	for name, args := range map[string][]string{
		"as it is":             nil,
		"with all there is":    {"--values", everything},
		"scraped by Pod":       {"--values", everything, "--set", "metrics.serviceMonitor.enabled=false,metrics.podMonitor.enabled=true"},
		"old ones away first":  {"--set", "strategy.type=Recreate"},
		"for some namespaces":  {"--set", "watchNamespaces={team-a,team-b}"},
		"one without a leader": {"--set", "replicas=1,leaderElection.enabled=false"},
		"no rights of its own": {"--set", "rbac.create=false,serviceAccount.create=false,crds.install=false"},
		"metrics for anybody":  {"--set", "metrics.secure=false,metrics.podMonitor.enabled=true"},
		"scraped as it comes":  {"--set", "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true"},
		"no metrics":           {"--set", "metrics.enabled=false,networkPolicy.enabled=true"},
	} {
		t.Run(name, func(t *testing.T) {
			manifests := render(t, args...)
			installtest.Apply(t, env, manifests, "--dry-run=server")
			template := installtest.Find[appsv1.Deployment](t, manifests, "Deployment", "").Spec.Template
			template.Spec.ServiceAccountName = "" // it isn't there
			template.Spec.Volumes, template.Spec.Containers[0].VolumeMounts = nil, nil
			installtest.RestrictedPod(t, env, namespace, template)
		})
	}
}

// A constraint without a selector is about the operator's Pods; one that has its own keeps it.
func TestSpreadConstraintsGetTheirSelector(t *testing.T) {
	pod := installtest.Find[appsv1.Deployment](t, render(t, "--values", everything), "Deployment", "").Spec.Template
	constraints := pod.Spec.TopologySpreadConstraints
	if len(constraints) != 2 {
		t.Fatalf("%d constraints", len(constraints))
	}
	if got := constraints[0].LabelSelector.MatchLabels; len(got) < 2 || !labels.SelectorFromSet(got).Matches(labels.Set(pod.Labels)) {
		t.Errorf("the one without a selector selects %v, not %v", got, pod.Labels)
	}
	if got := constraints[1].LabelSelector.MatchLabels; len(got) != 1 || got["own"] != "selector" {
		t.Errorf("the one with its own selects %v", got)
	}
}

// helm itself installs, upgrades and uninstalls it; the CRDs are upgraded with it, and outlive it with all objects of them.
func TestRelease(t *testing.T) {
	env := kubetest.Start(t)
	helm := func(args ...string) (string, error) {
		t.Helper()
		return installtest.Helm(t, append(args, "--kubeconfig", env.Kubeconfig, "--namespace", env.Namespace)...)
	}
	must := func(args ...string) string {
		t.Helper()
		stdout, err := helm(args...)
		if err != nil {
			t.Fatal(err)
		}
		return stdout
	}
	notes := must("install", release, chart, "--set", "image.tag=v9")
	for _, next := range []string{
		"The Dafty operator dafty-operator:v9 looks",
		"\n\nWARNING: dafty-operator is an image without a registry",
		"kubectl create secret generic dafty-credentials",
		"set metrics.serviceMonitor.enabled",
		"To delete these too, begin with them, so that the operator\nstill cancels what runs at Dafty:\n  kubectl delete daftyassets,daftyjobs --all --all-namespaces\n  helm uninstall " + release + " --namespace " + env.Namespace + "\n  kubectl delete crd daftyaccounts.dafty.ai daftyassets.dafty.ai daftyjobs.dafty.ai",
	} {
		if !strings.Contains(notes, next) {
			t.Errorf("the notes don't say %q:\n%s", next, notes)
		}
	}
	crds := []string{"crd/daftyaccounts.dafty.ai", "crd/daftyassets.dafty.ai", "crd/daftyjobs.dafty.ai"}
	env.MustKubectl(t, append([]string{"wait", "--for=condition=Established", "--timeout=30s"}, crds...)...)
	env.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: kept}\nspec: {imageGenerate: {prompt: A logo}}\n"+
		"---\napiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: kept}\nspec: {template: {spec: {imageGenerate: {prompt: A logo}}}}\n"+
		"---\napiVersion: dafty.ai/v1alpha1\nkind: DaftyAccount\nmetadata: {name: kept}\nspec: {apiKeySecretRef: {namespace: default, name: agency}}\n")

	newer := newerChart(t)
	if notes := must("upgrade", release, newer, "--set", "replicas=1,image.repository=registry.example.com/dafty-operator"); strings.Contains(notes, "WARNING") {
		t.Errorf("the notes warn of an image that can be pulled:\n%s", notes)
	}
	if got := env.MustKubectl(t, append([]string{"get", "-o", "jsonpath={.items[*].spec.names.shortNames}"}, crds...)...); strings.Count(got, "newer") != len(crds) {
		t.Errorf("helm upgrade left a CRD as it was: %s", got)
	}
	if got := env.MustKubectl(t, "get", "deployment", release, "-o", "jsonpath={.spec.replicas}"); got != "1" {
		t.Errorf("%s replicas", got)
	}
	// Two without a leader must never be there at once, and the API server has set what belongs to the other strategy.
	must("upgrade", release, newer, "--set", "replicas=1,leaderElection.enabled=false")
	if got := env.MustKubectl(t, "get", "deployment", release, "-o", "jsonpath={.spec.strategy}"); got != `{"type":"Recreate"}` {
		t.Errorf("without a leader the strategy is %s", got)
	}

	must("uninstall", release)
	env.MustKubectl(t, "get", "daftyjob/kept", "daftyasset/kept", "daftyaccount/kept")
	if stdout, _, err := env.Kubectl(t, "get", "deployment", release); err == nil {
		t.Errorf("the Deployment stays: %s", stdout)
	}

	// Back again, with the CRDs that stayed. They stay too where the values, an older revision or a parent chart leaves them out.
	must("install", release, chart)
	must("upgrade", release, chart, "--set", "crds.install=false")
	must("upgrade", release, chart)
	must("rollback", release, "2")
	off := parent(t, "  condition: dafty-operator.enabled\n", "dafty-operator: {enabled: true}\n")
	must("upgrade", release, off)
	must("upgrade", release, off, "--set", "dafty-operator.enabled=false")
	env.MustKubectl(t, "get", "daftyjob/kept", "daftyasset/kept", "daftyaccount/kept")
	must("uninstall", release)

	// For a release of another name they are handed over, as docs/install.md says.
	if _, err := helm("install", "other", chart); err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Errorf("the CRDs of another release: %v", err)
	}
	must("upgrade", "--install", "other", chart, "--take-ownership")
	env.MustKubectl(t, "get", "daftyjob/kept", "daftyasset/kept", "daftyaccount/kept")

	// What kubectl has changed is taken back when that is asked for, and only then.
	env.MustKubectl(t, "scale", "deployment/other-dafty-operator", "--replicas=1")
	env.MustKubectl(t, "set", "env", "deployment/other-dafty-operator", "DAFTY_URL=https://dafty.example.com/api/v1")
	_, err := helm("upgrade", "other", chart, "--set", "replicas=3,dafty.url=https://dafty.example.org/api/v1")
	for _, manager := range []string{`"kubectl" with subresource "scale"`, `"kubectl-set"`} {
		if err == nil || !strings.Contains(err.Error(), "with "+manager) {
			t.Errorf("what kubectl has changed: %v; want a conflict with %s", err, manager)
		}
	}
	env.MustKubectl(t, "replace", "-f", filepath.Join(newer, "files", "crd", "dafty.ai_daftyjobs.yaml"))
	if _, err := helm("upgrade", "other", chart, "--set", "replicas=1"); err == nil || !strings.Contains(err.Error(), `conflict with "kubectl-replace"`) {
		t.Errorf("what kubectl has replaced: %v", err)
	}
	must("upgrade", "other", chart, "--set", "replicas=3", "--force-conflicts")
	if got := env.MustKubectl(t, "get", "deployment", "other-dafty-operator", "-o", "jsonpath={.spec.replicas}"); got != "3" {
		t.Errorf("%s replicas", got)
	}
	must("uninstall", "other")
	env.MustKubectl(t, append([]string{"delete"}, crds...)...)

	// Those that kubectl has installed are taken over when that is asked for, and only then.
	installtest.Apply(t, env, installtest.Kustomize(t, "config/crd"))
	if _, err := helm("install", release, chart); err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Errorf("the CRDs of somebody else: %v", err)
	}
	must("upgrade", "--install", release, chart, "--take-ownership", "--force-conflicts")
	must("uninstall", release)
	env.MustKubectl(t, append([]string{"delete"}, crds...)...)
}

// newerChart is a copy whose CRDs have changed.
func newerChart(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dafty-operator")
	if err := os.CopyFS(dir, os.DirFS("dafty-operator")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "files", "crd", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		crd, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(file), "dafty.ai_"), ".")
		changed := strings.Replace(string(crd), "    shortNames:\n", "    shortNames:\n    - newer"+kind+"\n", 1)
		if changed == string(crd) {
			t.Fatalf("%s has no short names", file)
		}
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A value that is wrong is refused with words that say where, before anything is installed.
func TestWrongValuesAreRefused(t *testing.T) {
	for _, c := range []struct{ values, says string }{
		{"replica=3", "at '': additional properties 'replica' not allowed"},
		{"metrics.secured=false", "at '/metrics': additional properties 'secured' not allowed"},
		{"replicas=three", "at '/replicas': got string, want integer"},
		{"replicas=-1", "at '/replicas': minimum: got -1, want 0"},
		{"image.pullPolicy=Sometimes", "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"},
		{"image.digest=sha256:abc", "at '/image/digest': 'sha256:abc' does not match pattern"},
		{"dafty.url=app.dafty.ai", "at '/dafty/url': 'app.dafty.ai' does not match pattern"},
		{"dafty.rateLimits.images=20", "at '/dafty/rateLimits': additional properties 'images' not allowed"},
		{"deletionTimeout=5", "at '/deletionTimeout'"},
		{"deletionTimeout=5 minutes", "at '/deletionTimeout': '5 minutes' does not match pattern"},
		{"log.level=loud", "at '/log/level'"},
		{"leaderElection.id=team_a", "at '/leaderElection/id': 'team_a' does not match pattern"},
		{"watchNamespaces={Team}", "at '/watchNamespaces/0': 'Team' does not match pattern"},
		{"metrics.port=70000", "at '/metrics/port': maximum"},
		{"metrics.tokenSecret.name=reader", "at '/metrics/tokenSecret'"},
		{"terminationGracePeriodSeconds=10", "at '/terminationGracePeriodSeconds': minimum"},
		{"metrics.readers[0].name=prometheus", "at '/metrics/readers/0': missing property 'namespace'"},
		{"extraArgs={leader-elect}", "at '/extraArgs/0'"},
		{"metrics.prometheusRule.labels.release=1", "at '/metrics/prometheusRule/labels/release': got number, want string"},
		{"metrics.dashboard.labels.grafana_dashboard=1", "at '/metrics/dashboard/labels/grafana_dashboard': got number, want string"},
		{"commonLabels.control-plane=mine", "at '/commonLabels/control-plane': false schema"},
		{`commonLabels.helm\.sh/chart=mine`, "at '/commonLabels/helm.sh~1chart': false schema"},
		{`podLabels.app\.kubernetes\.io/name=mine`, "at '/podLabels/app.kubernetes.io~1name': false schema"},
		{`metrics.service.labels.app\.kubernetes\.io/instance=mine`, "at '/metrics/service/labels/app.kubernetes.io~1instance': false schema"},
		{"metrics.prometheusRule.runbookURL=https://wiki.example.com/#dafty", "at '/metrics/prometheusRule/runbookURL'"},
		{"strategy.rollingUpdate.maxSurge=all", "at '/strategy/rollingUpdate/maxSurge'"},
		{"strategy.type=BlueGreen", "at '/strategy/type'"},
		{"probes.liveness.periodSeconds=0", "at '/probes/liveness/periodSeconds': minimum"},
		{"probes.liveness.successThreshold=2", "at '/probes/liveness': additional properties 'successThreshold' not allowed"},
		{"extraObjects[0].apiVersion=dafty.ai/v1alpha1,extraObjects[0].kind=DaftyJob,extraObjects[0].metadata.name=hero",
			"extraObjects can't have the DaftyJob hero: Helm looks for its kind"},
		{"extraObjects[0].apiVersion=v1,extraObjects[0].kind=List,extraObjects[0].metadata.name=all,extraObjects[0].items[0].apiVersion=dafty.ai/v1,extraObjects[0].items[0].kind=DaftyAsset",
			"extraObjects can't have the DaftyAsset"},
		{"crds.keep=false", "crds.keep: false isn't taken"},
		{"crds.keep=false,crds.install=false", "crds.keep: false isn't taken"},
		{"extraObjects[0].kind=ConfigMap", "at '/extraObjects/0': missing properties 'apiVersion', 'metadata'"},
		// What is about two values at once.
		{"leaderElection.enabled=false", "replicas above 1 need leaderElection.enabled: true"},
		{"metrics.enabled=false,metrics.podMonitor.enabled=true", "metrics.podMonitor needs metrics.enabled"},
		{"metrics.enabled=false,metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor needs metrics.enabled and metrics.service.enabled"},
		{"metrics.enabled=false,metrics.prometheusRule.enabled=true", "metrics.prometheusRule needs metrics.enabled"},
		{"metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "metrics.serviceMonitor and metrics.podMonitor would scrape each Pod twice"},
		{"rbac.create=false,metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor needs metrics.tokenSecret where rbac.create is off"},
		{"rbac.create=false,metrics.podMonitor.enabled=true", "metrics.podMonitor needs metrics.tokenSecret where rbac.create is off"},
		{"rbac.create=false,metrics.readers[0].name=a,metrics.readers[0].namespace=b", "metrics.readers needs metrics.enabled, metrics.secure and rbac.create"},
		{"metrics.secure=false,metrics.readers[0].name=a,metrics.readers[0].namespace=b", "metrics.readers needs metrics.enabled, metrics.secure and rbac.create"},
		{"resources.limits.memory=512Mi", "goMemLimit (900MiB) must be below resources.limits.memory (512Mi)"},
		{"resources.limits.memory=0.8Gi", "goMemLimit (900MiB) must be below resources.limits.memory (0.8Gi)"},
		{"resources.limits.memory=900M", "goMemLimit (900MiB) must be below resources.limits.memory (900M)"},
		{"resources.limits.memory=943718400", "goMemLimit (900MiB) must be below resources.limits.memory (943718400)"},
		{"goMemLimit=1GiB", "goMemLimit (1GiB) must be below resources.limits.memory (1Gi)"},
		{"metrics.secure=false,metrics.tls.secretName=certificate", "metrics.tls.secretName and metrics.tlsConfig need metrics.enabled and metrics.secure"},
		{"metrics.secure=false,metrics.tlsConfig.serverName=metrics", "metrics.tls.secretName and metrics.tlsConfig need metrics.enabled and metrics.secure"},
		{"dafty.url=http://dafty.example.com/api/v1", "dafty.url is plain http"},
		{"dafty.url=http://127.example.com", "dafty.url is plain http"},
		{"dafty.url=http://localhost.example.com", "dafty.url is plain http"},
		{"probes.port=8443", "metrics.port and probes.port are the same"},
	} {
		_, err := installtest.Helm(t, "template", release, chart, "--set", c.values)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", c.values, err, c.says)
		}
	}
}

// Memory limits that go with goMemLimit are let pass, however they are written.
func TestMemoryLimitsAreTaken(t *testing.T) {
	for _, values := range []string{
		"resources.limits.memory=512Mi,goMemLimit=460MiB", "resources.limits.memory=512Mi,goMemLimit=", "resources.limits.memory=1G",
		"resources.limits.memory=943718401", "resources.limits.memory=1e9", "resources.limits.memory=null", "resources.limits=null", "resources=null",
	} {
		render(t, "--set", values)
	}
}

// Every flag of the operator can be set, but for those that mean nothing in a Pod.
func TestEveryFlagIsAValue(t *testing.T) {
	elsewhere := map[string]string{
		"kubeconfig": "a Pod has none",
		"dafty-url":  "set by the environment, DAFTY_URL",
		"version":    "ends the program",
	}
	program := operatortest.Program(t)
	help, _ := exec.CommandContext(t.Context(), program, "--help").CombinedOutput() // its exit code isn't what is asked
	flags := regexp.MustCompile(`(?m)^  -([a-z-]+)`).FindAllStringSubmatch(string(help), -1)
	if len(flags) < 10 {
		t.Fatalf("the operator's help names few flags:\n%s", help)
	}
	container := installtest.Find[appsv1.Deployment](t, render(t, "--values", everything), "Deployment", "").Spec.Template.Spec.Containers[0]
	for _, flag := range flags {
		given := slices.ContainsFunc(container.Args, func(arg string) bool {
			name, _, _ := strings.Cut(arg, "=")
			return name == "--"+flag[1]
		})
		if _, other := elsewhere[flag[1]]; given == other {
			t.Errorf("--%s: the chart sets it: %v; set elsewhere: %v", flag[1], given, other)
		}
	}
	// And what it sets are flags, with values that they take.
	for _, arg := range container.Args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !slices.ContainsFunc(flags, func(flag []string) bool { return flag[1] == name }) {
			t.Errorf("the operator has no flag %s", arg)
		}
	}
	args := append(slices.Clone(container.Args), "--help")
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); strings.Contains(string(out), "invalid") {
		t.Errorf("%v\n%s", err, out)
	}
}
