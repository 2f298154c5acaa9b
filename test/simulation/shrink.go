package simulation

import (
	"slices"
	"strings"
)

// shrink leaves out of a history whatever isn't needed for it to break the same invariant.
// tries bounds how often it is played.
func shrink(h history, invariant string, tries int, play func(history) result) history {
	fails := func(smaller history) bool {
		tries--
		return slices.ContainsFunc(play(smaller).problems, func(problem string) bool { return invariantOf(problem) == invariant })
	}
	for size := len(h.events) / 2; size > 0 && tries > 0; {
		dropped := false
		for at := 0; at+size <= len(h.events) && tries > 0; {
			smaller := h
			smaller.events = slices.Delete(slices.Clone(h.events), at, at+size)
			if at < len(smaller.events) {
				// What is left still happens when it did.
				for _, gone := range h.events[at : at+size] {
					smaller.events[at].gap += gone.gap
				}
			}
			if fails(smaller) {
				h, dropped = smaller, true
			} else {
				at += size
			}
		}
		if !dropped || size > 1 {
			size /= 2
		}
	}
	if simple := h; h.options.replicas > 1 {
		simple.options.replicas = 1
		if fails(simple) {
			h = simple
		}
	}
	if simple := h; simple.options.variants != allVariants[0].Variants {
		simple.options.variants = allVariants[0].Variants
		if fails(simple) {
			h = simple
		}
	}
	return h
}

// invariantOf is the invariant that a problem breaks.
func invariantOf(problem string) string {
	name, _, _ := strings.Cut(problem, ":")
	return name
}
