// Schemas writes config/schemas: the JSON schema of each kind, made from its CRD, for editors and for checks of manifests without a
// cluster. A JSON schema can't hold the rules that the CRD has in CEL. Run it from the top of the checkout, after the CRDs are
// generated.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	crds, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range crds {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, crd); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := write(filepath.Join(root, "config", "schemas"), crd); err != nil {
			return err
		}
	}
	return nil
}

// write writes a schema for each version of a kind, named as the tools that know many kinds look for it: GROUP/KIND_VERSION.json.
func write(to string, crd *apiextensionsv1.CustomResourceDefinition) error {
	dir := filepath.Join(to, crd.Spec.Group)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, version := range crd.Spec.Versions {
		schema, err := schemaOf(crd, &version)
		if err != nil {
			return err
		}
		content, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s_%s.json", strings.ToLower(crd.Spec.Names.Kind), version.Name)
		if err := os.WriteFile(filepath.Join(dir, name), append(content, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}
