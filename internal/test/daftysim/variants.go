package daftysim

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// The readings of what Dafty leaves undocumented. The first of each group is
// what the simulator does when nothing is said.
type (
	// CancelTerminal is the answer to a cancel of a job that already ended.
	CancelTerminal string
	// CancelRace is the answer to a cancel that meets the completion, see
	// [Simulator.RaceCancel].
	CancelRace string
	// AfterCancel is how a job reads right after its cancel was accepted.
	AfterCancel string
	// CancelError is the error that a cancelled job shows.
	CancelError string
	// RepeatAnswer is what a repeated Idempotency-Key is answered.
	RepeatAnswer string
	// RepeatCounts is whether a repeat counts against the create limit.
	RepeatCounts string
	// RefusedKey is what a key does whose first attempt was refused.
	RefusedKey string
	// RateWindow is how a minute is counted.
	RateWindow string
	// RateHeaders is which answers carry X-RateLimit-*.
	RateHeaders string
	// LimitRetryAfter is whether CONCURRENT_LIMIT_REACHED and
	// USAGE_LIMIT_EXCEEDED carry Retry-After.
	LimitRetryAfter string
	// ListOrder is the order of GET /jobs.
	ListOrder string
	// ListResult is whether GET /jobs shows results.
	ListResult string
	// ListScope is whose jobs GET /jobs shows.
	ListScope string
	// JobRetention is how long a job stays readable after its end.
	JobRetention string
	// ImageID is which id names an image in imageId. Ids given by [Image] are
	// accepted under either reading.
	ImageID string
	// DerivedType is the type of a resize or an upscale.
	DerivedType string
	// References is what stands as a reference besides an https URL and an
	// upload. Ids given by [Image] are accepted under any reading.
	References string
	// CancelCharge is what a cancel costs once the job processes.
	CancelCharge string
	// OtherBody is what an Idempotency-Key does that comes with another body.
	OtherBody string
	// Nulls is how a nextCursor, details, a size or a duration is shown that
	// isn't there.
	Nulls string
	// VariationBound is how many variations one create may ask for.
	VariationBound string
	// UnknownJob shows jobs with a status or a type that the contract lacks.
	UnknownJob string
	// UploadStatus is the status of a reserved upload.
	UploadStatus string
	// ExtraFields is whether answers hold fields that the contract lacks.
	ExtraFields string
	// ErrorBody is how much of an error is told: only the message is certain.
	ErrorBody string
	// ResultURL is whether Dafty can fetch the url of a result as a reference.
	ResultURL string
	// CreatedAt is how a job's date is written.
	CreatedAt string
	// Similarity is how a search shows the similarity of an asset.
	Similarity string
	// AssetName is whether a search shows the names of assets.
	AssetName string
	// SearchFinds is how much a search finds of what it asks for.
	SearchFinds string
	// AccountObject is what GET /account says of an account.
	AccountObject string
)

// The readings, see the types.
const (
	CancelTerminalUnchanged CancelTerminal = "unchanged" // 200 with the job as it is
	CancelTerminalNotFound  CancelTerminal = "not-found" // 404
	CancelTerminalConflict  CancelTerminal = "conflict"  // 409

	CancelRaceCompleted CancelRace = "completed" // the completion wins, free of charge
	CancelRaceFailed    CancelRace = "failed"    // the cancel wins

	AfterCancelFailed AfterCancel = "failed"
	AfterCancelLater  AfterCancel = "later" // as before; failed after Options.CancelSettles

	CancelErrorGeneration CancelError = "generation-failed"
	CancelErrorExtraction CancelError = "extraction-failed"
	CancelErrorAbsent     CancelError = "absent"

	RepeatAnswerCurrent RepeatAnswer = "current"
	RepeatAnswerFirst   RepeatAnswer = "first" // pending, for ever

	RepeatCountsYes RepeatCounts = "yes"
	RepeatCountsNo  RepeatCounts = "no"

	RefusedKeyFresh RefusedKey = "fresh" // a repeat is a first try
	RefusedKeySame  RefusedKey = "same"  // a repeat gets the same refusal for 24 h

	RateWindowFixed   RateWindow = "fixed" // whole minutes of the clock
	RateWindowSliding RateWindow = "sliding"

	RateHeadersAlways RateHeaders = "always"
	RateHeadersOn429  RateHeaders = "on-429"
	RateHeadersNever  RateHeaders = "never"

	LimitRetryAfterPresent LimitRetryAfter = "present"
	LimitRetryAfterAbsent  LimitRetryAfter = "absent"

	ListNewestFirst ListOrder = "newest-first"
	ListOldestFirst ListOrder = "oldest-first"

	ListResultShown  ListResult = "shown"
	ListResultHidden ListResult = "hidden"

	ListScopeKey     ListScope = "key"
	ListScopeAccount ListScope = "account" // those made by people included

	JobRetentionForever JobRetention = "forever"
	JobRetentionLimited JobRetention = "limited" // 404 once Options.JobsReadableFor passed

	ImageIDVariation ImageID = "variation"
	ImageIDJob       ImageID = "job"     // only a job's id; it names its first image
	ImageIDEither    ImageID = "either"  // both
	ImageIDJob400    ImageID = "job-400" // as job, and any other id is refused as invalid

	DerivedTypeOwn  DerivedType = "own"        // image.resize, image.upscale
	DerivedTypeEdit DerivedType = "image.edit" // image.edit for both

	ReferencesAny       References = "any"       // all of those below
	ReferencesVariation References = "variation" // a variation's id, or the url of a result
	ReferencesJob       References = "job"       // a job's id, for its first image, or the url of a result
	ReferencesURL       References = "url"       // only the url of a result

	CancelChargeRefunded CancelCharge = "refunded" // the price is given back, and the cancel charged
	CancelChargeKept     CancelCharge = "kept"     // the price is kept, and the cancel charged too

	OtherBodyFirst         OtherBody = "first" // the first job, whatever the body says
	OtherBodyConflict      OtherBody = "409"
	OtherBodyUnprocessable OtherBody = "422"

	NullsAbsent Nulls = "absent" // and sizes and durations are always known
	NullsNull   Nulls = "null"   // and no size or duration is known

	VariationsUpTo4  VariationBound = "4"
	VariationsUpTo10 VariationBound = "10"
	VariationsOne    VariationBound = "1"

	UnknownJobNone   UnknownJob = "none"
	UnknownJobStatus UnknownJob = "status" // the first half of processing reads [UnknownStatus]
	UnknownJobType   UnknownJob = "type"   // every type reads with [UnknownTypeSuffix]

	UploadStatusCreated UploadStatus = "201"
	UploadStatusOK      UploadStatus = "200"

	ExtraFieldsNone    ExtraFields = "none"
	ExtraFieldsPresent ExtraFields = "present"

	ErrorBodyFull        ErrorBody = "full"
	ErrorBodyMessageOnly ErrorBody = "message-only"

	ResultURLAccepted ResultURL = "accepted"
	ResultURLRefused  ResultURL = "refused" // as where the storage has no public address

	CreatedAtMilliseconds CreatedAt = "milliseconds"
	CreatedAtMinutes      CreatedAt = "minutes"     // without seconds
	CreatedAtPicoseconds  CreatedAt = "picoseconds" // twelve digits of fraction

	SimilarityFraction Similarity = "fraction" // 0 to 1
	SimilarityPercent  Similarity = "percent"  // 0 to 100
	SimilarityAbsent   Similarity = "absent"
	SimilarityNull     Similarity = "null"

	AssetNamePresent AssetName = "present"
	AssetNameAbsent  AssetName = "absent"

	SearchFindsAll     SearchFinds = "all"
	SearchFindsFewer   SearchFinds = "fewer" // one less
	SearchFindsNothing SearchFinds = "nothing"

	AccountObjectFlat   AccountObject = "flat"
	AccountObjectNested AccountObject = "nested" // objects, lists and nulls within
	AccountObjectEmpty  AccountObject = "empty"
)

const (
	// UnknownStatus is the status shown under [UnknownJobStatus].
	UnknownStatus = "reviewing"
	// UnknownTypeSuffix is added to a job's type under [UnknownJobType].
	UnknownTypeSuffix = ".v2"
)

// Variants is how the simulator reads what Dafty leaves undocumented: one
// field for each question that its pages leave open, and those marked as beyond
// for what the OpenAPI file leaves open and a client must bear. A field left empty
// takes its first reading.
type Variants struct {
	CancelTerminal  CancelTerminal  `variant:"cancel-terminal" readings:"unchanged,not-found,conflict" question:"cancel of a job that is already terminal"`
	CancelRace      CancelRace      `variant:"cancel-race" readings:"completed,failed" question:"cancel of a job that completes at the same moment"`
	AfterCancel     AfterCancel     `variant:"after-cancel" readings:"failed,later" question:"the job right after a cancel"`
	CancelError     CancelError     `variant:"cancel-error" readings:"generation-failed,extraction-failed,absent" question:"error of a cancelled job"`
	RepeatAnswer    RepeatAnswer    `variant:"repeat-answer" readings:"current,first" question:"a repeated Idempotency-Key"`
	RepeatCounts    RepeatCounts    `variant:"repeat-counts" readings:"yes,no" question:"does a repeat count against the create limit"`
	RefusedKey      RefusedKey      `variant:"refused-key" readings:"fresh,same" question:"same key after the first attempt was refused"`
	RateWindow      RateWindow      `variant:"rate-window" readings:"fixed,sliding" question:"rate window"`
	RateHeaders     RateHeaders     `variant:"rate-headers" readings:"always,on-429,never" question:"are X-RateLimit-* on every answer"`
	LimitRetryAfter LimitRetryAfter `variant:"limit-retry-after" readings:"present,absent" question:"Retry-After on CONCURRENT_LIMIT_REACHED and USAGE_LIMIT_EXCEEDED"`
	ListOrder       ListOrder       `variant:"list-order" readings:"newest-first,oldest-first" question:"order of GET /jobs"`
	ListResult      ListResult      `variant:"list-result" readings:"shown,hidden" question:"does GET /jobs show result"`
	ListScope       ListScope       `variant:"list-scope" readings:"key,account" question:"whose jobs GET /jobs shows"`
	JobRetention    JobRetention    `variant:"job-retention" readings:"forever,limited" question:"how long jobs stay readable"`
	ImageID         ImageID         `variant:"image-id" readings:"variation,job,either,job-400" question:"imageId"`
	DerivedType     DerivedType     `variant:"derived-type" readings:"own,image.edit" question:"type of a resize or an upscale"`
	References      References      `variant:"references" readings:"any,variation,job,url" question:"what stands as a reference besides an https URL"`
	CancelCharge    CancelCharge    `variant:"cancel-charge" readings:"refunded,kept" question:"the price of a job that is cancelled while it processes, beside the 1 CU"`
	OtherBody       OtherBody       `variant:"other-body" readings:"first,409,422" question:"the same Idempotency-Key with another body"`
	Nulls           Nulls           `variant:"nulls" readings:"absent,null" question:"nextCursor, details, sizes and durations that aren't there"`
	VariationBound  VariationBound  `variant:"variation-bound" readings:"4,10,1" question:"bounds of variations"`
	UnknownJob      UnknownJob      `variant:"unknown-job" readings:"none,status,type" question:"an unknown job status or type"`

	UploadStatus UploadStatus `variant:"upload-status" readings:"201,200" question:"status of a reserved upload" beyond:"true"`
	ExtraFields  ExtraFields  `variant:"extra-fields" readings:"none,present" question:"answers may gain fields" beyond:"true"`
	ErrorBody    ErrorBody    `variant:"error-body" readings:"full,message-only" question:"only an error's message is certain" beyond:"true"`
	ResultURL    ResultURL    `variant:"result-url" readings:"accepted,refused" question:"can Dafty fetch the url of its own result as a reference" beyond:"true"`
	CreatedAt    CreatedAt    `variant:"created-at" readings:"milliseconds,minutes,picoseconds" question:"createdAt without seconds, or with many digits" beyond:"true"`

	Similarity    Similarity    `variant:"similarity" readings:"fraction,percent,absent,null" question:"scale and presence of an asset's similarity" beyond:"true"`
	AssetName     AssetName     `variant:"asset-name" readings:"present,absent" question:"does each asset that a search finds have a name" beyond:"true"`
	SearchFinds   SearchFinds   `variant:"search-finds" readings:"all,fewer,nothing" question:"does a search find as many assets as it asks for" beyond:"true"`
	AccountObject AccountObject `variant:"account-object" readings:"flat,nested,empty" question:"the fields of GET /account" beyond:"true"`
}

// VariantField describes one field of [Variants].
type VariantField struct {
	Name     string   // as [Variants.Set] takes it
	Question string   // the row of the contract's table
	Readings []string // the first is the default
	Beyond   bool     // not a row of the table
}

// VariantFields returns the fields of [Variants] in their order.
func VariantFields() []VariantField { return slices.Clone(variantFields()) }

// variantFields reads the tags once: a simulation makes thousands of simulators, and each checks its variants.
var variantFields = sync.OnceValue(func() (fields []VariantField) {
	for f := range reflect.TypeFor[Variants]().Fields() {
		fields = append(fields, VariantField{
			Name:     f.Tag.Get("variant"),
			Question: f.Tag.Get("question"),
			Readings: strings.Split(f.Tag.Get("readings"), ","),
			Beyond:   f.Tag.Get("beyond") != "",
		})
	}
	return fields
})

// NamedVariants is one way to read the contract, named for a subtest.
type NamedVariants struct {
	Name     string // "cancel-terminal=conflict"; "defaults" for the first
	Variants Variants
	Beyond   bool // it departs from the defaults in a field that is no row of the table
}

// AllVariants returns the defaults, then each other reading of each field, with
// all other fields at their defaults. Tests run under each.
func AllVariants() []NamedVariants {
	all := []NamedVariants{{Name: "defaults", Variants: Variants{}.withDefaults()}}
	for _, field := range variantFields() {
		for _, reading := range field.Readings[1:] {
			v := Variants{}.withDefaults()
			if err := v.Set(field.Name, reading); err != nil {
				panic(err) // the tags contradict each other
			}
			all = append(all, NamedVariants{Name: field.Name + "=" + reading, Variants: v, Beyond: field.Beyond})
		}
	}
	return all
}

// Set sets the reading of a field, by the names in [VariantFields].
func (v *Variants) Set(name, reading string) error {
	for i, field := range variantFields() {
		if field.Name != name {
			continue
		}
		if !slices.Contains(field.Readings, reading) {
			return fmt.Errorf("variant %s has no reading %q: it is one of %s", name, reading, strings.Join(field.Readings, ", "))
		}
		reflect.ValueOf(v).Elem().Field(i).SetString(reading)
		return nil
	}
	return fmt.Errorf("no variant is named %q", name)
}

// Readings returns the readings by the name of the field.
func (v Variants) Readings() map[string]string {
	readings := map[string]string{}
	for i, field := range variantFields() {
		readings[field.Name] = reflect.ValueOf(v).Field(i).String()
	}
	return readings
}

// withDefaults fills empty fields with their first reading.
func (v Variants) withDefaults() Variants {
	for i, field := range variantFields() {
		if f := reflect.ValueOf(&v).Elem().Field(i); f.String() == "" {
			f.SetString(field.Readings[0])
		}
	}
	return v
}

// validate refuses readings that don't exist.
func (v Variants) validate() error {
	for name, reading := range v.Readings() {
		var checked Variants
		if err := checked.Set(name, reading); err != nil {
			return err
		}
	}
	return nil
}
