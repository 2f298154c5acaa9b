package daftysim

import (
	"net/http"
	"strings"
)

// createRequest has the fields of all creates.
type createRequest struct {
	Prompt      string   `json:"prompt"`
	AspectRatio string   `json:"aspectRatio"`
	Resolution  string   `json:"resolution"`
	StyleID     string   `json:"styleId"`
	ImageID     string   `json:"imageId"`
	References  []string `json:"references"`
	Variations  *int     `json:"variations"`
	Image       string   `json:"image"`
	StartImage  string   `json:"startImage"`
	EndImage    string   `json:"endImage"`
	Duration    *int     `json:"duration"`
	URL         string   `json:"url"`
}

const (
	concurrentRetryAfter = 5  // seconds
	usageRetryAfter      = 60 // seconds
)

// create makes a job, or refuses.
func (s *Simulator) create(c *call) answer {
	var req createRequest
	if err := unmarshal(c.body, &req); err != nil {
		return s.refuseCreate(c, invalid(fieldErrors{"body": err.Error()}))
	}
	s.mu.Lock()
	j, r := s.tryCreate(c, req)
	if r != nil {
		s.mu.Unlock()
		return s.refuseCreate(c, r)
	}
	shown := s.showNew(j)
	s.mu.Unlock()
	return s.data(http.StatusAccepted, shown)
}

func (s *Simulator) refuseCreate(c *call, r *refusal) answer {
	s.rememberRefusal(c, r)
	return s.refuse(r)
}

// tryCreate checks what no schema can, charges the price and makes the job.
func (s *Simulator) tryCreate(c *call, req createRequest) (*job, *refusal) {
	acc := c.key.account
	sp, r := s.specify(c, req)
	if r != nil {
		return nil, r
	}
	price := s.price(c.op.id, sp)
	switch {
	case acc.unsubscribed:
		return nil, &refusal{status: 402, code: "SUBSCRIPTION_REQUIRED", message: "This needs a subscription"}
	case acc.credits < price:
		return nil, &refusal{status: 402, code: "INSUFFICIENT_CREDITS", message: "There are not enough credits left",
			details: map[string]any{"required": price, "available": acc.credits}}
	case acc.allowance == 0:
		return nil, s.limitReached("USAGE_LIMIT_EXCEEDED", "The period's allowance is used up", usageRetryAfter)
	case s.atCeiling(c.key, classOf(c.op.id)):
		return nil, s.limitReached("CONCURRENT_LIMIT_REACHED", "Too many jobs are in flight", concurrentRetryAfter)
	}
	acc.credits -= price
	if acc.allowance > 0 {
		acc.allowance--
	}
	j := s.newJob(acc, c.key, c.op.id, sp)
	j.price, j.idempotencyKey = price, c.idempotencyKey
	s.remember(c.key, c.idempotencyKey, &record{job: j, request: c.asked()})
	return j, nil
}

func (s *Simulator) limitReached(code, message string, retryAfter int) *refusal {
	r := &refusal{status: http.StatusTooManyRequests, code: code, message: message}
	if s.opts.Variants.LimitRetryAfter == LimitRetryAfterPresent {
		r.retryAfter = retryAfter
	}
	return r
}

func (s *Simulator) price(op Operation, sp spec) int {
	switch classOf(op) {
	case ClassImages:
		return s.opts.Prices.Image * sp.variations
	case ClassVideos:
		return s.opts.Prices.Video
	default:
		return s.opts.Prices.Style
	}
}

// atCeiling reports whether one more job of the class would be too many.
func (s *Simulator) atCeiling(k *apiKey, class Class) bool {
	ceiling := map[Class]int{ClassImages: s.opts.Ceilings.Images, ClassVideos: s.opts.Ceilings.Videos, ClassStyles: s.opts.Ceilings.Styles}[class]
	if ceiling == 0 {
		return false
	}
	keys := []*apiKey{k}
	if s.opts.Ceilings.PerAccount {
		keys = k.account.apiKeys
	}
	inFlight := 0
	for _, k := range keys {
		for _, j := range s.running(k) {
			if classOf(j.op) == class {
				inFlight++
			}
		}
	}
	return inFlight >= ceiling
}

// fails reports whether a prompt asks for its job to fail.
func (s *Simulator) fails(prompt string) bool { return strings.Contains(prompt, s.opts.FailWord) }

// specify checks what the request refers to and works out its result's shape.
func (s *Simulator) specify(c *call, req createRequest) (spec, *refusal) {
	acc, op := c.key.account, c.op.id
	sp := spec{prompt: req.Prompt, variations: 1, fail: s.fails(req.Prompt)}
	for _, reference := range req.References {
		if _, r := s.resolve(c, "references", reference); r != nil {
			return spec{}, r
		}
	}
	switch op {
	case GenerateImage:
		if req.Variations != nil {
			sp.variations = *req.Variations
		}
		if most := s.mostVariations(); sp.variations > most {
			return spec{}, invalid(fieldErrors{"variations": "must be at most " + string(s.opts.Variants.VariationBound)})
		}
		if _, known := acc.styles[canonical(req.StyleID)]; req.StyleID != "" && !known {
			return spec{}, notFound("Style %s was not found", req.StyleID)
		}
		sp.width, sp.height = frame(orString(req.AspectRatio, "1:1"), longSide(orString(req.Resolution, "1K")))
	case EditImage, ResizeImage, UpscaleImage:
		source, r := s.target(acc, req.ImageID)
		if r != nil {
			return spec{}, r
		}
		long := max(source.width, source.height)
		sp.width, sp.height = source.width, source.height
		switch op {
		case ResizeImage:
			if req.Resolution != "" {
				long = longSide(req.Resolution)
			}
			sp.width, sp.height = frame(req.AspectRatio, long)
		case UpscaleImage:
			// Unsaid, it is one step up; Dafty doesn't document it.
			long = min(2*long, longSide("4K"))
			if req.Resolution != "" {
				long = longSide(req.Resolution)
			}
			sp.width, sp.height = scaled(source.width, source.height, long)
		}
		if op != EditImage {
			sp.prompt = source.prompt
		}
	case ImageToVideo, VideoFrames:
		field, reference := "image", req.Image
		if op == VideoFrames {
			field, reference = "startImage", req.StartImage
		}
		first, r := s.resolve(c, field, reference)
		if r != nil {
			return spec{}, r
		}
		if op == VideoFrames {
			if _, r := s.resolve(c, "endImage", req.EndImage); r != nil {
				return spec{}, r
			}
		}
		sp.duration = 6
		if req.Duration != nil {
			sp.duration = *req.Duration
		}
		ratio := req.AspectRatio
		if ratio == "" || ratio == "auto" {
			ratio = first.ratio()
		}
		sp.width, sp.height = videoFrame(ratio, orString(req.Resolution, "720p"))
	case ExtractStyle:
		sp.prompt, sp.fail = req.URL, strings.Contains(req.URL, "fail.")
	}
	return sp, nil
}

func (s *Simulator) mostVariations() int {
	switch s.opts.Variants.VariationBound {
	case VariationsOne:
		return 1
	case VariationsUpTo10:
		return 10
	default:
		return 4
	}
}

func orString(s, value string) string {
	if s == "" {
		return value
	}
	return s
}
