package daftysim

import (
	"fmt"
	"strings"
)

// picture is an image of an account: a variation that a job made, an upload, or
// one that was added.
type picture struct {
	id            string
	op            Operation // "": given from the start
	job           string
	index         int
	prompt        string
	width, height int
}

// filesPath is the path of results, beside the API and without a key.
const filesPath = "/files/"

func (p *picture) path() string { return filesPath + p.id + ".png" }

// ratio returns the aspect ratio, "16:9" if it isn't known.
func (p *picture) ratio() string {
	if p == nil || p.width == 0 || p.height == 0 {
		return "16:9"
	}
	return fmt.Sprintf("%d:%d", p.width, p.height)
}

// canonical returns an id as it is stored: a UUID may come in capitals.
func canonical(id string) string { return strings.ToLower(id) }

// AddImage adds an image to an account, which is made if it doesn't exist, and
// returns the image's id.
func (s *Simulator) AddImage(accountName string, image Image) string {
	var id string
	s.change(accountName, func(a *account) { id = s.addImage(a, image) })
	return id
}

func (s *Simulator) addImage(a *account, image Image) string {
	if image.ID == "" {
		image.ID = s.uuid()
	}
	if image.Width == 0 {
		image.Width = 1024
	}
	if image.Height == 0 {
		image.Height = 1024
	}
	id := canonical(image.ID)
	a.pictures[id] = &picture{id: id, prompt: image.Prompt, width: image.Width, height: image.Height}
	return id
}

// AddStyle adds a style to an account, which is made if it doesn't exist, and
// returns the style's id.
func (s *Simulator) AddStyle(accountName string, style Style) string {
	var id string
	s.change(accountName, func(a *account) { id = s.addStyle(a, style) })
	return id
}

func (s *Simulator) addStyle(a *account, style Style) string {
	if style.ID == "" {
		style.ID = s.uuid()
	}
	id := canonical(style.ID)
	a.styles[id] = newStyle(id, style.Name, style.Assets)
	return id
}

// target returns the image that an imageId names. The caller holds the lock.
func (s *Simulator) target(acc *account, id string) (*picture, *refusal) {
	byJob := s.opts.Variants.ImageID == ImageIDJob || s.opts.Variants.ImageID == ImageIDJob400
	if p := acc.pictures[canonical(id)]; p != nil && (p.job == "" || !byJob) {
		return p, nil
	}
	if p := s.firstOf(acc, id); p != nil && s.opts.Variants.ImageID != ImageIDVariation {
		return p, nil
	}
	if s.opts.Variants.ImageID == ImageIDJob400 {
		return nil, invalid(fieldErrors{"imageId": "must be the id of an image job that has completed"})
	}
	return nil, notFound("Image %s was not found", id)
}

// firstOf returns the first image of a completed job.
func (s *Simulator) firstOf(acc *account, jobID string) *picture {
	j := s.jobs[canonical(jobID)]
	if j == nil || j.account != acc {
		return nil
	}
	if s.advance(j); len(j.images) == 0 {
		return nil
	}
	return j.images[0]
}
