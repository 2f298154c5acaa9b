package dafty

import (
	"context"
	"net/http"
)

// Class is a kind of call with a rate limit of its own, per API key and minute.
type Class string

// The classes of Dafty's rate-limits page.
const (
	ClassImageCreate  Class = "image_create"
	ClassVideoCreate  Class = "video_create"
	ClassStyleExtract Class = "style_extract"
	ClassUpload       Class = "upload" // reservations only
	ClassOther        Class = "other"
)

// CreateClass returns the class of the requests that make jobs of this type, ClassOther if the type is unknown.
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

// Create is a request that makes a job and costs money: one of the generated request types.
type Create interface {
	// Class returns the rate limit that the request counts against.
	Class() Class

	newRequest(ctx context.Context, server string, key *IdempotencyKey) (*http.Request, error)
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

func (r GenerateImageRequest) newRequest(ctx context.Context, server string, key *IdempotencyKey) (*http.Request, error) {
	return newGenerateImageRequest(ctx, server, GenerateImageParams{IdempotencyKey: key}, r)
}

func (r EditImageRequest) newRequest(ctx context.Context, server string, key *IdempotencyKey) (*http.Request, error) {
	return newEditImageRequest(ctx, server, EditImageParams{IdempotencyKey: key}, r)
}

func (r ResizeImageRequest) newRequest(ctx context.Context, server string, key *IdempotencyKey) (*http.Request, error) {
	return newResizeImageRequest(ctx, server, ResizeImageParams{IdempotencyKey: key}, r)
}

func (r UpscaleImageRequest) newRequest(ctx context.Context, server string, key *IdempotencyKey) (*http.Request, error) {
	return newUpscaleImageRequest(ctx, server, UpscaleImageParams{IdempotencyKey: key}, r)
}

func (r ImageToVideoRequest) newRequest(ctx context.Context, server string, key *IdempotencyKey) (*http.Request, error) {
	return newImageToVideoRequest(ctx, server, ImageToVideoParams{IdempotencyKey: key}, r)
}

func (r VideoFramesRequest) newRequest(ctx context.Context, server string, key *IdempotencyKey) (*http.Request, error) {
	return newVideoFramesRequest(ctx, server, VideoFramesParams{IdempotencyKey: key}, r)
}

func (r ExtractStyleRequest) newRequest(ctx context.Context, server string, key *IdempotencyKey) (*http.Request, error) {
	return newExtractStyleRequest(ctx, server, ExtractStyleParams{IdempotencyKey: key}, r)
}
