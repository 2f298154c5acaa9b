package main

import (
	"encoding/json"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// fields are those of a JSON object.
type fields = map[string]any

// schemaOf returns the JSON schema of one version of a kind.
func schemaOf(crd *apiextensionsv1.CustomResourceDefinition, version *apiextensionsv1.CustomResourceDefinitionVersion) (fields, error) {
	content, err := json.Marshal(version.Schema.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	schema := fields{}
	if err := json.Unmarshal(content, &schema); err != nil {
		return nil, err
	}
	if err := convert("", schema); err != nil {
		return nil, fmt.Errorf("%s: %w", crd.Name, err)
	}
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["required"] = []string{"apiVersion", "kind", "metadata", "spec"}
	properties := schema["properties"].(fields)
	properties["apiVersion"] = fields{"type": "string", "enum": []string{crd.Spec.Group + "/" + version.Name}}
	properties["kind"] = fields{"type": "string", "enum": []string{crd.Spec.Names.Kind}}
	properties["metadata"] = fields{"type": "object"} // Kubernetes' own
	return schema, nil
}

// convert makes a part of a CRD's schema, at a path of the object, one for JSON. What the API server would prune is refused, so that a
// misspelt field shows.
func convert(path string, schema fields) error {
	known := schema["x-kubernetes-preserve-unknown-fields"] != true
	for keyword, value := range schema {
		switch {
		case strings.HasPrefix(keyword, "x-kubernetes-"):
			delete(schema, keyword) // of the API server's
		case keyword == "properties":
			for name, property := range value.(fields) {
				if err := convert(path+"."+name, property.(fields)); err != nil {
					return err
				}
			}
			if known {
				schema["additionalProperties"] = false
			}
		case keyword == "items" || keyword == "additionalProperties":
			if _, whole := value.(bool); whole {
				continue
			}
			if err := convert(path+"[]", value.(fields)); err != nil {
				return err
			}
		case !same[keyword]:
			return fmt.Errorf("%s: what becomes of %s isn't known", path, keyword)
		}
	}
	return nil
}

// same are the keywords that mean the same in both.
var same = map[string]bool{
	"default": true, "description": true, "enum": true, "format": true, "maxItems": true, "maxLength": true, "maxProperties": true,
	"maximum": true, "minItems": true, "minLength": true, "minProperties": true, "minimum": true, "pattern": true, "required": true, "type": true,
}
