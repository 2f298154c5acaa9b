package simulation

import (
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// accountMutants break what DaftyAccounts promise.
var accountMutants = []mutant{
	{name: "a reservation is taken for written, and isn't", mutation: mutation{patchAccount: func(e *env, account *v1alpha1.DaftyAccount, _ map[string]any) bool {
		is := e.api.account(account.Name)
		return is != nil && used(account) > used(is)
	}}, finds: "overspent"},
	{name: "a submission is given back twice", mutation: mutation{patchAccount: func(e *env, account *v1alpha1.DaftyAccount, patch map[string]any) bool {
		if is := e.api.account(account.Name); is != nil && used(account) < used(is) {
			setUsage(patch, -1)
		}
		return false
	}}, finds: "overspent"},
	{name: "a submission that Dafty took is given back", mutation: mutation{patchAccount: func(e *env, account *v1alpha1.DaftyAccount, patch map[string]any) bool {
		is := e.api.account(account.Name)
		if is != nil && used(account) == used(is) && len(account.Status.Reservations) < len(is.Status.Reservations) {
			status := patch["status"].(map[string]any)
			status["usage"] = asList(account.Status.Usage)
			setUsage(patch, -1)
		}
		return false
	}}, finds: "overspent"},
	{name: "the resourceVersion is left out of what a DaftyAccount records", mutation: mutation{patchAccount: func(_ *env, _ *v1alpha1.DaftyAccount, patch map[string]any) bool {
		if metadata, ok := patch["metadata"].(map[string]any); ok {
			delete(metadata, "resourceVersion")
		}
		return false
	}, play: deposedLeaderReserves}, finds: "overspent", where: "a deposed leader that reserves"},
	{name: "a reservation is given back while its request can still go on record", mutation: mutation{readToSettle: func(job *v1alpha1.DaftyJob) {
		job.ResourceVersion += "0"
	}}, finds: "overspent"},
	{name: "nothing is settled of a DaftyJob that is gone", mutation: mutation{patchAccount: func(e *env, account *v1alpha1.DaftyAccount, patch map[string]any) bool {
		is := e.api.account(account.Name)
		if is == nil {
			return false
		}
		kept := account.Status.Reservations
		for _, r := range is.Status.Reservations {
			job := e.api.get(r.Name)
			still := slices.ContainsFunc(kept, func(other v1alpha1.Reservation) bool { return other.UID == r.UID })
			if gone := job == nil || job.UID != r.UID; gone && !still {
				kept = append(slices.Clone(kept), r)
			}
		}
		if len(kept) > len(account.Status.Reservations) {
			patch["status"].(map[string]any)["reservations"] = asList(kept)
		}
		return false
	}}, finds: "stuck"},
	{name: "an attempt of an old DaftyJob is counted again", mutation: mutation{cachedLiveReads: true, play: countedAgain}, finds: "false",
		where: "a first list that is old"},
	{name: "a budget is taken for larger than it is", mutation: mutation{readAccount: func(account *v1alpha1.DaftyAccount) {
		for i := range account.Spec.Budgets {
			account.Spec.Budgets[i].Submissions = new(*account.Spec.Budgets[i].Submissions + 1)
		}
	}}, finds: "overspent"},
	{name: "a budget is taken for smaller than it is", mutation: mutation{readAccount: func(account *v1alpha1.DaftyAccount) {
		for i := range account.Spec.Budgets {
			account.Spec.Budgets[i].Submissions = new(max(0, *account.Spec.Budgets[i].Submissions-1))
		}
	}}, finds: "stuck"},
	{name: "a suspended account isn't heeded", mutation: mutation{readAccount: func(account *v1alpha1.DaftyAccount) {
		account.Spec.Suspend = false
	}}, finds: "paid unasked"},
	{name: "a job that has ended still counts as in flight", mutation: mutation{patchAccount: func(e *env, account *v1alpha1.DaftyAccount, patch map[string]any) bool {
		if is := e.api.account(account.Name); is != nil && ptr.Deref(account.Status.InFlight, 0) < ptr.Deref(is.Status.InFlight, 0) {
			status, _ := patch["status"].(map[string]any)
			delete(status, "inFlight")
		}
		return false
	}}, finds: "stuck"},
	{name: "a DaftyJob that waits no more still counts as waiting", mutation: mutation{patchAccount: func(e *env, account *v1alpha1.DaftyAccount, patch map[string]any) bool {
		if is := e.api.account(account.Name); is != nil && ptr.Deref(account.Status.Waiting, 0) < ptr.Deref(is.Status.Waiting, 0) {
			status, _ := patch["status"].(map[string]any)
			delete(status, "waiting")
		}
		return false
	}}, finds: "stuck"},
	{name: "an account is for all namespaces", mutation: mutation{readAccount: func(account *v1alpha1.DaftyAccount) {
		account.Spec.Namespaces = &metav1.LabelSelector{}
	}}, finds: "paid unasked"},
}

// used is how much is used of all budgets together.
func used(account *v1alpha1.DaftyAccount) (n int64) {
	for _, u := range account.Status.Usage {
		n += *u.Submissions
	}
	return n
}

// setUsage changes all usage in a patch, none to below 0.
func setUsage(patch map[string]any, by float64) {
	usage, _ := patch["status"].(map[string]any)["usage"].([]any)
	for _, each := range usage {
		u := each.(map[string]any)
		n, _ := u["submissions"].(float64)
		u["submissions"] = max(0, n+by)
	}
}

// asList is a list as it is in a patch.
func asList[T any](list []T) (in []any) {
	raw, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		panic(err)
	}
	return in
}
