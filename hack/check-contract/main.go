// Command check-contract fetches the OpenAPI file that Dafty publishes, which needs no API key, and prints how it differs from
// internal/dafty/openapi.yaml in what the operator uses. It exits with 1 if there is any difference.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"dafty.ai/dafty-operator/internal/dafty"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Getenv("DAFTY_URL"), os.Stdout)
	stop()
	os.Exit(code)
}

// run returns the exit code.
func run(ctx context.Context, base string, out io.Writer) int {
	if base == "" {
		base = dafty.DefaultURL
	}
	url := strings.TrimSuffix(base, "/") + "/openapi.json"
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) } // to the terminal
	theirs, err := fetch(ctx, url)
	if err != nil {
		say("%s can't be compared: %v", url, err)
		return 1
	}
	ours, err := openapi3.NewLoader().LoadFromData(dafty.OpenAPI)
	if err != nil {
		say("internal/dafty/openapi.yaml can't be read: %v", err)
		return 1
	}
	differences := compare(ours, theirs)
	for _, d := range differences {
		say("%s", d)
	}
	if len(differences) > 0 {
		say("\n%s differs in %d places from internal/dafty/openapi.yaml: change that, and what follows from it, or report it to Dafty", url, len(differences))
		return 1
	}
	say("%s is as internal/dafty/openapi.yaml has it, in all that the operator uses", url)
	return 0
}

const (
	patience = 30 * time.Second
	maxFile  = 16 << 20 // bytes
)

// fetch returns the OpenAPI file at a URL, of any version that kin-openapi reads, 3.0 and 3.1 among them. References to other
// files aren't followed.
func fetch(ctx context.Context, url string) (*openapi3.T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "dafty-operator/check-contract")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // all of it was read, or there is an error already
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFile))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	doc, err := openapi3.NewLoader().LoadFromData(body)
	if err != nil {
		return nil, err
	}
	if doc.Paths.Len() == 0 {
		return nil, fmt.Errorf("it is no OpenAPI file with paths")
	}
	return doc, nil
}
