package daftysim

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http"
	"strings"
	"testing"
	"time"
)

type reserved struct {
	UploadID  string `json:"uploadId"`
	UploadURL string `json:"uploadUrl"`
	ExpiresIn int    `json:"expiresIn"`
}

type completed struct {
	ID          string `json:"id"`
	URL         string `json:"url"`
	ContentType string `json:"contentType"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
}

func (h *harness) reserve(mediaType string) reserved {
	h.t.Helper()
	r := h.do("POST", "/uploads", fields{"filename": "a", "contentType": mediaType})
	h.wantStatus(r, 201)
	return decode[reserved](h.t, r)
}

// put sends bytes to storage, as a careful client does.
func (h *harness) put(u reserved, mediaType string, body []byte, options ...option) reply {
	h.t.Helper()
	return h.url("PUT", u.UploadURL, body, append([]option{without("X-Api-Key"), contentType(mediaType)}, options...)...)
}

func (h *harness) complete(u reserved) reply {
	h.t.Helper()
	return h.do("POST", "/uploads/"+u.UploadID+"/complete", nil)
}

// sample picture, 40 × 30, in each format that Dafty takes.
func picturesOf(t *testing.T) map[string][]byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 40, 30))
	pictures := map[string][]byte{}
	for mediaType, encode := range map[string]func(*bytes.Buffer) error{
		"image/png":  func(b *bytes.Buffer) error { return png.Encode(b, img) },
		"image/jpeg": func(b *bytes.Buffer) error { return jpeg.Encode(b, img, nil) },
		"image/gif":  func(b *bytes.Buffer) error { return gif.Encode(b, img, nil) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		pictures[mediaType] = b.Bytes()
	}
	// Go writes no WebP: the smallest lossless one there is, 1 × 1.
	webp, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	pictures["image/webp"] = webp
	return pictures
}

func TestUpload(t *testing.T) {
	for mediaType, picture := range picturesOf(t) {
		t.Run(mediaType, func(t *testing.T) {
			h := newHarness(t, nil)
			u := h.reserve(mediaType)
			if !strings.HasPrefix(u.UploadID, "up_") || u.ExpiresIn != 3600 || !strings.HasPrefix(u.UploadURL, "http://dafty.test/") {
				t.Fatalf("reserved %+v", u)
			}
			h.wantStatus(h.create("/images/generate", fields{"prompt": "A cat", "references": []string{u.UploadID}}), 400)
			h.wantStatus(h.put(u, mediaType, picture), 200)
			r := h.complete(u)
			h.wantStatus(r, 200)
			done := decode[completed](t, r)
			width, height := 40, 30
			if mediaType == "image/webp" {
				width, height = 1, 1
			}
			equal(t, "upload", done, completed{u.UploadID, done.URL, mediaType, width, height})
			equal(t, "again", string(h.complete(u).raw), string(r.raw))

			for _, reference := range []string{done.ID, done.URL} {
				h.wantStatus(h.create("/images/generate", fields{"prompt": "A cat", "references": []string{reference}}), 202)
				h.wantStatus(h.create("/videos/image-to-video", fields{"prompt": "Fly", "image": reference}), 202)
			}
			h.wantStatus(h.create("/images/generate", fields{"prompt": "A cat", "references": []string{done.ID}}, as(strangerKey)), 404)
			h.wantStatus(h.create("/images/edit", fields{"prompt": "A cat", "imageId": fixedStyle}), 404)

			file := h.url("GET", done.URL, nil, without("X-Api-Key"))
			equal(t, "Content-Type", file.header.Get("Content-Type"), mediaType)
			equal(t, "bytes", string(file.raw), string(picture))
		})
	}
}

func TestUploadsGoneWrong(t *testing.T) {
	pictures := picturesOf(t)
	for _, tt := range []struct {
		name   string
		do     func(h *harness, u reserved) reply
		status int
	}{
		{"no bytes", func(h *harness, u reserved) reply { return h.complete(u) }, 400},
		{"another Content-Type", func(h *harness, u reserved) reply { return h.put(u, "image/gif", pictures["image/gif"]) }, 403},
		{"another signature", func(h *harness, u reserved) reply {
			u.UploadURL += "0"
			return h.put(u, "image/png", pictures["image/png"])
		}, 403},
		{"no such upload", func(h *harness, u reserved) reply {
			u.UploadURL = strings.Replace(u.UploadURL, "up_", "up_0", 1)
			return h.put(u, "image/png", pictures["image/png"])
		}, 403},
		{"too late", func(h *harness, u reserved) reply {
			h.clock.Step(time.Duration(u.ExpiresIn) * time.Second)
			return h.put(u, "image/png", pictures["image/png"])
		}, 403},
		{"other bytes than named", func(h *harness, u reserved) reply {
			h.wantStatus(h.put(u, "image/png", pictures["image/jpeg"]), 200)
			return h.complete(u)
		}, 400},
		{"no picture", func(h *harness, u reserved) reply {
			h.wantStatus(h.put(u, "image/png", []byte("<svg/>")), 200)
			return h.complete(u)
		}, 400},
		{"half a header", func(h *harness, u reserved) reply {
			h.wantStatus(h.put(u, "image/png", pictures["image/png"][:12]), 200)
			return h.complete(u)
		}, 400},
		{"another's", func(h *harness, u reserved) reply {
			return h.do("POST", "/uploads/"+u.UploadID+"/complete", nil, as(strangerKey))
		}, 404},
		{"after it is complete", func(h *harness, u reserved) reply {
			h.wantStatus(h.put(u, "image/png", pictures["image/png"]), 200)
			h.wantStatus(h.complete(u), 200)
			return h.put(u, "image/png", []byte("other"))
		}, 409},
		{"read before it is complete", func(h *harness, u reserved) reply {
			return h.url("GET", "http://dafty.test/files/"+u.UploadID, nil, without("X-Api-Key"))
		}, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			h.wantStatus(tt.do(h, h.reserve("image/png")), tt.status)
		})
	}
}

func TestAPIKeyOutsideOfTheAPIIsAViolation(t *testing.T) {
	for name, o := range map[string]option{
		"x-api-key": as(testKey),
		"bearer":    header("Authorization", "Bearer "+testKey),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, nil)
			u := h.reserve("image/png")
			h.put(u, "image/png", []byte("x"), o)
			h.url("GET", "http://dafty.test/files/"+fixedImage+".png", nil, without("X-Api-Key"), o)
			h.url("GET", "http://dafty.test/stolen", nil, without("X-Api-Key"), o) // as after a redirect
			if v := h.takeViolations(); len(v) != 3 || !strings.Contains(v[0], "outside of the API") {
				t.Errorf("violations are %q", v)
			}
		})
	}
}

func TestUploadStatusReadings(t *testing.T) {
	for reading, status := range map[UploadStatus]int{UploadStatusCreated: http.StatusCreated, UploadStatusOK: http.StatusOK} {
		h := newHarness(t, func(o *Options) { o.Variants.UploadStatus = reading })
		h.wantStatus(h.do("POST", "/uploads", fields{"filename": "a", "contentType": "image/png"}), status)
	}
}

func TestURLsUseTheSchemeOfTheClient(t *testing.T) {
	h := newHarness(t, nil)
	r := h.do("POST", "/uploads", fields{"filename": "a", "contentType": "image/png"}, header("X-Forwarded-Proto", "https"))
	if u := decode[reserved](t, r); !strings.HasPrefix(u.UploadURL, "https://dafty.test/") {
		t.Errorf("upload URL is %s", u.UploadURL)
	}
}
