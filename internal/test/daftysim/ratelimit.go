package daftysim

import (
	"net/http"
	"strconv"
	"time"
)

// Class is a group of operations that share one rate limit.
type Class string

// The classes of rate limits.
const (
	ClassImages  Class = "images"
	ClassVideos  Class = "videos"
	ClassStyles  Class = "styles"
	ClassUploads Class = "uploads"
	ClassOther   Class = "other" // reads, lists, waits, cancels and the rest
)

// classOf returns the class of an operation.
func classOf(op Operation) Class {
	switch op {
	case GenerateImage, EditImage, ResizeImage, UpscaleImage:
		return ClassImages
	case ImageToVideo, VideoFrames:
		return ClassVideos
	case ExtractStyle:
		return ClassStyles
	case CreateUpload:
		return ClassUploads
	default:
		return ClassOther
	}
}

// Unlimited lifts a limit.
const Unlimited = -1

// Limits are requests per API key and minute. 0 takes the documented number,
// [Unlimited] lifts the limit, and with it the class's X-RateLimit headers.
type Limits struct {
	Images  int // generate, edit, resize, upscale together; documented: 20
	Videos  int // documented: 5
	Styles  int // documented: 3
	Uploads int // POST /uploads; documented: 30
	Other   int // everything else; documented: 120
}

// NoLimits lifts all of them.
var NoLimits = Limits{Unlimited, Unlimited, Unlimited, Unlimited, Unlimited}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		limit *int
		value int
	}{{&l.Images, 20}, {&l.Videos, 5}, {&l.Styles, 3}, {&l.Uploads, 30}, {&l.Other, 120}} {
		if *f.limit == 0 {
			*f.limit = f.value
		}
	}
	return l
}

func (l Limits) of(class Class) int {
	switch class {
	case ClassImages:
		return l.Images
	case ClassVideos:
		return l.Videos
	case ClassStyles:
		return l.Styles
	case ClassUploads:
		return l.Uploads
	default:
		return l.Other
	}
}

// window counts the requests of one key and class within a minute. Both
// readings are kept in one list of times, so that they can be switched at run
// time; it never holds more than the limit.
type window struct {
	taken []time.Time
}

// rate is the state of a window.
type rate struct {
	limit, remaining int
	reset            time.Duration
}

// look drops what left the window and returns its state.
func (w *window) look(now time.Time, limit int, kind RateWindow) rate {
	oldest := now.Add(-time.Minute) // a request leaves the sliding window after a whole minute
	if kind == RateWindowFixed {
		oldest = now.Truncate(time.Minute).Add(-1)
	}
	gone := 0
	for gone < len(w.taken) && !w.taken[gone].After(oldest) {
		gone++
	}
	w.taken = append(w.taken[:0], w.taken[gone:]...)

	r := rate{limit: limit, remaining: max(limit-len(w.taken), 0), reset: time.Minute}
	switch {
	case kind == RateWindowFixed:
		r.reset = now.Truncate(time.Minute).Add(time.Minute).Sub(now)
	case len(w.taken) > 0:
		r.reset = w.taken[0].Add(time.Minute).Sub(now)
	}
	return r
}

// take counts a request if the limit allows it.
func (w *window) take(now time.Time, limit int, kind RateWindow) (rate, bool) {
	r := w.look(now, limit, kind)
	if r.remaining == 0 {
		return r, false
	}
	w.taken = append(w.taken, now)
	return w.look(now, limit, kind), true
}

// write puts the headers on an answer.
func (r rate) write(h http.Header) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(r.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(r.remaining))
	h.Set("X-RateLimit-Reset", strconv.Itoa(seconds(r.reset)))
}

// seconds rounds up, so that a client waits long enough.
func seconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}

// limited counts the call against its key's limit and reports whether it is over.
// The caller holds the lock.
func (s *Simulator) limited(c *call, count bool) (over bool) {
	class := classOf(c.op.id)
	limit := s.opts.Limits.of(class)
	if limit < 0 {
		return false
	}
	w := c.key.windows[class]
	if w == nil {
		w = &window{}
		c.key.windows[class] = w
	}
	var r rate
	if count {
		var ok bool
		r, ok = w.take(s.now(), limit, s.opts.Variants.RateWindow)
		over = !ok
	} else {
		r = w.look(s.now(), limit, s.opts.Variants.RateWindow)
	}
	c.rate = &r
	return over
}

// UseUp takes n requests of a class from a key's minute, as another user of the
// same key would.
func (s *Simulator) UseUp(apiKey string, class Class, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.keys[apiKey]
	limit := s.opts.Limits.of(class)
	if key == nil || limit < 0 {
		return
	}
	w := key.windows[class]
	if w == nil {
		w = &window{}
		key.windows[class] = w
	}
	for range n {
		w.take(s.now(), limit, s.opts.Variants.RateWindow)
	}
}

// SetLimits changes the rate limits of all keys from now on.
func (s *Simulator) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Limits = l.withDefaults()
}
