//go:build e2e

package flux

import (
	"context"
	"io"
	"os"
	"testing"

	"dafty.ai/dafty-operator/internal/test/e2e"
)

// built has the programs.
var built Programs

func TestMain(m *testing.M) {
	os.Exit(e2e.Main(m, []string{"git"}, func(ctx context.Context, log io.Writer) (err error) {
		built, err = Build(ctx, log)
		return err
	}))
}
