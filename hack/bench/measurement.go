package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// measurement is one thing that was measured.
type measurement struct {
	Scenario string  `json:"scenario"`
	Name     string  `json:"figure"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit,omitempty"`
	// AtMost and AtLeast are the bounds, if there are any.
	AtMost  *float64 `json:"atMost,omitempty"`
	AtLeast *float64 `json:"atLeast,omitempty"`
}

// met reports whether the value is within its bounds.
func (m measurement) met() bool {
	return (m.AtMost == nil || m.Value <= *m.AtMost) && (m.AtLeast == nil || m.Value >= *m.AtLeast)
}

func (m measurement) formatted() string { return amount(m.Value, m.Unit) }

// required returns the bounds as text; empty without bounds.
func (m measurement) required() string {
	var parts []string
	if m.AtLeast != nil {
		parts = append(parts, "≥ "+amount(*m.AtLeast, m.Unit))
	}
	switch {
	case m.AtMost != nil && *m.AtMost == 0: // nothing is counted below it
		parts = append(parts, "0")
	case m.AtMost != nil:
		parts = append(parts, "≤ "+amount(*m.AtMost, m.Unit))
	}
	return strings.Join(parts, ", ")
}

// verdict returns "", "ok" or "MISSED".
func (m measurement) verdict() string {
	switch {
	case m.AtMost == nil && m.AtLeast == nil:
		return ""
	case m.met():
		return "ok"
	default:
		return "MISSED"
	}
}

func amount(value float64, unit string) string {
	return strings.TrimSpace(number(value) + " " + unit)
}

// number formats a value with three significant digits, or with all those before the point.
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
