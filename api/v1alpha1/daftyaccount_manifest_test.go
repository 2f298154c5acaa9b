package v1alpha1_test

import (
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

const (
	wantsNamespace = "must be the name of a namespace: lower-case letters, digits and '-', beginning and ending with a letter or digit"
	wantsTimeZone  = "must be the name of a time zone in the IANA database, such as Europe/Berlin or Etc/UTC"
	wantsOneKey    = "give at most one of accountRef and credentialsSecretRef: leave out credentialsSecretRef, as the DaftyAccount has the API key"
	accountIs      = "Forbidden: accountRef can't be changed, as a job may already be followed with that API key: create another DaftyJob under a new name"
	accountStays   = "Forbidden: accountRef can't be added or taken away, as a job may already be followed with that API key: create another DaftyJob under a new name"
)

// daftyAccount is the shortest valid DaftyAccount.
func daftyAccount() manifest {
	return manifest{&unstructured.Unstructured{Object: fields{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "DaftyAccount",
		"metadata":   fields{"generateName": "agency-"},
		"spec":       fields{"apiKeySecretRef": fields{"namespace": "dafty-system", "name": "agency"}},
	}}}
}

// budget is a valid one, with other values where they are given.
func budget(with fields) fields {
	of := fields{"per": "Namespace", "period": "Day", "submissions": int64(100)}
	for name, value := range with {
		if value == nil {
			delete(of, name)
		} else {
			of[name] = value
		}
	}
	return of
}

func budgets(of ...any) manifest { return daftyAccount().with("spec.budgets", list(of...)) }

func badDaftyAccounts() []badManifest {
	const secret, first = "spec.apiKeySecretRef", "spec.budgets[0]"
	account := daftyAccount()
	bad := []badManifest{
		created("no spec", account.without("spec"), at("spec", required)),
		created("no API key", account.without(secret), at(secret, required)),
		created("API key of nowhere", account.with(secret, fields{}), at(secret+".namespace", required), at(secret+".name", required)),
		created("Secret of no namespace", account.without(secret+".namespace"), at(secret+".namespace", required)),
		created("Secret of an empty namespace", account.with(secret+".namespace", ""), at(secret+".namespace", tooShort), at(secret+".namespace", wantsNamespace)),
		created("Secret of an impossible namespace", account.with(secret+".namespace", "dafty.system"), at(secret+".namespace", wantsNamespace)),
		created("Secret of a namespace too long", account.with(secret+".namespace", strings.Repeat("x", 64)), at(secret+".namespace", "may not be more than 63")),
		created("empty Secret key", account.with(secret+".key", ""), at(secret+".key", tooShort), at(secret+".key", wantsKey)),
		created("impossible Secret key", account.with(secret+".key", "api key"), at(secret+".key", wantsKey)),
		created("Secret key too long", account.with(secret+".key", strings.Repeat("x", 254)), at(secret+".key", "may not be more than 253")),
		created("suspended in words", account.with("spec.suspend", "yes"), at("spec.suspend", "must be of type boolean")),

		created("namespaces by their names", account.with("spec.namespaces", list("shop")), at("spec.namespaces", "must be of type object")),
		created("namespaces by an expression about nothing", account.with("spec.namespaces", fields{"matchExpressions": list(fields{})}),
			at("spec.namespaces.matchExpressions[0].key", required), at("spec.namespaces.matchExpressions[0].operator", required)),

		created("budget of nothing", budgets(fields{}), at(first+".per", required), at(first+".period", required), at(first+".submissions", required)),
		created("budget of somebody else", budgets(budget(fields{"per": "User"})), at(first+".per", `"User": supported values: "Namespace", "Account"`)),
		created("budget for an hour", budgets(budget(fields{"period": "Hour"})), at(first+".period", `"Hour": supported values: "Day", "Week", "Month"`)),
		created("budget below nothing", budgets(budget(fields{"submissions": int64(-1)})), at(first+".submissions", "greater than or equal to 0")),
		created("budget without end", budgets(budget(fields{"submissions": int64(1e9 + 1)})), at(first+".submissions", "less than or equal to 1000000000")),
		created("budget in words", budgets(budget(fields{"submissions": "many"})), at(first+".submissions", "must be of type integer")),
		created("two of one budget", budgets(budget(nil), budget(fields{"submissions": int64(7)})), at("spec.budgets[1]", "Duplicate value")),
		created("one budget written in two ways", budgets(budget(nil), budget(fields{"timeZone": "Etc/UTC"})), at("spec.budgets[1]", "Duplicate value")),
		created("too many budgets", budgets(manyBudgets(17)...), at("spec.budgets", "must have at most 16 items")),
		created("empty time zone", budgets(budget(fields{"timeZone": ""})), at(first+".timeZone", tooShort), at(first+".timeZone", wantsTimeZone)),
		created("time zone too long", budgets(budget(fields{"timeZone": strings.Repeat("x", 65)})), at(first+".timeZone", "may not be more than 64")),
	}
	for _, zone := range []string{"Europe/Berlim", "Mars/Olympus", "CEST", "+01:00", "UTC+1", "Europe/Berlin ", "../etc/passwd", "/Europe/Berlin", "Local", "europe"} {
		bad = append(bad, created("time zone "+zone, budgets(budget(fields{"timeZone": zone})), at(first+".timeZone", wantsTimeZone)))
	}
	bad = append(bad, badName(secret+".name", "the name of a Secret", func(name any) manifest { return account.with(secret+".name", name) })...)
	return append(bad,
		reported("limits of nothing", account, fields{"limits": list(fields{})}, at("status.limits[0].class", required), at("status.limits[0].perMinute", required)),
		reported("usage of nothing", account, fields{"usage": list(fields{})},
			at("status.usage[0].budget", required), at("status.usage[0].period", required), at("status.usage[0].submissions", required)),
		reported("reservation of nothing", account, fields{"reservations": list(fields{"charges": list(fields{})})},
			at("status.reservations[0].uid", required), at("status.reservations[0].namespace", required), at("status.reservations[0].name", required),
			at("status.reservations[0].attempt", required), at("status.reservations[0].resourceVersion", required),
			at("status.reservations[0].charges[0].budget", required), at("status.reservations[0].charges[0].period", required)),
		reported("unfollowed job without an id", account, fields{"unfollowed": list(fields{})}, at("status.unfollowed[0].jobID", required)),
		reported("account that is no object", account, fields{"account": "agency"}, at("status.account", "must be of type object")),
	)
}

// manyBudgets are as many different ones as asked for.
func manyBudgets(n int) []any {
	zones := []string{"Etc/UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/Argentina/ComodRivadavia"}
	var all []any
	for _, zone := range zones {
		for _, per := range []string{"Namespace", "Account"} {
			for _, period := range []string{"Day", "Week", "Month"} {
				all = append(all, fields{"per": per, "period": period, "timeZone": zone, "submissions": int64(1e9)})
			}
		}
	}
	return all[:n]
}

func goodDaftyAccounts() []goodManifest {
	account := daftyAccount()
	good := []goodManifest{
		{name: "the least", given: account},
		{name: "for all namespaces", given: account.with("spec.namespaces", fields{})},
		{name: "for none for now", given: account.with("spec.suspend", true)},
		{name: "everything", given: budgets(manyBudgets(16)...).with("spec.suspend", false).
			with("spec.apiKeySecretRef", fields{"namespace": strings.Repeat("x", 63), "name": strings.Repeat("x", 253), "key": strings.Repeat("_", 253)}).
			with("spec.namespaces", fields{
				"matchLabels":      fields{"dafty.ai/account": "agency"},
				"matchExpressions": list(fields{"key": "kubernetes.io/metadata.name", "operator": "In", "values": list("shop", "blog")}),
			})},
		{name: "a budget of nothing", given: budgets(budget(fields{"submissions": int64(0)}))},
		{name: "the same budget in two time zones", given: budgets(budget(fields{"timeZone": "Etc/UTC"}), budget(fields{"timeZone": "Europe/Berlin"}))},
	}
	for _, zone := range []string{"UTC", "CET", "EST5EDT", "Etc/GMT+3", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Asia/Ust-Nera"} {
		good = append(good, goodManifest{name: "time zone " + zone, given: budgets(budget(fields{"timeZone": zone}))})
	}
	return good
}

// accountDefaults returns the spec of a DaftyAccount as the API server stores it.
func accountDefaults(spec fields) fields {
	if _, given := spec["suspend"]; !given {
		spec["suspend"] = false
	}
	if secret := spec["apiKeySecretRef"].(fields); secret["key"] == nil {
		secret["key"] = "apiKey"
	}
	if all, given := spec["budgets"].([]any); given {
		for i, of := range all {
			with := maps.Clone(of.(fields))
			if with["timeZone"] == nil {
				with["timeZone"] = "Etc/UTC"
			}
			all[i] = with
		}
	}
	return spec
}

// badAccountRefs holds what is wrong with the accountRef of a DaftyJob.
func badAccountRefs() []badManifest {
	const field = "spec.accountRef"
	job := daftyJob("imageGenerate")
	agency := job.with(field, fields{"name": "agency"})
	bad := []badManifest{
		created("account of no name", job.with(field, fields{}), at(field+".name", required)),
		created("account by its name alone", job.with(field, "agency"), at(field, "must be of type object")),
		created("account beside a Secret", agency.with("spec.credentialsSecretRef", fields{"name": "agency"}), at("spec", wantsOneKey)),
		created("account beside the usual Secret", agency.with("spec.credentialsSecretRef", fields{}), at("spec", wantsOneKey)),
		changed("a Secret beside the account", agency, agency.with("spec.credentialsSecretRef", fields{"name": "agency"}), at("spec", wantsOneKey)),
		changed("another account", agency, job.with(field, fields{"name": "other"}), at(field, accountIs)),
		changed("an account added", job, agency, at("spec", accountStays)),
		changed("an account in place of the Secret", job.with("spec.credentialsSecretRef", fields{"name": "agency"}), agency, at("spec", accountStays)),
		changed("the account taken away", agency, job, at("spec", accountStays)),
	}
	return append(bad, badName(field+".name", "the name of a DaftyAccount", func(name any) manifest { return job.with(field, fields{"name": name}) })...)
}
