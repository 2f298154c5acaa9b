package daftysim

import (
	"fmt"
	"math"
)

// longSide is the longer side of a resolution, in pixels.
func longSide(resolution string) int {
	switch resolution {
	case "4K":
		return 4096
	case "2K":
		return 2048
	default:
		return 1024
	}
}

// frame returns the size of the given ratio ("16:9") and longer side.
func frame(ratio string, long int) (width, height int) {
	w, h := parseRatio(ratio)
	return scaled(w, h, long)
}

// videoFrame returns the size of a clip: "720p" is its shorter side. Clips have
// even sides, as codecs want them.
func videoFrame(ratio, resolution string) (width, height int) {
	short := 720
	if resolution == "480p" {
		short = 480
	}
	w, h := parseRatio(ratio)
	even := func(f float64) int { return int(math.Round(f/2)) * 2 }
	// A picture may be of any shape; beyond 4:1 a clip would grow out of bounds.
	aspect := min(max(float64(w)/float64(h), 0.25), 4)
	if aspect >= 1 {
		return even(float64(short) * aspect), short
	}
	return short, even(float64(short) / aspect)
}

// scaled returns w × h scaled to the given longer side.
func scaled(w, h, long int) (width, height int) {
	side := func(of, longest int) int {
		return max(1, int(math.Round(float64(long)*float64(of)/float64(longest))))
	}
	longest := max(w, h)
	return side(w, longest), side(h, longest)
}

// parseRatio reads "16:9". It takes anything else for 1:1, as the contract was
// checked.
func parseRatio(ratio string) (w, h int) {
	if _, err := fmt.Sscanf(ratio, "%d:%d", &w, &h); err != nil || w < 1 || h < 1 {
		return 1, 1
	}
	return w, h
}
