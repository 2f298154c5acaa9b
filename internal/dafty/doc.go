// Package dafty is the client of Dafty's API.
//
// Its errors tell a caller what to do: whether the request may have had its effect, who has to act, and when. It never
// retries by itself.
package dafty

import _ "embed"

//go:generate go tool -modfile=../../hack/tools/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml

// OpenAPI is the contract this client is generated from and the simulator validates against.
//
//go:embed openapi.yaml
var OpenAPI []byte
