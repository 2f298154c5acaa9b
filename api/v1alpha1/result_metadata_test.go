package v1alpha1_test

import "strings"

// badResultMetadata holds what is wrong with the labels and annotations of a result's ConfigMap.
func badResultMetadata(job manifest) []badManifest {
	const (
		field       = "spec.resultConfigMapMetadata"
		labels      = field + ".labels"
		annotations = field + ".annotations"
		wantsKey    = "each key must be a name for "
		keyRule     = ": letters, digits, '-', '_' and '.', 63 at most, with a domain and '/' before it or not, such as example.com/team"
		wantsValue  = "each value must be empty, or of letters, digits, '-', '_' and '.', 63 at most, beginning and ending with a letter or digit"
		ours        = "keys that begin with dafty.ai/ are the operator's own"
	)
	label := func(key, value string) manifest { return job.with(field, fields{"labels": fields{key: value}}) }
	annotation := func(key, value string) manifest { return job.with(field, fields{"annotations": fields{key: value}}) }
	return []badManifest{
		created("label with a blank", label("our team", "shop"), at(labels, wantsKey+"a label"+keyRule)),
		created("label without a name", label("example.com/", "shop"), at(labels, wantsKey+"a label"+keyRule)),
		created("label too long", label(strings.Repeat("x", 64), "shop"), at(labels, wantsKey+"a label"+keyRule)),
		created("label with a value of words", label("key", "our shop"), at(labels, wantsValue)),
		created("label with a value too long", label("key", strings.Repeat("x", 64)), at(labels+".key", "may not be more than 63")),
		created("label of ours", label("dafty.ai/result", "false"), at(labels, ours)),
		created("labels without end", job.with(field, fields{"labels": manyKeys(33, "")}), at(labels, "must have at most 32")),
		created("annotation with a blank", annotation("our team", "shop"), at(annotations, wantsKey+"an annotation"+keyRule)),
		created("annotation with a value too long", annotation("key", strings.Repeat("x", 4097)), at(annotations+".key", "may not be more than 4096")),
		created("annotation of ours", annotation("dafty.ai/result-of", "mine"), at(annotations, ours)),
		created("annotations without end", job.with(field, fields{"annotations": manyKeys(33, "")}), at(annotations, "must have at most 32")),
		created("metadata of words", job.with(field, "team: shop"), at(field, "must be of type object")),
	}
}
