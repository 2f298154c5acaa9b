package asset_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Each reason of a DaftyAsset that the API declares comes up in a condition or an event.
func TestReasons(t *testing.T) {
	t.Parallel()
	produced := map[string]bool{}
	look := func(e *env) {
		e.reconcile()
		for _, c := range e.asset.Status.Conditions {
			produced[c.Reason] = true
		}
		for _, reason := range e.events {
			produced[reason] = true
		}
	}
	e := newEnv(t)
	look(e)
	e.submit()
	e.prompt("B")
	look(e)
	e.run()
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.ChangePolicy = v1alpha1.ChangeManual })
	e.prompt("C")
	look(e)
	e.remove(e.made("C").Name)
	look(e)

	taken := newEnv(t)
	taken.reconcile()
	taken.made("A").OwnerReferences = nil
	taken.asset.Status.Pending = nil
	look(taken)

	upstream := newEnv(t)
	upstream.follows("brand", "job-1")
	upstream.run()
	upstream.upstream["brand"].Status.Current.JobID = "job-2"
	look(upstream)

	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/condition_types.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || !strings.HasPrefix(group.Doc.Text(), "Reasons of a DaftyAsset") {
			continue
		}
		for _, spec := range group.Specs {
			value, err := strconv.Unquote(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if count++; !produced[value] {
				t.Errorf("nothing has the reason %s", value)
			}
		}
	}
	if count < 5 {
		t.Errorf("only %d reasons were found", count)
	}
}
