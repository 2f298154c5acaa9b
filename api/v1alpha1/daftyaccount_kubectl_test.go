package v1alpha1_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

func TestKubectlGetShowsWhereAnAccountStands(t *testing.T) {
	env := kubetest.Start(t)
	const name = "columns"
	account := manifest{create(t, env, daftyAccount().with("metadata", fields{"name": name}))}
	header := []string{"NAME", "READY", "REASON", "SUSPENDED", "IN-FLIGHT", "WAITING", "AGE"}
	if got, want := columns(env.MustKubectl(t, "get", "dacc", name)), [][]string{header, {name, "false", "AGE"}}; !equal(got, want) {
		t.Errorf("before the operator has seen it: %q, not %q", got, want)
	}
	condition := func(kind, reason string) fields {
		return fields{"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"}
	}
	account = account.with("status", fields{
		"inFlight": int64(12), "waiting": int64(40),
		"conditions": list(condition(v1alpha1.ConditionReady, v1alpha1.ReasonAccepted), condition(v1alpha1.ConditionCreditsAvailable, v1alpha1.ReasonCreditsAvailable)),
	})
	if err := env.Client.Status().Update(t.Context(), account.Unstructured); err != nil {
		t.Fatal(err)
	}
	row := []string{name, "True", "Accepted", "false", "12", "40", "AGE"}
	for _, kind := range []string{"daftyaccounts", "daftyaccount", "dacc", "daftyaccounts.dafty.ai"} {
		if got := columns(env.MustKubectl(t, "get", kind, name)); !equal(got, [][]string{header, row}) {
			t.Errorf("get %s: %q, not %q", kind, got, row)
		}
	}
	if got := columns(env.MustKubectl(t, "get", "dacc", name, "-o", "wide")); !equal(got, [][]string{slices.Insert(header, 6, "CREDITS"), slices.Insert(row, 6, "True")}) {
		t.Errorf("get -o wide: %q", got)
	}
	if got := env.MustKubectl(t, "get", "dafty", "-o", "name"); !strings.Contains(got, "daftyaccount.dafty.ai/"+name+"\n") {
		t.Errorf("kubectl get dafty doesn't show it:\n%s", got)
	}
	env.MustKubectl(t, "wait", "--for=condition=Ready", "dacc/"+name, "--timeout=30s")
	if mapping, err := env.Client.RESTMapper().RESTMapping(schema.GroupKind{Group: "dafty.ai", Kind: "DaftyAccount"}); err != nil || mapping.Scope.Name() != "root" {
		t.Errorf("a DaftyAccount is of a namespace: %v", err)
	}
}

func TestKubectlApplySaysWhatAnAccountNeeds(t *testing.T) {
	env := kubetest.Start(t)
	const account = "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAccount\nmetadata: {name: x}\n"
	const job = "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: x}\n"
	const secret = "apiKeySecretRef: {namespace: dafty-system, name: agency}"
	for _, tt := range []struct{ name, manifest, says string }{
		{
			"key in the manifest", account + `spec: {apiKey: x}`,
			`unknown field "spec.apiKey"` + "\n",
		},
		{
			"no namespace", account + `spec: {apiKeySecretRef: {name: agency}}`,
			"* spec.apiKeySecretRef.namespace: Required value\n",
		},
		{
			"time zone that doesn't exist", account + `spec: {` + secret + `, budgets: [{per: Account, period: Month, submissions: 1, timeZone: Europe/Berlim}]}`,
			`The DaftyAccount "x" is invalid: spec.budgets[0].timeZone: Invalid value: "string": unknown time zone Europe/Berlim evaluating rule: ` + wantsTimeZone + "\n",
		},
		{
			"offset for a time zone", account + `spec: {` + secret + `, budgets: [{per: Account, period: Month, submissions: 1, timeZone: "+01:00"}]}`,
			`The DaftyAccount "x" is invalid: spec.budgets[0].timeZone: Invalid value: "+01:00": ` + wantsTimeZone + "\n",
		},
		{
			"money", account + `spec: {` + secret + `, budgets: [{per: Account, period: Month, credits: 100}]}`,
			`unknown field "spec.budgets[0].credits"` + "\n",
		},
		{
			"account beside a Secret", job + `spec: {imageGenerate: {prompt: a mountain}, accountRef: {name: agency}, credentialsSecretRef: {name: agency}}`,
			`The DaftyJob "x" is invalid: spec: Invalid value: ` + wantsOneKey + "\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, err := env.Apply(t, tt.manifest)
			if err == nil || !strings.Contains(stderr, tt.says) {
				t.Errorf("kubectl apply ends with %v and says:\n%s%s\nIt should say: %s", err, stdout, stderr, tt.says)
			}
		})
	}
}

// A DaftyJob from before credentialsSecretRef lost its default has it in its spec. It stays valid, and a manifest without it is no change.
func TestAnOlderCredentialsSecretRefStays(t *testing.T) {
	env := kubetest.Start(t)
	const applied = "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: older}\nspec: {imageGenerate: {prompt: a mountain}%s}\n"
	older := strings.Replace(applied, "%s", "", 1)
	env.MustApply(t, older)
	env.MustKubectl(t, "patch", "dj", "older", "--type=merge", "-p", `{"spec":{"credentialsSecretRef":{"name":"dafty-credentials","key":"apiKey"}}}`)
	if again := env.MustApply(t, older); !strings.Contains(again, "unchanged") {
		t.Errorf("applied again: %s", again)
	}
	env.MustApply(t, strings.Replace(applied, "%s", ", desiredState: Cancelled", 1))
	if got := env.MustKubectl(t, "get", "dj", "older", "-o", "jsonpath={.spec.desiredState} {.spec.credentialsSecretRef.name}"); got != "Cancelled dafty-credentials" {
		t.Errorf("it has %s", got)
	}
	_, stderr, err := env.Apply(t, strings.Replace(applied, "%s", ", accountRef: {name: agency}", 1))
	if err == nil || !strings.Contains(stderr, accountStays) {
		t.Errorf("it gets an account: %v %s", err, stderr)
	}
}
