package daftysim

import (
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestReferenceReadings tells which forms of an image stand as a reference under each reading; an upload and a public https
// URL always do.
func TestReferenceReadings(t *testing.T) {
	for _, tt := range []struct {
		reading            References
		url                ResultURL
		byURL, byID, byJob int
	}{
		{ReferencesAny, ResultURLAccepted, 202, 202, 202},
		{ReferencesVariation, ResultURLAccepted, 202, 202, 404},
		{ReferencesJob, ResultURLAccepted, 202, 404, 202},
		{ReferencesURL, ResultURLAccepted, 202, 404, 404},
		{ReferencesAny, ResultURLRefused, 400, 202, 202},
		{ReferencesJob, ResultURLRefused, 400, 404, 202},
	} {
		t.Run(string(tt.reading)+", url "+string(tt.url), func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants.References, o.Variants.ResultURL = tt.reading, tt.url })
			id := h.create("/images/generate", fields{"prompt": "A cat", "variations": 2}).job(t).ID
			h.clock.Step(time30)
			second := h.get(id).Result.Images[1]
			uploaded := h.upload()
			for reference, status := range map[string]int{
				second.URL: tt.byURL, second.ID: tt.byID, id: tt.byJob, uploaded.ID: 202, uploaded.URL: 202, fixedImage: 202, "https://example.com/a.png": 202,
			} {
				for path, body := range map[string]fields{
					"/images/generate":       {"prompt": "A cat", "references": []string{reference}},
					"/images/edit":           {"prompt": "A cat", "imageId": fixedImage, "references": []string{reference}},
					"/videos/image-to-video": {"prompt": "Fly", "image": reference},
					"/videos/frames":         {"prompt": "Fly", "startImage": reference, "endImage": fixedImage},
				} {
					equal(t, path+" "+reference, h.create(path, body).status, status)
					h.clock.Step(time30)
				}
			}
		})
	}
}

// TestReferencesToNothing: an own-looking url is no image because it looks so, and none within a network is fetched.
func TestReferencesToNothing(t *testing.T) {
	h := newHarness(t, nil)
	https := header("X-Forwarded-Proto", "https")
	id := h.create("/images/generate", fields{"prompt": "A cat"}, https).job(t).ID
	h.clock.Step(time30)
	image := h.get(id, https).Result.Images[0]
	for reference, status := range map[string]int{
		image.URL:          202,
		image.URL + "?v=2": 404,
		"https://dafty.test/files/" + image.ID + ".jpg":         404,
		"https://dafty.test/files/" + foreignID + ".png":        404,
		"https://dafty.test/files/":                             404,
		"https://dafty.test/cat.png":                            404,
		"https://elsewhere.example/files/" + foreignID + ".png": 202, // any page's
		"https://minio.shop.svc/cat.png":                        400,
		"https://minio.shop.svc.cluster.local/cat.png":          400,
		"https://minio/cat.png":                                 400,
		"https://localhost/cat.png":                             400,
		"https://10.0.0.7/cat.png":                              400,
		"https://127.0.0.1/cat.png":                             400,
		"https://[::1]/cat.png":                                 400,
		"https://[fd00::1]/cat.png":                             400,
		"https://169.254.169.254/latest":                        400,
		"https://203.0.113.9/cat.png":                           202,
	} {
		r := h.create("/images/generate", fields{"prompt": "A cat", "references": []string{reference}}, https)
		equal(t, reference, r.status, status)
		if status == 400 {
			equal(t, "named", r.body.Error.Details["references"] != nil, true)
		}
		h.clock.Step(time30)
	}
	r := h.create("/videos/frames", fields{"prompt": "Fly", "startImage": "https://localhost/a.png", "endImage": fixedImage})
	equal(t, "the field at fault", r.body.Error.Details["startImage"] != nil, true)
}

func TestOtherBodyReadings(t *testing.T) {
	for reading, status := range map[OtherBody]int{OtherBodyFirst: 202, OtherBodyConflict: 409, OtherBodyUnprocessable: 422} {
		t.Run(string(reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants.OtherBody = reading })
			post := func(path string, body fields) reply { return h.do("POST", path, body, idempotent("k")) }
			h.wantStatus(post("/images/generate", fields{"prompt": "A cat"}), 202)
			h.wantStatus(post("/images/generate", fields{"prompt": "A cat"}), 202)
			h.wantStatus(post("/images/generate", fields{"prompt": "A dog"}), status)
			h.wantStatus(post("/styles/extract", fields{"url": "https://example.com"}), status)
			equal(t, "jobs made", len(h.Ledger()), 1)
		})
	}
}

func TestNullsReadings(t *testing.T) {
	for reading, null := range map[Nulls]bool{NullsAbsent: false, NullsNull: true} {
		h := newHarness(t, func(o *Options) { o.Variants.Nulls = reading })
		image := h.generate()
		clip := h.create("/videos/image-to-video", fields{"image": fixedImage, "prompt": "Fly"}).job(t).ID
		h.clock.Step(time30)
		for what, r := range map[string]reply{
			`"width":null`:           h.do("GET", "/jobs/"+image, nil),
			`"durationSeconds":null`: h.do("GET", "/jobs/"+clip, nil),
			`"nextCursor":null`:      h.do("GET", "/jobs", nil),
			`"details":null`:         h.do("GET", "/jobs/"+foreignID, nil),
		} {
			equal(t, what, strings.Contains(string(r.raw), what), null)
		}
	}
}

func TestCreatedAtReadings(t *testing.T) {
	for reading, want := range map[CreatedAt]string{
		CreatedAtMilliseconds: "2026-03-01T12:00:00.000Z", CreatedAtMinutes: "2026-03-01T12:00Z", CreatedAtPicoseconds: "2026-03-01T12:00:00.000000000000Z",
	} {
		h := newHarness(t, func(o *Options) { o.Variants.CreatedAt = reading })
		equal(t, string(reading), h.get(h.generate()).CreatedAt, want)
	}
}

// TestUUIDs holds the ids that are made, and those that are taken, against RFC 9562.
func TestUUIDs(t *testing.T) {
	h := newHarness(t, nil)
	for _, id := range []string{h.generate(), h.AddImage("acme", Image{}), h.AddStyle("acme", Style{})} {
		equal(t, id, uuidPattern.MatchString(id), true)
	}
	for _, a := range decode[[]foundAsset](t, h.do("POST", "/styles/"+fixedStyle+"/search", fields{"query": "logo"})) {
		equal(t, "asset "+a.ID, uuidPattern.MatchString(a.ID), true)
	}
	for id, status := range map[string]int{
		fixedImage:                             202,
		"00000000-0000-0000-0000-000000000000": 404,
		"ffffffff-ffff-ffff-ffff-ffffffffffff": 404,
		"11111111-1111-8111-b111-111111111112": 404,
		"11111111-1111-9111-8111-111111111111": 400, // no such version
		"11111111-1111-0111-8111-111111111111": 400,
		"11111111-1111-4111-c111-111111111111": 400, // another variant
	} {
		equal(t, id, h.create("/images/edit", fields{"imageId": id, "prompt": "A hat"}).status, status)
	}
}

// TestOpenAPIIsPublic: the contract itself needs no key.
func TestOpenAPIIsPublic(t *testing.T) {
	h := newHarness(t, nil)
	r := h.do("GET", "/openapi.json", nil, without("X-Api-Key"))
	h.wantStatus(r, 200)
	doc, err := openapi3.NewLoader().LoadFromData(r.raw)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "paths", len(doc.Paths.Map()) > 10, true)
}

// upload is an image that was uploaded whole.
func (h *harness) upload() completed {
	h.t.Helper()
	u := h.reserve("image/png")
	h.wantStatus(h.put(u, "image/png", picturesOf(h.t)["image/png"]), 200)
	r := h.complete(u)
	h.wantStatus(r, 200)
	return decode[completed](h.t, r)
}
