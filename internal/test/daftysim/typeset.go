package daftysim

import (
	"image/color"
	"image/draw"
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
)

// leading is the distance of baselines, in font sizes.
const leading = 1.18

// The typefaces, each parsed when it is first needed.
var (
	regular = parsed(goregular.TTF)
	medium  = parsed(gomedium.TTF)
	bold    = parsed(gobold.TTF)
	mono    = parsed(gomono.TTF)
)

// typeface is a font and the widths of its glyphs, which grow with the size.
type typeface struct {
	font *opentype.Font

	mu     sync.Mutex
	ruler  font.Face
	widths map[rune]float64 // at size 1
}

const rulerSize = 256

func newTypeface(ttf []byte) *typeface {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic(err) // the Go fonts parse
	}
	t := &typeface{font: f, widths: map[rune]float64{}}
	t.ruler = t.face(rulerSize)
	return t
}

func (t *typeface) face(size float64) font.Face {
	face, err := opentype.NewFace(t.font, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		panic(err) // the options are right
	}
	return face
}

func (t *typeface) width(text string) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	width := 0.0
	for _, r := range text {
		w, ok := t.widths[r]
		if !ok {
			advance, _ := t.ruler.GlyphAdvance(r)
			w = float64(advance) / 64 / rulerSize
			t.widths[r] = w
		}
		width += w
	}
	return width
}

// sized is a typeface at one size, in pixels.
type sized struct {
	*typeface
	size float64
}

func (t *typeface) at(size float64) sized { return sized{t, size} }

func (s sized) width(text string) float64 { return s.size * s.typeface.width(text) }

func (s sized) draw(img draw.Image, x, y float64, text string, c color.Color) {
	face := s.face(s.size)
	drawText(img, face, x, y, text, c)
	_ = face.Close() // frees nothing that could fail
}

// wrap breaks text into lines no wider than room, at spaces, and within a word
// that is too long for any line.
func (s sized) wrap(text string, room float64) []string {
	var lines []string
	current := ""
	for _, word := range strings.Fields(text) {
		joined := word
		if current != "" {
			joined = current + " " + word
		}
		if s.width(joined) <= room {
			current = joined
			continue
		}
		if current != "" {
			lines = append(lines, current)
		}
		for s.width(word) > room {
			n := s.prefix(word, room)
			lines = append(lines, word[:n])
			word = word[n:]
		}
		current = word
	}
	if current != "" {
		lines = append(lines, current)
	}
	return lines
}

// prefix returns how many bytes of a word fit, at least one rune.
func (s sized) prefix(word string, room float64) int {
	width, n := 0.0, 0
	for i, r := range word {
		width += s.width(string(r))
		if width > room && i > 0 {
			break
		}
		n = i + len(string(r))
	}
	return n
}

// fit returns the largest size at which the text fills no more than the box, and
// its lines there; at the smallest size what is too much is left out.
func fit(t *typeface, text string, width, height, smallest, largest float64) (float64, []string) {
	for size := largest; ; size *= 0.94 {
		size = max(size, smallest)
		lines := t.at(size).wrap(text, width)
		most := max(1, int((height/size-1)/leading)+1)
		// A word broken apart looks worse than smaller words.
		broken := size > smallest && t.at(size).width(longest(text)) > width
		if len(lines) <= most && !broken {
			return size, lines
		}
		if size == smallest {
			lines = lines[:min(most, len(lines))]
			if len(lines) > 0 {
				last := []rune(lines[len(lines)-1])
				lines[len(lines)-1] = string(last[:max(0, len(last)-1)]) + "…"
			}
			return size, lines
		}
	}
}

func longest(text string) string {
	word := ""
	for _, w := range strings.Fields(text) {
		if len(w) > len(word) {
			word = w
		}
	}
	return word
}

func reversed(lines []string) []string {
	lines = slices.Clone(lines)
	slices.Reverse(lines)
	return lines
}
