// Package config_test installs the manifests of the folders here on a real API server.
package config_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apilabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

const (
	namespace  = "dafty-operator-system"
	deployment = "dafty-operator-controller-manager"
	account    = "dafty-operator-controller-manager"
	podLabel   = "control-plane=controller-manager"
)

// There is no CRD beforehand: to install it is part of what is tested.
func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	// These tests mostly wait, for their turn or for a control plane, so that more of them than processors run.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	kubetest.Main(m, kubetest.Options{CRDs: []string{}, ControllerManager: true, Audit: true})
}

// installation is held by the test whose installation the package's control plane has: there is one a cluster.
var installation sync.Mutex

// startInTurn returns the package's control plane once no other test has it.
func startInTurn(t *testing.T) *kubetest.Env {
	t.Helper()
	t.Parallel()
	installation.Lock()
	t.Cleanup(installation.Unlock)
	return kubetest.Start(t)
}

// startOwn returns a control plane of the test's own.
func startOwn(t *testing.T, options kubetest.Options) *kubetest.Env {
	t.Helper()
	t.Parallel()
	cp, err := kubetest.New(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cp.Env(t)
}

// The steps share the one installation of a cluster, from install to uninstall.
func TestInstallation(t *testing.T) {
	env := startInTurn(t)
	manifests := installtest.Kustomize(t, "config/default")
	install(t, env, manifests)

	t.Run("applying it again changes nothing", func(t *testing.T) { appliesWithoutChange(t, env, manifests) })
	t.Run("its Pods are let in where only restricted ones are", func(t *testing.T) { podsAreRestricted(t, env, manifests) })
	t.Run("it may do what it needs and no more", func(t *testing.T) { operatorRights(t, env) })
	t.Run("people's roles have DaftyJobs in them", func(t *testing.T) { peoplesRights(t, env) })
	t.Run("DaftyAccounts are in no role of a namespace", func(t *testing.T) { accountRights(t, env) })
	t.Run("it runs with these flags, and uses all of these rights", func(t *testing.T) { operatorHasTheRightsItUses(t, env, env.Namespace) })
	t.Run("it goes again", func(t *testing.T) { uninstall(t, env, manifests) })
}

// An installation that watches only some namespaces has no rights in any other.
func TestInstallationForSomeNamespaces(t *testing.T) {
	env := startInTurn(t)
	for _, ns := range []string{"team-a", "team-b"} {
		env.MustKubectl(t, "create", "namespace", ns)
		defer env.MustKubectl(t, "delete", "namespace", ns, "--timeout=90s")
	}
	manifests := installtest.Overlay(t, map[string]string{
		".":      "resources: [CONFIG/default, team-a, team-b]\ncomponents: [CONFIG/watch-namespaces, CONFIG/admission-policy]\n" + watchTeams,
		"team-a": "namespace: team-a\nresources: [CONFIG/watched-namespace]\n",
		"team-b": "namespace: team-b\nresources: [CONFIG/watched-namespace]\n",
	})
	install(t, env, manifests)
	t.Run("it has no right in other namespaces", func(t *testing.T) {
		as := "system:serviceaccount:" + namespace + ":" + account
		for args, may := range map[string]bool{
			"list daftyjobs.dafty.ai -n team-a": true, "get secrets -n team-b": true,
			"list daftyjobs.dafty.ai --all-namespaces": false, "list daftyjobs.dafty.ai -n default": false,
			"get secrets -n default": false, "get secrets -n " + namespace: false,
			"list daftyaccounts.dafty.ai --all-namespaces": false, "list namespaces --all-namespaces": false,
		} {
			if can(t, env, as, args) != may {
				t.Errorf("it may %s: %v, want %v", args, !may, may)
			}
		}
	})
	t.Run("it runs with these flags, and uses all of these rights", func(t *testing.T) { operatorHasTheRightsItUses(t, env, "team-a") })
	t.Run("a stolen token makes nothing to pay for", func(t *testing.T) { stolenTokenMakesNothing(t, env, "team-a") })
	t.Run("one without its Role holds up all, and it says so", func(t *testing.T) { missingRoleIsTold(t, env) })
	t.Run("one that is deleted with its RoleBinding goes by the way out", func(t *testing.T) { stuckNamespaceGoes(t, env, manifests) })
	t.Run("it goes again", func(t *testing.T) { uninstall(t, env, manifests) })
}

// missingRoleIsTold starts the operator with a namespace that doesn't exist, and then creates it with its Role.
func missingRoleIsTold(t *testing.T, env *kubetest.Env) {
	operator := startOperator(t, env, "https://127.0.0.1:1/api/v1", "--watch-namespaces=team-a,team-c")
	readyz := func() (int, string) { return operatortest.Get(t, "http://"+operator.probes+"/readyz", "") }
	told := regexp.MustCompile(`"level":"error".*DaftyJobs may not be listed in a namespace of --watch-namespaces.*"namespace":"(.*?)"`)
	if !eventually(t, patience, func() bool { return told.MatchString(operator.Log.String()) }) {
		t.Fatal("it doesn't say that a namespace has no Role")
	}
	if all := told.FindAllStringSubmatch(operator.Log.String(), -1); len(all) != 1 || all[0][1] != "team-c" {
		t.Errorf("it says so of %q", all)
	}
	if !eventually(t, patience, func() bool { status, _ := readyz(); return status != 0 }) {
		t.Fatal("it serves no probes")
	}
	if status, body := readyz(); status != http.StatusInternalServerError || !strings.Contains(body, "[-]caches failed") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	env.MustKubectl(t, "create", "namespace", "team-c")
	defer env.MustKubectl(t, "delete", "namespace", "team-c", "--timeout=90s")
	installtest.Apply(t, env, installtest.Overlay(t, map[string]string{".": "namespace: team-c\nresources: [CONFIG/watched-namespace]\n"}))
	if !eventually(t, patience, func() bool { status, _ := readyz(); return status == http.StatusOK }) {
		t.Error("it doesn't notice that the Role is there")
	}
	operator.stop(t)
}

// stuckNamespaceGoes deletes a namespace whose RoleBinding is gone before its DaftyJob, and runs the commands of docs/troubleshooting.md.
func stuckNamespaceGoes(t *testing.T, env *kubetest.Env, manifests string) {
	page, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	wayOut := regexp.MustCompile("(?s)```sh\n(kubectl create clusterrole .*?)```.*?```sh\n(kubectl delete clusterrolebinding.*?)```").FindSubmatch(page)
	if wayOut == nil {
		t.Fatal("the page has no way out")
	}
	path := programs(t, env)
	bash := func(script []byte) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", string(script))
		cmd.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "KUBECONFIG="+env.Kubeconfig)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	sim := newDafty(t)
	operator := startOperator(t, env, sim.URL)
	env.MustKubectl(t, "create", "secret", "generic", "dafty-credentials", "-n", "team-b", "--from-literal=apiKey="+apiKey)
	env.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: running, namespace: team-b}\n"+
		"spec: {imageUpscale: {image: {id: "+ownImage+"}, resolution: 4K}}\n")
	env.MustKubectl(t, "wait", "-n", "team-b", "--for=jsonpath={.status.phase}=Processing", "daftyjob/running", "--timeout="+patience.String())

	env.MustKubectl(t, "delete", "rolebinding", "dafty-operator-manager-rolebinding", "-n", "team-b")
	env.MustKubectl(t, "delete", "namespace", "team-b", "--wait=false")
	if !eventually(t, patience, func() bool { return strings.Contains(operator.Log.String(), "forbidden") }) {
		t.Fatal("it may still write")
	}
	if got := env.MustKubectl(t, "get", "daftyjobs", "-n", "team-b", "-o", "name"); got == "" {
		t.Fatal("the DaftyJob is gone: there is no way out to test")
	}
	bash(wayOut[1])
	env.MustKubectl(t, "wait", "--for=delete", "namespace/team-b", "--timeout="+patience.String())
	bash(wayOut[2])
	for _, job := range sim.Running() {
		t.Errorf("a %s runs on", job.Operation)
	}
	operator.stop(t)
	env.MustKubectl(t, "create", "namespace", "team-b")
	installtest.Apply(t, env, manifests)
}

const watchTeams = `patches:
- target: {kind: Deployment, name: dafty-operator-controller-manager}
  patch: |-
    - op: add
      path: /spec/template/spec/containers/0/args/-
      value: --watch-namespaces=team-a,team-b
`

// Every component is accepted by a real API server, by itself and with all others, with names and selectors that fit.
func TestComponents(t *testing.T) {
	env := startInTurn(t)
	installtest.PrometheusCRDs(t, env)
	overlay := func(t *testing.T, more string, components ...string) string {
		return installtest.Overlay(t, map[string]string{".": "resources: [CONFIG/default]\ncomponents: [CONFIG/" + strings.Join(components, ", CONFIG/") + "]\n" + more})
	}
	all := []string{"network-policy", "admission-policy", "policies", "prometheus", "grafana", "plain-metrics", "watch-namespaces"}
	manifests := overlay(t, "", all...)
	install(t, env, manifests)
	selectorsFit(t, manifests)
	for _, component := range all {
		t.Run(component, func(t *testing.T) {
			manifests := overlay(t, "", component)
			selectorsFit(t, manifests)
			installtest.Apply(t, env, manifests, "--dry-run=server")
		})
	}
	t.Run("in a namespace of another name", func(t *testing.T) {
		manifests := overlay(t, "namespace: "+env.Namespace+"\n", all...)
		if strings.Contains(manifests, namespace) {
			t.Error("something is left in the usual namespace")
		}
		selectorsFit(t, manifests)
		// The namespace is there already, made by another way than apply.
		installtest.Apply(t, env, manifests, "--dry-run=server", "--force-conflicts")
	})
	uninstall(t, env, manifests)
}

// selectorsFit checks that selectors, ports and schemes fit what they select.
func selectorsFit(t *testing.T, manifests string) {
	deployment := installtest.Find[appsv1.Deployment](t, manifests, "Deployment", "")
	service := installtest.Find[corev1.Service](t, manifests, "Service", "")
	secure := !slices.Contains(deployment.Spec.Template.Spec.Containers[0].Args, "--metrics-secure=false")
	fits := func(what string, selector, labels map[string]string) {
		if len(selector) == 0 || !apilabels.SelectorFromSet(selector).Matches(apilabels.Set(labels)) {
			t.Errorf("%s: %v doesn't select %v", what, selector, labels)
		}
	}
	pod := deployment.Spec.Template.Labels
	fits("Service", service.Spec.Selector, pod)
	fits("PodDisruptionBudget", installtest.Find[policyv1.PodDisruptionBudget](t, manifests, "PodDisruptionBudget", "").Spec.Selector.MatchLabels, pod)
	for _, constraint := range deployment.Spec.Template.Spec.TopologySpreadConstraints {
		fits(constraint.TopologyKey, constraint.LabelSelector.MatchLabels, pod)
	}
	for _, object := range installtest.Objects(t, manifests) {
		switch object.GetKind() {
		case "NetworkPolicy":
			selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "podSelector", "matchLabels")
			fits("NetworkPolicy", selector, pod)
		case "ServiceMonitor":
			selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "selector", "matchLabels")
			fits("ServiceMonitor", selector, service.Labels)
			endpoints, _, _ := unstructured.NestedSlice(object.Object, "spec", "endpoints")
			endpoint := endpoints[0].(map[string]any)
			scheme := map[bool]string{true: "https", false: "http"}[secure]
			if endpoint["scheme"] != scheme || endpoint["port"] != service.Spec.Ports[0].Name || service.Spec.Ports[0].Name != scheme {
				t.Errorf("metrics are served by %s, port %s, and scraped at %v", scheme, service.Spec.Ports[0].Name, endpoint)
			}
		}
	}
}

func install(t *testing.T, env *kubetest.Env, manifests string) {
	t.Helper()
	installtest.Apply(t, env, manifests)
	env.MustKubectl(t, "wait", "--for=condition=Established", "crd/daftyaccounts.dafty.ai", "crd/daftyassets.dafty.ai", "crd/daftyjobs.dafty.ai", "--timeout=30s")
}

func uninstall(t *testing.T, env *kubetest.Env, manifests string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "install.yaml")
	if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	env.MustKubectl(t, "delete", "-f", file, "--timeout=90s")
}

func appliesWithoutChange(t *testing.T, env *kubetest.Env, manifests string) {
	generations := func() string {
		return env.MustKubectl(t, "get", "deployment,configmap,service", "-n", namespace,
			"-o", "jsonpath={range .items[*]}{.metadata.name} {.metadata.generation} {end}")
	}
	before := generations()
	env.MustApply(t, manifests, "--server-side")
	after := generations()
	if before != after {
		t.Errorf("before %s\nafter %s", before, after)
	}
}

func podsAreRestricted(t *testing.T, env *kubetest.Env, manifests string) {
	// The ReplicaSet's controller creates the Pods, which admission checks; no node will run them.
	if _, stderr, err := env.Kubectl(t, "wait", "--for=create", "pod", "-l", podLabel, "-n", namespace, "--timeout=60s"); err != nil {
		t.Fatalf("%v %s\n%s", err, stderr, env.MustKubectl(t, "get", "events", "-n", namespace))
	}
	installtest.RestrictedPod(t, env, namespace, installtest.Find[appsv1.Deployment](t, manifests, "Deployment", "").Spec.Template)
}

func operatorRights(t *testing.T, env *kubetest.Env) {
	as := "system:serviceaccount:" + namespace + ":" + account
	for _, right := range []struct {
		may  bool
		args string
	}{
		{true, "list daftyjobs.dafty.ai --all-namespaces"},
		{true, "watch daftyjobs.dafty.ai --all-namespaces"},
		{true, "patch daftyjobs.dafty.ai --all-namespaces"},
		{true, "patch daftyjobs.dafty.ai --subresource=status --all-namespaces"},
		{true, "create daftyjobs.dafty.ai --all-namespaces"},
		{true, "delete daftyjobs.dafty.ai --all-namespaces"},
		{true, "list daftyassets.dafty.ai --all-namespaces"},
		{true, "patch daftyassets.dafty.ai --all-namespaces"},
		{true, "patch daftyassets.dafty.ai --subresource=status --all-namespaces"},
		{true, "list daftyaccounts.dafty.ai --all-namespaces"},
		{true, "patch daftyaccounts.dafty.ai --subresource=status --all-namespaces"},
		{true, "list namespaces --all-namespaces"},
		{true, "get secrets --all-namespaces"},
		{true, "get configmaps --all-namespaces"},
		{true, "list configmaps --all-namespaces"},
		{true, "watch configmaps --all-namespaces"},
		{true, "create configmaps --all-namespaces"},
		{true, "patch configmaps --all-namespaces"},
		{true, "create events.events.k8s.io --all-namespaces"},
		{true, "create leases.coordination.k8s.io -n " + namespace},
		{true, "create tokenreviews.authentication.k8s.io"},
		{false, "list secrets --all-namespaces"},
		{false, "watch secrets --all-namespaces"},
		{false, "create secrets --all-namespaces"},
		{false, "update secrets --all-namespaces"},
		{false, "create daftyaccounts.dafty.ai --all-namespaces"},
		{false, "patch daftyaccounts.dafty.ai --all-namespaces"},
		{false, "create daftyassets.dafty.ai --all-namespaces"},
		{false, "delete daftyassets.dafty.ai --all-namespaces"},
		{false, "deletecollection daftyjobs.dafty.ai --all-namespaces"},
		{false, "delete configmaps --all-namespaces"},
		{false, "create pods --all-namespaces"},
		{false, "create leases.coordination.k8s.io -n default"},
	} {
		if can(t, env, as, right.args) != right.may {
			t.Errorf("it may %s: %v, want %v", right.args, !right.may, right.may)
		}
	}
}

func peoplesRights(t *testing.T, env *kubetest.Env) {
	for role, rights := range map[string]map[string]bool{
		"view":  {"list KIND": true, "create KIND": false, "patch KIND --subresource=status": false},
		"edit":  {"list KIND": true, "create KIND": true, "delete KIND": true, "patch KIND --subresource=status": false},
		"admin": {"list KIND": true, "create KIND": true, "deletecollection KIND": true, "patch KIND --subresource=status": false},
	} {
		user := role + "-person"
		env.MustKubectl(t, "create", "rolebinding", user, "--clusterrole", role, "--user", user)
		for args, may := range rights {
			for _, kind := range []string{"daftyassets", "daftyjobs"} {
				args := strings.ReplaceAll(args, "KIND", kind+".dafty.ai")
				// Roles are aggregated by a controller, some time after they are applied.
				if !eventually(t, 15*time.Second, func() bool { return can(t, env, user, args) == may }) {
					t.Errorf("who has the role %s may %s: %v, want %v", role, args, !may, may)
				}
			}
		}
	}
}

// accountRights checks that who has a role of a namespace sees nothing of DaftyAccounts, and what the roles for these give.
func accountRights(t *testing.T, env *kubetest.Env) {
	for _, role := range []string{"view", "edit", "admin"} {
		user := role + "-everywhere"
		env.MustKubectl(t, "create", "clusterrolebinding", user, "--clusterrole", role, "--user", user)
		defer env.MustKubectl(t, "delete", "clusterrolebinding", user)
		// The roles are aggregated by now: each had its turn in peoplesRights.
		for _, verb := range []string{"get", "list", "create", "patch", "delete"} {
			if can(t, env, user, verb+" daftyaccounts.dafty.ai --all-namespaces") {
				t.Errorf("who has the role %s everywhere may %s DaftyAccounts", role, verb)
			}
		}
	}
	for role, rights := range map[string]map[string]bool{
		"viewer": {"list": true, "create": false, "patch": false, "delete": false},
		"editor": {"list": true, "create": true, "patch": true, "delete": true},
	} {
		user := "account-" + role
		env.MustKubectl(t, "create", "clusterrolebinding", user, "--clusterrole", "dafty-operator-daftyaccount-"+role+"-role", "--user", user)
		defer env.MustKubectl(t, "delete", "clusterrolebinding", user)
		for verb, may := range rights {
			if can(t, env, user, verb+" daftyaccounts.dafty.ai --all-namespaces") != may {
				t.Errorf("a DaftyAccount's %s may %s it: %v, want %v", role, verb, !may, may)
			}
		}
		if can(t, env, user, "patch daftyaccounts.dafty.ai --subresource=status --all-namespaces") {
			t.Errorf("a DaftyAccount's %s may write its status", role)
		}
	}
}

// can reports whether somebody may do something, which is given as to kubectl auth can-i: VERB RESOURCE.GROUP, with --subresource, and with -n or
// --all-namespaces where it isn't about the test's namespace. As kubectl does, it asks the API server in that one's name.
func can(t *testing.T, env *kubetest.Env, as, args string) bool {
	t.Helper()
	fields := strings.Fields(args)
	resource := schema.ParseGroupResource(fields[1])
	asked := &authorizationv1.ResourceAttributes{Verb: fields[0], Group: resource.Group, Resource: resource.Resource, Namespace: env.Namespace}
	for i, flag := range fields[2:] {
		switch subresource, is := strings.CutPrefix(flag, "--subresource="); {
		case is:
			asked.Subresource = subresource
		case flag == "--all-namespaces":
			asked.Namespace = ""
		case flag == "-n":
			asked.Namespace = fields[2:][i+1]
		case !strings.HasPrefix(flag, "-"): // -n's
		default:
			t.Fatalf("%s: what is %s?", args, flag)
		}
	}
	config := rest.CopyConfig(env.Config)
	config.Impersonate.UserName = as
	c, err := client.New(config, client.Options{Scheme: kubetest.Scheme, Mapper: env.Client.RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: asked}}
	if err := c.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// Both ways of config/argocd/kustomization.yaml keep the settings that an Argo CD has.
func TestArgoCDSetting(t *testing.T) {
	const existing = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, labels: {app.kubernetes.io/part-of: argocd}}\ndata: {url: https://argocd.example.com}\n"
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"url": "https://argocd.example.com"}
	for key, file := range map[string]string{
		"resource.customizations.health.dafty.ai_DaftyAccount": "resource_customizations/dafty.ai/DaftyAccount/health.lua",
		"resource.customizations.health.dafty.ai_DaftyAsset":   "resource_customizations/dafty.ai/DaftyAsset/health.lua",
		"resource.customizations.actions.dafty.ai_DaftyAsset":  "daftyasset_actions.yaml",
		"resource.customizations.health.dafty.ai_DaftyJob":     "resource_customizations/dafty.ai/DaftyJob/health.lua",
		"resource.customizations.actions.dafty.ai_DaftyJob":    "daftyjob_actions.yaml",
	} {
		content, err := os.ReadFile(filepath.Join("argocd", file))
		if err != nil {
			t.Fatal(err)
		}
		want[key] = string(content)
	}
	env := startInTurn(t)
	env.MustKubectl(t, "create", "namespace", "argocd")
	check := func(t *testing.T) {
		t.Helper()
		cm := &corev1.ConfigMap{}
		if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: "argocd", Name: "argocd-cm"}, cm); err != nil {
			t.Fatal(err)
		}
		if cm.Labels["app.kubernetes.io/part-of"] != "argocd" || !maps.Equal(cm.Data, want) {
			t.Errorf("got %+v", cm)
		}
	}

	t.Run("as a component", func(t *testing.T) {
		// kustomize takes only relative paths of folders.
		dir := t.TempDir()
		component, err := filepath.Rel(dir, filepath.Join(root, "config", "argocd"))
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{
			"argocd.yaml":        existing,
			"kustomization.yaml": fmt.Sprintf("namespace: argocd\nresources: [argocd.yaml]\ncomponents: [%s]\n", component),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		env.MustApply(t, installtest.Kustomize(t, dir))
		check(t)
		env.MustKubectl(t, "delete", "configmap", "argocd-cm", "--namespace=argocd")
	})
	t.Run("added to what is there", func(t *testing.T) {
		env.MustApply(t, existing, "--namespace=argocd")
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", commentedCommand(t, "argocd/kustomization.yaml"))
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "KUBECONFIG="+env.Kubeconfig, "PATH="+filepath.Dir(env.Asset("kubectl"))+":"+os.Getenv("PATH"))
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		check(t)
	})
}

// commentedCommand returns the command in a file's comment, which is indented further than the text.
func commentedCommand(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	command := ""
	for line := range strings.Lines(string(content)) {
		if code, ok := strings.CutPrefix(line, "#   "); ok {
			command += code
		}
	}
	if !strings.HasPrefix(command, "kubectl ") {
		t.Fatalf("%s has no command in a comment, but %q", file, command)
	}
	return command
}
