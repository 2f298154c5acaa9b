package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"syscall"
)

// kubectl shows a command as a user would type it, runs it, and shows what it says.
func (e *environment) kubectl(ctx context.Context, args ...string) error {
	command := "kubectl " + shellQuoted(args)
	e.screen.print(e.screen.ansi.bold("$ " + command))
	var output bytes.Buffer
	cmd := e.cp.KubectlCommand(ctx, args...)
	cmd.Dir = e.root
	cmd.Stdout, cmd.Stderr = &output, &output
	// A Ctrl-C is the demo's to heed, and not kubectl's to show.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := cmd.Run()
	var lines []string
	for line := range strings.Lines(output.String()) {
		lines = append(lines, e.screen.ansi.dim(strings.TrimRight(line, "\n")))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e.screen.print(lines...)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

var needsNoQuotes = regexp.MustCompile(`^[\w./:=@%+,-]+$`)

// shellQuoted returns a command line as it is typed into a shell.
func shellQuoted(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		if needsNoQuotes.MatchString(arg) {
			quoted[i] = arg
		} else {
			quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
