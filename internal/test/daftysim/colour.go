package daftysim

import (
	"fmt"
	"hash/fnv"
	"image/color"
	"math"
)

// oklch is a colour by lightness, chroma and hue (in degrees), evenly spaced to
// the eye: whatever hue a prompt hashes to, white text stays readable on it.
type oklch struct{ l, c, h float64 }

// rgb is linear light, as colours mix.
type rgb struct{ r, g, b float64 }

func (o oklch) linear() rgb {
	sin, cos := math.Sincos(o.h * math.Pi / 180)
	a, b := o.c*cos, o.c*sin
	cube := func(x float64) float64 { return x * x * x }
	l := cube(o.l + 0.3963377774*a + 0.2158037573*b)
	m := cube(o.l - 0.1055613458*a - 0.0638541728*b)
	s := cube(o.l - 0.0894841775*a - 1.2914855480*b)
	return rgb{
		4.0767416621*l - 3.3077115913*m + 0.2309699292*s,
		-1.2684380046*l + 2.6097574011*m - 0.3413193965*s,
		-0.0041960863*l - 0.7034186147*m + 1.7076147010*s,
	}
}

func (c rgb) mix(d rgb, t float64) rgb {
	return rgb{c.r + (d.r-c.r)*t, c.g + (d.g-c.g)*t, c.b + (d.b-c.b)*t}
}

// screen returns the colour in sRGB, each channel from 0 to 255.
func (c rgb) screen() rgb { return rgb{encode(c.r), encode(c.g), encode(c.b)} }

func encode(x float64) float64 {
	x = min(max(x, 0), 1)
	if x <= 0.0031308 {
		return 255 * 12.92 * x
	}
	return 255 * (1.055*math.Pow(x, 1/2.4) - 0.055)
}

func (c rgb) rgba() color.RGBA {
	s := c.screen()
	return color.RGBA{uint8(s.r + 0.5), uint8(s.g + 0.5), uint8(s.b + 0.5), 255}
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// dice returns a source of numbers from 0 to 1 that only depend on the text.
func dice(text string) func() float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	state := h.Sum64()
	return func() float64 { // splitmix64
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return float64((z^z>>31)>>11) / (1 << 53)
	}
}

// palette has the colours of a card.
type palette struct{ from, to, glow, ember, leaf rgb }

func paletteOf(text string, index int) palette {
	roll := dice(text)
	// From teal over blue and purple to orange: dark yellow is mud. Variations are
	// kin, not twins.
	hue := 190 + math.Mod(205*roll()+28*float64(index), 205)
	turn := 24 + 22*roll() // near enough that no mix turns grey
	if ember := math.Mod(hue+1.9*turn, 360); ember > 45 && ember < 135 {
		turn = -turn
	}
	return palette{
		from:  oklch{0.40, 0.115, hue}.linear(),
		to:    oklch{0.24, 0.085, hue + turn}.linear(),
		glow:  oklch{0.74, 0.150, hue - turn}.linear(),
		ember: oklch{0.58, 0.165, hue + 1.9*turn}.linear(),
		leaf:  oklch{0.66, 0.120, hue + 0.6*turn}.linear(),
	}
}

// swatches returns the colours of a style.
func swatches(text string) []color.RGBA {
	p := paletteOf(text, 0)
	return []color.RGBA{p.from.rgba(), p.to.rgba(), p.glow.rgba(), p.ember.rgba(), p.leaf.rgba()}
}
