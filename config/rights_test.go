package config_test

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// right is one verb of one rule of a role that the operator's service account is bound to.
type right struct {
	role, namespace       string // namespace: the binding's; "" in all
	group, resource, verb string
}

func (r right) String() string {
	return fmt.Sprintf("%s %s.%s by %s in %s", r.verb, r.resource, r.group, r.role, cmp.Or(r.namespace, "all namespaces"))
}

func byName(a, b right) int { return strings.Compare(a.String(), b.String()) }

// operatorHasTheRightsItUses runs the operator with the flags and the rights that are installed, exercises it in a namespace, and then checks
// the audit log of the API server against the rights: none is missing, and none is unused.
func operatorHasTheRightsItUses(t *testing.T, env *kubetest.Env, ns string) {
	before := len(audited(t, env))
	sim := newDafty(t)
	operator := startOperator(t, env, sim.URL, "--deletion-timeout=3s")

	leads := func() bool {
		leases := &coordinationv1.LeaseList{}
		if err := env.Client.List(t.Context(), leases, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(leases.Items, func(lease coordinationv1.Lease) bool { return ptr.Deref(lease.Spec.HolderIdentity, "") != "" })
	}
	env.MustKubectl(t, "create", "serviceaccount", "scraper", "-n", namespace)
	env.MustKubectl(t, "create", "clusterrolebinding", "scraper", "--clusterrole=dafty-operator-metrics-reader", "--serviceaccount="+namespace+":scraper")
	defer env.MustKubectl(t, "delete", "clusterrolebinding/scraper")
	token := env.MustKubectl(t, "create", "token", "scraper", "-n", namespace)
	// The operator's metrics show that its workers started, so that its caches are full.
	works := func() bool {
		status, body := operatortest.Get(t, "https://"+operator.metrics+"/metrics", token)
		return status == http.StatusOK && strings.Contains(body, "controller_runtime_max_concurrent_reconciles{")
	}
	ready := func() bool { return operatortest.Ready(t, operator.probes) }
	for _, step := range []struct {
		what  string
		holds func() bool
	}{{"it is ready", ready}, {"it leads", leads}, {"a scraper with the role may read", works}} {
		if !eventually(t, patience, step.holds) {
			t.Fatalf("not so: %s", step.what)
		}
	}
	if status, _ := operatortest.Get(t, "https://"+operator.metrics+"/metrics", ""); status != http.StatusUnauthorized && status != http.StatusForbidden {
		t.Errorf("metrics for anybody: status %d", status)
	}

	exerciseOperator(t, env, sim, ns)
	operator.stop(t)

	// Older API servers can't stream a list: the operator then lists, before it watches.
	withoutWatchList := []string{"DAFTY_URL=" + sim.URL, "KUBE_FEATURE_WatchListClient=false"}
	// And a lease and a certificate of the user's own need no other right.
	operator = startOperatorIn(t, env, withoutWatchList, "--leader-election-id=images.dafty.ai", "--metrics-cert-path="+certificate(t, "metrics.example.com"))
	if !eventually(t, patience, works) {
		t.Fatal("it doesn't start where lists aren't streamed, with a lease and a certificate of the user's own")
	}
	env.MustKubectl(t, "get", "lease", "images.dafty.ai", "-n", namespace)
	// ConfigMaps are listed once the result of a DaftyJob is in one.
	env.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: kept}\nspec: {imageGenerate: {prompt: A logo}, resultConfigMap: kept}\n", "-n", ns)
	stored := func() bool {
		return env.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "kept"}, &corev1.ConfigMap{}) == nil
	}
	for _, what := range []string{"written", "written again once it was deleted"} {
		if !eventually(t, patience, stored) {
			t.Fatalf("the ConfigMap of the result isn't %s", what)
		}
		env.MustKubectl(t, "delete", "configmap", "kept", "-n", ns)
	}
	env.MustKubectl(t, "delete", "daftyjob", "kept", "-n", ns, "--timeout="+patience.String())
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", operator.metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].VerifyHostname("metrics.example.com"); err != nil {
		t.Errorf("metrics are served with another certificate: %v", err)
	}
	operator.stop(t)

	used := map[right]bool{}
	for _, event := range audited(t, env)[before:] {
		if by, refused := allowedBy(event); refused {
			t.Errorf("it may not %s %s, which it wanted", event.Verb, event.RequestURI)
		} else if by != nil {
			used[*by] = true
		}
	}
	granted := rightsOf(t, env)
	for _, right := range slices.SortedFunc(maps.Keys(granted), byName) {
		if !used[right] && (right.namespace == "" || right.namespace == ns || right.namespace == namespace) {
			t.Errorf("to spare: %s", right)
		}
	}
	for right := range used {
		if !granted[right] {
			t.Errorf("the audit log has a right that no role gives: %s", right)
		}
	}
}

// certificate returns a folder with a certificate for a host, and its key.
func certificate(t *testing.T, host string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cert, key, err := certutil.GenerateSelfSignedCertKey(host, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tls.crt"), string(cert))
	write(t, filepath.Join(dir, "tls.key"), string(key))
	return dir
}

func audited(t *testing.T, env *kubetest.Env) []auditv1.Event {
	t.Helper()
	events, err := env.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// reason is how RBAC explains itself in the audit log. A RoleBinding is named as NAME/NAMESPACE.
var reason = regexp.MustCompile(`^RBAC: allowed by (?:Cluster)?RoleBinding "[^"/]+(?:/([^"]+))?" of (?:Cluster)?Role "([^"]+)" to ServiceAccount `)

// allowedBy returns the right that allowed a request of the operator. It is nil for requests of others, and for those that
// everybody may make.
func allowedBy(event auditv1.Event) (by *right, refused bool) {
	if event.User.Username != "system:serviceaccount:"+namespace+":"+account {
		return nil, false
	}
	if event.Annotations["authorization.k8s.io/decision"] != "allow" {
		return nil, true
	}
	found := reason.FindStringSubmatch(event.Annotations["authorization.k8s.io/reason"])
	if found == nil {
		return nil, false
	}
	resource := event.ObjectRef.Resource
	if event.ObjectRef.Subresource != "" {
		resource += "/" + event.ObjectRef.Subresource
	}
	return &right{role: found[2], namespace: found[1], group: event.ObjectRef.APIGroup, resource: resource, verb: event.Verb}, false
}

// rightsOf returns all rights of the operator's service account.
func rightsOf(t *testing.T, env *kubetest.Env) map[right]bool {
	t.Helper()
	rights := map[right]bool{}
	add := func(subjects []rbacv1.Subject, ref rbacv1.RoleRef, in string) {
		if !slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool { return s.Name == account && s.Namespace == namespace }) {
			return
		}
		var rules []rbacv1.PolicyRule
		var err error
		if ref.Kind == "Role" {
			role := &rbacv1.Role{}
			err = env.Client.Get(t.Context(), client.ObjectKey{Namespace: in, Name: ref.Name}, role)
			rules = role.Rules
		} else {
			role := &rbacv1.ClusterRole{}
			err = env.Client.Get(t.Context(), client.ObjectKey{Name: ref.Name}, role)
			rules = role.Rules
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						rights[right{role: ref.Name, namespace: in, group: group, resource: resource, verb: verb}] = true
					}
				}
			}
		}
	}
	clusterBindings, bindings := &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleBindingList{}
	if err := env.Client.List(t.Context(), clusterBindings); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.List(t.Context(), bindings); err != nil {
		t.Fatal(err)
	}
	for _, binding := range clusterBindings.Items {
		add(binding.Subjects, binding.RoleRef, "")
	}
	for _, binding := range bindings.Items {
		add(binding.Subjects, binding.RoleRef, binding.Namespace)
	}
	return rights
}
