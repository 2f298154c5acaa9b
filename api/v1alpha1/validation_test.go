package v1alpha1_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// What the API server says, where a test needs it more than once.
const (
	required      = "Required value"
	tooShort      = "should be at least 1 chars long"
	wantsOneOp    = "give exactly one operation: imageGenerate, imageEdit, imageResize, imageUpscale, imageToVideo, videoFrames or styleExtract (for several operations, create one object for each)"
	operationIs   = "Forbidden: the operation can't be changed, as it may already be paid for: create another DaftyJob under a new name"
	requestIs     = "Forbidden: the request can't be changed, as it may already be paid for: create another DaftyJob under a new name"
	wantsWords    = "must say in words what to make, in 1 to 2000 characters"
	wantsTarget   = "give exactly one of id (see status.result.images[].id of the job that made the image), jobRef (the DaftyJob that makes it) or assetRef (the DaftyAsset that keeps it)"
	wantsStyle    = "give exactly one of id (see status.result.style.id of the job that extracted the style), jobRef (the DaftyJob that extracts it) or assetRef (the DaftyAsset that keeps it)"
	wantsUUID     = "must be a UUID of version 1 to 8, such as 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f: see status.result."
	wantsImage    = "give exactly one of url (an https URL), id (of an upload or of the job that made an image), jobRef (the DaftyJob that makes the image), assetRef (the DaftyAsset that keeps it), configMapKeyRef (a picture in a ConfigMap) or styleSearch (a search for it in a brand style)"
	wantsQuery    = "must say in words what to look for, in 1 to 500 characters"
	wantsHTTPS    = "must be an https URL, such as https://example.com/logo.png, with any blank written as %20"
	wantsWebPage  = "must be the full http or https address of a web page, such as https://example.com/brand, with any blank written as %20"
	wantsUploadID = "must be the id of an upload or of a job, without '/' or blanks; a URL goes under url"
	wantsSecret   = "must be the name of a Secret: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	wantsKey      = "must be a key of a Secret: letters, digits, '-', '_' and '.'"
	wantsFileKey  = "must be a key of a ConfigMap: letters, digits, '-', '_' and '.'"
	wantsAscii    = "must be of printable ASCII characters without blanks, such as spring-campaign-hero"
	wantsJobID    = "must be the id of a job at Dafty, a UUID such as 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f: see status.jobID of the DaftyJob that submitted it, or the job at Dafty"
	wantsNoKey    = "give at most one of adoptJobID and idempotencyKey: leave out idempotencyKey, as an adopted job is never submitted"
	wantsNoStart  = "leave out startingDeadlineSeconds beside adoptJobID: an adopted job is never submitted"
	wantsNoRetry  = "leave out backoffLimit beside adoptJobID: an adopted job is never submitted, nor tried again"
	keyIs         = "Forbidden: idempotencyKey can't be changed, as a request may already be sent with it: create another DaftyJob under a new name"
	keyStays      = "Forbidden: idempotencyKey can't be added or taken away, as a request may already be sent: create another DaftyJob under a new name"
	adoptionIs    = "Forbidden: adoptJobID can't be changed, as that job is followed: create another DaftyJob under a new name"
	adoptionStays = "Forbidden: adoptJobID can't be added or taken away, as a job may already be followed: create another DaftyJob under a new name"
)

// The rule for names, as it is told of each kind of object.
const nameRule = ": lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"

// problem is one thing that the API server finds wrong with a manifest.
type problem struct {
	field   string
	message string
	reason  metav1.CauseType // not compared
}

func at(field, message string) problem { return problem{field: field, message: message} }

var listIndex = regexp.MustCompile(`\[\d+\]`)

// problemsOf lists what the API server found wrong, but for its remark that it stopped looking.
func problemsOf(t testing.TB, err error) []problem {
	t.Helper()
	var refused *apierrors.StatusError
	if !errors.As(err, &refused) || !apierrors.IsInvalid(err) {
		t.Fatalf("the answer is %v, not that the manifest is invalid", err)
	}
	var problems []problem
	for _, cause := range refused.ErrStatus.Details.Causes {
		if cause.Field != "<nil>" {
			problems = append(problems, problem{field: cause.Field, message: cause.Message, reason: cause.Type})
		}
	}
	return problems
}

// badManifest is one that the API server has to refuse.
type badManifest struct {
	name   string
	stored *manifest // what the manifest replaces; nil: nothing
	given  manifest
	status bool // given is written to the status subresource
	want   []problem
}

// send returns the manifest to the API server, which stores nothing of it.
func (b badManifest) send(t testing.TB, env *kubetest.Env) error {
	t.Helper()
	given := inNamespace(b.given, env)
	if b.stored == nil {
		return env.Client.Create(t.Context(), given, client.DryRunAll)
	}
	stored := inNamespace(*b.stored, env)
	if err := env.Client.Create(t.Context(), stored); err != nil {
		t.Fatalf("creating what the manifest replaces: %v", err)
	}
	given.SetName(stored.GetName())
	given.SetResourceVersion(stored.GetResourceVersion())
	if b.status {
		return env.Client.Status().Update(t.Context(), given, client.DryRunAll)
	}
	return env.Client.Update(t.Context(), given, client.DryRunAll)
}

func created(name string, given manifest, want ...problem) badManifest {
	return badManifest{name: name, given: given, want: want}
}

func changed(name string, stored, given manifest, want ...problem) badManifest {
	return badManifest{name: name, stored: &stored, given: given, want: want}
}

func reported(name string, stored manifest, status fields, want ...problem) badManifest {
	return badManifest{name: name, stored: &stored, given: stored.with("status", status), status: true, want: want}
}

// badManifests holds one for every rule of each kind, at least; TestEveryRuleHasABadManifest sees to that.
func badManifests() map[string][]badManifest {
	return map[string][]badManifest{
		"DaftyJob":     append(badDaftyJobs(), toItself("jobRef", "a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the ", daftyJob)...),
		"DaftyAsset":   badDaftyAssets(),
		"DaftyAccount": badDaftyAccounts(),
	}
}

func badDaftyJobs() []badManifest {
	generate, edit := daftyJob("imageGenerate"), daftyJob("imageEdit")
	bad := []badManifest{
		created("no spec", generate.without("spec"), at("spec", required)),
		created("no operation", daftyJobOf(fields{}), at("spec", wantsOneOp)),
		created("only a null operation", daftyJobOf(fields{"imageGenerate": nil}), at("spec", wantsOneOp)),
		created("two operations", generate.with("spec.imageUpscale", least("imageUpscale")), at("spec", wantsOneOp)),

		created("empty desired state", generate.with("spec.desiredState", ""), at("spec.desiredState", `supported values: "Completed", "Suspended", "Cancelled"`)),
		created("unknown desired state", generate.with("spec.desiredState", "Running"), at("spec.desiredState", `"Running": supported values: "Completed", "Suspended", "Cancelled"`)),
		created("unknown deletion policy", generate.with("spec.deletionPolicy", "Keep"), at("spec.deletionPolicy", `"Keep": supported values: "Cancel", "Orphan"`)),

		created("empty Secret name", generate.with("spec.credentialsSecretRef.name", ""),
			at("spec.credentialsSecretRef.name", tooShort), at("spec.credentialsSecretRef.name", wantsSecret)),
		created("impossible Secret name", generate.with("spec.credentialsSecretRef.name", "My Secret"), at("spec.credentialsSecretRef.name", wantsSecret)),
		created("Secret of another namespace", generate.with("spec.credentialsSecretRef.name", "other/secret"), at("spec.credentialsSecretRef.name", wantsSecret)),
		created("Secret name too long", generate.with("spec.credentialsSecretRef.name", strings.Repeat("x", 254)), at("spec.credentialsSecretRef.name", "may not be more than 253")),
		created("empty Secret key", generate.with("spec.credentialsSecretRef.key", ""),
			at("spec.credentialsSecretRef.key", tooShort), at("spec.credentialsSecretRef.key", wantsKey)),
		created("impossible Secret key", generate.with("spec.credentialsSecretRef.key", "api key"), at("spec.credentialsSecretRef.key", wantsKey)),
		created("Secret key too long", generate.with("spec.credentialsSecretRef.key", strings.Repeat("x", 254)), at("spec.credentialsSecretRef.key", "may not be more than 253")),

		created("no aspect ratio to resize to", daftyJob("imageResize").without("spec.imageResize.aspectRatio"), at("spec.imageResize.aspectRatio", required)),
		created("variations 0", generate.with("spec.imageGenerate.variations", int64(0)), at("spec.imageGenerate.variations", "greater than or equal to 1")),
		created("variations in quotes", generate.with("spec.imageGenerate.variations", "2"), at("spec.imageGenerate.variations", "must be of type integer")),
		created("clip of half seconds", daftyJob("imageToVideo").with("spec.imageToVideo.duration", 6.5), at("spec.imageToVideo.duration", "must be of type int32")),
		created("clip too short", daftyJob("imageToVideo").with("spec.imageToVideo.duration", int64(0)), at("spec.imageToVideo.duration", "greater than or equal to 1")),
		created("clip too long", daftyJob("imageToVideo").with("spec.imageToVideo.duration", int64(16)), at("spec.imageToVideo.duration", "less than or equal to 15")),
		created("clip of frames too short", daftyJob("videoFrames").with("spec.videoFrames.duration", int64(3)), at("spec.videoFrames.duration", "greater than or equal to 4")),
		created("clip of frames too long", daftyJob("videoFrames").with("spec.videoFrames.duration", int64(16)), at("spec.videoFrames.duration", "less than or equal to 15")),

		created("empty style", generate.with("spec.imageGenerate.style", fields{}), at("spec.imageGenerate.style", wantsStyle)),
		created("style by both id and jobRef", generate.with("spec.imageGenerate.style", fields{"id": styleID, "jobRef": fields{"name": "brand-style"}}), at("spec.imageGenerate.style", wantsStyle)),
		created("style by both jobRef and assetRef", generate.with("spec.imageGenerate.style", fields{"jobRef": fields{"name": "brand-style"}, "assetRef": fields{"name": "brand"}}), at("spec.imageGenerate.style", wantsStyle)),
		created("style by its name", generate.with("spec.imageGenerate.style.id", "brand-style"), at("spec.imageGenerate.style.id", wantsUUID+"style.id")),
		created("style id too long", generate.with("spec.imageGenerate.style.id", strings.Repeat("7", 2049)), at("spec.imageGenerate.style.id", "may not be more than 2048")),

		created("no web page", daftyJob("styleExtract").without("spec.styleExtract.url"), at("spec.styleExtract.url", required)),
		created("empty web page", daftyJob("styleExtract").with("spec.styleExtract.url", ""), at("spec.styleExtract.url", tooShort), at("spec.styleExtract.url", wantsWebPage)),
		created("web page without scheme", daftyJob("styleExtract").with("spec.styleExtract.url", "example.com"), at("spec.styleExtract.url", wantsWebPage)),
		created("web page without host", daftyJob("styleExtract").with("spec.styleExtract.url", "https://:443/brand"), at("spec.styleExtract.url", wantsWebPage)),
		created("web page with a blank", daftyJob("styleExtract").with("spec.styleExtract.url", "https://example.com/our brand"), at("spec.styleExtract.url", wantsWebPage)),
		created("web page by ftp", daftyJob("styleExtract").with("spec.styleExtract.url", "ftp://example.com"), at("spec.styleExtract.url", wantsWebPage)),
		created("web page too long", daftyJob("styleExtract").with("spec.styleExtract.url", longURL(2049)), at("spec.styleExtract.url", "may not be more than 2048")),

		created("backoffLimit negative", generate.with("spec.backoffLimit", int64(-1)), at("spec.backoffLimit", "greater than or equal to 0")),
		created("backoffLimit without end", generate.with("spec.backoffLimit", int64(11)), at("spec.backoffLimit", "less than or equal to 10")),
		created("deadline at once", generate.with("spec.activeDeadlineSeconds", int64(0)), at("spec.activeDeadlineSeconds", "greater than or equal to 1")),
		created("deadline past a year", generate.with("spec.activeDeadlineSeconds", int64(31536001)), at("spec.activeDeadlineSeconds", "less than or equal to 31536000")),
		created("starting deadline at once", generate.with("spec.startingDeadlineSeconds", int64(0)), at("spec.startingDeadlineSeconds", "greater than or equal to 1")),
		created("starting deadline past a year", generate.with("spec.startingDeadlineSeconds", int64(31536001)), at("spec.startingDeadlineSeconds", "less than or equal to 31536000")),
		created("job to adopt, with a time to start by", generate.with("spec.adoptJobID", jobID).with("spec.startingDeadlineSeconds", int64(60)), at("spec", wantsNoStart)),
		changed("an adopted job with a time to start by", generate.with("spec.adoptJobID", jobID), generate.with("spec.adoptJobID", jobID).with("spec.startingDeadlineSeconds", int64(60)), at("spec", wantsNoStart)),
		created("deadline in words", generate.with("spec.activeDeadlineSeconds", "10m"), at("spec.activeDeadlineSeconds", "must be of type integer")),
		created("ttl negative", generate.with("spec.ttlSecondsAfterFinished", int64(-1)), at("spec.ttlSecondsAfterFinished", "greater than or equal to 0")),
		created("ttl past ten years", generate.with("spec.ttlSecondsAfterFinished", int64(315360001)), at("spec.ttlSecondsAfterFinished", "less than or equal to 315360000")),

		created("empty idempotency key", generate.with("spec.idempotencyKey", ""), at("spec.idempotencyKey", tooShort), at("spec.idempotencyKey", wantsAscii)),
		created("idempotency key with a blank", generate.with("spec.idempotencyKey", "spring hero"), at("spec.idempotencyKey", wantsAscii)),
		created("idempotency key with a line break", generate.with("spec.idempotencyKey", "spring\n"), at("spec.idempotencyKey", wantsAscii)),
		created("idempotency key with an umlaut", generate.with("spec.idempotencyKey", "frühling"), at("spec.idempotencyKey", wantsAscii)),
		created("idempotency key too long", generate.with("spec.idempotencyKey", strings.Repeat("x", 201)), at("spec.idempotencyKey", "may not be more than 200")),
		changed("another idempotency key", generate.with("spec.idempotencyKey", "spring"), generate.with("spec.idempotencyKey", "summer"), at("spec.idempotencyKey", keyIs)),
		changed("an idempotency key added", generate, generate.with("spec.idempotencyKey", "spring"), at("spec", keyStays)),
		changed("the idempotency key taken away", generate.with("spec.idempotencyKey", "spring"), generate, at("spec", keyStays)),

		created("empty job to adopt", generate.with("spec.adoptJobID", ""), at("spec.adoptJobID", wantsJobID)),
		created("job to adopt by the name of a DaftyJob", generate.with("spec.adoptJobID", "spring-hero"), at("spec.adoptJobID", wantsJobID)),
		created("job to adopt by its URL", generate.with("spec.adoptJobID", longURL(500)), at("spec.adoptJobID", wantsJobID)),
		created("id of the job to adopt too long", generate.with("spec.adoptJobID", strings.Repeat("7", 2049)), at("spec.adoptJobID", "may not be more than 2048")),
		created("only a job to adopt", daftyJobOf(fields{"adoptJobID": jobID}), at("spec", wantsOneOp)),
		created("job to adopt beside a key for a new one", generate.with("spec.adoptJobID", jobID).with("spec.idempotencyKey", "spring"), at("spec", wantsNoKey)),
		created("job to adopt, tried again", generate.with("spec.adoptJobID", jobID).with("spec.backoffLimit", int64(1)), at("spec", wantsNoRetry)),
		changed("an adopted job tried again", generate.with("spec.adoptJobID", jobID), generate.with("spec.adoptJobID", jobID).with("spec.backoffLimit", int64(1)), at("spec", wantsNoRetry)),
		changed("another job to adopt", generate.with("spec.adoptJobID", jobID), generate.with("spec.adoptJobID", imageID), at("spec.adoptJobID", adoptionIs)),
		changed("a job to adopt added", generate, generate.with("spec.adoptJobID", jobID), at("spec", adoptionStays)),
		changed("the job to adopt taken away", generate.with("spec.adoptJobID", jobID), generate, at("spec", adoptionStays)),

		changed("another operation", generate, edit, at("spec", operationIs)),
		changed("an operation more", generate, generate.with("spec.imageEdit", least("imageEdit")), at("spec", wantsOneOp), at("spec", operationIs)),
		changed("the operation gone", generate, generate.without("spec.imageGenerate"), at("spec", wantsOneOp), at("spec", operationIs)),
		changed("a list emptied", daftyJobOf(fields{"imageEdit": most("imageEdit")}), daftyJobOf(fields{"imageEdit": most("imageEdit")}).with("spec.imageEdit.references", list()), at("spec.imageEdit", requestIs)),
		changed("a default of Dafty's written out", generate, generate.with("spec.imageGenerate.resolution", "1K"), at("spec.imageGenerate", requestIs)),

		reported("unknown phase", generate, fields{"phase": "Running"}, at("status.phase", `"Running": supported values: "Pending", "Submitting", "Queued", "Processing", "Cancelling", "Completed", "Failed", "Cancelled"`)),
		reported("details of an error that are no object", generate, fields{"error": fields{"details": list("prompt")}}, at("status.error.details", "must be of type object")),
	}
	bad = append(bad, badAccountRefs()...)
	for _, operation := range operations {
		bad = append(bad, badRequest(operation)...)
	}
	bad = append(bad, badName("spec.resultConfigMap", "a name for a ConfigMap", func(name any) manifest { return generate.with("spec.resultConfigMap", name) })...)
	bad = append(bad, badMetadata(generate, "spec.resultConfigMapMetadata")...)
	bad = append(bad, badRefs("spec.imageGenerate.style", false, func(style fields) manifest { return generate.with("spec.imageGenerate.style", style) })...)
	bad = append(bad, badResult("status.result", generate, func(result fields) fields { return fields{"result": result} })...)
	bad = append(bad, badInputs("status.inputs", generate, func(inputs []any) fields { return fields{"inputs": inputs} })...)
	for _, operation := range []string{"imageGenerate", "imageEdit", "imageToVideo", "videoFrames"} {
		bad = append(bad, badPrompt(operation)...)
	}
	for _, operation := range []string{"imageEdit", "imageResize", "imageUpscale"} {
		bad = append(bad, badTarget(operation)...)
	}
	for _, operation := range []string{"imageToVideo", "videoFrames"} {
		field := "spec." + operation + ".negativePrompt"
		bad = append(bad, created(field+" too long", daftyJob(operation).with(field, strings.Repeat("x", 1001)), at(field, "may not be more than 1000")))
	}
	for _, choice := range []struct{ operation, field, value, supported string }{
		{"imageGenerate", "aspectRatio", "2:1", `"1:1", "3:2", "2:3", "4:3", "3:4", "4:5", "5:4", "16:9", "9:16"`},
		{"imageGenerate", "quality", "best", `"low", "medium", "high"`},
		{"imageGenerate", "resolution", "4k", `"1K", "2K", "4K"`},
		{"imageResize", "aspectRatio", "9:21", `"1:1", "1:4", "1:8", "2:3", "3:2", "3:4", "4:1", "4:3", "4:5", "5:4", "8:1", "9:16", "16:9", "21:9"`},
		{"imageResize", "resolution", "8K", `"1K", "2K", "4K"`},
		{"imageUpscale", "resolution", "", `"1K", "2K", "4K"`},
		{"imageToVideo", "resolution", "1080p", `"480p", "720p"`},
		{"videoFrames", "resolution", "4K", `"480p", "720p"`},
		{"videoFrames", "aspectRatio", "Auto", `"16:9", "9:16", "4:3", "3:4", "1:1", "21:9", "auto"`},
	} {
		field := "spec." + choice.operation + "." + choice.field
		bad = append(bad, created(fmt.Sprintf("%s %q", field, choice.value), daftyJob(choice.operation).with(field, choice.value),
			at(field, fmt.Sprintf("%q: supported values: %s", choice.value, choice.supported))))
	}
	for _, operation := range []string{"imageGenerate", "imageEdit"} {
		field := "spec." + operation + ".references"
		reference := fields{"id": uploadID}
		bad = append(bad, created(field+" too many", daftyJob(operation).with(field, list(reference, reference, reference, reference, reference)), at(field, "must have at most 4 items")))
		bad = append(bad, badReference(field+"[1]", func(bad fields) manifest { return daftyJob(operation).with(field, list(reference, bad)) })...)
	}
	for _, image := range []struct{ operation, name string }{
		{"imageToVideo", "image"}, {"videoFrames", "startImage"}, {"videoFrames", "endImage"},
	} {
		field := "spec." + image.operation + "." + image.name
		bad = append(bad, created(field+" missing", daftyJob(image.operation).without(field), at(field, required)))
		bad = append(bad, badReference(field, func(bad fields) manifest { return daftyJob(image.operation).with(field, bad) })...)
	}
	return bad
}

// badRequest holds what is wrong with any request.
func badRequest(operation string) []badManifest {
	field := "spec." + operation
	job, full := daftyJob(operation), daftyJobOf(fields{operation: most(operation)})
	bad := []badManifest{
		created(field+" a word", daftyJobOf(fields{operation: "yes"}), at(field, "must be of type object")),
		changed(field+" narrowed", full, job, at(field, requestIs)),
	}
	for name, value := range most(operation) {
		bad = append(bad, changed(field+"."+name+" changed", job, job.with(field+"."+name, value), at(field, requestIs)))
	}
	return bad
}

func badPrompt(operation string) []badManifest {
	field := "spec." + operation + ".prompt"
	job := daftyJob(operation)
	return []badManifest{
		created(field+" missing", job.without(field), at(field, required)),
		created(field+" null", job.with(field, nil), at(field, required)),
		created(field+" empty", job.with(field, ""), at(field, tooShort), at(field, wantsWords)),
		created(field+" blank", job.with(field, " \t\n\u00a0\u3000"), at(field, wantsWords)),
		created(field+" too long", job.with(field, strings.Repeat("x", 2001)), at(field, "may not be more than 2000")),
		created(field+" no string", job.with(field, int64(7)), at(field, "must be of type string")),
	}
}

func badTarget(operation string) []badManifest {
	field := "spec." + operation + ".image"
	job := daftyJob(operation)
	bad := []badManifest{
		created(field+" missing", job.without(field), at(field, required)),
		created(field+" empty", job.with(field, fields{}), at(field, wantsTarget)),
		created(field+" by url alone", job.with(field, fields{"url": imageURL}), at(field, wantsTarget)),
		created(field+" by styleSearch alone", job.with(field, fields{"styleSearch": fields{"style": fields{"id": styleID}, "query": "logo"}}), at(field, wantsTarget)),
		created(field+" by configMapKeyRef alone", job.with(field, fields{"configMapKeyRef": fields{"name": "brand", "key": "logo.png"}}), at(field, wantsTarget)),
		created(field+" by both id and jobRef", job.with(field, fields{"id": imageID, "jobRef": fields{"name": "hero"}}), at(field, wantsTarget)),
		created(field+" by both jobRef and assetRef", job.with(field, fields{"jobRef": fields{"name": "hero"}, "assetRef": fields{"name": "hero"}}), at(field, wantsTarget)),
		created(field+" with an empty id", job.with(field+".id", ""), at(field+".id", wantsUUID+"images[].id")),
		created(field+" by an upload's id", job.with(field+".id", uploadID), at(field+".id", wantsUUID+"images[].id")),
		created(field+" by a UUID of no known version", job.with(field+".id", "5f0c4c3e-8b1d-9e43-9d9c-0d7a3a1c2b4f"), at(field+".id", wantsUUID+"images[].id")),
		created(field+" by a UUID of another variant", job.with(field+".id", "5f0c4c3e-8b1d-4e43-cd9c-0d7a3a1c2b4f"), at(field+".id", wantsUUID+"images[].id")),
		created(field+" by a URL as its id", job.with(field+".id", longURL(500)), at(field+".id", wantsUUID+"images[].id")),
		created(field+" with braces", job.with(field+".id", "{"+imageID+"}"), at(field+".id", wantsUUID+"images[].id")),
		created(field+" with an id of two lines", job.with(field+".id", imageID+"\n"), at(field+".id", wantsUUID+"images[].id")),
		created(field+" with an id too long", job.with(field+".id", strings.Repeat("7", 2049)), at(field+".id", "may not be more than 2048")),
	}
	return append(bad, badRefs(field, true, func(image fields) manifest { return job.with(field, image) })...)
}

// badReference holds what is wrong with an image reference at field, where job makes a DaftyJob with it.
func badReference(field string, job func(fields) manifest) []badManifest {
	bad := []badManifest{
		created(field+" empty", job(fields{}), at(field, wantsImage)),
		created(field+" by both url and id", job(fields{"url": imageURL, "id": imageID}), at(field, wantsImage)),
		created(field+" by all six", job(fields{"url": imageURL, "id": imageID, "jobRef": fields{"name": "hero"}, "assetRef": fields{"name": "hero"}, "configMapKeyRef": fields{"name": "brand", "key": "logo.png"}, "styleSearch": fields{"style": fields{"id": styleID}, "query": "logo"}}), at(field, wantsImage)),
		created(field+" by both styleSearch and url", job(fields{"url": imageURL, "styleSearch": fields{"style": fields{"id": styleID}, "query": "logo"}}), at(field, wantsImage)),
		created(field+" by both jobRef and configMapKeyRef", job(fields{"jobRef": fields{"name": "hero"}, "configMapKeyRef": fields{"name": "brand", "key": "logo.png"}}), at(field, wantsImage)),
		created(field+" by both jobRef and assetRef", job(fields{"jobRef": fields{"name": "hero"}, "assetRef": fields{"name": "hero"}}), at(field, wantsImage)),
		created(field+" by plain http", job(fields{"url": "http://example.com/logo.png"}), at(field+".url", wantsHTTPS)),
		created(field+" by a data URL", job(fields{"url": "data:image/png;base64,iVBORw0KGgo="}), at(field+".url", wantsHTTPS)),
		created(field+" by a relative URL", job(fields{"url": "/logo.png"}), at(field+".url", wantsHTTPS)),
		created(field+" by a URL without host", job(fields{"url": "https:///logo.png"}), at(field+".url", wantsHTTPS)),
		created(field+" by a URL with a blank", job(fields{"url": "https://example.com/our logo.png"}), at(field+".url", wantsHTTPS)),
		created(field+" by a URL with a line break", job(fields{"url": imageURL + "\n"}), at(field+".url", wantsHTTPS)),
		created(field+" by an empty URL", job(fields{"url": ""}), at(field+".url", tooShort), at(field+".url", wantsHTTPS)),
		created(field+" by a URL too long", job(fields{"url": longURL(2049)}), at(field+".url", "may not be more than 2048")),
		created(field+" by an empty id", job(fields{"id": ""}), at(field+".id", tooShort), at(field+".id", wantsUploadID)),
		created(field+" by a URL as its id", job(fields{"id": imageURL}), at(field+".id", wantsUploadID)),
		created(field+" by an id with a blank", job(fields{"id": "up_ 4f1c9a"}), at(field+".id", wantsUploadID)),
		created(field+" by an id too long", job(fields{"id": strings.Repeat("x", 2049)}), at(field+".id", "may not be more than 2048")),
	}
	bad = append(bad, badRefs(field, true, job)...)
	bad = append(bad, badSearch(field+".styleSearch", func(search fields) manifest { return job(fields{"styleSearch": search}) })...)
	file := field + ".configMapKeyRef"
	bad = append(bad, badName(file+".name", "the name of a ConfigMap", func(name any) manifest {
		return job(fields{"configMapKeyRef": fields{"name": name, "key": "logo.png"}})
	})...)
	fileAt := func(key any) manifest { return job(fields{"configMapKeyRef": fields{"name": "brand", "key": key}}) }
	return append(bad,
		created(file+" of nothing", job(fields{"configMapKeyRef": fields{}}), at(file+".name", required), at(file+".key", required)),
		created(file+" of the whole ConfigMap", job(fields{"configMapKeyRef": fields{"name": "brand"}}), at(file+".key", required)),
		created(file+" at an empty key", fileAt(""), at(file+".key", tooShort), at(file+".key", wantsFileKey)),
		created(file+" at a path", fileAt("logos/logo.png"), at(file+".key", wantsFileKey)),
		created(file+" at a key too long", fileAt(strings.Repeat("x", 254)), at(file+".key", "may not be more than 253")),
	)
}

// badSearch holds what is wrong with a search in a style at field, where job makes a DaftyJob with it.
func badSearch(field string, job func(fields) manifest) []badManifest {
	with := func(key string, value any) manifest {
		search := fields{"style": fields{"id": styleID}, "query": "logo on white"}
		search[key] = value
		return job(search)
	}
	bad := []badManifest{
		created(field+" of nothing", job(fields{}), at(field+".style", required), at(field+".query", required)),
		created(field+" without a query", job(fields{"style": fields{"id": styleID}}), at(field+".query", required)),
		created(field+" in no style", with("style", fields{}), at(field+".style", wantsStyle)),
		created(field+" in two styles", with("style", fields{"id": styleID, "jobRef": fields{"name": "brand-style"}}), at(field+".style", wantsStyle)),
		created(field+" in a style by its name", with("style", fields{"id": "brand"}), at(field+".style.id", wantsUUID+"style.id")),
		created(field+" in a style whose id is too long", with("style", fields{"id": strings.Repeat("7", 2049)}), at(field+".style.id", "may not be more than 2048")),
		created(field+" for an empty text", with("query", ""), at(field+".query", tooShort), at(field+".query", wantsQuery)),
		created(field+" for blanks", with("query", " \t\n"), at(field+".query", wantsQuery)),
		created(field+" for too long a text", with("query", strings.Repeat("é", 501)), at(field+".query", "may not be more than 500")),
		created(field+" with a similarity below 0", with("minSimilarity", int64(-1)), at(field+".minSimilarity", "greater than or equal to 0")),
		created(field+" with a similarity above 100", with("minSimilarity", int64(101)), at(field+".minSimilarity", "less than or equal to 100")),
		created(field+" with a similarity as a fraction", with("minSimilarity", 0.8), at(field+".minSimilarity", "must be of type int32")),
		created(field+" with an index below 0", with("index", int64(-1)), at(field+".index", "greater than or equal to 0")),
		created(field+" with an index past what Dafty answers", with("index", int64(50)), at(field+".index", "less than or equal to 49")),
	}
	return append(bad, badRefs(field+".style", false, func(style fields) manifest { return with("style", style) })...)
}

// badName holds what is wrong with the name of an object at field, where job makes a DaftyJob with it.
func badName(field, of string, job func(name any) manifest) []badManifest {
	wantsName := "must be " + of + nameRule
	return []badManifest{
		created(field+" empty", job(""), at(field, tooShort), at(field, wantsName)),
		created(field+" impossible", job("Spring Hero"), at(field, wantsName)),
		created(field+" of another namespace", job("other/hero"), at(field, wantsName)),
		created(field+" too long", job(strings.Repeat("x", 254)), at(field, "may not be more than 253")),
	}
}

// badRefs holds what is wrong with a jobRef and an assetRef in the object at field, where job makes a DaftyJob with that object.
// A style's have no index.
func badRefs(field string, indexed bool, job func(fields) manifest) []badManifest {
	var bad []badManifest
	for key, of := range map[string]string{"jobRef": "a DaftyJob", "assetRef": "a DaftyAsset"} {
		field := field + "." + key
		ref := func(ref fields) manifest { return job(fields{key: ref}) }
		bad = append(bad,
			created(field+" of nothing", ref(fields{}), at(field+".name", required)),
			created(field+" a word", job(fields{key: "hero"}), at(field, "must be of type object")))
		if indexed {
			bad = append(bad,
				created(field+" of an index alone", ref(fields{"index": int64(1)}), at(field+".name", required)),
				created(field+" with an index below 0", ref(fields{"name": "hero", "index": int64(-1)}), at(field+".index", "greater than or equal to 0")),
				created(field+" with an index in quotes", ref(fields{"name": "hero", "index": "1"}), at(field+".index", "must be of type integer")))
		}
		bad = append(bad, badName(field+".name", "the name of "+of, func(name any) manifest { return ref(fields{"name": name}) })...)
	}
	return bad
}

// badResult holds what is wrong with the result at a field of an object's status.
func badResult(field string, stored manifest, status func(result fields) fields) []badManifest {
	return []badManifest{
		reported(field+" without what names it", stored, status(fields{"images": list(fields{}), "video": fields{}, "style": fields{}}),
			at(field+".images[0].id", required), at(field+".images[0].url", required),
			at(field+".video.id", required), at(field+".video.url", required), at(field+".style.id", required)),
	}
}

// badInputs holds what is wrong with the inputs at a field of an object's status.
func badInputs(field string, stored manifest, status func(inputs []any) fields) []badManifest {
	return []badManifest{
		reported(field+" without what names one", stored, status(list(fields{"id": imageID})), at(field+"[0].field", required)),
		reported(field+" in a form that there is none of", stored, status(list(fields{"field": "imageUpscale.image", "sentAs": "Name"})),
			at(field+"[0].sentAs", `"Name": supported values: "URL", "ID", "JobID"`)),
	}
}

// toItself holds an object for each way to refer to itself, under a key such as jobRef, where object makes the shortest valid one of an operation.
func toItself(key, says string, object func(operation string) manifest) []badManifest {
	var bad []badManifest
	for _, way := range []struct {
		field, what string
		value       func(ref fields) any
	}{
		{"imageGenerate.style", "style or the image", nil},
		{"imageGenerate.references", "style or the image", second},
		{"imageGenerate.references", "style or the image", secondSearch},
		{"imageEdit.image", "style or the image", nil},
		{"imageEdit.references", "style or the image", second},
		{"imageEdit.references", "style or the image", secondSearch},
		{"imageResize.image", "image", nil},
		{"imageUpscale.image", "image", nil},
		{"imageToVideo.image", "style or the image", nil},
		{"imageToVideo.image", "style or the image", search},
		{"videoFrames.startImage", "style or the image", nil},
		{"videoFrames.startImage", "style or the image", search},
		{"videoFrames.endImage", "style or the image", nil},
		{"videoFrames.endImage", "style or the image", search},
	} {
		operation, _, _ := strings.Cut(way.field, ".")
		var value any = fields{key: fields{"name": "snake"}}
		if way.value != nil {
			value = way.value(value.(fields))
		}
		given := object(operation).with("metadata", fields{"name": "snake"})
		spec := specOf(given)
		bad = append(bad, created(way.field+" made by the object itself", given.with(spec+"."+way.field, value), at(spec+"."+operation, says+way.what)))
	}
	return bad
}

// second puts a reference behind a good one.
func second(ref fields) any { return list(fields{"url": imageURL}, ref) }

// search has an image searched for in a style.
func search(style fields) any { return fields{"styleSearch": fields{"style": style, "query": "logo"}} }

func secondSearch(style fields) any { return second(search(style).(fields)) }

func TestBadManifestsAreRefused(t *testing.T) {
	env := kubetest.Start(t)
	for kind, all := range badManifests() {
		for _, bad := range all {
			t.Run(kind+"/"+bad.name, func(t *testing.T) {
				got := problemsOf(t, bad.send(t, env))
				for _, want := range bad.want {
					if !contains(got, want) {
						t.Errorf("nothing says of %s: %s", want.field, want.message)
					}
				}
				if len(got) > len(bad.want) || t.Failed() {
					t.Errorf("the API server says:%s", lines(got))
				}
			})
		}
	}
}

func contains(problems []problem, want problem) bool {
	for _, p := range problems {
		if p.field == want.field && strings.Contains(p.message, want.message) {
			return true
		}
	}
	return false
}

func lines(problems []problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "\n\t%s: %s", p.field, p.message)
	}
	return b.String()
}

// A rule that is added to the types without a bad manifest fails here.
func TestEveryRuleHasABadManifest(t *testing.T) {
	env := kubetest.Start(t)
	least := map[string]int{"DaftyJob": 100, "DaftyAsset": 100, "DaftyAccount": 40}
	for kind, all := range badManifests() {
		t.Run(kind, func(t *testing.T) {
			var problems []problem
			for _, bad := range all {
				problems = append(problems, problemsOf(t, bad.send(t, env))...)
			}
			rules := rulesOf(t, readSchema(t, kind))
			if len(rules) < least[kind] {
				t.Errorf("found only %d rules in the schema", len(rules))
			}
			for _, rule := range rules {
				if strings.HasPrefix(rule.path, "status.conditions[]") { // Kubernetes' own, and tested there
					continue
				}
				if !slices.ContainsFunc(problems, rule.brokenBy) {
					t.Errorf("no bad manifest breaks the rule %s", rule)
				}
			}
		})
	}
}
