package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

func TestMain(m *testing.M) {
	if os.Getenv(asOperator) != "" {
		os.Args = []string{"manager", "--help"}
		main()
		return
	}
	os.Exit(m.Run())
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What the README and the pages of docs/ name exists: targets of make, tests, and what they link to.
func TestPagesNameWhatExists(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	code := allTests(t)
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "README.md") {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if left := regexp.MustCompile("@[A-Z]+@").FindString(text); left != "" {
			t.Errorf("%s: %s isn't filled in", page, left)
		}
		for _, target := range regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(string(makefile), "\n"+target[1]+":") {
				t.Errorf("%s: there is no make %s", page, target[1])
			}
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#]*)#?([^)]*)\)`).FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(link[1], "https://") {
				continue
			}
			target := page
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(page), link[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: broken link: %v", page, err)
				continue
			}
			if link[2] != "" && !slices.Contains(headings(t, target), link[2]) {
				t.Errorf("%s: %s has no heading #%s", page, target, link[2])
			}
		}
		for _, name := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(code, "func "+name[1]+"(") {
				t.Errorf("%s: there is no test %s", page, name[1])
			}
		}
	}
}

// headings are what a page's headings are linked to by.
func headings(t *testing.T, page string) []string {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for _, heading := range regexp.MustCompile("(?m)^#+ (.*)$").FindAllStringSubmatch(string(raw), -1) {
		links = append(links, strings.ReplaceAll(regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-"))
	}
	return links
}

// allTests is the code of every test.
func allTests(t *testing.T) string {
	t.Helper()
	var code strings.Builder
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		code.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return code.String()
}

// What the README says of reasons, events and metrics is so.
func TestReadmeNames(t *testing.T) {
	text := readme(t)
	reasons, err := os.ReadFile("api/v1alpha1/condition_types.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[A-Za-z`, ]+`) \\|").FindAllStringSubmatch(text, -1) {
		for _, reason := range regexp.MustCompile("[A-Za-z]+").FindAllString(row[1], -1) {
			if !strings.Contains(string(reasons), `= "`+reason+`"`) {
				t.Errorf("there is no reason %s", reason)
			}
		}
	}
	for _, name := range []string{v1alpha1.DefaultSecretName, v1alpha1.EventCancelAbandoned, "dafty_jobs_abandoned_total"} {
		if !strings.Contains(text, name) {
			t.Errorf("the README doesn't say %s", name)
		}
	}
}
