package daftysim

import "testing"

func TestImageIDReadings(t *testing.T) {
	for _, tt := range []struct {
		reading             ImageID
		variation, job, own int
	}{
		{ImageIDVariation, 202, 404, 202},
		{ImageIDJob, 404, 202, 202},
		{ImageIDEither, 202, 202, 202},
		{ImageIDJob400, 400, 202, 202},
	} {
		t.Run(string(tt.reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants.ImageID = tt.reading })
			edit := func(id string) int {
				return h.create("/images/edit", fields{"imageId": id, "prompt": "A hat"}).status
			}
			id := h.generate()
			unknown := 404
			if tt.reading == ImageIDJob400 {
				unknown = 400
			}
			equal(t, "before it completes", edit(id), unknown)
			h.clock.Step(time30)
			equal(t, "variation", edit(h.get(id).Result.Images[0].ID), tt.variation)
			equal(t, "job", edit(id), tt.job)
			equal(t, "given from the start", edit(fixedImage), tt.own)
			h.wantStatus(h.create("/images/edit", fields{"imageId": id, "prompt": "A hat"}, as(strangerKey)), unknown)
		})
	}
}

func TestReferences(t *testing.T) {
	h := newHarness(t, nil)
	id := h.generate()
	h.clock.Step(time30)
	image := h.get(id).Result.Images[0]
	foreign := h.create("/images/generate", fields{"prompt": "A cat"}, as(strangerKey)).job(t).ID
	added := h.AddImage("acme", Image{Width: 900, Height: 1600})
	h.clock.Step(time30)
	for reference, status := range map[string]int{
		image.ID:                               202,
		image.URL:                              202, // http, as it is ours
		id:                                     202,
		added:                                  202,
		"https://example.com/any.jpg":          202,
		foreign:                                404,
		"http://dafty.test/files/" + foreignID: 400,
		"http://example.com/any.jpg":           400,
		"ftp://example.com/any.jpg":            400,
		"//example.com/any.jpg":                400,
	} {
		t.Run(reference, func(t *testing.T) {
			equal(t, "image", h.create("/images/generate", fields{"prompt": "A cat", "references": []string{reference}}).status, status)
			h.clock.Step(time30)
			equal(t, "video", h.create("/videos/image-to-video", fields{"prompt": "Fly", "image": reference}).status, status)
			h.clock.Step(time30)
		})
	}
}

// TestSizes follows what a request asks for to the size of its result.
func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		name, path    string
		body          fields
		width, height int
	}{
		{"as it comes", "/images/generate", fields{"prompt": "A cat"}, 1024, 1024},
		{"wide", "/images/generate", fields{"prompt": "A cat", "aspectRatio": "16:9"}, 1024, 576},
		{"tall, 4K", "/images/generate", fields{"prompt": "A cat", "aspectRatio": "2:3", "resolution": "4K"}, 2731, 4096},
		{"edit", "/images/edit", fields{"imageId": fixedImage, "prompt": "A hat"}, 1600, 900},
		{"resize", "/images/resize", fields{"imageId": fixedImage, "aspectRatio": "1:8", "resolution": "2K"}, 256, 2048},
		{"resize, as large as before", "/images/resize", fields{"imageId": fixedImage, "aspectRatio": "4:1"}, 1600, 400},
		{"upscale", "/images/upscale", fields{"imageId": fixedImage, "resolution": "4K"}, 4096, 2304},
		{"upscale, one step", "/images/upscale", fields{"imageId": fixedImage}, 3200, 1800},
		{"video of an image", "/videos/image-to-video", fields{"image": fixedImage, "prompt": "Fly"}, 1280, 720},
		{"video of any url", "/videos/image-to-video", fields{"image": "https://example.com/a.png", "prompt": "Fly", "resolution": "480p"}, 854, 480},
		{"frames, tall", "/videos/frames", fields{"startImage": fixedImage, "endImage": fixedImage, "prompt": "Fly", "aspectRatio": "9:16"}, 720, 1280},
		{"frames, auto", "/videos/frames", fields{"startImage": fixedImage, "endImage": fixedImage, "prompt": "Fly", "aspectRatio": "auto"}, 1280, 720},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			r := h.create(tt.path, tt.body)
			h.wantStatus(r, 202)
			h.clock.Step(time30)
			result := h.get(r.job(t).ID).Result
			var width, height int
			if result.Video != nil {
				width, height = result.Video.Width, result.Video.Height
				equal(t, "seconds", result.Video.DurationSeconds, 6)
				equal(t, "id", result.Video.ID, r.job(t).ID)
			} else {
				width, height = result.Images[0].Width, result.Images[0].Height
			}
			equal(t, "width", width, tt.width)
			equal(t, "height", height, tt.height)
		})
	}
}

func TestStyleOfAJobCanBeUsed(t *testing.T) {
	h := newHarness(t, nil)
	r := h.create("/styles/extract", fields{"url": "https://example.com"})
	h.clock.Step(time30)
	style := h.get(r.job(t).ID).Result.Style.ID
	added := h.AddStyle("acme", Style{Name: "another"})
	for _, id := range []string{style, added, fixedStyle} {
		h.wantStatus(h.create("/images/generate", fields{"prompt": "A cat", "styleId": id}), 202)
		r := h.do("POST", "/styles/"+id+"/search", fields{"query": "logo", "limit": 5})
		h.wantStatus(r, 200)
		equal(t, "assets", len(decode[[]foundAsset](t, r)), 5)
	}
}
