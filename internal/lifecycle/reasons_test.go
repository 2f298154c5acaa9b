package lifecycle_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// reasonConstants returns the Reason… and Event… constants of the API, as its source declares them.
func reasonConstants(t *testing.T) map[string]*ast.ValueSpec {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/condition_types.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]*ast.ValueSpec{}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || strings.HasPrefix(group.Doc.Text(), "Reasons of a DaftyA") { // which are tested in packages asset and controller
			continue
		}
		for _, spec := range group.Specs {
			spec := spec.(*ast.ValueSpec)
			if name := spec.Names[0].Name; strings.HasPrefix(name, "Reason") || strings.HasPrefix(name, "Event") {
				constants[name] = spec
			}
		}
	}
	return constants
}

func valueOf(t *testing.T, spec *ast.ValueSpec) string {
	t.Helper()
	value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Each reason is named like its constant, says in its comment what it means and what to do,
// and comes up in some row of the tables.
func TestReasons(t *testing.T) {
	camelCase := regexp.MustCompile(`^([A-Z][a-z]+|API)+$`)
	produced := map[string]bool{}
	for _, row := range rows {
		decision, _ := settled(row.input(), written)
		for _, condition := range decision.Status.Conditions {
			produced[condition.Reason] = true
		}
		if decision.Event != nil {
			produced[decision.Event.Reason] = true
		}
	}
	for _, row := range tellings {
		in := lifecycle.Snapshot{Job: row.given, Known: row.known, Now: t0.Add(row.when), DeletionTimeout: deletionTimeout}
		in.Known.Refusals = row.refused
		for _, condition := range lifecycle.Next(in).Status.Conditions {
			produced[condition.Reason] = true
		}
	}
	for _, row := range storings {
		decision, _ := settled(lifecycle.Snapshot{Job: row.given, Known: row.known, References: row.refers, Now: t0}, row.storing)
		for _, condition := range decision.Status.Conditions {
			produced[condition.Reason] = true
		}
		if decision.StoreEvent != nil {
			produced[decision.StoreEvent.Reason] = true
		}
	}
	constants := reasonConstants(t)
	if len(constants) < 20 {
		t.Fatalf("found only %d reasons", len(constants))
	}
	for name, spec := range constants {
		value := valueOf(t, spec)
		if !camelCase.MatchString(value) {
			t.Errorf("%s: %q isn't CamelCase", name, value)
		}
		if name != "Reason"+value && name != "Event"+value {
			t.Errorf("%s is called %q", name, value)
		}
		if doc := spec.Doc.Text(); !strings.HasPrefix(doc, name+" means that ") || len(doc) < len(name)+len(" means that ")+17 {
			t.Errorf("%s: its comment must begin with %q and say what to do", name, name+" means that ")
		}
		if !produced[value] {
			t.Errorf("%s is in no row of the tables", name)
		}
		if !slices.Contains(otherReasons, value) && strings.HasPrefix(name, "Reason") && !slices.Contains(allReasons, value) {
			t.Errorf("%s is missing in allReasons", name)
		}
	}
}

// otherReasons are only of other conditions.
var otherReasons = []string{v1alpha1.ReasonSubmitted, v1alpha1.ReasonStored, v1alpha1.ReasonNotStored}

// allReasons are the reasons of the Ready condition.
var allReasons = []string{
	v1alpha1.ReasonSubmitting, v1alpha1.ReasonQueued, v1alpha1.ReasonProcessing, v1alpha1.ReasonCancelling, v1alpha1.ReasonCompleted,
	v1alpha1.ReasonCancelled, v1alpha1.ReasonCancelledBeforeSubmission, v1alpha1.ReasonCompletedBeforeCancel, v1alpha1.ReasonAlreadyCancelled, v1alpha1.ReasonSuspended,
	v1alpha1.ReasonWaitingForCredentials, v1alpha1.ReasonCredentialsRejected, v1alpha1.ReasonWaitingForRateLimit,
	v1alpha1.ReasonAccountNotFound, v1alpha1.ReasonAccountSuspended, v1alpha1.ReasonBudgetExhausted, v1alpha1.ReasonWaitingForConcurrency, v1alpha1.ReasonInsufficientCredits, v1alpha1.ReasonSubscriptionRequired,
	v1alpha1.ReasonUsageLimitExceeded, v1alpha1.ReasonAPIUnavailable, v1alpha1.ReasonSubmissionUnknown, v1alpha1.ReasonInvalidRequest,
	v1alpha1.ReasonGenerationFailed, v1alpha1.ReasonExtractionFailed, v1alpha1.ReasonJobNotFound,
	v1alpha1.ReasonWaitingForDependency, v1alpha1.ReasonDependencyCycle, v1alpha1.ReasonUploading, v1alpha1.ReasonUnusableFile, v1alpha1.ReasonSearching, v1alpha1.ReasonStyleAssetNotFound,
	v1alpha1.ReasonBackingOff, v1alpha1.ReasonAlreadyAdopted, v1alpha1.ReasonDependencyFailed, v1alpha1.ReasonInvalidReference,
	v1alpha1.ReasonDeadlineExceeded, v1alpha1.ReasonWriteRefused, v1alpha1.ReasonWriteFailed,
}
