package daftysim

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// card is the picture in place of a generated one. It shows the request, on
// colours that follow from the prompt.
type card struct {
	width, height int
	prompt        string
	label         string // the type of job
	footer        string // whose picture it is
	index         int    // of the variation
	clip          bool
}

var (
	white  = color.NRGBA{255, 255, 255, 255}
	bright = color.NRGBA{255, 255, 255, 215}
	faint  = color.NRGBA{255, 255, 255, 165}
	line   = color.NRGBA{255, 255, 255, 56}
	pill   = color.NRGBA{255, 255, 255, 38}
)

// png draws the card.
func (c card) png() []byte {
	img := image.NewRGBA(image.Rect(0, 0, c.width, c.height))
	c.paint(img, 0)
	c.write(img)
	if c.clip {
		c.playButton(img)
	}
	var buf bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&buf, img); err != nil {
		panic(err) // a buffer takes everything, and the size is positive
	}
	return buf.Bytes()
}

// cell is the side of the squares between whose corners the background is
// interpolated: mixing light is dear, and the background is smooth.
const cell = 16

// paint lays the background: a diagonal gradient with lights that circle with
// the phase, from 0 to 1, of a clip.
func (c card) paint(img *image.RGBA, phase float64) {
	p := paletteOf(c.prompt, c.index)
	roll := dice("lights" + c.prompt)
	w, h := float64(c.width), float64(c.height)
	reach := 0.55*max(w, h) + 0.45*min(w, h)
	type light struct {
		x, y, radius, strength float64
		colour                 rgb
	}
	orbit := func(x, y, radius, strength float64, colour rgb) light {
		sin, cos := math.Sincos(2 * math.Pi * phase)
		return light{w * (x + 0.09*(cos-1)), h * (y + 0.12*sin), radius * reach, strength, colour}
	}
	lights := []light{
		orbit(0.80+0.14*roll(), 0.02+0.20*roll(), 0.62, 0.85, p.glow),
		orbit(0.98, 0.72+0.2*roll(), 0.48, 0.70, p.ember),
		orbit(0.02+0.1*roll(), -0.05, 0.42, 0.30, p.leaf),
	}
	at := func(x, y float64) rgb {
		t := min(max((x/w+y/h*0.9)/1.9, 0), 1)
		colour := p.from.mix(p.to, t*t*(3-2*t))
		for _, l := range lights {
			d := math.Hypot(x-l.x, y-l.y) / l.radius
			colour = colour.mix(l.colour, l.strength*math.Exp(-d*d*3.2))
		}
		return colour.screen()
	}

	columns, rows := (c.width+cell-1)/cell+1, (c.height+cell-1)/cell+1
	grid := make([]rgb, columns*rows)
	for y := range rows {
		for x := range columns {
			grid[y*columns+x] = at(float64(x*cell), float64(y*cell))
		}
	}
	for y := range c.height {
		upper, lower := grid[y/cell*columns:], grid[(y/cell+1)*columns:]
		down := float64(y%cell) / cell
		row := img.Pix[y*img.Stride:]
		for x := 0; x < c.width; x += cell {
			i := x / cell
			value, end := upper[i].mix(lower[i], down), upper[i+1].mix(lower[i+1], down)
			step := rgb{(end.r - value.r) / cell, (end.g - value.g) / cell, (end.b - value.b) / cell}
			for k := x; k < min(x+cell, c.width); k++ {
				row[4*k], row[4*k+1], row[4*k+2], row[4*k+3] = uint8(value.r+0.5), uint8(value.g+0.5), uint8(value.b+0.5), 255
				value.r, value.g, value.b = value.r+step.r, value.g+step.g, value.b+step.b
			}
		}
	}
	c.rings(img, roll)
}

// rings are large thin circles off the right edge, for depth.
func (c card) rings(img *image.RGBA, roll func() float64) {
	w, h := float64(c.width), float64(c.height)
	x, y := w*(0.86+0.12*roll()), h*(0.10+0.25*roll())
	thick := max(1, 0.0016*max(w, h))
	r := 0.30 * min(w, h)
	for i := range 4 {
		ring(img, x, y, r, thick, 0.20-0.043*float64(i))
		r *= 1.42
	}
}

// ring draws a thin white circle. It touches only the pixels near it, where a
// rasterizer would go over the whole picture.
func ring(img *image.RGBA, cx, cy, r, thick, opacity float64) {
	bounds := img.Bounds()
	outer, inner := r+thick/2+1, max(0, r-thick/2-1)
	chord := func(radius, dy float64) float64 { return math.Sqrt(max(0, radius*radius-dy*dy)) }
	for y := max(0, int(cy-outer)); y < min(bounds.Dy(), int(cy+outer)+1); y++ {
		dy := float64(y) + 0.5 - cy
		near, far := chord(inner, dy), chord(outer, dy)
		spans := [2][2]float64{{cx - far, cx - near}, {cx + near, cx + far}}
		for _, span := range spans {
			for x := max(0, int(span[0])); x < min(bounds.Dx(), int(span[1])+1); x++ {
				dx := float64(x) + 0.5 - cx
				if near == 0 && (span == spans[0]) != (dx < 0) {
					continue // at the top and the bottom the two spans touch
				}
				covered := min(max(0.5+thick/2-math.Abs(math.Hypot(dx, dy)-r), 0), 1) * opacity
				p := img.Pix[img.PixOffset(x, y):][:3]
				for i := range p {
					p[i] += uint8(float64(255-p[i]) * covered)
				}
			}
		}
	}
}

// write draws the texts.
func (c card) write(img draw.Image) {
	w, h := float64(c.width), float64(c.height)
	short, long, mean := min(w, h), max(w, h), math.Sqrt(w*h)
	margin := max(0.07*short, 0.008*long)
	small := max(0.0185*mean, 0.0105*long)
	left, right, top, bottom := margin, w-margin, margin, h-margin
	room := right - left

	// The label on its pill, and who drew this where there is room.
	label := medium().at(small * 1.1)
	pillHeight := small * 2.1
	pillWidth := min(label.width(c.label)+small*1.8, room)
	back := &shape{}
	back.pill(left, top, pillWidth, pillHeight)
	back.fill(img, pill)
	baseline := top + pillHeight/2 + small*0.39
	label.draw(img, left+(pillWidth-label.width(c.label))/2, baseline, c.label, white)
	const maker = "Dafty simulator"
	if mark := medium().at(small); pillWidth+mark.width(maker)+4*small < room {
		mark.draw(img, right-mark.width(maker), baseline, maker, faint)
	}

	// The small print, above the bottom edge.
	size := fmt.Sprintf("%d × %d", c.width, c.height)
	if c.index > 0 {
		size += fmt.Sprintf(" · variation %d", c.index+1)
	}
	plain, code := regular().at(small), mono().at(small*0.94)
	y := bottom
	if plain.width(size)+code.width(c.footer)+2*small < room {
		plain.draw(img, left, y, size, bright)
		code.draw(img, right-code.width(c.footer), y, c.footer, faint)
	} else {
		for _, text := range reversed(code.wrap(c.footer, room)) {
			code.draw(img, left, y, text, faint)
			y -= small * 1.35
		}
		plain.draw(img, left, y, size, bright)
	}
	y -= small * 1.9
	rule := &shape{}
	rule.rect(left, y, room, max(1, 0.0012*long))
	rule.fill(img, line)

	// The prompt in the room that is left, as large as fits.
	upper, lower := top+pillHeight+small*1.4, y-small*1.2
	text := c.prompt
	if text == "" {
		text = "Untitled"
	}
	measure := room * 0.86
	if w < h*0.9 {
		measure = room
	}
	letter, lines := fit(bold(), text, measure, lower-upper, small*1.05, min(max(0.088*mean, small*1.6), 0.16*short))
	face := bold().at(letter)
	at := lower - 0.22*letter - float64(len(lines)-1)*letter*leading
	for _, text := range lines {
		face.draw(img, left, at, text, white)
		at += letter * leading
	}
}

// playButton marks a clip's thumbnail.
func (c card) playButton(img draw.Image) {
	w, h := float64(c.width), float64(c.height)
	r := 0.075 * min(w, h)
	x, y := w-0.075*min(w, h)-r, h*0.5
	disc := &shape{}
	disc.circle(x, y, r)
	disc.fill(img, color.NRGBA{255, 255, 255, 225})
	triangle := &shape{}
	triangle.polygon(x-0.32*r, y-0.48*r, x+0.52*r, y, x-0.32*r, y+0.48*r)
	triangle.fill(img, color.NRGBA{30, 30, 48, 255})
}

// shape collects outlines and fills them at once.
type shape struct {
	outlines [][]float64 // x and y in turn
}

// fill draws within the box around the outlines: most are small.
func (s *shape) fill(img draw.Image, c color.Color) {
	left, top, right, bottom := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, points := range s.outlines {
		for i := 0; i < len(points); i += 2 {
			left, right = min(left, points[i]), max(right, points[i])
			top, bottom = min(top, points[i+1]), max(bottom, points[i+1])
		}
	}
	box := image.Rect(int(math.Floor(left)), int(math.Floor(top)), int(math.Ceil(right)), int(math.Ceil(bottom)))
	z := vector.NewRasterizer(box.Dx(), box.Dy())
	for _, points := range s.outlines {
		for i := 0; i < len(points); i += 2 {
			x, y := float32(points[i]-float64(box.Min.X)), float32(points[i+1]-float64(box.Min.Y))
			if i == 0 {
				z.MoveTo(x, y)
			} else {
				z.LineTo(x, y)
			}
		}
		z.ClosePath()
	}
	z.Draw(img, box, image.NewUniform(c), image.Point{})
}

func (s *shape) polygon(points ...float64) { s.outlines = append(s.outlines, points) }

func (s *shape) rect(x, y, w, h float64) { s.polygon(x, y, x+w, y, x+w, y+h, x, y+h) }

func (s *shape) circle(x, y, r float64) {
	const sides = 180
	points := make([]float64, 0, 2*sides)
	for i := range sides {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(sides))
		points = append(points, x+r*cos, y+r*sin)
	}
	s.polygon(points...)
}

func (s *shape) pill(x, y, w, h float64) {
	const corner = 24
	points := make([]float64, 0, 4*corner+4)
	arc := func(cx, from float64) {
		for i := range corner + 1 {
			sin, cos := math.Sincos(from + math.Pi*float64(i)/corner)
			points = append(points, cx+h/2*cos, y+h/2+h/2*sin)
		}
	}
	arc(x+w-h/2, -math.Pi/2)
	arc(x+h/2, math.Pi/2)
	s.polygon(points...)
}

// drawText draws with the origin at the left end of the baseline.
func drawText(img draw.Image, face font.Face, x, y float64, text string, c color.Color) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: face, Dot: fixed.Point26_6{X: fixed.Int26_6(x * 64), Y: fixed.Int26_6(y * 64)}}
	d.DrawString(text)
}

// parsed reads a font when it is first needed.
func parsed(ttf []byte) func() *typeface {
	return sync.OnceValue(func() *typeface { return newTypeface(ttf) })
}
