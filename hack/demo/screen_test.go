package main

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

func TestScreenDrawsOverWhatItDrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &bytes.Buffer{}
		width := 40
		s := &screen{out: out, live: true, interactive: true, size: func() (int, int) { return width, 10 }}
		s.open()
		s.print("first")
		s.show(func(int, int) []string { return []string{"frame of three", "lines", "end"} })
		done := s.step("build")
		s.print("second")
		done("built", nil)
		s.show(func(int, int) []string { return []string{"shorter"} })
		s.print("third")
		s.close()

		want := "first\nsecond\n  ✓ build        built  0.0s\nthird\nshorter\n"
		if got := emulate(t, out.String(), 40); got != want {
			t.Errorf("the screen reads\n%s\nwant\n%s", got, want)
		}
		if !strings.HasPrefix(out.String(), hideCursor) || !strings.HasSuffix(out.String(), showCursor) {
			t.Error("the cursor isn't hidden and shown again")
		}
	})
}

func TestScreenFreezesTheFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &bytes.Buffer{}
		s := &screen{out: out, live: true, size: func() (int, int) { return 40, 10 }}
		s.open()
		s.show(func(int, int) []string { return []string{"frame"} })
		s.freeze()
		s.print("after")
		s.close()
		if got, want := emulate(t, out.String(), 40), "frame\n\nafter\n"; got != want {
			t.Errorf("the screen reads\n%s\nwant\n%s", got, want)
		}
	})
}

func TestScreenKnowsThatANarrowerWindowWraps(t *testing.T) {
	drawn := []string{strings.Repeat("x", 50), "\x1b[32m" + strings.Repeat("y", 20) + "\x1b[0m", ""}
	for width, want := range map[int]string{80: "\r\x1b[2A", 40: "\r\x1b[3A", 20: "\r\x1b[4A"} {
		if got := over(drawn, width); got != want {
			t.Errorf("width %d: %q, want %q", width, got, want)
		}
	}
	if got := over(nil, 80); got != "\r" {
		t.Errorf("with nothing drawn: %q", got)
	}
}

func TestScreenWithoutATerminalOnlyAddsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &bytes.Buffer{}
		s := &screen{out: out}
		s.open()
		s.show(func(int, int) []string { return []string{"frame"} })
		s.step("build")("built", nil)
		s.step("start")("", errors.New("broken"))
		s.print("line")
		s.freeze()
		s.close()
		want := "[   0.0s] build: built (0.0s)\n[   0.0s] start: not done (0.0s)\nline\n"
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out, want)
		}
	})
}

var control = regexp.MustCompile(`^\x1b\[(\??)(\d*)([A-Za-z])`)

// emulate returns what a terminal of the given width shows of output, as far as the screen uses a terminal.
func emulate(t *testing.T, output string, width int) string {
	t.Helper()
	var rows [][]rune
	x, y := 0, 0
	for output != "" {
		if m := control.FindStringSubmatch(output); m != nil {
			output = output[len(m[0]):]
			switch n, _ := strconv.Atoi(m[2]); {
			case m[1] == "?" || m[3] == "m":
			case m[3] == "A":
				if n > y {
					t.Fatalf("the cursor goes %d up from row %d", n, y)
				}
				y -= n
			case m[3] == "K" && y < len(rows):
				rows[y] = rows[y][:min(x, len(rows[y]))]
			case m[3] == "J" && y < len(rows):
				rows = rows[:y+1]
				rows[y] = rows[y][:min(x, len(rows[y]))]
			}
			continue
		}
		r := []rune(output)[0]
		output = strings.TrimPrefix(output, string(r))
		switch r {
		case '\r':
			x = 0
		case '\n':
			x, y = 0, y+1
		default:
			for len(rows) <= y {
				rows = append(rows, nil)
			}
			for len(rows[y]) <= x {
				rows[y] = append(rows[y], ' ')
			}
			if rows[y][x] = r; x >= width {
				t.Fatalf("a line is wider than %d: %s", width, string(rows[y]))
			}
			x++
		}
		for len(rows) <= y {
			rows = append(rows, nil)
		}
	}
	var b strings.Builder
	for _, row := range rows[:y] {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return b.String()
}
