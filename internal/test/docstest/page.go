package docstest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Page is a page of the documentation, whose examples must all be used.
type Page struct {
	T      *testing.T
	file   string
	unused []string // examples that nobody has asked for yet
}

var example = regexp.MustCompile("(?ms)^```(yaml|sh|text)\n(.*?)^```$")

// ReadPage reads a page. What is text in it is only to be read.
func ReadPage(t *testing.T, file string) *Page {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &Page{T: t, file: file}
	examples := example.FindAllStringSubmatch(string(content), -1)
	for _, found := range examples {
		if found[1] != "text" {
			p.unused = append(p.unused, found[2])
		}
	}
	if fences := strings.Count("\n"+string(content), "\n```"); fences != 2*len(examples) {
		t.Errorf("%s has %d fences, and %d examples that are understood", file, fences, len(examples))
	}
	return p
}

// Example returns the example that begins with a text.
func (p *Page) Example(begin string) string {
	p.T.Helper()
	for i, text := range p.unused {
		if strings.HasPrefix(text, begin) {
			p.unused = append(p.unused[:i], p.unused[i+1:]...)
			return text
		}
	}
	p.T.Fatalf("%s has no (further) example that begins with %q", p.file, begin)
	return ""
}

// CheckAllUsed fails for examples that no test has used: neither by this page, nor by others that were read from the same file.
func (p *Page) CheckAllUsed(others ...*Page) {
	p.T.Helper()
	for _, text := range p.unused {
		if slices.ContainsFunc(others, func(o *Page) bool { return !slices.Contains(o.unused, text) }) {
			continue
		}
		p.T.Errorf("nobody has tried this example of %s:\n%s", p.file, text)
	}
}
