package v1alpha1

// Prompt describes what to generate.
//
// A prompt of blanks alone would be paid for, and is surely a mistake.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=2000
// +kubebuilder:validation:XValidation:rule="self.trim().size() > 0",message="must say in words what to make, in 1 to 2000 characters"
type Prompt string

// NegativePrompt describes what to avoid.
//
// +kubebuilder:validation:MaxLength=1000
type NegativePrompt string

// Quality is the quality of an image.
//
// +kubebuilder:validation:Enum=low;medium;high
type Quality string

// ImageResolution is the size of an image.
//
// +kubebuilder:validation:Enum="1K";"2K";"4K"
type ImageResolution string

// VideoResolution is the size of a clip.
//
// +kubebuilder:validation:Enum="480p";"720p"
type VideoResolution string

// GenerateAspectRatio is width to height of a generated image.
//
// +kubebuilder:validation:Enum="1:1";"3:2";"2:3";"4:3";"3:4";"4:5";"5:4";"16:9";"9:16"
type GenerateAspectRatio string

// ResizeAspectRatio is width to height of a resized image.
//
// +kubebuilder:validation:Enum="1:1";"1:4";"1:8";"2:3";"3:2";"3:4";"4:1";"4:3";"4:5";"5:4";"8:1";"9:16";"16:9";"21:9"
type ResizeAspectRatio string

// FramesAspectRatio is width to height of a clip made from two frames.
//
// +kubebuilder:validation:Enum="16:9";"9:16";"4:3";"3:4";"1:1";"21:9";auto
type FramesAspectRatio string

// ImageGenerate is a request to make images from a prompt.
type ImageGenerate struct {
	// prompt describes the image: 1 to 2000 characters.
	//
	// +required
	Prompt Prompt `json:"prompt,omitempty"`

	// aspectRatio is width to height. Dafty's default is 1:1.
	// In YAML it belongs in quotes: some tools, Ansible among them, read 16:9
	// without them as a number.
	//
	// +optional
	AspectRatio GenerateAspectRatio `json:"aspectRatio,omitempty"`

	// quality is the quality of the image. Dafty's default is medium. A higher
	// quality costs more.
	//
	// +optional
	Quality Quality `json:"quality,omitempty"`

	// resolution is the size of the image. Dafty's default is 1K. A higher
	// resolution costs more.
	//
	// +optional
	Resolution ImageResolution `json:"resolution,omitempty"`

	// style is the brand style to follow: any saved style of the account, such as
	// the result of a styleExtract job.
	//
	// +optional
	Style *StyleSource `json:"style,omitempty"`

	// references are reference images: at most 4.
	//
	// +kubebuilder:validation:MaxItems=4
	// +listType=atomic
	// +optional
	References []ImageReference `json:"references,omitzero"`

	// variations is how many images to generate from the prompt: at least 1. The
	// maximum is up to Dafty.
	//
	// +kubebuilder:validation:Minimum=1
	// +optional
	Variations *int32 `json:"variations,omitempty"`
}

// ImageEdit is a request to edit an image according to a prompt.
type ImageEdit struct {
	// image to edit. If it is the result of an edit itself, Dafty repeats the
	// edits that led to it, and then makes the new one.
	//
	// +required
	Image ImageTarget `json:"image,omitzero"`

	// prompt says what to change: 1 to 2000 characters.
	//
	// +required
	Prompt Prompt `json:"prompt,omitempty"`

	// references are reference images: at most 4.
	//
	// +kubebuilder:validation:MaxItems=4
	// +listType=atomic
	// +optional
	References []ImageReference `json:"references,omitzero"`
}

// ImageResize is a request to reframe an image.
type ImageResize struct {
	// image to reframe.
	//
	// +required
	Image ImageTarget `json:"image,omitzero"`

	// aspectRatio is width to height of the new image.
	// In YAML it belongs in quotes: some tools, Ansible among them, read 16:9
	// without them as a number.
	//
	// +required
	AspectRatio ResizeAspectRatio `json:"aspectRatio,omitempty"`

	// resolution is the size of the new image. Without it, Dafty chooses. A
	// higher resolution costs more.
	//
	// +optional
	Resolution ImageResolution `json:"resolution,omitempty"`
}

// ImageUpscale is a request to raise an image's resolution.
type ImageUpscale struct {
	// image to upscale.
	//
	// +required
	Image ImageTarget `json:"image,omitzero"`

	// resolution is the size of the new image. Without it, Dafty chooses. A
	// higher resolution costs more.
	//
	// +optional
	Resolution ImageResolution `json:"resolution,omitempty"`
}

// ImageToVideo is a request to animate an image.
type ImageToVideo struct {
	// image to animate. The clip keeps its aspect ratio.
	//
	// +required
	Image ImageReference `json:"image,omitzero"`

	// prompt says what happens in the clip: 1 to 2000 characters.
	//
	// +required
	Prompt Prompt `json:"prompt,omitempty"`

	// duration of the clip in seconds: 1 to 15. Dafty's default is 6.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=15
	// +optional
	Duration *int32 `json:"duration,omitempty"`

	// resolution is the size of the clip. Dafty's default is 720p, which costs
	// more than 480p.
	//
	// +optional
	Resolution VideoResolution `json:"resolution,omitempty"`

	// audio says whether the clip has sound. Dafty's default is true.
	//
	// +optional
	Audio *bool `json:"audio,omitempty"`

	// negativePrompt says what the clip must not show: at most 1000 characters.
	//
	// +optional
	NegativePrompt *NegativePrompt `json:"negativePrompt,omitempty"`
}

// VideoFrames is a request to make a clip from a start frame and an end frame.
type VideoFrames struct {
	// startImage is the first frame.
	//
	// +required
	StartImage ImageReference `json:"startImage,omitzero"`

	// endImage is the last frame.
	//
	// +required
	EndImage ImageReference `json:"endImage,omitzero"`

	// prompt says what happens in the clip: 1 to 2000 characters.
	//
	// +required
	Prompt Prompt `json:"prompt,omitempty"`

	// duration of the clip in seconds: 4 to 15. Dafty's default is 6.
	//
	// +kubebuilder:validation:Minimum=4
	// +kubebuilder:validation:Maximum=15
	// +optional
	Duration *int32 `json:"duration,omitempty"`

	// resolution is the size of the clip. Dafty's default is 720p, which costs
	// more than 480p.
	//
	// +optional
	Resolution VideoResolution `json:"resolution,omitempty"`

	// aspectRatio is width to height. Dafty's default is auto, which uses that of
	// the start frame.
	// In YAML it belongs in quotes: some tools, Ansible among them, read 16:9
	// without them as a number.
	//
	// +optional
	AspectRatio FramesAspectRatio `json:"aspectRatio,omitempty"`

	// audio says whether the clip has sound. Dafty's default is true.
	//
	// +optional
	Audio *bool `json:"audio,omitempty"`

	// negativePrompt says what the clip must not show: at most 1000 characters.
	//
	// +optional
	NegativePrompt *NegativePrompt `json:"negativePrompt,omitempty"`
}

// StyleExtract is a request to extract a brand style from a web page.
type StyleExtract struct {
	// url of the web page, http or https: at most 2048 characters.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != '' && !self.contains(' ')",message="must be the full http or https address of a web page, such as https://example.com/brand, with any blank written as %20"
	// +required
	URL string `json:"url,omitempty"`
}
