//go:build e2e

package argocd

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// page is a page of the documentation, whose examples must all be used.
type page struct {
	t      *testing.T
	file   string
	unused []string // examples that nobody has asked for yet
}

var example = regexp.MustCompile("(?ms)^```(yaml|sh|text)\n(.*?)^```$")

func readPage(t *testing.T, file string) *page {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, file: file}
	examples := example.FindAllStringSubmatch(string(content), -1)
	for _, found := range examples {
		if found[1] != "text" { // text is only to be read
			p.unused = append(p.unused, found[2])
		}
	}
	if fences := strings.Count("\n"+string(content), "\n```"); fences != 2*len(examples) {
		t.Errorf("%s has %d fences, and %d examples that are understood", file, fences, len(examples))
	}
	return p
}

// example returns the example that begins with a text.
func (p *page) example(begin string) string {
	p.t.Helper()
	for i, text := range p.unused {
		if strings.HasPrefix(text, begin) {
			p.unused = append(p.unused[:i], p.unused[i+1:]...)
			return text
		}
	}
	p.t.Fatalf("%s has no (further) example that begins with %q", p.file, begin)
	return ""
}

// checkAllUsed fails for examples that no test has used.
func (p *page) checkAllUsed() {
	for _, text := range p.unused {
		p.t.Errorf("nobody has tried this example of %s:\n%s", p.file, text)
	}
}
