package v1alpha1_test

import (
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// leaveOut has the fields of a DaftyJob that a template can't give, with what the API server says of each.
var leaveOut = map[string]string{
	"desiredState":            "leave out desiredState: a DaftyAsset suspends and cancels its DaftyJobs itself; to hold changes back, set suspend or changePolicy of the DaftyAsset",
	"adoptJobID":              "leave out adoptJobID: a template is for more than one job; to follow a job that exists at Dafty, create a DaftyJob",
	"ttlSecondsAfterFinished": "leave out ttlSecondsAfterFinished: set historyLimit of the DaftyAsset, which says how many finished DaftyJobs are kept",
	"resultConfigMap":         "leave out resultConfigMap: give it as spec.resultConfigMap of the DaftyAsset, which keeps the current result there",
	"resultConfigMapMetadata": "leave out resultConfigMapMetadata: give it as spec.resultConfigMapMetadata of the DaftyAsset",
}

const (
	templateKeySize = 160
	wantsShortKey   = "must be of at most 160 characters in a template: the hash of the request is appended"
	wantsShortName  = "the name of a DaftyAsset must be of at most 63 characters, as it is a label of its DaftyJobs"
	wantsOtherAsset = "a DaftyAsset can't refer to itself: under assetRef, name the DaftyAsset that keeps the "
)

// daftyAsset is the shortest valid DaftyAsset of an operation.
func daftyAsset(operation string) manifest { return inTemplate(daftyJob(operation)) }

// specOf returns the path of the request in a manifest.
func specOf(m manifest) string {
	if m.GetKind() == "DaftyAsset" {
		return "spec.template.spec"
	}
	return "spec"
}

// inTemplate returns a DaftyAsset with a DaftyJob's metadata, and its spec in the template.
func inTemplate(job manifest) manifest {
	template := fields{}
	if spec, given := job.Object["spec"]; given {
		template["spec"] = spec
	}
	asset := manifest{&unstructured.Unstructured{Object: maps.Clone(job.Object)}}
	asset.Object["kind"], asset.Object["spec"] = "DaftyAsset", fields{"template": template}
	return manifest{asset.DeepCopy()}
}

// notForTemplates lists the fields of a DaftyJob that a template can't have.
func notForTemplates(job manifest) []string {
	spec, _ := job.Object["spec"].(fields)
	var given []string
	for name := range leaveOut {
		if spec[name] != nil {
			given = append(given, name)
		}
	}
	return given
}

// inTemplate returns what is wrong where a template has the spec of a bad DaftyJob: the same, and which fields a template can't have.
func (b badManifest) inTemplate() badManifest {
	of := badManifest{name: "template: " + b.name, given: inTemplate(b.given)}
	sound := true // but for CEL, whose rules are only asked of what is
	for _, want := range b.want {
		of.want = append(of.want, at("spec.template."+want.field, want.message))
		for _, says := range []string{required, "may not be more than", "must have at most", "must be of type", "supported values"} {
			sound = sound && !strings.Contains(want.message, says)
		}
	}
	if sound {
		for _, name := range notForTemplates(b.given) {
			of.want = append(of.want, at("spec.template.spec."+name, leaveOut[name]))
		}
	}
	return of
}

// badDaftyAssets holds every DaftyJob that is bad from the first, in a template, and what is wrong with a DaftyAsset only.
func badDaftyAssets() []badManifest {
	asset := daftyAsset("imageGenerate")
	var bad []badManifest
	for _, job := range badDaftyJobs() {
		if job.stored == nil {
			bad = append(bad, job.inTemplate())
		}
	}
	for name, value := range map[string]any{
		"desiredState": "Suspended", "adoptJobID": jobID, "ttlSecondsAfterFinished": int64(0),
		"resultConfigMap": "hero", "resultConfigMapMetadata": fields{"labels": fields{"team": "shop"}},
	} {
		field := "spec.template.spec." + name
		bad = append(bad,
			created("template with "+name, asset.with(field, value), at(field, leaveOut[name])),
			changed("template gets "+name, asset, asset.with(field, value), at(field, leaveOut[name])))
	}
	const templateKey = "spec.template.spec.idempotencyKey"
	bad = append(bad,
		created("no spec", asset.without("spec"), at("spec", required)),
		created("no template", asset.without("spec.template"), at("spec.template", required)),
		created("request beside the template", inTemplate(daftyJobOf(fields{})).with("spec.imageGenerate", least("imageGenerate")), at("spec.template.spec", wantsOneOp)),
		changed("template without the request", asset, asset.without("spec.template.spec.imageGenerate"), at("spec.template.spec", wantsOneOp)),
		created("template's key too long for the hash behind it", asset.with(templateKey, strings.Repeat("x", templateKeySize+1)), at(templateKey, wantsShortKey)),

		created("name too long for a label", asset.with("metadata", fields{"name": strings.Repeat("x", 64)}), at("metadata", wantsShortName)),
		created("unknown change policy", asset.with("spec.changePolicy", "Ask"), at("spec.changePolicy", `"Ask": supported values: "Automatic", "Manual"`)),
		created("history below none", asset.with("spec.historyLimit", int64(-1)), at("spec.historyLimit", "greater than or equal to 0")),
		created("history without end", asset.with("spec.historyLimit", int64(21)), at("spec.historyLimit", "less than or equal to 20")),
		created("revision too long", asset.with("spec.revision", strings.Repeat("x", 254)), at("spec.revision", "may not be more than 253")),
		created("revision in numbers", asset.with("spec.revision", int64(2)), at("spec.revision", "must be of type string")),
		created("suspended in words", asset.with("spec.suspend", "yes"), at("spec.suspend", "must be of type boolean")),
		created("inputs followed in words", asset.with("spec.followInputs", "yes"), at("spec.followInputs", "must be of type boolean")),

		reported("a current result without what names it", asset, fields{"current": fields{}},
			at("status.current.jobName", required), at("status.current.hash", required), at("status.current.jobID", required)),
		reported("an earlier result without what names it", asset, fields{"history": list(fields{})},
			at("status.history[0].jobName", required), at("status.history[0].hash", required), at("status.history[0].jobID", required)),
		reported("a pending DaftyJob without what names it", asset, fields{"pending": fields{}},
			at("status.pending.jobName", required), at("status.pending.hash", required)),
		reported("a pending DaftyJob of an unknown policy", asset, fields{"pending": fields{"jobName": "hero-1", "hash": "1", "changePolicy": "Ask"}},
			at("status.pending.changePolicy", `"Ask": supported values: "Automatic", "Manual"`)),
	)
	bad = append(bad, badName("spec.resultConfigMap", "a name for a ConfigMap", func(name any) manifest { return asset.with("spec.resultConfigMap", name) })...)
	bad = append(bad, badMetadata(asset, "spec.resultConfigMapMetadata")...)
	bad = append(bad, badMetadata(asset, "spec.template.metadata")...)
	bad = append(bad, toItself("assetRef", wantsOtherAsset, daftyAsset)...)
	result := func(with fields) fields {
		of := fields{"jobName": "hero-1", "hash": "1", "jobID": jobID}
		maps.Copy(of, with)
		return of
	}
	for field, status := range map[string]func(with fields) fields{
		"status.current":    func(with fields) fields { return fields{"current": result(with)} },
		"status.history[0]": func(with fields) fields { return fields{"history": list(result(with))} },
		"status.pending": func(with fields) fields {
			return fields{"pending": fields{"jobName": "hero-1", "hash": "1", "inputs": with["inputs"]}}
		},
	} {
		bad = append(bad, badInputs(field+".inputs", asset, func(inputs []any) fields { return status(fields{"inputs": inputs}) })...)
		if field != "status.pending" {
			bad = append(bad, badResult(field+".result", asset, func(result fields) fields { return status(fields{"result": result}) })...)
		}
	}
	return bad
}

// goodDaftyAssets holds every good DaftyJob that a template can have, and what is good with a DaftyAsset only.
func goodDaftyAssets() []goodManifest {
	asset := daftyAsset("imageGenerate")
	var good []goodManifest
	for _, job := range goodDaftyJobs() {
		key, _, _ := unstructured.NestedString(job.given.Object, "spec", "idempotencyKey")
		if len(notForTemplates(job.given)) > 0 || len(key) > templateKeySize {
			continue
		}
		of := goodManifest{name: "template: " + job.name, given: inTemplate(job.given)}
		if job.want != nil {
			of.want = fields{"template": fields{"spec": job.want}}
		}
		good = append(good, of)
	}
	return append(good,
		goodManifest{name: "everything", given: asset.
			with("spec.template.metadata", fields{"labels": fields{"team": "shop"}, "annotations": fields{"example.com/Ticket": "any text\n"}}).
			with("spec.revision", "2026-05: once more, with feeling").with("spec.changePolicy", "Manual").
			with("spec.followInputs", true).with("spec.suspend", true).with("spec.historyLimit", int64(20)).
			with("spec.resultConfigMap", "hero").
			with("spec.resultConfigMapMetadata", fields{"labels": fields{"team": ""}, "annotations": fields{"example.com/x": ""}})},
		goodManifest{name: "everything at rest", given: asset.with("spec.changePolicy", "Automatic").
			with("spec.followInputs", false).with("spec.suspend", false).with("spec.historyLimit", int64(0))},
		goodManifest{name: "the longest key in a template", given: asset.with("spec.template.spec.idempotencyKey", strings.Repeat("x", templateKeySize))},
		goodManifest{name: "the longest name", given: asset.with("metadata", fields{"name": strings.Repeat("x", 63)})},
		goodManifest{name: "made of a DaftyJob of its name", given: daftyAsset("imageUpscale").with("metadata", fields{"name": "hero"}).
			with("spec.template.spec.imageUpscale.image", fields{"jobRef": fields{"name": "hero", "index": int64(0)}})},
		goodManifest{name: "longest of everything", given: longestAsset()},
	)
}

// longestAsset is the DaftyAsset that costs the API server most to validate.
func longestAsset() manifest {
	job := longest()
	metadata, configMap := job.Object["spec"].(fields)["resultConfigMapMetadata"], job.Object["spec"].(fields)["resultConfigMap"]
	reference := fields{"assetRef": fields{"name": strings.Repeat("y", 253), "index": int64(0)}}
	return inTemplate(job.without("spec.resultConfigMapMetadata").without("spec.resultConfigMap").
		with("spec.imageGenerate.style", fields{"assetRef": fields{"name": strings.Repeat("x", 253)}}).
		with("spec.imageGenerate.references", list(reference, reference, reference, reference)).
		with("spec.idempotencyKey", strings.Repeat("~", templateKeySize))).
		with("spec.template.metadata", metadata).with("spec.resultConfigMapMetadata", metadata).with("spec.resultConfigMap", configMap).
		with("spec.revision", strings.Repeat("ß", 253))
}

// withDefaults returns a spec as the API server stores it.
func withDefaults(kind string, spec fields) fields {
	stored := manifest{&unstructured.Unstructured{Object: fields{"spec": spec}}}.DeepCopy().Object["spec"].(fields)
	add := func(to, defaults fields) {
		for name, value := range defaults {
			if _, given := to[name]; !given {
				to[name] = value
			}
		}
	}
	if kind == "DaftyAccount" {
		return accountDefaults(stored)
	}
	job := stored
	if kind == "DaftyAsset" {
		add(stored, fields{"changePolicy": "Automatic", "followInputs": false, "suspend": false, "historyLimit": int64(3)})
		job = stored["template"].(fields)["spec"].(fields)
	}
	add(job, fields{"deletionPolicy": "Cancel"})
	return stored
}
