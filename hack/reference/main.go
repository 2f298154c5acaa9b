// Reference writes docs/reference.md: every field of each kind with its type, its default and what the API server asks of
// it, and every constant that users meet, from the CRDs and from the comments of the Go types. Run it from the top of the
// checkout, after the CRDs are generated.
package main

import (
	"fmt"
	"os"
)

// page is what is written, from the top of the checkout.
const page = "docs/reference.md"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run() error {
	text, err := generate(".")
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(text), 0o644)
}
