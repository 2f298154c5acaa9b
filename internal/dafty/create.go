package dafty

import "net/http"

// Class is a kind of call that Dafty limits by itself, per API key and minute.
type Class string

// The classes of Dafty's rate-limits page.
const (
	ClassImageCreate  Class = "image_create"
	ClassVideoCreate  Class = "video_create"
	ClassStyleExtract Class = "style_extract"
	ClassUpload       Class = "upload" // the reservations alone
	ClassOther        Class = "other"
)

// CreateClass is the class of the creates that make jobs of this type, ClassOther where it isn't known.
func (t JobType) CreateClass() Class {
	switch t {
	case ImageGenerate, ImageEdit, ImageResize, ImageUpscale:
		return ClassImageCreate
	case VideoGenerate:
		return ClassVideoCreate
	case StyleExtract:
		return ClassStyleExtract
	default:
		return ClassOther
	}
}

// Create is a request that makes a job, and costs money: one of the generated request types.
type Create interface {
	// Class is the rate limit that the request counts against.
	Class() Class

	newRequest(server string, key *IdempotencyKey) (*http.Request, error)
}

// Class implements Create.
func (GenerateImageRequest) Class() Class { return ClassImageCreate }

// Class implements Create.
func (EditImageRequest) Class() Class { return ClassImageCreate }

// Class implements Create.
func (ResizeImageRequest) Class() Class { return ClassImageCreate }

// Class implements Create.
func (UpscaleImageRequest) Class() Class { return ClassImageCreate }

// Class implements Create.
func (ImageToVideoRequest) Class() Class { return ClassVideoCreate }

// Class implements Create.
func (VideoFramesRequest) Class() Class { return ClassVideoCreate }

// Class implements Create.
func (ExtractStyleRequest) Class() Class { return ClassStyleExtract }

func (r GenerateImageRequest) newRequest(server string, key *IdempotencyKey) (*http.Request, error) {
	return NewGenerateImageRequest(server, &GenerateImageParams{IdempotencyKey: key}, r)
}

func (r EditImageRequest) newRequest(server string, key *IdempotencyKey) (*http.Request, error) {
	return NewEditImageRequest(server, &EditImageParams{IdempotencyKey: key}, r)
}

func (r ResizeImageRequest) newRequest(server string, key *IdempotencyKey) (*http.Request, error) {
	return NewResizeImageRequest(server, &ResizeImageParams{IdempotencyKey: key}, r)
}

func (r UpscaleImageRequest) newRequest(server string, key *IdempotencyKey) (*http.Request, error) {
	return NewUpscaleImageRequest(server, &UpscaleImageParams{IdempotencyKey: key}, r)
}

func (r ImageToVideoRequest) newRequest(server string, key *IdempotencyKey) (*http.Request, error) {
	return NewImageToVideoRequest(server, &ImageToVideoParams{IdempotencyKey: key}, r)
}

func (r VideoFramesRequest) newRequest(server string, key *IdempotencyKey) (*http.Request, error) {
	return NewVideoFramesRequest(server, &VideoFramesParams{IdempotencyKey: key}, r)
}

func (r ExtractStyleRequest) newRequest(server string, key *IdempotencyKey) (*http.Request, error) {
	return NewExtractStyleRequest(server, &ExtractStyleParams{IdempotencyKey: key}, r)
}
