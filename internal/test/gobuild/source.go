package gobuild

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Source returns the folder of a module of the set's, which the go command fetches if needed. root is the top of the checkout.
func (s Set) Source(ctx context.Context, root, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join(root, s.Module)
	cmd.Env = slices.Concat(os.Environ(), []string{"GOWORK=off"}, s.Env)
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w\n%s", module, err, output)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(output, &answer); err != nil || answer.Dir == "" {
		return "", fmt.Errorf("go mod download %s names no folder: %w\n%s", module, err, output)
	}
	return answer.Dir, nil
}
