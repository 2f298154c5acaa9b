package v1alpha1_test

import "strings"

// badMetadata holds what is wrong with the labels and annotations at a field of an object, for what the operator makes of it.
func badMetadata(object manifest, field string) []badManifest {
	labels, annotations := field+".labels", field+".annotations"
	const (
		wantsKey   = "each key must be a name for "
		keyRule    = ": letters, digits, '-', '_' and '.', 63 at most, with a domain and '/' before it or not, such as example.com/team"
		wantsValue = "each value must be empty, or of letters, digits, '-', '_' and '.', 63 at most, beginning and ending with a letter or digit"
		ours       = "keys that begin with dafty.ai/ are the operator's own"
	)
	label := func(key, value string) manifest { return object.with(field, fields{"labels": fields{key: value}}) }
	annotation := func(key, value string) manifest { return object.with(field, fields{"annotations": fields{key: value}}) }
	return []badManifest{
		created(field+": label with a blank", label("our team", "shop"), at(labels, wantsKey+"a label"+keyRule)),
		created(field+": label without a name", label("example.com/", "shop"), at(labels, wantsKey+"a label"+keyRule)),
		created(field+": label too long", label(strings.Repeat("x", 64), "shop"), at(labels, wantsKey+"a label"+keyRule)),
		created(field+": label with a value of words", label("key", "our shop"), at(labels, wantsValue)),
		created(field+": label with a value too long", label("key", strings.Repeat("x", 64)), at(labels+".key", "may not be more than 63")),
		created(field+": label of ours", label("dafty.ai/result", "false"), at(labels, ours)),
		created(field+": labels without end", object.with(field, fields{"labels": manyKeys(33, "")}), at(labels, "must have at most 32")),
		created(field+": annotation with a blank", annotation("our team", "shop"), at(annotations, wantsKey+"an annotation"+keyRule)),
		created(field+": annotation with a value too long", annotation("key", strings.Repeat("x", 4097)), at(annotations+".key", "may not be more than 4096")),
		created(field+": annotation of ours", annotation("dafty.ai/result-of", "mine"), at(annotations, ours)),
		created(field+": annotations without end", object.with(field, fields{"annotations": manyKeys(33, "")}), at(annotations, "must have at most 32")),
		created(field+": metadata of words", object.with(field, "team: shop"), at(field, "must be of type object")),
	}
}
