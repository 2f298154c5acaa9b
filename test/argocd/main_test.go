//go:build e2e

package argocd

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
	os.Exit(e2e.Main(m, []string{"redis-server", "git"}, func(ctx context.Context, log io.Writer) (err error) {
		built, err = Build(ctx, log)
		return err
	}))
}
