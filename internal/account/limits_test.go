package account

import (
	"maps"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/dafty"
)

func TestParseLimits(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Limits // nil: it is refused
	}{
		{"", Limits{}},
		{" image_create = 7, upload=5,", Limits{dafty.ClassImageCreate: 7, dafty.ClassUpload: 5}},
		{"other=120,style_extract=1,video_create=2", Limits{dafty.ClassOther: 120, dafty.ClassStyleExtract: 1, dafty.ClassVideoCreate: 2}},
		{"uploads=5", nil},
		{"upload", nil},
		{"upload=0", nil},
		{"upload=many", nil},
	} {
		got, err := ParseLimits(tt.text)
		if (err != nil) != (tt.want == nil) || !maps.Equal(got, tt.want) {
			t.Errorf("%q: got %v, %v", tt.text, got, err)
		}
		if classes := "the classes are image_create, other, style_extract, upload, video_create"; err != nil && !strings.Contains(err.Error(), classes) {
			t.Errorf("%q: %v", tt.text, err)
		}
	}
}
