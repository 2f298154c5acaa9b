package docs_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// The page about security names all rights of the operator, and no other. "Read" is to get, list and watch.
func TestRights(t *testing.T) {
	rights := map[string]map[string]bool{}
	for _, name := range []string{"manager/role", "leader_election_role", "metrics_auth_role"} {
		raw, err := os.ReadFile(filepath.Join("../config/rbac", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(raw), "\n---\n") {
			role := &rbacv1.ClusterRole{} // or a Role, whose rules are alike
			if err := yaml.UnmarshalStrict([]byte(document), role); err != nil {
				t.Fatal(err)
			}
			addRights(rights, role.Rules)
		}
	}
	told := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z]+)[^|]* \| ([a-z, ]+) \| .* \|$`).FindAllStringSubmatch(read(t, "security.md"), -1) {
		told[row[1]] = row[2]
	}
	for resource, verbs := range rights {
		if verbs["read"] {
			delete(verbs, "get")
		}
		want := slices.Sorted(maps.Keys(verbs))
		if got := slices.Sorted(slices.Values(strings.Split(told[resource], ", "))); !slices.Equal(got, want) {
			t.Errorf("%s: the page says %q, the role %q", resource, got, want)
		}
	}
	for resource := range told {
		if rights[resource] == nil && resource != "resource" { // the head
			t.Errorf("%s: the page has it, and no role has", resource)
		}
	}
}

// addRights adds what rules allow, by resource.
func addRights(rights map[string]map[string]bool, rules []rbacv1.PolicyRule) {
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			resource, _, _ = strings.Cut(resource, "/") // a status is told of with its object
			if rights[resource] == nil {
				rights[resource] = map[string]bool{}
			}
			for _, verb := range rule.Verbs {
				if verb == "list" || verb == "watch" {
					verb = "read"
				}
				rights[resource][verb] = true
			}
		}
	}
}

// The quota and the policy against retries of the page about security bound a team.
func TestBudgets(t *testing.T) {
	// Two namespaces: a quota counts what was created and deleted in a namespace for a while.
	withPolicy, withQuota := kubetest.Start(t), kubetest.Start(t)
	for _, b := range block.FindAllStringSubmatch(read(t, "security.md"), -1) {
		switch {
		case b[2] == "yaml" && strings.Contains(b[3], "kind: ValidatingAdmissionPolicy\n"):
			withPolicy.MustApply(t, b[3])
		case b[2] == "yaml" && strings.Contains(b[3], "kind: ResourceQuota"):
			withQuota.MustApply(t, b[3])
		}
	}
	withPolicy.MustKubectl(t, "label", "namespace", withPolicy.Namespace, "budget=small")
	hero := func(spec string) string {
		return "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: hero}\n" +
			"spec: {desiredState: Suspended, imageGenerate: {prompt: A logo}" + spec + "}\n"
	}
	// Nothing tells when the policy is loaded.
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		_, stderr, err := withPolicy.Apply(t, hero(", backoffLimit: 1"), "--dry-run=server")
		if err != nil {
			if !strings.Contains(stderr, "retries are paid for; leave out backoffLimit") {
				t.Errorf("retries are refused with %q", stderr)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("retries aren't refused after %s", patience)
		}
	}
	withPolicy.MustApply(t, hero(""))

	withQuota.MustKubectl(t, "wait", "--for=jsonpath={.status.hard.count/daftyjobs\\.dafty\\.ai}=20", "resourcequota/daftyjobs", "--timeout="+patience.String())
	var many strings.Builder
	for i := range 21 {
		fmt.Fprintf(&many, "---\napiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: many-%d}\nspec: {desiredState: Suspended, imageGenerate: {prompt: A logo}}\n", i)
	}
	stdout, stderr, err := withQuota.Apply(t, many.String())
	if err == nil || !strings.Contains(stderr, "exceeded quota: daftyjobs") || strings.Count(stdout, " created\n") != 20 {
		t.Errorf("of 21 DaftyJobs, where 20 may be: %v\n%s%s", err, stdout, stderr)
	}
}

// A policy is about later requests. A DaftyJob that is older than the policy, and has what it forbids, can be cancelled and deleted, and so can its
// namespace; only what a change adds is refused.
func TestBudgetsSpareOlderDaftyJobs(t *testing.T) {
	env := kubetest.Start(t)
	startOperatorWith(t, env, daftysim.Options{Manual: true})
	env.MustKubectl(t, "create", "secret", "generic", "dafty-credentials", "--from-literal=apiKey="+apiKey)
	manifest := func(name, spec string) string {
		return "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: " + name + "}\nspec: {imageGenerate: {prompt: A logo}" + spec + "}\n---\n"
	}
	older := []string{"deleted", "cancelled", "changed", "stays"}
	for _, name := range older {
		env.MustApply(t, manifest(name, ", backoffLimit: 2"))
	}
	env.MustApply(t, manifest("plain", ""))
	for _, name := range older {
		env.MustKubectl(t, "wait", "--for=jsonpath={.status.phase}=Queued", "daftyjob/"+name, "--timeout="+patience.String())
	}
	env.MustKubectl(t, "label", "namespace", env.Namespace, "budget=small")
	for _, b := range block.FindAllStringSubmatch(read(t, "security.md"), -1) {
		if b[2] == "yaml" && strings.Contains(b[3], "kind: ValidatingAdmissionPolicy\n") {
			env.MustApply(t, b[3])
		}
	}
	const refusal = "retries are paid for; leave out backoffLimit"
	// Nothing tells when the policy is loaded.
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if _, stderr, err := env.Apply(t, manifest("new", ", backoffLimit: 1"), "--dry-run=server"); err != nil && strings.Contains(stderr, refusal) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("retries aren't refused after %s", patience)
		}
	}

	patch := func(name, spec string) (string, error) {
		_, stderr, err := env.Kubectl(t, "patch", "daftyjob", name, "--type=merge", "-p", `{"spec":{`+spec+`}}`)
		return stderr, err
	}
	for _, c := range []struct{ name, spec string }{{"changed", `"backoffLimit":3`}, {"plain", `"backoffLimit":1`}, {"changed", `"backoffLimit":5,"desiredState":"Cancelled"`}} {
		if stderr, err := patch(c.name, c.spec); err == nil || !strings.Contains(stderr, refusal) {
			t.Errorf("%s to %s: %v, %s", c.name, c.spec, err, stderr)
		}
	}
	for _, c := range []struct{ name, spec string }{
		{"changed", `"ttlSecondsAfterFinished":3600`}, {"changed", `"backoffLimit":2`}, {"changed", `"backoffLimit":1`}, {"changed", `"backoffLimit":0`},
		{"stays", `"backoffLimit":null`}, {"plain", `"ttlSecondsAfterFinished":3600`}, {"plain", `"backoffLimit":0`}, {"cancelled", `"desiredState":"Cancelled"`},
	} {
		if stderr, err := patch(c.name, c.spec); err != nil {
			t.Errorf("%s to %s: %v, %s", c.name, c.spec, err, stderr)
		}
	}
	if stderr, err := patch("changed", `"backoffLimit":1`); err == nil || !strings.Contains(stderr, refusal) {
		t.Errorf("raised again after it was lowered: %v, %s", err, stderr)
	}
	env.MustKubectl(t, "annotate", "daftyjob", "deleted", "note=by hand")
	env.MustKubectl(t, "wait", "--for=condition=Cancelled", "daftyjob/cancelled", "--timeout="+patience.String())
	env.MustKubectl(t, "delete", "daftyjob", "deleted", "--timeout="+patience.String())
	env.MustKubectl(t, "delete", "daftyjob", "cancelled", "--timeout="+patience.String())
	env.MustKubectl(t, "delete", "namespace", env.Namespace, "--timeout="+patience.String())
}
