package main

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// ansi colours text if it is true.
type ansi bool

func (p ansi) paint(sgr, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (p ansi) bold(text string) string   { return p.paint("1", text) }
func (p ansi) dim(text string) string    { return p.paint("2", text) }
func (p ansi) green(text string) string  { return p.paint("32", text) }
func (p ansi) red(text string) string    { return p.paint("31", text) }
func (p ansi) yellow(text string) string { return p.paint("33", text) }
func (p ansi) cyan(text string) string   { return p.paint("36", text) }
func (p ansi) blue(text string) string   { return p.paint("34", text) }

// phase colours a phase: cool while the job is in progress, like a traffic light at its end.
func (p ansi) phase(phase, text string) string {
	switch v1alpha1.Phase(phase) {
	case v1alpha1.PhaseCompleted:
		return p.green(text)
	case v1alpha1.PhaseFailed:
		return p.red(text)
	case v1alpha1.PhaseCancelled, v1alpha1.PhaseCancelling:
		return p.yellow(text)
	case v1alpha1.PhaseProcessing:
		return p.cyan(text)
	case v1alpha1.PhaseQueued, v1alpha1.PhaseSubmitting:
		return p.blue(text)
	default:
		return p.dim(text)
	}
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// columns returns the width of a text in a terminal.
func columns(text string) int {
	n := 0
	for _, r := range sgr.ReplaceAllString(text, "") {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// plain returns text from outside as one line without control characters.
func plain(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
}

// fit cuts text without colours to at most n columns.
func fit(text string, n int) string {
	if columns(text) <= n {
		return text
	}
	used := 0
	for i, r := range text {
		if used += runeColumns(r); used > n-1 {
			return text[:i] + "…"
		}
	}
	return text
}

// pad fills text up to n columns.
func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-columns(text)))
}
