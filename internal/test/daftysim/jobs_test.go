package daftysim

import (
	"testing"
	"time"
)

// time30 is how long a job of the harness lives.
const time30 = 30 * time.Second

func TestJobLife(t *testing.T) {
	h := newHarness(t, nil)
	id := h.generate()
	for _, step := range []struct {
		after  time.Duration // since the one before
		status string
	}{
		{0, StatusPending},
		{9999 * time.Millisecond, StatusPending},
		{time.Millisecond, StatusProcessing},
		{20*time.Second - 1, StatusProcessing},
		{1, StatusCompleted},
		{time.Hour, StatusCompleted},
	} {
		h.clock.Step(step.after)
		h.wantShown(id, step.status)
	}
	entry, _ := h.Job(id)
	equal(t, "created", entry.Created, noon)
	equal(t, "started", entry.Started, noon.Add(10*time.Second))
	equal(t, "finished", entry.Finished, noon.Add(30*time.Second))
	equal(t, "charge", entry.Charge, 1)
}

// TestTimesAreExactHoweverLateSomebodyLooks: states are computed, not kept.
func TestTimesAreExactHoweverLateSomebodyLooks(t *testing.T) {
	h := newHarness(t, nil)
	id := h.generate()
	h.clock.Step(24 * time.Hour)
	entry, _ := h.Job(id)
	equal(t, "started", entry.Started, noon.Add(10*time.Second))
	equal(t, "finished", entry.Finished, noon.Add(30*time.Second))
}

func TestDurationsPerOperation(t *testing.T) {
	h := newHarness(t, func(o *Options) {
		o.PendingFor = Fixed(0)
		o.ProcessingFor = PerOperation(map[Operation]time.Duration{ImageToVideo: time.Minute}, time.Second)
	})
	image := h.generate()
	r := h.create("/videos/image-to-video", fields{"image": fixedImage, "prompt": "Fly"})
	h.wantStatus(r, 202)
	video := r.job(t)
	equal(t, "a create's answer is pending", video.Status, StatusPending)
	h.wantShown(image, StatusProcessing)
	h.clock.Step(time.Second)
	h.wantShown(image, StatusCompleted)
	h.wantShown(video.ID, StatusProcessing)
	h.clock.Step(59 * time.Second)
	h.wantShown(video.ID, StatusCompleted)
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		body       fields
		code       string // "": it completes
	}{
		{"prompt", "/images/generate", fields{"prompt": "A cat [fail]"}, "GENERATION_FAILED"},
		{"edit", "/images/edit", fields{"prompt": "[fail]", "imageId": fixedImage}, "GENERATION_FAILED"},
		{"video", "/videos/image-to-video", fields{"prompt": "[fail]", "image": fixedImage}, "GENERATION_FAILED"},
		{"style", "/styles/extract", fields{"url": "https://fail.example.com"}, "EXTRACTION_FAILED"},
		{"another word", "/images/generate", fields{"prompt": "A failing cat"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			r := h.create(tt.path, tt.body)
			h.wantStatus(r, 202)
			h.clock.Step(time30)
			j := h.get(r.job(t).ID)
			if tt.code == "" {
				equal(t, "status", j.Status, StatusCompleted)
				return
			}
			equal(t, "status", j.Status, StatusFailed)
			equal(t, "code", j.Error.Code, tt.code)
			if j.Result != nil {
				t.Error("a failed job has a result")
			}
		})
	}
}

func TestFailWordCanBeSet(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.FailWord = "cat" })
	id := h.generate()
	h.clock.Step(time30)
	h.wantShown(id, StatusFailed)
}

func TestManual(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.Manual = true })
	move := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(err error) {
		t.Helper()
		if err == nil {
			t.Fatal("the move was allowed")
		}
	}
	a, b, c := h.generate(), h.generate(), h.generate()
	h.clock.Step(time.Hour)
	h.wantShown(a, StatusPending)
	move(h.Start(a))
	h.clock.Step(time.Hour)
	h.wantShown(a, StatusProcessing)
	move(h.Finish(a, Succeed))
	equal(t, "images", len(h.wantShown(a, StatusCompleted).Result.Images), 1)
	refuse(h.Start(a))
	refuse(h.Finish(a, Fail))

	move(h.Finish(b, Fail)) // from pending
	equal(t, "code", h.wantShown(b, StatusFailed).Error.Code, "GENERATION_FAILED")

	equal(t, "running", len(h.Running()), 1)
	equal(t, "finished", h.FinishAll(Succeed), 1)
	h.wantShown(c, StatusCompleted)
	refuse(h.Start(foreignID))
	refuse(h.Finish(foreignID, Succeed))
}

func TestStartByHandSetsTheEnd(t *testing.T) {
	h := newHarness(t, nil)
	id := h.generate()
	h.clock.Step(time.Second)
	if err := h.Start(id); err != nil {
		t.Fatal(err)
	}
	h.wantShown(id, StatusProcessing)
	h.clock.Step(20 * time.Second)
	h.wantShown(id, StatusCompleted)
}

func TestHold(t *testing.T) {
	h := newHarness(t, nil)
	early := h.generate()
	h.clock.Step(5 * time.Second)
	h.Hold()
	h.Hold() // the same
	h.clock.Step(time.Hour)
	late := h.generate()
	h.wantShown(early, StatusPending)
	h.Release()
	h.Release()
	h.clock.Step(5 * time.Second)
	h.wantShown(early, StatusProcessing) // 5 s before, 5 s after
	h.wantShown(late, StatusPending)
	h.clock.Step(5 * time.Second)
	h.wantShown(late, StatusProcessing)

	// What was due before the hold happened, though nobody looked.
	h.clock.Step(15 * time.Second)
	h.Hold()
	h.clock.Step(time.Hour)
	h.Release()
	entry, _ := h.Job(early)
	equal(t, "finished", entry.Finished, noon.Add(time.Hour+30*time.Second))
}

func TestCancelCosts(t *testing.T) {
	for _, tt := range []struct {
		name      string
		after     time.Duration
		reading   CancelCharge
		charge    int
		refund    int
		cancelled bool
		status    string
	}{
		{"pending", 0, CancelChargeRefunded, 0, 1, true, StatusFailed},
		{"pending, kept", 0, CancelChargeKept, 0, 1, true, StatusFailed}, // free under either
		{"processing", 10 * time.Second, CancelChargeRefunded, 1, 1, true, StatusFailed},
		{"processing, kept", 10 * time.Second, CancelChargeKept, 1, 0, true, StatusFailed},
		{"completed", time30, CancelChargeRefunded, 0, 0, false, StatusCompleted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants.CancelCharge = tt.reading })
			id := h.generate()
			h.clock.Step(tt.after)
			r := h.do("POST", "/jobs/"+id+"/cancel", nil)
			h.wantStatus(r, 200)
			equal(t, "status", r.job(t).Status, tt.status)
			h.wantStatus(h.do("POST", "/jobs/"+id+"/cancel", nil), 200) // and costs nothing more
			entry, _ := h.Job(id)
			equal(t, "charge", entry.Charge, 1)
			equal(t, "cancel charge", entry.CancelCharge, tt.charge)
			equal(t, "refund", entry.Refund, tt.refund)
			equal(t, "paid", entry.Paid(), 1-tt.refund+tt.charge)
			equal(t, "cancelled", entry.Cancelled, tt.cancelled)
			equal(t, "credits", h.Credits("acme"), 1000-entry.Paid())
			equal(t, "charges", h.Charges()["acme"], entry.Paid())
			h.clock.Step(time.Hour)
			h.wantShown(id, tt.status) // for good
		})
	}
}

func TestCancelTerminalReadings(t *testing.T) {
	for reading, status := range map[CancelTerminal]int{CancelTerminalUnchanged: 200, CancelTerminalNotFound: 404, CancelTerminalConflict: 409} {
		t.Run(string(reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants.CancelTerminal = reading })
			id := h.generate()
			h.clock.Step(time30)
			r := h.do("POST", "/jobs/"+id+"/cancel", nil)
			h.wantStatus(r, status)
			if status == 200 {
				equal(t, "status", r.job(t).Status, StatusCompleted)
			}
			h.wantShown(id, StatusCompleted)
		})
	}
}

func TestCancelRaceReadings(t *testing.T) {
	for _, tt := range []struct {
		reading CancelRace
		status  string
		charge  int
	}{{CancelRaceCompleted, StatusCompleted, 0}, {CancelRaceFailed, StatusFailed, 1}} {
		t.Run(string(tt.reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) {
				o.Variants.CancelRace = tt.reading
				o.Variants.AfterCancel = AfterCancelLater // a race is settled all the same
				o.CancelRaceWindow = time.Second
			})
			byHand, byWindow := h.generate(), h.generate()
			if err := h.RaceCancel(byHand); err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{byHand, byWindow} {
				r := h.do("POST", "/jobs/"+id+"/cancel", nil)
				h.wantStatus(r, 200)
				equal(t, "status", r.job(t).Status, tt.status)
				entry, _ := h.Job(id)
				equal(t, "cancel charge", entry.CancelCharge, tt.charge)
				equal(t, "terminal", entry.Terminal(), true)
				h.clock.Step(29 * time.Second) // the second is about to complete
			}
		})
	}
}

func TestAfterCancelReadings(t *testing.T) {
	t.Run("later", func(t *testing.T) {
		h := newHarness(t, func(o *Options) { o.Variants.AfterCancel = AfterCancelLater })
		pending := h.generate()
		processing := h.generate()
		if err := h.Start(processing); err != nil {
			t.Fatal(err)
		}
		for id, status := range map[string]string{pending: StatusPending, processing: StatusProcessing} {
			for range 2 {
				r := h.do("POST", "/jobs/"+id+"/cancel", nil)
				h.wantStatus(r, 200)
				equal(t, "status", r.job(t).Status, status)
			}
		}
		equal(t, "running", len(h.Running()), 2)
		h.clock.Step(2 * time.Second)
		for _, id := range []string{pending, processing} {
			equal(t, "code", h.wantShown(id, StatusFailed).Error.Code, "GENERATION_FAILED")
		}
		equal(t, "charges", h.Charges()["acme"], 1)
		equal(t, "running", len(h.Running()), 0)
	})
	t.Run("later, by hand", func(t *testing.T) {
		h := newHarness(t, func(o *Options) { o.Variants.AfterCancel = AfterCancelLater; o.Manual = true })
		id := h.generate()
		h.wantStatus(h.do("POST", "/jobs/"+id+"/cancel", nil), 200)
		h.clock.Step(time.Hour)
		h.wantShown(id, StatusPending)
		if h.Start(id) == nil {
			t.Error("a cancelled job was started")
		}
		if err := h.Finish(id, Succeed); err != nil {
			t.Fatal(err)
		}
		h.wantShown(id, StatusFailed)
	})
}

func TestCancelErrorReadings(t *testing.T) {
	for reading, code := range map[CancelError]string{CancelErrorGeneration: "GENERATION_FAILED", CancelErrorExtraction: "EXTRACTION_FAILED", CancelErrorAbsent: ""} {
		t.Run(string(reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants.CancelError = reading })
			id := h.generate()
			j := decode[jobReply](t, h.do("POST", "/jobs/"+id+"/cancel", nil))
			if code == "" {
				if j.Error != nil {
					t.Errorf("error is %v", j.Error)
				}
				return
			}
			equal(t, "code", j.Error.Code, code)
		})
	}
}

func TestRetentionReadings(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.Variants.JobRetention = JobRetentionLimited })
	id := h.generate()
	h.clock.Step(time30 + time.Hour - 1)
	h.wantShown(id, StatusCompleted)
	image := h.get(id).Result.Images[0].ID
	h.clock.Step(1)
	h.wantError(h.do("GET", "/jobs/"+id, nil), 404, "NOT_FOUND")
	h.wantError(h.do("POST", "/jobs/"+id+"/cancel", nil), 404, "NOT_FOUND")
	equal(t, "listed", len(decode[[]jobReply](t, h.do("GET", "/jobs", nil))), 0)
	h.wantStatus(h.create("/images/edit", fields{"imageId": image, "prompt": "A hat"}), 202)

	h.SetVariants(Variants{})
	h.wantShown(id, StatusCompleted)
}

func TestUnknownJobReadings(t *testing.T) {
	t.Run("status", func(t *testing.T) {
		h := newHarness(t, func(o *Options) { o.Variants.UnknownJob = UnknownJobStatus })
		id := h.generate()
		h.clock.Step(10 * time.Second)
		h.wantShown(id, UnknownStatus)
		h.clock.Step(10 * time.Second)
		h.wantShown(id, StatusProcessing)
		h.clock.Step(10 * time.Second)
		h.wantShown(id, StatusCompleted)
	})
	t.Run("status, by hand", func(t *testing.T) {
		h := newHarness(t, func(o *Options) { o.Variants.UnknownJob = UnknownJobStatus; o.Manual = true })
		id := h.generate()
		for _, status := range []string{UnknownStatus, StatusProcessing} {
			if err := h.Start(id); err != nil {
				t.Fatal(err)
			}
			h.wantShown(id, status)
		}
	})
	t.Run("type", func(t *testing.T) {
		h := newHarness(t, func(o *Options) { o.Variants.UnknownJob = UnknownJobType })
		equal(t, "type", h.get(h.generate()).Type, "image.generate"+UnknownTypeSuffix)
	})
	t.Run("shown by hand", func(t *testing.T) {
		h := newHarness(t, nil)
		id := h.generate()
		if err := h.ShowStatus(id, "archived"); err != nil {
			t.Fatal(err)
		}
		h.wantShown(id, "archived")
		h.wantStatus(h.do("GET", "/jobs", nil), 200)
		if err := h.ShowStatus(id, ""); err != nil {
			t.Fatal(err)
		}
		h.wantShown(id, StatusPending)
	})
}

func TestDerivedTypeReadings(t *testing.T) {
	for reading, want := range map[DerivedType][2]string{DerivedTypeOwn: {"image.resize", "image.upscale"}, DerivedTypeEdit: {"image.edit", "image.edit"}} {
		h := newHarness(t, func(o *Options) { o.Variants.DerivedType = reading })
		equal(t, "resize", h.create("/images/resize", fields{"imageId": fixedImage, "aspectRatio": "1:1"}).job(t).Type, want[0])
		equal(t, "upscale", h.create("/images/upscale", fields{"imageId": fixedImage}).job(t).Type, want[1])
	}
}

func TestVariationBoundReadings(t *testing.T) {
	for reading, most := range map[VariationBound]int{VariationsOne: 1, VariationsUpTo4: 4, VariationsUpTo10: 10} {
		h := newHarness(t, func(o *Options) { o.Variants.VariationBound = reading })
		h.wantStatus(h.create("/images/generate", fields{"prompt": "A cat", "variations": most}), 202)
		r := h.create("/images/generate", fields{"prompt": "A cat", "variations": most + 1})
		h.wantError(r, 400, "VALIDATION_ERROR")
		h.clock.Step(time30)
		equal(t, "images", len(h.get(h.Ledger()[0].JobID).Result.Images), most)
		equal(t, "charge", h.Charges()["acme"], most)
	}
}
