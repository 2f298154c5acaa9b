package config_test

import (
	"fmt"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// exerciseAccounts creates and changes a DaftyAccount with a budget, and DaftyJobs that use it, so that the operator uses all that it may do
// with these. Where it may do nothing with what is cluster-scoped, a DaftyJob says so.
func exerciseAccounts(t *testing.T, env *kubetest.Env, ns string, wait func(what string, args ...string)) {
	t.Helper()
	apply := func(name string) {
		t.Helper()
		env.MustApply(t, fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: %s}\n"+
			"spec: {imageGenerate: {prompt: A logo}, accountRef: {name: agency}}\n", name), "-n", ns)
	}
	const because = `jsonpath={.status.conditions[?(@.type=="Ready")].reason}=`
	if !can(t, env, "system:serviceaccount:"+namespace+":"+account, "list daftyaccounts.dafty.ai --all-namespaces") {
		apply("counted")
		wait(because+"AccountNotFound", "daftyjob/counted")
		says := env.MustKubectl(t, "get", "daftyjob", "counted", "-n", ns, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].message}`)
		if !strings.Contains(says, "runs without DaftyAccounts") {
			t.Errorf("without the right to DaftyAccounts a DaftyJob says: %s", says)
		}
		return
	}
	env.MustKubectl(t, "create", "secret", "generic", "agency", "-n", namespace, "--from-literal=apiKey="+apiKey)
	defer env.MustKubectl(t, "delete", "secret", "agency", "-n", namespace)
	env.MustKubectl(t, "label", "namespace", ns, "dafty.ai/account=agency")
	defer env.MustKubectl(t, "label", "namespace", ns, "dafty.ai/account-")
	zone := kubetest.TimeZoneAtNoon()
	agency := func(submissions int) {
		t.Helper()
		env.MustApply(t, fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: DaftyAccount\nmetadata: {name: agency}\nspec:\n"+
			"  apiKeySecretRef: {namespace: %s, name: agency}\n  namespaces: {matchLabels: {dafty.ai/account: agency}}\n"+
			"  budgets: [{per: Namespace, period: Month, timeZone: %s, submissions: %d}]\n", namespace, zone, submissions))
	}
	agency(1)
	defer env.MustKubectl(t, "delete", "daftyaccount", "agency")
	wait("condition=Ready", "daftyaccount/agency")
	apply("counted")
	wait("condition=Complete", "daftyjob/counted")
	apply("beyond")
	wait(because+"BudgetExhausted", "daftyjob/beyond")

	// One that an earlier process has left, whose DaftyJob is gone, which is seen past the cache.
	env.MustKubectl(t, "patch", "daftyaccount", "agency", "--subresource=status", "--type=merge", "-p", fmt.Sprintf(
		`{"status":{"reservations":[{"uid":"gone","namespace":"%s","name":"gone","attempt":1,"resourceVersion":"1"}]}}`, ns))
	agency(2)
	wait("condition=Complete", "daftyjob/beyond")
	left := func() bool {
		return env.MustKubectl(t, "get", "daftyaccount", "agency", "-o", "jsonpath={.status.reservations}") != ""
	}
	if !eventually(t, patience, func() bool { return !left() }) {
		t.Errorf("reservations stay:\n%s", env.MustKubectl(t, "get", "daftyaccount", "agency", "-o", "yaml"))
	}
	if used := env.MustKubectl(t, "get", "daftyaccount", "agency", "-o", "jsonpath={.status.usage[*].submissions}"); used != "2" {
		t.Errorf("two DaftyJobs have used %s", used)
	}
}
