package daftysim

import (
	"bytes"
	"container/list"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// getFile serves the files of results: pictures, clips, styles and uploads.
func (s *Simulator) getFile(c *call) answer {
	name := strings.TrimPrefix(c.req.URL.Path, filesPath)
	contentType, paint := s.file(name)
	if paint == nil {
		return answer{status: http.StatusNotFound, header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, body: []byte("not found\n")}
	}
	return answer{
		status: http.StatusOK,
		header: http.Header{"Content-Type": {contentType}, "Cache-Control": {"public, max-age=31536000, immutable"}},
		body:   s.gallery.get(name, paint),
	}
}

// file returns the media type of a name and how its bytes are made: nothing is
// drawn before it is requested.
func (s *Simulator) file(name string) (contentType string, paint func() []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, extension, _ := strings.Cut(name, ".")
	j := s.jobs[id]
	clip := j != nil && classOf(j.op) == ClassVideos
	if clip {
		s.advance(j)
		clip = j.state == StatusCompleted
	}
	switch extension {
	case "":
		if u := s.uploads[id]; u != nil && u.complete {
			return u.contentType, func() []byte { return u.bytes }
		}
	case "png":
		for _, a := range s.accounts {
			if p := a.pictures[id]; p != nil {
				return "image/png", s.cardOf(p).png
			}
		}
		if clip {
			return "image/png", s.cardOfClip(j).png
		}
	case "gif":
		if clip {
			card, duration := s.cardOfClip(j), j.spec.duration
			return "image/gif", func() []byte { return card.gif(duration) }
		}
	case "json":
		for _, a := range s.accounts {
			if st := a.styles[id]; st != nil {
				return "application/json", func() []byte { return styleFile(id, st.source) }
			}
		}
	}
	return "", nil
}

func (s *Simulator) cardOf(p *picture) card {
	label, footer := "image", "image "+p.id
	if p.op != "" {
		label, footer = jobType(p.op, DerivedTypeOwn), "job "+p.job
	}
	return card{width: p.width, height: p.height, prompt: p.prompt, label: label, footer: footer, index: p.index}
}

func (s *Simulator) cardOfClip(j *job) card {
	return card{
		width: j.spec.width, height: j.spec.height, prompt: j.spec.prompt,
		label: jobType(j.op, DerivedTypeOwn), footer: "job " + j.id, clip: true,
	}
}

func styleFile(id, source string) []byte {
	var colours []string
	for _, c := range swatches(source) {
		colours = append(colours, hex(c))
	}
	body, err := json.MarshalIndent(struct {
		ID      string            `json:"id"`
		Source  string            `json:"source"`
		Palette []string          `json:"palette"`
		Fonts   map[string]string `json:"fonts"`
	}{id, source, colours, map[string]string{"heading": "Go Bold", "body": "Go Regular"}}, "", "  ")
	if err != nil {
		panic(err) // strings always marshal
	}
	return append(bytes.TrimSpace(body), '\n')
}

// galleryBytes bounds the cache of drawn files.
const galleryBytes = 64 << 20

// gallery draws each file once, one at a time as a 4K picture takes some 40 MB
// while it is drawn, and forgets those that were not looked at for longest.
type gallery struct {
	drawing sync.Mutex

	mu    sync.Mutex
	files map[string]*list.Element // of drawn
	used  *list.List               // the last one first
	bytes int
}

type drawn struct {
	name string
	body []byte
}

func newGallery() *gallery {
	return &gallery{files: map[string]*list.Element{}, used: list.New()}
}

func (g *gallery) look(name string) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.files[name]
	if e == nil {
		return nil
	}
	g.used.MoveToFront(e)
	return e.Value.(drawn).body
}

func (g *gallery) get(name string, paint func() []byte) []byte {
	if body := g.look(name); body != nil {
		return body
	}
	g.drawing.Lock()
	defer g.drawing.Unlock()
	if body := g.look(name); body != nil {
		return body
	}
	body := paint()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.files[name] = g.used.PushFront(drawn{name, body})
	for g.bytes += len(body); g.bytes > galleryBytes && g.used.Len() > 1; {
		last := g.used.Remove(g.used.Back()).(drawn)
		delete(g.files, last.name)
		g.bytes -= len(last.body)
	}
	return body
}
