package main

import (
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// rulesOf returns the messages of the rules that a type has at all its places.
func (w *writer) rulesOf(name string) []string {
	var common []string
	for i, place := range w.met[name] {
		rules := rulesAt(place)
		if i == 0 {
			common = rules
		}
		common = slices.DeleteFunc(slices.Clone(common), func(message string) bool { return !slices.Contains(rules, message) })
	}
	return common
}

// rulesAt returns the messages of the CEL rules at one place, each once, with the fields that it is about.
func rulesAt(schema *apiextensionsv1.JSONSchemaProps) []string {
	var messages []string
	about := map[string][]string{}
	for _, rule := range schema.XValidations {
		if _, met := about[rule.Message]; !met {
			messages = append(messages, rule.Message)
			about[rule.Message] = nil
		}
		if rule.FieldPath != "" {
			about[rule.Message] = append(about[rule.Message], "`"+strings.TrimPrefix(rule.FieldPath, ".")+"`")
		}
	}
	for i, message := range messages {
		if fields := about[message]; len(fields) > 0 {
			messages[i] = strings.Join(fields, ", ") + ": " + message
		}
	}
	return messages
}

func defaultOf(schema *apiextensionsv1.JSONSchemaProps) string {
	if schema.Default == nil {
		return ""
	}
	return "`" + strings.Trim(string(schema.Default.Raw), `"`) + "`"
}

// boundsOf returns the bounds of a value, apart from its CEL rules.
func boundsOf(schema *apiextensionsv1.JSONSchemaProps) []string {
	var bounds []string
	if len(schema.Enum) > 0 {
		values := make([]string, 0, len(schema.Enum))
		for _, value := range schema.Enum {
			values = append(values, "`"+strings.Trim(string(value.Raw), `"`)+"`")
		}
		bounds = append(bounds, strings.Join(values, ", "))
	}
	between := func(least, most, unit string) {
		switch {
		case least != "" && most != "":
			bounds = append(bounds, least+" to "+most+unit)
		case least != "":
			bounds = append(bounds, "at least "+least+unit)
		case most != "":
			bounds = append(bounds, "at most "+most+unit)
		}
	}
	between(number(schema.Minimum), number(schema.Maximum), "")
	between(number(schema.MinLength), number(schema.MaxLength), " characters")
	between(number(schema.MinItems), number(schema.MaxItems), " items")
	if schema.Pattern != "" {
		bounds = append(bounds, "`"+schema.Pattern+"`")
	}
	return bounds
}

func number[N int64 | float64](n *N) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%.0f", float64(*n))
}
