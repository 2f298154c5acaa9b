package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// figure is one thing that was measured.
type figure struct {
	Scenario string  `json:"scenario"`
	Name     string  `json:"figure"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit,omitempty"`
	// AtMost and AtLeast are what must be reached. Without both it is told for what it is worth.
	AtMost  *float64 `json:"atMost,omitempty"`
	AtLeast *float64 `json:"atLeast,omitempty"`
}

// good says whether the figure is as it must be.
func (f figure) good() bool {
	return (f.AtMost == nil || f.Value <= *f.AtMost) && (f.AtLeast == nil || f.Value >= *f.AtLeast)
}

func (f figure) measured() string { return amount(f.Value, f.Unit) }

// required says what must be reached, "" where nothing must.
func (f figure) required() string {
	var parts []string
	if f.AtLeast != nil {
		parts = append(parts, "≥ "+amount(*f.AtLeast, f.Unit))
	}
	switch {
	case f.AtMost != nil && *f.AtMost == 0: // nothing is counted below it
		parts = append(parts, "0")
	case f.AtMost != nil:
		parts = append(parts, "≤ "+amount(*f.AtMost, f.Unit))
	}
	return strings.Join(parts, ", ")
}

// verdict is "", "ok" or "MISSED".
func (f figure) verdict() string {
	switch {
	case f.AtMost == nil && f.AtLeast == nil:
		return ""
	case f.good():
		return "ok"
	default:
		return "MISSED"
	}
}

func amount(value float64, unit string) string {
	return strings.TrimSpace(number(value) + " " + unit)
}

// number has three digits that mean something, or all those before the point.
func number(v float64) string {
	switch size := math.Abs(v); {
	case v == math.Trunc(v), size >= 1000:
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	case size >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case size >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

// grouped puts commas between thousands.
func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
