package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// screen shows lines that stay, and below them, in a terminal, a part that is drawn again in place: the steps under way and
// a frame.
type screen struct {
	out, errOut io.Writer
	interactive bool // somebody looks on, who may want to stay
	live        bool // lines can be drawn over
	ansi        ansi
	size        func() (width, height int)

	begun   time.Time
	closing chan struct{}
	drawing sync.WaitGroup

	mu    sync.Mutex
	steps []*step
	frame func(width, height int) []string // nil: none
	drawn []string
}

// step is something under way.
type step struct {
	name  string
	begun time.Time
}

const (
	redrawEvery = 100 * time.Millisecond
	nameColumns = 12
	// A line that fills the terminal's width leaves the cursor between two lines.
	spareColumn = 1
)

// newScreen returns a screen with what the terminal is capable of.
func newScreen(stdout, stderr *os.File, getenv func(string) string) *screen {
	fd := int(stdout.Fd())
	s := &screen{out: stdout, errOut: stderr, interactive: term.IsTerminal(fd)}
	s.live = s.interactive && getenv("TERM") != "dumb"
	s.ansi = ansi(s.live && getenv("NO_COLOR") == "")
	s.size = func() (int, int) {
		width, height, err := term.GetSize(fd)
		if err != nil || width == 0 || height == 0 {
			return 80, 24
		}
		return width, height
	}
	if s.live && term.IsTerminal(int(stderr.Fd())) {
		// On the same terminal, progress is printed above the live part.
		s.errOut = lineWriter{s}
	}
	return s
}

// progress returns a writer for the progress of others.
func (s *screen) progress() io.Writer { return s.errOut }

// lineWriter prints the lines that are written to it.
type lineWriter struct{ screen *screen }

func (w lineWriter) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		w.screen.print("    " + w.screen.ansi.dim(plain(line)))
	}
	return len(p), nil
}

func (s *screen) open() {
	s.begun = time.Now()
	s.closing = make(chan struct{})
	if !s.live {
		return
	}
	fmt.Fprint(s.out, hideCursor)
	s.drawing.Go(func() {
		tick := time.NewTicker(redrawEvery)
		defer tick.Stop()
		for {
			select {
			case <-s.closing:
				return
			case <-tick.C:
				s.print()
			}
		}
	})
}

// close ends the drawing.
func (s *screen) close() {
	close(s.closing)
	s.drawing.Wait()
	if s.live {
		s.print()
		if len(s.drawn) > 0 {
			fmt.Fprintln(s.out)
		}
		fmt.Fprint(s.out, showCursor)
	}
}

// show makes a frame the live part.
func (s *screen) show(frame func(width, height int) []string) {
	s.mu.Lock()
	s.frame = frame
	s.mu.Unlock()
	s.print()
}

// freeze keeps the frame as it is; further lines follow below it.
func (s *screen) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := s.frame
	s.frame = nil
	if s.live && frame != nil {
		width, height := s.size()
		s.draw(append(frame(width-spareColumn, height-1), ""))
	}
}

// print adds lines that stay, and draws the live part below them.
func (s *screen) print(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draw(lines)
}

func (s *screen) draw(lines []string) {
	if !s.live {
		for _, line := range lines {
			fmt.Fprintln(s.out, line)
		}
		return
	}
	width, height := s.size()
	next := s.compose(width-spareColumn, height)
	if len(lines) == 0 && slices.Equal(next, s.drawn) {
		return
	}
	// In one write, marked as one for terminals that know that, so that nothing is half drawn.
	_, _ = io.WriteString(s.out, beginFrame+over(s.drawn, width)+below(lines, next)+endFrame)
	s.drawn = next
}

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	beginFrame = "\x1b[?2026h"
	endFrame   = "\x1b[?2026l"
)

// over returns what moves the cursor to the beginning of the live part, which a narrower window may have wrapped.
func over(drawn []string, width int) string {
	rows := 0
	for _, line := range drawn {
		rows += max(1, (columns(line)+width-1)/max(1, width))
	}
	if rows <= 1 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", rows-1)
}

// below returns what draws over the live part; the cursor stays on the last line.
func below(lines, live []string) string {
	const restOfLine, restOfScreen = "\x1b[K", "\x1b[J"
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line + restOfLine + "\n")
	}
	b.WriteString(strings.Join(live, restOfLine+"\n") + restOfScreen)
	return b.String()
}

// compose returns the lines of the live part. The caller holds the lock.
func (s *screen) compose(width, height int) []string {
	var lines []string
	for _, step := range s.steps {
		lines = append(lines, fit(fmt.Sprintf("  %s %s %s", spinner(), pad(step.name, nameColumns), took(time.Since(step.begun))), width))
	}
	if s.frame != nil {
		lines = append(lines, s.frame(width, height-len(lines)-1)...)
	}
	return lines
}

func spinner() string {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	return string(frames[time.Now().UnixMilli()/redrawEvery.Milliseconds()%int64(len(frames))])
}

// step shows a step as in progress until the returned function is called with its result.
func (s *screen) step(name string) func(result string, err error) {
	now := &step{name: name, begun: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, now)
	s.draw(nil)
	return func(result string, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.steps = slices.DeleteFunc(s.steps, func(other *step) bool { return other == now })
		mark := s.ansi.green("✓")
		if err != nil {
			mark, result = s.ansi.red("✗"), "not done"
		}
		spent := took(time.Since(now.begun))
		if !s.live {
			s.draw([]string{fmt.Sprintf("%s %s: %s (%s)", s.clock(), name, result, spent)})
			return
		}
		s.draw([]string{fmt.Sprintf("  %s %s %s  %s", mark, pad(name, nameColumns), result, s.ansi.dim(spent))})
	}
}

// clock returns the time since the beginning, for output without a terminal.
func (s *screen) clock() string { return fmt.Sprintf("[%6.1fs]", time.Since(s.begun).Seconds()) }

// took returns a duration with few digits.
func took(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
