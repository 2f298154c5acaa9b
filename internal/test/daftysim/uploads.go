package daftysim

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"image"
	_ "image/gif"  // uploads are decoded by their real bytes
	_ "image/jpeg" // "
	_ "image/png"  // "
	"net/http"
	"strings"
	"time"

	_ "golang.org/x/image/webp" // uploads are decoded by their real bytes
)

const (
	// storagePath takes the bytes of uploads; no API key belongs there.
	storagePath  = "/storage/"
	uploadPrefix = "up_"
)

// upload is an image that is reserved, filled or complete.
type upload struct {
	id          string
	account     *account
	signature   string
	contentType string
	expires     time.Time
	bytes       []byte
	complete    bool
	width       int
	height      int
}

func (u *upload) path() string { return filesPath + u.id }

// createUpload reserves an upload.
func (s *Simulator) createUpload(c *call) answer {
	var req struct {
		Filename    string `json:"filename"`
		ContentType string `json:"contentType"`
	}
	if err := unmarshal(c.body, &req); err != nil {
		return s.refuse(invalid(fieldErrors{"body": err.Error()}))
	}
	s.mu.Lock()
	u := &upload{
		id:          fmt.Sprintf("%s%016x", uploadPrefix, s.random.Uint64()),
		account:     c.key.account,
		signature:   fmt.Sprintf("%016x%016x", s.random.Uint64(), s.random.Uint64()),
		contentType: req.ContentType,
		expires:     s.now().Add(uploadHeldFor),
	}
	c.key.account.uploads[u.id] = u
	s.uploads[u.id] = u
	status := http.StatusCreated
	if s.opts.Variants.UploadStatus == UploadStatusOK {
		status = http.StatusOK
	}
	s.mu.Unlock()
	return s.data(status, struct {
		UploadID  string `json:"uploadId"`
		UploadURL string `json:"uploadUrl"`
		ExpiresIn int    `json:"expiresIn"`
	}{u.id, c.base + storagePath + u.id + "?signature=" + u.signature, seconds(uploadHeldFor)})
}

// putUpload is the storage, which knows signatures, but no accounts.
func (s *Simulator) putUpload(c *call) answer {
	plain := func(status int, why string) answer {
		return answer{status: status, header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, body: []byte(why)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[strings.TrimPrefix(c.req.URL.Path, storagePath)]
	switch {
	case u == nil || subtle.ConstantTimeCompare([]byte(c.query.Get("signature")), []byte(u.signature)) != 1:
		return plain(http.StatusForbidden, "signature does not match")
	case !s.now().Before(u.expires):
		return plain(http.StatusForbidden, "the upload URL has expired")
	case c.req.Header.Get("Content-Type") != u.contentType:
		return plain(http.StatusForbidden, "Content-Type differs from the one that was signed")
	case u.complete:
		return plain(http.StatusConflict, "the upload is complete")
	}
	u.bytes = bytes.Clone(c.body)
	return plain(http.StatusOK, "")
}

// DropUploads forgets all uploads, as Dafty may after a while: its pages don't say for how long it keeps them.
func (s *Simulator) DropUploads() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.uploads)
	for _, a := range s.accounts {
		clear(a.uploads)
	}
}

// completeUpload checks the bytes, whatever their name and type.
func (s *Simulator) completeUpload(c *call) answer {
	s.mu.Lock()
	u := c.key.account.uploads[c.params["id"]]
	r, n := s.judgeUpload(u, c.params["id"]), s.opts.Variants.Nulls
	s.mu.Unlock()
	if r != nil {
		return s.refuse(r)
	}
	return s.data(http.StatusOK, struct {
		ID          string `json:"id"`
		URL         string `json:"url"`
		ContentType string `json:"contentType"`
		Width       *int   `json:"width"`
		Height      *int   `json:"height"`
	}{u.id, c.base + u.path(), u.contentType, n.size(u.width), n.size(u.height)})
}

func (s *Simulator) judgeUpload(u *upload, id string) *refusal {
	switch {
	case u == nil:
		return notFound("Upload %s was not found", id)
	case u.complete:
		return nil
	case len(u.bytes) == 0:
		return invalid(fieldErrors{"upload": "no bytes have been put to its URL"})
	}
	if sniffed := http.DetectContentType(u.bytes); sniffed != u.contentType {
		return invalid(fieldErrors{"contentType": fmt.Sprintf("the bytes are %s, not %s", sniffed, u.contentType)})
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(u.bytes))
	if err != nil {
		return invalid(fieldErrors{"upload": "the bytes are no image that can be read"})
	}
	u.complete, u.width, u.height = true, config.Width, config.Height
	return nil
}
