package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// kinds are the types of manifests.
var kinds = []string{"DaftyJob", "DaftyAsset", "DaftyAccount"}

// source is what the reference is made of: the Go types, for names and constants, and the schema of each kind, for what the
// API server checks.
type source struct {
	structs map[string][]field
	pkg     *doc.Package
	schemas map[string]*apiextensionsv1.JSONSchemaProps
}

// field is a field of a struct.
type field struct {
	name string
	// of is the name of its type, or of the type of its items.
	of string
}

// read reads the source of a checkout.
func read(root string) (*source, error) {
	s := &source{structs: map[string][]field{}, schemas: map[string]*apiextensionsv1.JSONSchemaProps{}}
	for _, kind := range kinds {
		var err error
		if s.schemas[kind], err = readSchema(root, kind); err != nil {
			return nil, err
		}
	}
	files := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(root, "api", "v1alpha1", "*.go"))
	if err != nil {
		return nil, err
	}
	var parsed []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, file)
	}
	for _, file := range parsed {
		for name, object := range structsOf(file) {
			s.structs[name] = fieldsOf(object)
		}
	}
	s.pkg, err = doc.NewFromFiles(files, parsed, "dafty.ai/dafty-operator/api/v1alpha1", doc.PreserveAST)
	return s, err
}

// readSchema returns the schema of a kind, from its CRD.
func readSchema(root, kind string) (*apiextensionsv1.JSONSchemaProps, error) {
	path := filepath.Join(root, "config", "crd", "bases", "dafty.ai_"+strings.ToLower(kind)+"s.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, crd); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(crd.Spec.Versions) != 1 {
		return nil, fmt.Errorf("%s has %d versions, where this program knows how to tell of one", path, len(crd.Spec.Versions))
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema, nil
}

func structsOf(file *ast.File) map[string]*ast.StructType {
	found := map[string]*ast.StructType{}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			if named, ok := spec.(*ast.TypeSpec); ok {
				if object, ok := named.Type.(*ast.StructType); ok {
					found[named.Name.Name] = object
				}
			}
		}
	}
	return found
}

func fieldsOf(object *ast.StructType) []field {
	var fields []field
	for _, each := range object.Fields.List {
		if each.Tag == nil {
			continue
		}
		tag, _ := strconv.Unquote(each.Tag.Value) // the parser has checked it
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name != "" && name != "-" {
			fields = append(fields, field{name, typeName(each.Type)})
		}
	}
	return fields
}

// typeName returns the name of a type of the package, through pointers and lists, or "" for any other type.
func typeName(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.Ident:
		return expr.Name
	case *ast.StarExpr:
		return typeName(expr.X)
	case *ast.ArrayType:
		return typeName(expr.Elt)
	}
	return ""
}

// typeDoc returns the comment of a type, without its name and the markers.
func (s *source) typeDoc(name string) string {
	for _, each := range s.pkg.Types {
		if each.Name == name {
			return sentence(name, each.Doc)
		}
	}
	return ""
}

// constant is a constant that users meet.
type constant struct {
	name, value, says string
}

// valuesOf returns the constants of a type.
func (s *source) valuesOf(name string) []constant {
	for _, each := range s.pkg.Types {
		if each.Name == name {
			return constants(each.Consts)
		}
	}
	return nil
}

func constants(groups []*doc.Value) []constant {
	var all []constant
	for _, group := range groups {
		for _, spec := range group.Decl.Specs {
			each, ok := spec.(*ast.ValueSpec)
			if !ok || len(each.Values) != 1 {
				continue
			}
			literal, ok := each.Values[0].(*ast.BasicLit)
			if !ok || !each.Names[0].IsExported() {
				continue
			}
			value, _ := strconv.Unquote(literal.Value) // the parser has checked it
			name := each.Names[0].Name
			all = append(all, constant{name, value, sentence(name, each.Doc.Text())})
		}
	}
	return all
}

// sentence returns a Go comment without the name that it begins with: "PhaseQueued means that Dafty has the job" and "JobAnnotation holds".
func sentence(name, comment string) string {
	var lines []string
	for line := range strings.Lines(comment) {
		if !strings.HasPrefix(line, "+") {
			lines = append(lines, line)
		}
	}
	text := strings.TrimSpace(strings.TrimPrefix(strings.Join(lines, ""), name))
	for _, word := range []string{"means that ", "is ", "are "} {
		text = strings.TrimSpace(strings.TrimPrefix(text, word))
	}
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
