package daftysim

import (
	"strings"
	"testing"
)

// TestEveryReading runs one day of a careful client under each reading: answers
// keep to the contract, and nothing is a violation.
func TestEveryReading(t *testing.T) {
	for _, v := range AllVariants() {
		t.Run(v.Name, func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants = v.Variants })
			a := h.generate()
			failing := h.create("/images/generate", fields{"prompt": "[fail]"}).job(t).ID
			b := h.generate()
			h.do("POST", "/jobs/"+b+"/cancel", nil)
			h.create("/images/upscale", fields{"imageId": fixedImage})
			h.create("/videos/image-to-video", fields{"image": fixedImage, "prompt": "Fly"})
			h.create("/styles/extract", fields{"url": "https://example.com"})
			h.create("/images/generate", fields{"prompt": ""})
			h.clock.Step(time30 / 2)
			h.do("GET", "/jobs", nil)
			h.clock.Step(time30 / 2)
			h.wantShown(a, StatusCompleted)
			h.wantShown(failing, StatusFailed)
			h.wantShown(b, StatusFailed)
			h.do("POST", "/jobs/"+a+"/cancel", nil)
			h.wantStatus(h.do("GET", "/jobs", nil), 200)
			h.wantStatus(h.do("GET", "/account", nil), 200)
			h.do("GET", "/jobs/"+foreignID, nil)
			equal(t, "running", len(h.Running()), 0)
		})
	}
}

// TestVariantsCoverTheContract: each row of the table is a variant.
func TestVariantsCoverTheContract(t *testing.T) {
	questions := map[string]bool{}
	rows := 0
	for _, f := range VariantFields() {
		if questions[f.Question] || len(f.Readings) < 2 {
			t.Errorf("%s asks nothing of its own", f.Name)
		}
		questions[f.Question] = true
		if !f.Beyond {
			rows++
		}
	}
	equal(t, "rows", rows, 22) // what Dafty's pages leave open
}

func TestAllVariants(t *testing.T) {
	all := AllVariants()
	names := map[string]bool{}
	want := 1
	for _, f := range VariantFields() {
		want += len(f.Readings) - 1
	}
	for _, v := range all {
		names[v.Name] = true
		if name, reading, ok := strings.Cut(v.Name, "="); ok {
			equal(t, v.Name, v.Variants.Readings()[name], reading)
		}
	}
	equal(t, "readings", len(all), want)
	equal(t, "names", len(names), want)
	equal(t, "first", all[0].Variants, Variants{}.withDefaults())
}

func TestSetVariant(t *testing.T) {
	var v Variants
	if err := v.Set("cancel-terminal", "conflict"); err != nil || v.CancelTerminal != CancelTerminalConflict {
		t.Errorf("set to %q: %v", v.CancelTerminal, err)
	}
	for _, bad := range [][2]string{{"cancel-terminal", "maybe"}, {"cancel-terminal", ""}, {"weather", "fair"}} {
		if v.Set(bad[0], bad[1]) == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestUnknownReadingPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(Options{Variants: Variants{ListOrder: "by name"}})
}

func TestExtraFieldsReadings(t *testing.T) {
	for reading, present := range map[ExtraFields]bool{ExtraFieldsNone: false, ExtraFieldsPresent: true} {
		h := newHarness(t, func(o *Options) { o.Variants.ExtraFields = reading })
		id := h.generate()
		for _, path := range []string{"/jobs/" + id, "/jobs", "/account"} {
			equal(t, path, strings.Contains(string(h.do("GET", path, nil).raw), "region"), present)
		}
	}
}

func TestErrorBodyReadings(t *testing.T) {
	for reading, code := range map[ErrorBody]string{ErrorBodyFull: "VALIDATION_ERROR", ErrorBodyMessageOnly: ""} {
		h := newHarness(t, func(o *Options) { o.Variants.ErrorBody = reading })
		r := h.create("/images/generate", fields{"prompt": ""})
		equal(t, "code", r.body.Error.Code, code)
		equal(t, "details", len(r.body.Error.Details) > 0, code != "")
		equal(t, "message", r.body.Error.Message != "", true)
	}
}

func TestSeedsMakeIDsRepeat(t *testing.T) {
	id := func(seed uint64) string { return newHarness(t, func(o *Options) { o.Seed = seed }).generate() }
	for _, tt := range []struct {
		a, b uint64
		same bool
	}{{7, 7, true}, {7, 8, false}, {0, 0, false}} {
		equal(t, "the same", id(tt.a) == id(tt.b), tt.same)
	}
}
