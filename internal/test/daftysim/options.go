package daftysim

import (
	"time"

	"k8s.io/utils/clock"
)

// Operation is an operationId of the contract.
type Operation string

// The operations of the contract, and those that Dafty serves beside it: its
// own OpenAPI file, storage, which takes uploads, and the files that results
// point at.
const (
	GetAccount        Operation = "getAccount"
	GenerateImage     Operation = "generateImage"
	EditImage         Operation = "editImage"
	ResizeImage       Operation = "resizeImage"
	UpscaleImage      Operation = "upscaleImage"
	ImageToVideo      Operation = "imageToVideo"
	VideoFrames       Operation = "videoFrames"
	ExtractStyle      Operation = "extractStyle"
	SearchStyleAssets Operation = "searchStyleAssets"
	ListJobs          Operation = "listJobs"
	GetJob            Operation = "getJob"
	CancelJob         Operation = "cancelJob"
	CreateUpload      Operation = "createUpload"
	CompleteUpload    Operation = "completeUpload"

	// GetOpenAPI is the contract itself, which needs no key.
	GetOpenAPI Operation = "getOpenAPI"

	PutUpload Operation = "putUpload"
	GetFile   Operation = "getFile"
)

// Options configure a [Simulator]. The zero value is a Dafty without accounts
// that behaves as documented, with jobs that take a few seconds.
type Options struct {
	// Clock tells the time; nil is the real one (which is the bubble's inside
	// testing/synctest).
	Clock clock.Clock
	// Seed makes ids repeat from run to run; 0 draws them at random.
	Seed uint64

	// Accounts exist from the start.
	Accounts []Account
	// AnyKey accepts every key: one not seen before makes an account with
	// NewAccount's credits and allowance.
	AnyKey     bool
	NewAccount Account

	// Manual keeps every job where it is until [Simulator.Start] or
	// [Simulator.Finish] moves it.
	Manual bool
	// PendingFor and ProcessingFor return how long a job stays in each state. Nil:
	// 1 s and 3 s; see [Fixed] and [PerOperation].
	PendingFor, ProcessingFor func(Operation) time.Duration
	// CancelSettles is how long a cancelled job stays as it was under
	// [AfterCancelLater]. 0: 2 s.
	CancelSettles time.Duration
	// CancelRaceWindow is how long before a job's completion a cancel races with
	// it, see [CancelRace]. 0: only after [Simulator.RaceCancel].
	CancelRaceWindow time.Duration
	// ThumbnailAfter is how long a completed video's thumbnailUrl is null.
	ThumbnailAfter time.Duration
	// WaitFor bounds how long a request with wait=true is held. 0: 55 s.
	WaitFor time.Duration
	// JobsReadableFor is how long a job can be read after its end, under
	// [JobRetentionLimited]. 0: 1 h.
	JobsReadableFor time.Duration
	// FailWord in a prompt makes its job fail. "": "[fail]".
	FailWord string

	// Limits are the rate limits of each API key.
	Limits Limits
	// Ceilings bound the jobs in flight.
	Ceilings Ceilings
	// Prices are what creates and cancels cost, in credit units (CU).
	Prices Prices

	// Variants decide what Dafty leaves undocumented.
	Variants Variants

	// StrictRequests also counts every other request that breaks the contract's
	// schema as a violation, not only unknown fields and parameters.
	StrictRequests bool
	// SkipAnswerValidation trusts the simulator's own answers, for load tests.
	SkipAnswerValidation bool
	// RequestLog bounds the requests that are remembered. 0: 10,000; negative:
	// none.
	RequestLog int

	// Admin serves the simulator's state under /_sim/, to loopback clients only.
	Admin bool
}

// Account is one customer of Dafty.
type Account struct {
	Name string
	// APIKeys all belong to the account: they share its jobs, images and credits.
	APIKeys []string
	// Credits is the balance in CU. 0: a million.
	Credits int
	// Allowance is how many jobs may still be created in the period. 0: no bound;
	// negative: none.
	Allowance int
	// Unsubscribed answers every create with SUBSCRIPTION_REQUIRED.
	Unsubscribed bool
	// Images and Styles exist from the start.
	Images []Image
	Styles []Style
}

// Image is an image that an account has from elsewhere.
type Image struct {
	ID            string // a UUID; "": drawn
	Width, Height int    // 0: 1024
	Prompt        string // what its picture shows
}

// Style is a style that an account has from elsewhere.
type Style struct {
	ID   string // a UUID; "": drawn
	Name string
	// Assets are what a search in it can find; nil: some that are named for the style.
	Assets []StyleAsset
}

const (
	// DefaultCredits is the balance of an account without one of its own.
	DefaultCredits = 1_000_000
	// DefaultFailWord is the word in a prompt that makes its job fail.
	DefaultFailWord = "[fail]"

	keyHeldFor     = 24 * time.Hour // docs: "within about 24 h"
	uploadHeldFor  = time.Hour      // docs: expiresIn is 3600 in the sample
	cancelPrice    = 1              // docs: a partial charge of 1 CU once processing
	defaultLogSize = 10_000
)

// Prices are in credit units (CU). A zero price takes the default; a negative
// one is free.
type Prices struct {
	Image  int // each variation; default 1
	Video  int // default 10
	Style  int // default 2
	Cancel int // of a processing job; default 1, as documented
}

func (p Prices) withDefaults() Prices {
	for _, f := range []struct {
		price *int
		value int
	}{{&p.Image, 1}, {&p.Video, 10}, {&p.Style, 2}, {&p.Cancel, cancelPrice}} {
		switch {
		case *f.price == 0:
			*f.price = f.value
		case *f.price < 0:
			*f.price = 0
		}
	}
	return p
}

// Ceilings bound the jobs that are in flight at once; 0 is no bound. Dafty
// documents that there are such ceilings and that video's is lower, but not their
// values.
type Ceilings struct {
	Images, Videos, Styles int
	// PerAccount counts the jobs of all of an account's keys together.
	PerAccount bool
}

// Fixed returns the same duration for every operation.
func Fixed(d time.Duration) func(Operation) time.Duration {
	return func(Operation) time.Duration { return d }
}

// PerOperation returns the duration of each operation, and fallback for those
// without one.
func PerOperation(durations map[Operation]time.Duration, fallback time.Duration) func(Operation) time.Duration {
	return func(op Operation) time.Duration {
		if d, ok := durations[op]; ok {
			return d
		}
		return fallback
	}
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.PendingFor == nil {
		o.PendingFor = Fixed(time.Second)
	}
	if o.ProcessingFor == nil {
		o.ProcessingFor = Fixed(3 * time.Second)
	}
	for _, f := range []struct {
		d     *time.Duration
		value time.Duration
	}{{&o.CancelSettles, 2 * time.Second}, {&o.WaitFor, 55 * time.Second}, {&o.JobsReadableFor, time.Hour}} {
		if *f.d == 0 {
			*f.d = f.value
		}
	}
	if o.FailWord == "" {
		o.FailWord = DefaultFailWord
	}
	if o.RequestLog == 0 {
		o.RequestLog = defaultLogSize
	}
	o.Limits = o.Limits.withDefaults()
	o.Prices = o.Prices.withDefaults()
	o.Variants = o.Variants.withDefaults()
	return o
}
