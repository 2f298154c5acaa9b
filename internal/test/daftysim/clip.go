package daftysim

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"slices"
)

// frames is how many pictures a clip has: enough to see it move.
const frames = 12

// gif draws the card as a clip of the given seconds, in which the lights circle
// once and a bar tells how far it is.
func (c card) gif(seconds int) []byte {
	still := image.NewRGBA(image.Rect(0, 0, c.width, c.height))
	words := image.NewRGBA(still.Bounds())
	c.write(words)
	frame := func(i int) {
		c.paint(still, float64(i)/frames)
		draw.Draw(still, still.Bounds(), words, image.Point{}, draw.Over)
		bar := &shape{}
		thick := max(2, 0.008*float64(c.height))
		bar.rect(0, float64(c.height)-thick, float64(c.width)*float64(i+1)/frames, thick)
		bar.fill(still, bright)
	}

	// One set of colours for all frames, taken from two that differ most.
	frame(0)
	samples := sample(still)
	frame(frames / 2)
	samples = append(samples, sample(still)...)
	reduced := newReduction(samples)

	clip := &gif.GIF{LoopCount: 0, Config: image.Config{ColorModel: reduced.colours, Width: c.width, Height: c.height}}
	for i := range frames {
		frame(i)
		clip.Image = append(clip.Image, reduced.apply(still))
		// Hundredths of a second, shared out so that they add up.
		clip.Delay = append(clip.Delay, seconds*100*(i+1)/frames-seconds*100*i/frames)
		clip.Disposal = append(clip.Disposal, gif.DisposalNone)
	}
	var buf bytes.Buffer
	if err := gif.EncodeAll(&buf, clip); err != nil {
		panic(err) // a buffer takes everything, and the frames share one palette
	}
	return buf.Bytes()
}

// sample takes some tens of thousands of an image's colours.
func sample(img *image.RGBA) []color.RGBA {
	step := max(1, img.Bounds().Dx()*img.Bounds().Dy()/40_000)
	var colours []color.RGBA
	for i := 0; i+3 < len(img.Pix); i += 4 * step {
		colours = append(colours, color.RGBA{img.Pix[i], img.Pix[i+1], img.Pix[i+2], 255})
	}
	return colours
}

// reduction maps colours to the nearest of a GIF's 256, through a table of the
// upper six bits of each channel, filled as it is used.
type reduction struct {
	colours color.Palette
	table   []int16
}

func newReduction(samples []color.RGBA) *reduction {
	r := &reduction{table: make([]int16, 1<<18)}
	for i := range r.table {
		r.table[i] = -1
	}
	for _, c := range medianCut(samples, 256) {
		r.colours = append(r.colours, c)
	}
	return r
}

// dither spreads each pixel's error by a fixed pattern, so that the few colours
// show no bands.
var dither = [4][4]int{{-7, 1, -5, 3}, {5, -3, 7, -1}, {-4, 4, -6, 2}, {8, 0, 6, -2}}

func shifted(v uint8, by int) uint8 { return uint8(min(max(int(v)+by, 0), 255)) }

func (r *reduction) apply(img *image.RGBA) *image.Paletted {
	out := image.NewPaletted(img.Bounds(), r.colours)
	for i := range out.Pix {
		shift := dither[i/out.Stride%4][i%out.Stride%4]
		c := color.RGBA{shifted(img.Pix[4*i], shift), shifted(img.Pix[4*i+1], shift), shifted(img.Pix[4*i+2], shift), 255}
		key := int(c.R)>>2<<12 | int(c.G)>>2<<6 | int(c.B)>>2
		if r.table[key] < 0 {
			r.table[key] = int16(r.colours.Index(c))
		}
		out.Pix[i] = uint8(r.table[key])
	}
	return out
}

// medianCut splits the colours into at most n groups of which none spreads far,
// and returns the middle of each.
func medianCut(colours []color.RGBA, n int) []color.RGBA {
	groups := [][]color.RGBA{colours}
	for len(groups) < n {
		widest, most, by := -1, 0, 0
		for i, g := range groups {
			if channel, spread := spreadOf(g); spread > most {
				widest, most, by = i, spread, channel
			}
		}
		if widest < 0 {
			break
		}
		g := groups[widest]
		slices.SortFunc(g, func(a, b color.RGBA) int { return channelOf(a, by) - channelOf(b, by) })
		// Cut in the middle of the range: the median would spend all groups on the
		// background and none on the few pixels of the words' edges.
		middle := (channelOf(g[0], by) + channelOf(g[len(g)-1], by) + 1) / 2
		cut := slices.IndexFunc(g, func(c color.RGBA) bool { return channelOf(c, by) >= middle })
		groups[widest] = g[:cut]
		groups = append(groups, g[cut:])
	}
	middles := make([]color.RGBA, len(groups))
	for i, g := range groups {
		var r, gr, b int
		for _, c := range g {
			r, gr, b = r+int(c.R), gr+int(c.G), b+int(c.B)
		}
		middles[i] = color.RGBA{uint8(r / len(g)), uint8(gr / len(g)), uint8(b / len(g)), 255}
	}
	return middles
}

func spreadOf(g []color.RGBA) (channel, spread int) {
	for by := range 3 {
		low, high := 255, 0
		for _, c := range g {
			low, high = min(low, channelOf(c, by)), max(high, channelOf(c, by))
		}
		if high-low > spread {
			channel, spread = by, high-low
		}
	}
	return channel, spread
}

func channelOf(c color.RGBA, channel int) int { return int([3]uint8{c.R, c.G, c.B}[channel]) }
