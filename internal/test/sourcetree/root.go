// Package sourcetree finds the checkout that a program of this repository runs in.
package sourcetree

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const module = "dafty.ai/dafty-operator"

// Root returns the folder of this module's go.mod, looked for from the working directory upwards: a test runs in its
// package's folder, a program of hack/ usually at the top. It doesn't ask the compiler for a source file's place, as
// -trimpath takes that away.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		switch name, err := moduleName(filepath.Join(dir, "go.mod")); {
		case err == nil && name == module:
			return dir, nil
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return "", err
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside a checkout of %s", start, module)
		}
	}
}

func moduleName(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "module "); ok {
			return strings.TrimSpace(name), nil
		}
	}
	return "", lines.Err()
}
