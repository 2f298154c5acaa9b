package v1alpha1_test

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// What kubectl explain says of each field, where Dafty's pages say something that costs money or that nobody would guess.
func TestFieldsSayWhatDaftysPagesSay(t *testing.T) {
	all := map[string]string{}
	for _, kind := range kinds {
		spec := readSchema(t, kind).Properties["spec"]
		walk("spec", &spec, func(path string, field *apiextensionsv1.JSONSchemaProps) {
			all[kind+" "+path] = oneLine(field.Description)
		})
	}
	const (
		fetched   = "only from a public address: one within a cluster or a private network never works; use configMapKeyRef"
		reference = "The url of that image in the result is sent. If Dafty refuses that, the variation's id is sent; and if Dafty refuses that too, and the index is 0, the job's id"
		target    = "The variation's id is sent. If Dafty refuses that, and the index is 0, the job's id is sent"
		dearer    = "A higher resolution costs more"
	)
	for path, want := range map[string]string{
		"spec.desiredState":                      "free while the job is queued at Dafty. Once Dafty processes it, there is a partial charge of 1 CU",
		"spec.activeDeadlineSeconds":             "the time that the job is queued at Dafty does, which can be long for a clip",
		"spec.idempotencyKey":                    "share one job, if they ask for the same. If they don't,",
		"spec.videoFrames":                       "costs more than imageToVideo",
		"spec.imageGenerate.quality":             "A higher quality costs more",
		"spec.imageGenerate.resolution":          dearer,
		"spec.imageResize.resolution":            dearer,
		"spec.imageUpscale.resolution":           dearer,
		"spec.imageToVideo.resolution":           "720p, which costs more than 480p",
		"spec.videoFrames.resolution":            "720p, which costs more than 480p",
		"spec.videoFrames.aspectRatio":           "auto, which uses that of the start frame",
		"spec.imageToVideo.image":                "The clip keeps its aspect ratio",
		"spec.imageEdit.image":                   "Dafty repeats the edits that led to it",
		"spec.imageGenerate.style":               "any saved style of the account",
		"spec.imageGenerate.style.id":            "of any saved style of the account",
		"spec.imageGenerate.references[].url":    fetched,
		"spec.imageEdit.references[].url":        fetched,
		"spec.imageToVideo.image.url":            fetched,
		"spec.videoFrames.startImage.url":        fetched,
		"spec.videoFrames.endImage.url":          fetched,
		"spec.imageGenerate.references[].id":     "or of the job that made an image",
		"spec.imageGenerate.references[].jobRef": reference,
		"spec.imageToVideo.image.jobRef":         reference,
		"spec.videoFrames.startImage.jobRef":     reference,
		"spec.videoFrames.endImage.jobRef":       reference,
		"spec.imageEdit.image.jobRef":            target,
		"spec.imageResize.image.jobRef":          target,
		"spec.imageUpscale.image.jobRef":         target,
		"spec.imageEdit.image.id":                "one variation's id, as status.result.images[].id of the DaftyJob that made it shows it, or that job's id",
	} {
		if path = "DaftyJob " + path; !strings.Contains(all[path], want) {
			t.Errorf("%s doesn't say %q: %q", path, want, all[path])
		}
	}
	for path, want := range map[string]string{
		"spec.template":        "another request is made and paid for, and the result so far stays until the new one is there",
		"spec.template.spec":   "A change of the operation or of idempotencyKey is another request, and paid for",
		"spec.revision":        "made again, and paid for",
		"spec.followInputs":    "made again, and paid for, when a DaftyAsset that the template names under assetRef has a new result",
		"spec.historyLimit":    "Going back to one of these results costs nothing",
		"spec.changePolicy":    "or this object has the annotation dafty.ai/approved with status.pending.hash as its value",
		"spec.suspend":         "What is being made goes on",
		"spec.resultConfigMap": "from one result to the next in one write",
		"spec.template.spec.imageUpscale.image.assetRef.name": "Nothing is submitted until it is Ready",
	} {
		if path = "DaftyAsset " + path; !strings.Contains(all[path], want) {
			t.Errorf("%s doesn't say %q: %q", path, want, all[path])
		}
	}
}

// What the documentation says where its readers stand.
func TestDocsSayWhatDaftysPagesSay(t *testing.T) {
	for page, sections := range map[string]map[string][]string{
		"../../docs/troubleshooting.md": {
			"### Queued":               {"can be queued for long", "`activeDeadlineSeconds` counts this time"},
			"### Processing":           {"partial charge of 1 CU"},
			"### WaitingForRateLimit":  {"30 uploads, and 120 of all other calls"},
			"### InsufficientCredits":  {"for this job", "tried in turn", "accept a cheaper one"},
			"### SubscriptionRequired": {"this operation, or this much of it"},
			"### CredentialsRejected":  {"deactivated"},
			"### SubmissionUnknown":    {"refuses its idempotency key (409 or 422)"},
			"### Cancelled":            {"partial charge of 1 CU"},
		},
		"../../docs/daftyjob.md": {
			"## Images and styles": {"an https URL with a public address", "private network never works", "the image's url in the result, then the variation's id, then its job's id", "any saved one"},
			"## The request":       {"Dafty publishes no prices", "keeps the image's aspect ratio", "follows the start frame", "repeats the edits"},
			"## A deadline":        {"clips can be queued for long"},
			"## A key of your own": {"That is if they ask for the same", "`SubmissionUnknown`"},
		},
		"../../docs/reliability.md": {
			"## What it was tested against": {"`make check-contract`", "deactivated", "`GET /images/{id}`", "X-RateLimit-* are on every answer"},
		},
		"../../docs/releasing.md": {"## Make one": {"make check-contract"}},
	} {
		content := readPage(t, page)
		for section, wants := range sections {
			_, text, found := strings.Cut(content, "\n"+section+"\n")
			end := strings.Index(text, "\n"+strings.Fields(section)[0]+" ")
			if end >= 0 {
				text = text[:end]
			}
			for _, want := range wants {
				if !found || !strings.Contains(oneLine(text), want) {
					t.Errorf("%s, %s: it doesn't say %q", page, section, want)
				}
			}
		}
	}
	for _, page := range []string{"../../README.md", "../../docs/getting-started.md", "../../docs/daftyjob.md", "../../docs/troubleshooting.md"} {
		for line := range strings.Lines(readPage(t, page)) {
			if strings.Contains(line, "costs 1 CU") || strings.Contains(line, "cost 1 CU") {
				t.Errorf("%s: Dafty's pages speak of a partial charge: %s", page, line)
			}
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
