package daftysim

import (
	"bytes"
	"encoding/json"
	"image/gif"
	"image/png"
	"strings"
	"testing"
	"time"
)

func (h *harness) file(url string) reply {
	h.t.Helper()
	r := h.url("GET", url, nil, without("X-Api-Key"))
	h.wantStatus(r, 200)
	return r
}

func TestResultImagesAreReal(t *testing.T) {
	h := newHarness(t, nil)
	for _, tt := range []struct {
		path string
		body fields
	}{
		{"/images/generate", fields{"prompt": "A minimalist logo of a mountain", "aspectRatio": "16:9", "variations": 2}},
		{"/images/generate", fields{"prompt": strings.Repeat("Many words, 山と海, 🏔. ", 90), "aspectRatio": "9:16"}},
		{"/images/generate", fields{"prompt": strings.Repeat("endless", 200)}},
		{"/images/generate", fields{"prompt": " \n "}},
		{"/images/resize", fields{"imageId": fixedImage, "aspectRatio": "1:8", "resolution": "1K"}},
		{"/images/resize", fields{"imageId": fixedImage, "aspectRatio": "8:1", "resolution": "1K"}},
	} {
		r := h.create(tt.path, tt.body)
		h.wantStatus(r, 202)
		h.clock.Step(time30)
		for _, image := range h.get(r.job(t).ID).Result.Images {
			f := h.file(image.URL)
			equal(t, "Content-Type", f.header.Get("Content-Type"), "image/png")
			picture, err := png.Decode(bytes.NewReader(f.raw))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "width", picture.Bounds().Dx(), image.Width)
			equal(t, "height", picture.Bounds().Dy(), image.Height)
			equal(t, "again", bytes.Equal(h.file(image.URL).raw, f.raw), true)
		}
	}
}

// TestPicturesShowTheirPrompt: other words, another picture; the same, the same.
func TestPicturesShowTheirPrompt(t *testing.T) {
	one := card{width: 320, height: 180, prompt: "A cat", label: "image.generate", footer: "job 1"}
	other, variation := one, one
	other.prompt = "A dog"
	variation.index = 1
	equal(t, "the same", bytes.Equal(one.png(), one.png()), true)
	equal(t, "other words", bytes.Equal(one.png(), other.png()), false)
	equal(t, "variation", bytes.Equal(one.png(), variation.png()), false)
}

func TestResultVideosAreReal(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.ThumbnailAfter = 5 * time.Second })
	r := h.create("/videos/frames", fields{
		"startImage": fixedImage, "endImage": fixedImage, "prompt": "Fly", "duration": 5, "resolution": "480p", "aspectRatio": "1:1",
	})
	h.wantStatus(r, 202)
	id := r.job(t).ID
	h.wantStatus(h.url("GET", "http://dafty.test/files/"+id+".gif", nil, without("X-Api-Key")), 404)
	h.clock.Step(time30)
	video := h.get(id).Result.Video
	if video.ThumbnailURL != nil {
		t.Fatal("the thumbnail is there at once")
	}
	f := h.file(video.URL)
	equal(t, "Content-Type", f.header.Get("Content-Type"), "image/gif")
	clip, err := gif.DecodeAll(bytes.NewReader(f.raw))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "width", clip.Config.Width, video.Width)
	equal(t, "height", clip.Config.Height, video.Height)
	length := 0
	for _, delay := range clip.Delay {
		length += delay
	}
	equal(t, "length", length, 500)
	equal(t, "it moves", bytes.Equal(clip.Image[0].Pix, clip.Image[frames/2].Pix), false)

	h.clock.Step(5 * time.Second)
	thumbnail := h.get(id).Result.Video.ThumbnailURL
	if thumbnail == nil {
		t.Fatal("the thumbnail never comes")
	}
	if _, err := png.Decode(bytes.NewReader(h.file(*thumbnail).raw)); err != nil {
		t.Fatal(err)
	}
}

func TestStyleFile(t *testing.T) {
	h := newHarness(t, nil)
	f := h.file("http://dafty.test/files/" + fixedStyle + ".json")
	var style struct {
		ID      string
		Palette []string
	}
	if err := json.Unmarshal(f.raw, &style); err != nil {
		t.Fatal(err)
	}
	equal(t, "id", style.ID, fixedStyle)
	equal(t, "colours", len(style.Palette), 5)
}

func TestUnknownFiles(t *testing.T) {
	h := newHarness(t, nil)
	for _, name := range []string{"", "x.png", fixedImage, fixedImage + ".gif", fixedStyle + ".png", h.generate() + ".png"} {
		h.wantStatus(h.url("GET", "http://dafty.test/files/"+name, nil, without("X-Api-Key")), 404)
	}
	h.wantStatus(h.url("GET", "http://dafty.test/favicon.ico", nil, without("X-Api-Key")), 404)
}

// TestGalleryForgets keeps what was looked at last, within its bound.
func TestGalleryForgets(t *testing.T) {
	g := newGallery()
	drawnTimes := map[string]int{}
	look := func(name string) {
		g.get(name, func() []byte {
			drawnTimes[name]++
			return make([]byte, galleryBytes/2-1)
		})
	}
	for _, name := range []string{"a", "a", "b", "a", "c", "a", "b"} {
		look(name)
	}
	for name, want := range map[string]int{"a": 1, "b": 2, "c": 1} {
		equal(t, name, drawnTimes[name], want)
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		name, text    string
		width, height float64
		lines         int
		cut           bool
	}{
		{"one word", "Cat", 1000, 200, 1, false},
		{"no word", "", 1000, 200, 0, false},
		{"no room", strings.Repeat("word ", 500), 100, 40, 2, true},
		{"a word as long as a line", strings.Repeat("w", 50), 100, 40, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			size, lines := fit(bold(), tt.text, tt.width, tt.height, 12, 100)
			equal(t, "lines", len(lines), tt.lines)
			equal(t, "cut", strings.HasSuffix(strings.Join(lines, ""), "…"), tt.cut)
			for _, line := range lines {
				if w := bold().at(size).width(line); w > tt.width*1.05 {
					t.Errorf("%q is %f wide", line, w)
				}
			}
		})
	}
}

func BenchmarkCard4K(b *testing.B) {
	c := card{width: 4096, height: 2304, prompt: "A minimalist logo of a mountain at sunrise", label: "image.upscale", footer: "job 1"}
	for b.Loop() {
		c.png()
	}
}
