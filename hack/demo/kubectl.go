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
func (st *stage) kubectl(ctx context.Context, args ...string) error {
	command := "kubectl " + typed(args)
	st.screen.print(st.screen.palette.bold("$ " + command))
	var output bytes.Buffer
	cmd := st.cp.KubectlCommand(ctx, args...)
	cmd.Dir = st.root
	cmd.Stdout, cmd.Stderr = &output, &output
	// A Ctrl-C is the demo's to heed, and not kubectl's to show.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := cmd.Run()
	var lines []string
	for line := range strings.Lines(output.String()) {
		lines = append(lines, st.screen.palette.dim(strings.TrimRight(line, "\n")))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	st.screen.print(lines...)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

var needsNoQuotes = regexp.MustCompile(`^[\w./:=@%+,-]+$`)

// typed is a command line as one types it into a shell.
func typed(args []string) string {
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
