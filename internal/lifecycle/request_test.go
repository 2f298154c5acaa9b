package lifecycle_test

import (
	"strconv"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

func pointer[T any](to T) *T { return &to }

// What the spec asks for is what Dafty is asked for: each field in its place, and none that
// the user didn't give.
func TestRequest(t *testing.T) {
	image := v1alpha1.ImageTarget{ID: jobID}
	byURL, byID := v1alpha1.ImageReference{URL: "https://example.com/a.png"}, v1alpha1.ImageReference{ID: "up_1"}
	for _, row := range []struct {
		name  string
		spec  v1alpha1.DaftyJobSpec
		class dafty.Class
		typed string
		want  string
	}{
		{"generate, least", v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: "a"}}, dafty.ClassImageCreate, "image.generate", `{"prompt":"a"}`},
		{"generate, most", v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{
			Prompt: "a", AspectRatio: "16:9", Quality: "high", Resolution: "4K", Style: &v1alpha1.StyleSource{ID: otherID},
			References: []v1alpha1.ImageReference{byURL, byID}, Variations: pointer[int32](2),
		}}, dafty.ClassImageCreate, "image.generate", `{"aspectRatio":"16:9","prompt":"a","quality":"high","references":["https://example.com/a.png","up_1"],"resolution":"4K","styleId":"` + otherID + `","variations":2}`},
		{"edit, least", v1alpha1.DaftyJobSpec{ImageEdit: &v1alpha1.ImageEdit{Image: image, Prompt: "a"}}, dafty.ClassImageCreate, "image.edit", `{"imageId":"` + jobID + `","prompt":"a"}`},
		{"edit, most", v1alpha1.DaftyJobSpec{ImageEdit: &v1alpha1.ImageEdit{Image: image, Prompt: "a", References: []v1alpha1.ImageReference{byID}}},
			dafty.ClassImageCreate, "image.edit", `{"imageId":"` + jobID + `","prompt":"a","references":["up_1"]}`},
		{"resize, least", v1alpha1.DaftyJobSpec{ImageResize: &v1alpha1.ImageResize{Image: image, AspectRatio: "21:9"}}, dafty.ClassImageCreate, "image.resize", `{"aspectRatio":"21:9","imageId":"` + jobID + `"}`},
		{"resize, most", v1alpha1.DaftyJobSpec{ImageResize: &v1alpha1.ImageResize{Image: image, AspectRatio: "21:9", Resolution: "2K"}},
			dafty.ClassImageCreate, "image.resize", `{"aspectRatio":"21:9","imageId":"` + jobID + `","resolution":"2K"}`},
		{"upscale, least", v1alpha1.DaftyJobSpec{ImageUpscale: &v1alpha1.ImageUpscale{Image: image}}, dafty.ClassImageCreate, "image.upscale", `{"imageId":"` + jobID + `"}`},
		{"upscale, most", v1alpha1.DaftyJobSpec{ImageUpscale: &v1alpha1.ImageUpscale{Image: image, Resolution: "4K"}}, dafty.ClassImageCreate, "image.upscale", `{"imageId":"` + jobID + `","resolution":"4K"}`},
		{"video, least", v1alpha1.DaftyJobSpec{ImageToVideo: &v1alpha1.ImageToVideo{Image: byID, Prompt: "a"}}, dafty.ClassVideoCreate, "video.generate", `{"image":"up_1","prompt":"a"}`},
		{"video, most", v1alpha1.DaftyJobSpec{ImageToVideo: &v1alpha1.ImageToVideo{
			Image: byURL, Prompt: "a", Duration: pointer[int32](15), Resolution: "480p", Audio: pointer(false), NegativePrompt: pointer(v1alpha1.NegativePrompt("b")),
		}}, dafty.ClassVideoCreate, "video.generate", `{"audio":false,"duration":15,"image":"https://example.com/a.png","negativePrompt":"b","prompt":"a","resolution":"480p"}`},
		{"frames, least", v1alpha1.DaftyJobSpec{VideoFrames: &v1alpha1.VideoFrames{StartImage: byURL, EndImage: byID, Prompt: "a"}},
			dafty.ClassVideoCreate, "video.generate", `{"endImage":"up_1","prompt":"a","startImage":"https://example.com/a.png"}`},
		{"frames, most", v1alpha1.DaftyJobSpec{VideoFrames: &v1alpha1.VideoFrames{
			StartImage: byURL, EndImage: byID, Prompt: "a", Duration: pointer[int32](4), Resolution: "720p", AspectRatio: "auto", Audio: pointer(true), NegativePrompt: pointer(v1alpha1.NegativePrompt("")),
		}}, dafty.ClassVideoCreate, "video.generate", `{"aspectRatio":"auto","audio":true,"duration":4,"endImage":"up_1","negativePrompt":"","prompt":"a","resolution":"720p","startImage":"https://example.com/a.png"}`},
		{"style", v1alpha1.DaftyJobSpec{StyleExtract: &v1alpha1.StyleExtract{URL: "https://example.com"}}, dafty.ClassStyleExtract, "style.extract", `{"url":"https://example.com"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			request, err := lifecycle.Request(&row.spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := asJSON(request); got != row.want {
				t.Errorf("request is\n%s, want\n%s", got, row.want)
			}
			if got := request.Class(); got != row.class {
				t.Errorf("class is %s, want %s", got, row.class)
			}
			job := newJob()
			row.spec.DesiredState, row.spec.CredentialsSecretRef = job.Spec.DesiredState, job.Spec.CredentialsSecretRef
			job.Spec = row.spec
			if got := decide(t, lifecycle.Snapshot{Job: job, Known: with(keyA), Now: t0}); got.Status.JobType != row.typed {
				t.Errorf("type is %q, want %q", got.Status.JobType, row.typed)
			}
		})
	}
	if _, err := lifecycle.Request(&v1alpha1.DaftyJobSpec{}, nil); err == nil {
		t.Error("a spec without an operation is a request")
	}
}

// What the spec refers to stands in its field of the request, and nothing is a request before all of it is known.
func TestRequestInputs(t *testing.T) {
	target := v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "a"}}
	byJob := v1alpha1.ImageReference{JobRef: &v1alpha1.JobReference{Name: "a", Index: 1}}
	byFile := v1alpha1.ImageReference{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "brand", Key: "a.png"}}
	byID := v1alpha1.ImageReference{ID: "up_9"}
	for _, row := range []struct {
		name   string
		spec   v1alpha1.DaftyJobSpec
		fields []string // stand for 0, 1, …
		want   string
	}{
		{"generate", v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: "a", Style: &v1alpha1.StyleSource{JobRef: &v1alpha1.StyleJobReference{Name: "a"}}, References: []v1alpha1.ImageReference{byJob, byID, byFile}}},
			[]string{"imageGenerate.style", "imageGenerate.references[0]", "imageGenerate.references[2]"}, `{"prompt":"a","references":["1","up_9","2"],"styleId":"0"}`},
		{"edit", v1alpha1.DaftyJobSpec{ImageEdit: &v1alpha1.ImageEdit{Image: target, Prompt: "a", References: []v1alpha1.ImageReference{byFile, byJob}}},
			[]string{"imageEdit.image", "imageEdit.references[0]", "imageEdit.references[1]"}, `{"imageId":"0","prompt":"a","references":["1","2"]}`},
		{"resize", v1alpha1.DaftyJobSpec{ImageResize: &v1alpha1.ImageResize{Image: target, AspectRatio: "1:1"}}, []string{"imageResize.image"}, `{"aspectRatio":"1:1","imageId":"0"}`},
		{"upscale", v1alpha1.DaftyJobSpec{ImageUpscale: &v1alpha1.ImageUpscale{Image: target}}, []string{"imageUpscale.image"}, `{"imageId":"0"}`},
		{"video of a file", v1alpha1.DaftyJobSpec{ImageToVideo: &v1alpha1.ImageToVideo{Image: byFile, Prompt: "a"}}, []string{"imageToVideo.image"}, `{"image":"0","prompt":"a"}`},
		{"video of a job", v1alpha1.DaftyJobSpec{ImageToVideo: &v1alpha1.ImageToVideo{Image: byJob, Prompt: "a"}}, []string{"imageToVideo.image"}, `{"image":"0","prompt":"a"}`},
		{"frames", v1alpha1.DaftyJobSpec{VideoFrames: &v1alpha1.VideoFrames{StartImage: byJob, EndImage: byFile, Prompt: "a"}},
			[]string{"videoFrames.startImage", "videoFrames.endImage"}, `{"endImage":"1","prompt":"a","startImage":"0"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			var inputs []v1alpha1.Input
			for i, field := range row.fields {
				inputs = append(inputs, v1alpha1.Input{Field: field, ID: strconv.Itoa(i)})
			}
			asked := asJSON(row.spec)
			request, err := lifecycle.Request(&row.spec, inputs)
			if err != nil {
				t.Fatal(err)
			}
			if got := asJSON(request); got != row.want {
				t.Errorf("request is\n%s, want\n%s", got, row.want)
			}
			if asJSON(row.spec) != asked {
				t.Error("the spec was changed")
			}
			for i := range inputs {
				known := inputs[i].ID
				inputs[i].ID = ""
				if _, err := lifecycle.Request(&row.spec, inputs); err == nil || !strings.Contains(err.Error(), inputs[i].Field) {
					t.Errorf("without %s: %v", inputs[i].Field, err)
				}
				inputs[i].ID = known
			}
		})
	}
}

// What Dafty made stands in status, with the first thing that a user looks for on top.
func TestResult(t *testing.T) {
	for _, row := range []struct{ name, dafty, want, says string }{
		{"one image", `{"images":[{"id":"i","url":"u","width":1024,"height":null}]}`, `{"primary":"u","images":[{"id":"i","url":"u","width":1024}]}`, "Dafty made an image"},
		{"variations", `{"images":[{"id":"i","url":"u"},{"id":"j","url":"v"}]}`, `{"primary":"u","images":[{"id":"i","url":"u"},{"id":"j","url":"v"}]}`, "Dafty made 2 images"},
		{"video", `{"video":{"id":"i","url":"u","durationSeconds":6,"thumbnailUrl":"t","width":1280,"height":720}}`,
			`{"primary":"u","video":{"id":"i","url":"u","durationSeconds":6,"thumbnailUrl":"t","width":1280,"height":720}}`, "Dafty made a video"},
		{"video whose thumbnail is to come", `{"video":{"id":"i","url":"u","thumbnailUrl":null}}`, `{"primary":"u","video":{"id":"i","url":"u"}}`, "Dafty made a video"},
		{"sizes that nothing has", `{"video":{"id":"i","url":"u","durationSeconds":-1,"width":99999999999}}`, `{"primary":"u","video":{"id":"i","url":"u"}}`, "Dafty made a video"},
		{"style", `{"style":{"id":"i"}}`, `{"primary":"i","style":{"id":"i"}}`, "Dafty extracted the style i"},
		{"something new", `{"song":{"id":"i"}}`, `{}`, "Dafty completed the job"},
	} {
		t.Run(row.name, func(t *testing.T) {
			job := daftys(dafty.Completed)
			job.Result = &dafty.JobResult{}
			fromJSON(t, row.dafty, job.Result)
			got := decide(t, lifecycle.Snapshot{Job: newJob(taken(v1alpha1.PhaseProcessing)), Known: with(keyA, looked(job)), Now: t0})
			if is := asJSON(got.Status.Result); is != row.want {
				t.Errorf("result is\n%s, want\n%s", is, row.want)
			}
			if got.Event.Message != row.says {
				t.Errorf("message is %q, want %q", got.Event.Message, row.says)
			}
		})
	}
}
