package lifecycle

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// An image that another DaftyJob made can be named by its url, by its variation's id and by the id of its job, and Dafty's
// pages disagree on which of them a request may hold. Each page takes an https URL as a reference; none says that a
// variation's id is one. An imageId is a job's id on some pages and a variation's on another, and never a url. So the form
// that is surest, and that names the variation, is sent first. The others follow one by one, each once, where Dafty refuses
// a request for a cause that may be the form: such a request made no job.

// formsOf returns the forms that an image of another DaftyJob can be named in, the first to be sent first.
func formsOf(s source, in *v1alpha1.Input) (forms []v1alpha1.ReferenceForm) {
	name, index := s.made()
	if name == "" || s.style {
		return nil
	}
	if in.URL != "" && !s.target {
		forms = append(forms, v1alpha1.ReferenceURL)
	}
	if in.ID != "" {
		forms = append(forms, v1alpha1.ReferenceID)
	}
	if in.JobID != "" && in.JobID != in.ID && index == 0 { // a job's id stands for its first image
		forms = append(forms, v1alpha1.ReferenceJobID)
	}
	return forms
}

// sent returns what a request holds for an input, empty while that isn't known.
func sent(in *v1alpha1.Input) string {
	switch {
	case in == nil:
		return ""
	case in.SentAs == v1alpha1.ReferenceURL:
		return in.URL
	case in.SentAs == v1alpha1.ReferenceJobID:
		return in.JobID
	default:
		return in.ID
	}
}

// maxReference is how many characters a reference may have.
const maxReference = 2048

func fitsReference(url string) bool { return url != "" && utf8.RuneCountInString(url) <= maxReference }

// form is how one field names an image.
type form struct {
	source source
	in     *v1alpha1.Input
	all    []v1alpha1.ReferenceForm
	at     int // among all
}

func (f form) last() bool { return f.at+1 >= len(f.all) }

// forms returns the forms of a spec's fields that refer to images of other DaftyJobs.
func forms(spec *v1alpha1.DaftyJobSpec, inputs []v1alpha1.Input) (fields []form) {
	for _, s := range sources(spec) {
		in := findInput(inputs, s)
		if in == nil {
			continue
		}
		if all := formsOf(s, in); len(all) > 0 {
			fields = append(fields, form{source: s, in: in, all: all, at: max(0, slices.Index(all, in.SentAs))})
		}
	}
	return fields
}

// formKey distinguishes the idempotency keys of requests that name the same images in other forms, empty for the forms that
// are sent first: what Dafty does with one key and two bodies isn't known.
func formKey(spec *v1alpha1.DaftyJobSpec, inputs []v1alpha1.Input) string {
	var digits strings.Builder
	for _, f := range forms(spec, inputs) {
		digits.WriteString(strconv.Itoa(f.at))
	}
	if strings.Trim(digits.String(), "0") == "" {
		return ""
	}
	return ".form-" + digits.String()
}

// otherForm has the request name images in a form that wasn't sent yet, and returns what changes, nothing where a refusal isn't
// about an image or no form is left. An image to work on has each of its forms beside each form of the
// references, as the refusal may be about either.
func (d *decider) otherForm(err *dafty.CallError) (changed []string) {
	fields := forms(&d.Job.Spec, d.status.Inputs)
	blamed := blame(err, fields)
	send := func(f form, at int) {
		f.in.SentAs = f.all[at]
		changed = append(changed, f.source.field+" by "+formWords[f.in.SentAs])
	}
	for _, f := range blamed {
		if f.source.target && !f.last() {
			send(f, f.at+1)
			return changed
		}
	}
	for _, f := range blamed {
		if !f.source.target && !f.last() {
			send(f, f.at+1)
		}
	}
	for _, f := range fields {
		if len(changed) > 0 && f.source.target && f.at > 0 {
			send(f, 0)
		}
	}
	return changed
}

var formWords = map[v1alpha1.ReferenceForm]string{
	v1alpha1.ReferenceURL:   "the image's url",
	v1alpha1.ReferenceID:    "the image's id",
	v1alpha1.ReferenceJobID: "the id of the job that made it",
}

// sendOtherwise says that a refused request is followed by one that names images in another form.
func (d *decider) sendOtherwise(changed []string, err *dafty.CallError) Decision {
	d.status.Submission.Refusals = 0 // of another key
	return d.setStatus(inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting, fmt.Sprintf(
		"Dafty refused the request (%s), which it may do for the way in which it names an image; it is sent again with %s",
		err.Error(), strings.Join(changed, ", "))), Rest{}, time.Second)
}

// blame returns the fields that a refusal may be about: those that it names, or all where it names no field of a request.
func blame(err *dafty.CallError, fields []form) []form {
	told, detailed := err.Message, false
	if raw, jsonErr := json.Marshal(err.Details); len(err.Details) > 0 && jsonErr == nil {
		told, detailed = string(raw), true
	}
	var named []form
	for _, f := range fields {
		if mentions(told, requestField(f.source)) {
			named = append(named, f)
		}
	}
	if len(named) > 0 {
		return named
	}
	others := func(field string) bool { return mentions(told, field) }
	if detailed && err.Kind == dafty.KindInvalid && slices.ContainsFunc(requestFields, others) {
		return nil
	}
	return fields
}

// requestField returns the name that a field has in Dafty's requests.
func requestField(s source) string {
	if s.target {
		return "imageId"
	}
	_, field, _ := strings.Cut(s.field, ".")
	field, _, _ = strings.Cut(field, "[")
	return field
}

// requestFields are the fields of Dafty's requests but for the url of a page, which may be any word of a message.
var requestFields = []string{
	"aspectRatio", "audio", "duration", "endImage", "image", "imageId", "negativePrompt", "prompt", "quality", "references", "resolution", "startImage",
	"styleId", "variations",
}

func mentions(text, field string) bool {
	return regexp.MustCompile(`\b` + field + `\b`).MatchString(text)
}
