package account

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Limits are the calls that Dafty allows an API key each minute, by class. A class that is missing has its default.
type Limits map[dafty.Class]int

// DefaultLimits are those of Dafty's rate-limits page.
var DefaultLimits = Limits{
	dafty.ClassImageCreate:  20,
	dafty.ClassVideoCreate:  5,
	dafty.ClassStyleExtract: 3,
	dafty.ClassUpload:       30,
	dafty.ClassOther:        120,
}

// orDefault returns the limits of all classes.
func (l Limits) orDefault() Limits {
	all := maps.Clone(DefaultLimits)
	for class := range all {
		if own, ok := l[class]; ok {
			all[class] = own
		}
	}
	return all
}

// ParseLimits reads limits such as "image_create=20,other=120". Its errors are for the user.
func ParseLimits(text string) (Limits, error) {
	limits := Limits{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		class := dafty.Class(strings.TrimSpace(name))
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if _, known := DefaultLimits[class]; !known || err != nil || n < 1 {
			return nil, fmt.Errorf("%q must be a class, =, and a number of at least 1; the classes are %s", part, classNames())
		}
		limits[class] = n
	}
	return limits, nil
}

func classNames() string {
	var names []string
	for _, class := range slices.Sorted(maps.Keys(DefaultLimits)) {
		names = append(names, string(class))
	}
	return strings.Join(names, ", ")
}
