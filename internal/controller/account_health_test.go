package controller

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/argolua"
	"dafty.ai/dafty-operator/internal/test/docstest"
)

// accountCustomizations has what Argo CD is taught of DaftyAccounts. The objects that its own tests there read are written by TestAccountStages.
const accountCustomizations = "../../config/argocd/resource_customizations/dafty.ai/DaftyAccount"

var accountNow = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// accountStages are what a DaftyAccount goes through, as GitOps tools see it, with the name of its file.
var accountStages = []struct {
	file, told string
	play       func(*accountRead)
}{
	{"created", "it was just created", nil},
	{"checking", "Dafty is being asked whom the API key belongs to", func(in *accountRead) { in.holding.Answer = nil }},
	{"accepted", "Dafty accepts the API key", func(*accountRead) {}},
	{"without-credits", "Dafty accepts the API key, and refused a job for want of credits", func(in *accountRead) {
		in.holding.Credits = &ratelimit.Credits{Refusal: &dafty.CallError{Kind: dafty.KindInsufficientCredits, Status: 402, Message: "too few credits"}}
	}},
	{"changed", "the spec was just changed", func(in *accountRead) { in.account.Generation = 2 }},
	{"waiting-for-credentials", "there is no Secret, or no key in it", func(in *accountRead) {
		in.holding, in.problem = account.Holding{}, `Secret "agency" of namespace "dafty-system" isn't there`
	}},
	{"credentials-rejected", "Dafty doesn't accept the API key", func(in *accountRead) {
		in.holding.Answer = &account.Answer{Err: &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, Message: "no such key"}, Failures: 2, Refusals: 2, At: accountNow}
	}},
	{"unavailable", "Dafty doesn't answer", func(in *accountRead) {
		in.holding.Answer = &account.Answer{Err: &dafty.CallError{Kind: dafty.KindUnavailable, Status: 503, Message: "down"}, Failures: 2, At: accountNow}
	}},
	{"invalid", "the spec can't hold, which the API server hasn't seen", func(in *accountRead) {
		in.account.Spec.Namespaces = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Is"}}}
		in.invalid = invalidAccount(in.account, accountNow)
	}},
	{"suspended", "it is suspended", func(in *accountRead) { in.account.Spec.Suspend = true }},
	{"suspended-and-rejected", "it is suspended, and Dafty doesn't accept the API key", func(in *accountRead) {
		in.account.Spec.Suspend = true
		in.holding.Answer = &account.Answer{Err: &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, Message: "no such key"}, Failures: 2, Refusals: 2, At: accountNow}
	}},
	{"being-deleted", "it is being deleted", func(in *accountRead) {
		in.account.DeletionTimestamp, in.account.Finalizers = ptr.To(metav1.NewTime(accountNow)), []string{"example.com/kept"}
	}},
}

// TestAccountStages has each stage come about, and holds what GitOps tools make of it against the page about DaftyAccounts, and the
// objects that the tests of Argo CD's script read against it. With UPDATE_DOCS=1, as make docs runs it, it mends both.
func TestAccountStages(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(accountCustomizations, "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, stage := range accountStages {
		of, reason := accountAt(stage.play), ""
		content, err := json.Marshal(of)
		if err != nil {
			t.Fatal(err)
		}
		kept, object := &unstructured.Unstructured{}, map[string]any{} // whose numbers are floats, as Lua's are
		if err := errors.Join(kept.UnmarshalJSON(content), json.Unmarshal(content, &object)); err != nil {
			t.Fatal(err)
		}
		docstest.Object(t, filepath.Join(accountCustomizations, "testdata", stage.file+".yaml"), kept.Object)
		result, err := kstatus.Compute(kept)
		if err != nil {
			t.Fatal(err)
		}
		if of.DeletionTimestamp == nil && of.Status.ObservedGeneration == of.Generation {
			reason = fmt.Sprintf("`%s`", meta.FindStatusCondition(of.Status.Conditions, v1alpha1.ConditionReady).Reason)
		}
		health := argolua.Run(t, string(script), object).RawGetString("status").String()
		rows = append(rows, fmt.Sprintf("| %s | %s | `%s` | %s |", stage.told, reason, result.Status, health))
	}
	docstest.Table(t, "../../docs/accounts.md", "| stage | reason | kstatus | Argo CD |", rows)
}

// accountAt returns a DaftyAccount as the API server has it after a stage, one that the operator hasn't seen for nil.
func accountAt(play func(*accountRead)) *v1alpha1.DaftyAccount {
	of := &v1alpha1.DaftyAccount{
		ObjectMeta: metav1.ObjectMeta{Name: "agency", UID: "account-1", Generation: 1, CreationTimestamp: metav1.NewTime(accountNow)},
		Spec: v1alpha1.DaftyAccountSpec{
			APIKeySecretRef: v1alpha1.NamespacedSecretKeyReference{Namespace: "dafty-system", Name: "agency", Key: v1alpha1.DefaultSecretKey},
			Namespaces:      &metav1.LabelSelector{MatchLabels: map[string]string{"dafty.ai/account": "agency"}},
		},
		Status: v1alpha1.DaftyAccountStatus{ObservedGeneration: -1},
	}
	of.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DaftyAccount"))
	if play != nil {
		in := &accountRead{account: of, now: accountNow, holding: account.Holding{
			HasKey: true, Answer: &account.Answer{Account: json.RawMessage(`{"name":"Agency"}`), At: accountNow},
		}}
		generation := of.Generation
		play(in)
		seen := in.account.Generation
		in.account.Generation = generation
		in.write(&of.Status)
		in.account.Generation = seen
	}
	return of
}
