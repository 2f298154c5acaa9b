package main

import (
	"fmt"
	"strings"
	"testing"
)

var someRows = []row{
	{name: "autumn-clip", jobType: "video.generate", phase: "Cancelled", reason: "Cancelled", age: "41s", detail: "stopped after 2s"},
	{name: "competitor-parody", jobType: "image.generate", phase: "Failed", reason: "GenerationFailed", age: "41s", detail: "The generation failed"},
	{name: "spring-shop-window", jobType: "image.upscale", phase: "Pending", reason: "WaitingForCredentials", age: "41s", detail: "the Secret dafty-credentials isn't there; create it"},
	{name: "winter-draft", jobType: "video.generate", phase: "Deleted", age: "41s", gone: true},
}

func TestTableAtWidths(t *testing.T) {
	for width, want := range map[int]string{
		120: `
NAME                 TYPE             PHASE        REASON                  AGE     DETAIL
autumn-clip          video.generate   Cancelled    Cancelled               41s     stopped after 2s
competitor-parody    image.generate   Failed       GenerationFailed        41s     The generation failed
spring-shop-window   image.upscale    Pending      WaitingForCredentials   41s     the Secret dafty-credentials isn't t…
winter-draft         video.generate   Deleted                              41s`,
		80: `
NAME                 TYPE             PHASE        REASON                  AGE
autumn-clip          video.generate   Cancelled    Cancelled               41s
competitor-parody    image.generate   Failed       GenerationFailed        41s
spring-shop-window   image.upscale    Pending      WaitingForCredentials   41s
winter-draft         video.generate   Deleted                              41s`,
		77: `
NAME                 TYPE             PHASE        REASON               AGE
autumn-clip          video.generate   Cancelled    Cancelled            41s
competitor-parody    image.generate   Failed       GenerationFailed     41s
spring-shop-window   image.upscale    Pending      WaitingForCredent…   41s
winter-draft         video.generate   Deleted                           41s`,
		60: `
NAME                 PHASE        REASON               AGE
autumn-clip          Cancelled    Cancelled            41s
competitor-parody    Failed       GenerationFailed     41s
spring-shop-window   Pending      WaitingForCredent…   41s
winter-draft         Deleted                           41s`,
		30: `
NAME         PHASE        AGE
autumn-cl…   Cancelled    41s
competito…   Failed       41s
spring-sh…   Pending      41s
winter-dr…   Deleted      41s`,
	} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			got := table(someRows, width, 24, false)
			for _, line := range got {
				if columns(line) > width {
					t.Errorf("%d columns: %s", columns(line), line)
				}
			}
			if all := "\n" + strings.Join(got, "\n"); all != want {
				t.Errorf("got%s\nwant%s", all, want)
			}
		})
	}
}

func TestTableLowerThanItsRows(t *testing.T) {
	got := table(someRows, 80, 4, false)
	if len(got) != 4 || got[3] != "… and 2 more" || !strings.HasPrefix(got[2], "competitor-parody") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestTableColours(t *testing.T) {
	lines := table(someRows, 120, 24, true)
	for i, want := range []string{"\x1b[1mNAME", "\x1b[33mCancelled", "\x1b[31mFailed", "\x1b[2mPending", "\x1b[2mwinter-draft"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, without %q", i, lines[i], want)
		}
	}
	for i, line := range table(someRows, 120, 24, false) {
		if bare := strings.TrimRight(sgr.ReplaceAllString(lines[i], ""), " "); bare != line {
			t.Errorf("without its colours it is %q, not %q", bare, line)
		}
	}
}

func TestTextFromOutsideIsHarmless(t *testing.T) {
	if got, want := plain("a\x1b[2J\nb\u202e\tc "), "a [2J b c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for text, want := range map[string]int{"": 0, "abc": 3, "画像": 4, "e\u0301": 1, "\x1b[1mx\x1b[0m": 1} {
		if got := columns(text); got != want {
			t.Errorf("%q takes %d columns, want %d", text, got, want)
		}
	}
	if got, want := fit("画像を作る", 6), "画像…"; got != want {
		t.Errorf("cut to %q, want %q", got, want)
	}
}

func TestSummary(t *testing.T) {
	counts := map[string]int{"Completed": 8, "Failed": 1, "Deleted": 1, "Processing": 2}
	const line = "2 processing · 8 completed · 1 failed · 1 deleted"
	for width, want := range map[int]string{80: line + "   " + hint, 60: line, 20: "2 processing · 8 co…"} {
		if got := summary(counts, width, false); got != want {
			t.Errorf("width %d: %q, want %q", width, got, want)
		}
	}
}
