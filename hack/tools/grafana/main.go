// Command grafana reads a dashboard's JSON and fails, saying where, on what Grafana's own schema of dashboards, panels and
// queries doesn't have.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if err := check(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "grafana: the dashboard doesn't follow Grafana's schema:", err)
		os.Exit(1)
	}
}

func check(from io.Reader) error {
	raw, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	plugins.RegisterDefaultPlugins()
	var d dashboard.Dashboard
	if err := found(d.UnmarshalJSONStrict(raw)); err != nil {
		return err
	}
	return found(d.Validate())
}

// found is nil for a list of errors without any, which the schema's package returns where all is well.
func found(err error) error {
	if list := (cog.BuildErrors{}); errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}
