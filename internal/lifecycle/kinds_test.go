package lifecycle_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// declaredKinds returns the kinds that package dafty declares.
func declaredKinds(t *testing.T) (declared []dafty.Kind) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../dafty/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Kind") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, dafty.Kind(value))
		return true
	})
	return declared
}

// Each kind of error has one meaning.
func TestMeanings(t *testing.T) {
	const (
		job, class, account  = lifecycle.BlocksJob, lifecycle.BlocksClass, lifecycle.BlocksAccount
		operator, user, them = lifecycle.ActorOperator, lifecycle.ActorUser, lifecycle.ActorDafty
	)
	want := map[dafty.Kind]struct {
		reason  string
		stalled bool
		blocks  lifecycle.Scope
		actor   lifecycle.Actor
		base    time.Duration
		limit   time.Duration
		// mendable, ofAccount and impossible, by a letter each.
		more string
	}{
		dafty.KindInvalid:              {ReasonAPIUnavailable, false, job, operator, 0, 0, "I"},
		dafty.KindNotFound:             {ReasonAPIUnavailable, false, job, operator, 0, 0, "I"},
		dafty.KindConflict:             {ReasonAPIUnavailable, false, job, operator, 0, 0, ""},
		dafty.KindUnauthorized:         {ReasonCredentialsRejected, true, account, user, time.Minute, 5 * time.Minute, "M"},
		dafty.KindInsufficientCredits:  {ReasonInsufficientCredits, true, account, user, 15 * time.Second, 5 * time.Minute, "MA"},
		dafty.KindSubscriptionRequired: {ReasonSubscriptionRequired, true, class, user, 15 * time.Second, 5 * time.Minute, "MA"},
		dafty.KindUsageLimit:           {ReasonUsageLimitExceeded, false, account, them, 15 * time.Second, 5 * time.Minute, "MA"},
		dafty.KindConcurrency:          {ReasonWaitingForConcurrency, false, class, them, 5 * time.Second, time.Minute, "A"},
		dafty.KindRateLimit:            {ReasonWaitingForRateLimit, false, class, operator, 0, 0, ""},
		dafty.KindUnavailable:          {ReasonAPIUnavailable, false, account, them, time.Second, 30 * time.Second, ""},
	}
	declared := declaredKinds(t)
	if len(declared) != len(want) {
		t.Errorf("package dafty declares %d kinds, and %d have a meaning", len(declared), len(want))
	}
	for _, kind := range declared {
		if !slices.Contains(kinds, kind) {
			t.Errorf("%s is in no other test", kind)
		}
		if !lifecycle.HasMeaning(kind) {
			t.Errorf("%s has no row", kind)
		}
		is, row := lifecycle.MeaningOf(kind), want[kind]
		for letter, has := range map[string]bool{"M": is.Mendable, "A": is.OfAccount, "I": is.Impossible} {
			if has != strings.Contains(row.more, letter) {
				t.Errorf("%s: %+v, want %q", kind, is, row.more)
			}
		}
		if is.Reason != row.reason || is.Stalled != row.stalled || is.Blocks != row.blocks || is.Actor != row.actor || is.Backoff != row.base || is.MaxBackoff != row.limit {
			t.Errorf("%s: %+v, want %+v", kind, is, row)
		}
		if is.Stalled != (is.Actor == lifecycle.ActorUser) {
			t.Errorf("%s is stalled: %t, and waits for the %s", kind, is.Stalled, is.Actor)
		}
		if is.OfAccount && is.Blocks == lifecycle.BlocksJob || is.Impossible && is.Blocks != lifecycle.BlocksJob {
			t.Errorf("%s blocks the %s", kind, is.Blocks)
		}
	}
}

// An error of a kind that isn't known proves nothing, and holds nobody else back.
func TestMeaningOfAnUnknownKind(t *testing.T) {
	meaning := lifecycle.MeaningOf("NewKind")
	if meaning.Reason != ReasonAPIUnavailable || meaning.Blocks != lifecycle.BlocksJob || meaning.Stalled || meaning.Impossible || meaning.OfAccount || meaning.Mendable {
		t.Errorf("%+v", meaning)
	}
}

// The pages say of each reason what the table of kinds says.
func TestPagesAboutMeanings(t *testing.T) {
	read := func(page string) string {
		raw, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	reasons, troubleshooting := section(read("lifecycle.md"), "Reasons"), read("troubleshooting.md")
	for _, kind := range declaredKinds(t) {
		meaning := lifecycle.MeaningOf(kind)
		_, line, _ := strings.Cut(reasons, "\n| `"+meaning.Reason+"` |")
		line, _, found := strings.Cut(line, "\n")
		way := inProgress
		if meaning.Stalled {
			way = stalled
		}
		if !found || !strings.Contains(line, " | "+way+" | ") {
			t.Errorf("docs/lifecycle.md says of %s: %s", meaning.Reason, line)
		}
		if !meaning.OfAccount {
			continue
		}
		_, about, _ := strings.Cut(troubleshooting, "\n### "+meaning.Reason+"\n")
		about, _, _ = strings.Cut(about, "\n### ")
		about = strings.NewReplacer("\n", " ", "asks at once", "ask at once").Replace(about)
		for says, is := range map[string]bool{
			"All other jobs of the same API key wait": kind == dafty.KindInsufficientCredits && meaning.Blocks == lifecycle.BlocksAccount,
			"those of other kinds go on":              kind == dafty.KindSubscriptionRequired && meaning.Blocks == lifecycle.BlocksClass,
			"ask at once":                             meaning.Mendable,
			"at least every 5 minutes":                kind == dafty.KindInsufficientCredits && meaning.MaxBackoff == 5*time.Minute,
		} {
			if strings.Contains(about, says) != is {
				t.Errorf("docs/troubleshooting.md says of %s: %q, where the table has %+v", meaning.Reason, says, meaning)
			}
		}
	}
}
