package lifecycle

import (
	"fmt"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// pick records what s refers to in the result of a job that has completed, and returns what is wrong with that, if anything.
func pick(s source, result *v1alpha1.JobResult, jobID string, in *v1alpha1.Input) (problem string) {
	found := v1alpha1.Input{JobID: jobID}
	_, index := s.made()
	switch made := describeMade(result); {
	case s.style && (result == nil || result.Style == nil):
		return "that one made " + made + ", and no style"
	case s.style:
		found.ID = result.Style.ID
	case result == nil || len(result.Images) == 0:
		return "that one made " + made + ", and no image"
	case int(index) >= len(result.Images):
		return fmt.Sprintf("that one made %s, and counting begins at 0", made)
	default:
		image := result.Images[index]
		found.ID = image.ID
		if fitsReference(image.URL) {
			found.URL = image.URL
		}
		if forms := formsOf(s, &found); len(forms) > 0 {
			found.SentAs = forms[0]
		}
	}
	if sent(&found) == "" {
		return "Dafty gave it no id"
	}
	in.ID, in.URL, in.JobID, in.SentAs = found.ID, found.URL, found.JobID, found.SentAs
	return ""
}

func describeMade(result *v1alpha1.JobResult) string {
	switch {
	case result == nil:
		return "nothing that is on record"
	case len(result.Images) == 1:
		return "1 image"
	case len(result.Images) > 1:
		return fmt.Sprintf("%d images", len(result.Images))
	case result.Video != nil:
		return "a video"
	case result.Style != nil:
		return "a style"
	default:
		return "nothing that this version of the operator knows"
	}
}
