// Package dafty is the client of Dafty's API, and what its answers mean to a caller.
//
// What it says of a failure is meant to be acted on: whether the request may have had its
// effect, whose turn it is to do something, and when. It never retries by itself.
package dafty

import _ "embed"

//go:generate go tool -modfile=../../hack/tools/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml

// OpenAPI is the contract this client is generated from and the simulator validates against.
//
//go:embed openapi.yaml
var OpenAPI []byte
