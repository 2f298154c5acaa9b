package main

import (
	"fmt"
	"strings"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// detail returns what kubectl's columns don't show: what is requested, the result, or what the job waits for.
func detail(job jobState) string {
	status, ready := job.Status, ready(job)
	switch {
	case !job.deletedAt.IsZero() && status.Phase == v1alpha1.PhaseCancelled:
		return "cancelled at Dafty first"
	case !job.deletedAt.IsZero():
		return ""
	case status.Phase == v1alpha1.PhaseCompleted && status.Result != nil:
		return describeResult(status.Result) + " in " + status.Duration
	case status.Phase == v1alpha1.PhaseCancelled && status.Duration != "":
		return "stopped after " + status.Duration
	case status.Error != nil:
		return plain(status.Error.Message)
	case ready != nil && ready.Reason != string(status.Phase):
		return plain(ready.Message)
	default:
		return describeSpec(job.Spec)
	}
}

// describeSpec returns in short what a job requests.
func describeSpec(spec v1alpha1.DaftyJobSpec) string {
	switch {
	case spec.ImageResize != nil:
		return fmt.Sprintf("to %s", spec.ImageResize.AspectRatio)
	case spec.ImageUpscale != nil:
		return strings.TrimSpace("enlarged " + string(spec.ImageUpscale.Resolution))
	case spec.StyleExtract != nil:
		return plain(spec.StyleExtract.URL)
	default:
		return plain(prompt(spec))
	}
}

// describeResult returns in short what a job made.
func describeResult(result *v1alpha1.JobResult) string {
	switch {
	case len(result.Images) > 0:
		first := result.Images[0]
		count := "image"
		if n := len(result.Images); n > 1 {
			count = fmt.Sprintf("%d images", n)
		}
		return count + pixels(first.Width, first.Height)
	case result.Video != nil:
		clip := "clip"
		if s := result.Video.DurationSeconds; s != nil {
			clip = fmt.Sprintf("%ds clip", *s)
		}
		return clip + pixels(result.Video.Width, result.Video.Height)
	case result.Style != nil:
		return "style " + plain(result.Style.ID)
	default:
		return ""
	}
}

func pixels(width, height *int32) string {
	if width == nil || height == nil {
		return ""
	}
	return fmt.Sprintf(" %d×%d", *width, *height)
}
