package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// workflow is what is looked at here of one; actionlint (make lint) judges the rest.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions    map[string]string
		Uses           string
		TimeoutMinutes int `json:"timeout-minutes"`
		Steps          []struct {
			Uses, Run string
			With      map[string]any
		}
	}
}

// Jobs may write what they make, each permission with its purpose here; what they run exists, and can't be changed by others.
func TestWorkflows(t *testing.T) {
	mayWrite := map[string][]string{
		"release.yml image":   {"attestations", "id-token", "packages"},
		"release.yml files":   {"id-token", "packages"},
		"release.yml release": {"contents"},
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	pinned := regexp.MustCompile(`^\s*(?:- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if line = strings.TrimRight(line, "\n"); strings.Contains(line, "uses: ") && !strings.Contains(line, "uses: ./") && !pinned.MatchString(line) {
				t.Errorf("%s: an action is named by its commit, and its version in a comment: %s", file, line)
			}
		}
		var w workflow
		if err := yaml.Unmarshal(raw, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if w.Permissions == nil || len(writes(w.Permissions)) > 0 {
			t.Errorf("%s: permissions at the top are those of every job that has none of its own", file)
		}
		for name, job := range w.Jobs {
			id := filepath.Base(file) + " " + name
			if got := writes(job.Permissions); !slices.Equal(got, mayWrite[id]) {
				t.Errorf("%s may write %v, want %v", id, got, mayWrite[id])
			}
			delete(mayWrite, id)
			if job.Uses == "" && job.TimeoutMinutes == 0 {
				t.Errorf("%s may hang for hours: timeout-minutes", id)
			}
			if local, found := strings.CutPrefix(job.Uses, "./"); found {
				if _, err := os.Stat(local); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
			for _, step := range job.Steps {
				for _, target := range regexp.MustCompile(`\bmake ([a-z-]+)`).FindAllStringSubmatch(step.Run, -1) {
					if !strings.Contains(string(makefile), "\n"+target[1]+":") {
						t.Errorf("%s: there is no make %s", id, target[1])
					}
				}
				for _, path := range regexp.MustCompile(`(?:hack|\.ci)/[\w./-]+`).FindAllString(step.Run, -1) {
					if _, err := os.Stat(path); err != nil {
						t.Errorf("%s: %v", id, err)
					}
				}
			}
		}
	}
	for id := range mayWrite {
		t.Errorf("there is no job %s", id)
	}
}

// writes are the permissions to write.
func writes(permissions map[string]string) []string {
	var names []string
	for name, level := range permissions {
		if level != "read" && level != "none" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Whoever may push tags but not to main can't release what nobody has reviewed: the workflow's own check is run, on a clone
// such as it has.
func TestReleasesAreOfMain(t *testing.T) {
	raw, err := os.ReadFile(".github/workflows/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(raw, &w); err != nil {
		t.Fatal(err)
	}
	steps := w.Jobs["image"].Steps
	if !strings.HasPrefix(steps[0].Uses, "actions/checkout@") || steps[0].With["fetch-depth"] != 0.0 || steps[1].Run == "" {
		t.Fatalf("the job begins with %+v", steps[:2])
	}
	dir := t.TempDir()
	bash := func(script string) error {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a")
		out, err := cmd.CombinedOutput()
		t.Logf("%s\n%s", script, out)
		return err
	}
	if err := bash("git init -q -b main . && git commit -q --allow-empty -m one && git tag v1 && git commit -q --allow-empty -m two && git tag v2 && " +
		"git checkout -q -b side && git commit -q --allow-empty -m three && git tag v3 && git remote add origin . && git fetch -q"); err != nil {
		t.Fatal(err)
	}
	for tag, released := range map[string]bool{"v1": true, "v2": true, "v3": false} {
		if err := bash("git checkout -q " + tag + " && " + steps[1].Run); (err == nil) != released {
			t.Errorf("%s is released: %v, want %v", tag, err == nil, released)
		}
	}
}

// Renovate finds what its expressions are to find.
func TestRenovateFindsImages(t *testing.T) {
	raw, err := os.ReadFile("renovate.json")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		CustomManagers []struct{ ManagerFilePatterns, MatchStrings []string }
	}
	if err := yaml.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	workflow, err := os.ReadFile(".github/workflows/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	images := regexp.MustCompile(`image=(\S+:\S+)`).FindAllSubmatch(workflow, -1)
	if len(images) == 0 || len(config.CustomManagers) == 0 {
		t.Fatalf("%d images, %d managers", len(images), len(config.CustomManagers))
	}
	for _, image := range images {
		found := false
		for _, manager := range config.CustomManagers {
			if regexp.MustCompile(strings.Trim(manager.ManagerFilePatterns[0], "/")).MatchString(".github/workflows/release.yml") {
				found = found || string(regexp.MustCompile(manager.MatchStrings[0]).Find(image[1])) == string(image[1])
			}
		}
		if !found {
			t.Errorf("Renovate doesn't see %s", image[1])
		}
	}
}

// GitHub leaves out a form for issues that it can't read, without a word. What each asks for is a text.
func TestIssueForms(t *testing.T) {
	files, err := filepath.Glob(".github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d forms: %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var form struct {
			Name, Description string
			Labels            []string
			Body              []struct {
				Type, ID    string
				Attributes  struct{ Label, Description, Value, Render string }
				Validations struct{ Required bool }
			}
		}
		if err := yaml.UnmarshalStrict(raw, &form); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if form.Name == "" || form.Description == "" || !strings.Contains(string(raw), "Never send an API key") {
			t.Errorf("%s has no name or description, or doesn't warn of API keys", file)
		}
		ids := map[string]bool{}
		for _, part := range form.Body {
			switch markdown := part.Type == "markdown"; {
			case markdown && (part.Attributes.Value == "" || part.ID != ""), !markdown && (part.Type != "textarea" || part.Attributes.Label == "" || part.ID == "" || ids[part.ID]):
				t.Errorf("%s has a part that GitHub doesn't take: %+v", file, part)
			}
			ids[part.ID] = true
		}
	}
}

// One Go builds a version's programs: in the image, by make binaries, and in the workflows.
func TestOneGo(t *testing.T) {
	goMod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindSubmatch(goMod)
	image := regexp.MustCompile(`(?m)^ARG GO_IMAGE=docker\.io/library/golang:([^\s@]+)$`).FindSubmatch(dockerfile)
	if toolchain == nil || image == nil || string(toolchain[1]) != string(image[1]) {
		t.Errorf("go.mod's toolchain is %q, the Dockerfile's GO_IMAGE %q", toolchain, image)
	}
	if minimum := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(goMod); !strings.HasPrefix(string(toolchain[1]), string(minimum[1])+".") {
		t.Errorf("go.mod is for Go %s, and its toolchain is %s", minimum[1], toolchain[1])
	}
}

func TestReleaseNotes(t *testing.T) {
	script, err := os.ReadFile("hack/release-notes.sh")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, content := range map[string]string{
		"hack/release-notes.sh": string(script),
		"CHANGELOG.md":          "# Changelog\n\nWords.\n\n## Unreleased\n\n## v0.2.0\n\n- Two\n\n  more\n\n## v0.2.0-rc.1 - 2026-01-02\n- One\n## v0.1.0\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for version, want := range map[string]string{
		"v0.2.0":      "- Two\n\n  more\n",
		"v0.2.0-rc.1": "- One\n",
		"v0.1.0":      "",
		"v0.2":        "",
		"v9.9.9":      "",
	} {
		t.Run(version, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), filepath.Join(root, "hack/release-notes.sh"), version).Output()
			if string(out) != want || (err == nil) != (want != "") {
				t.Errorf("%q, %v, want %q", out, err, want)
			}
		})
	}
	if changelog, err := os.ReadFile("CHANGELOG.md"); err != nil || !strings.Contains(string(changelog), "\n## Unreleased\n") {
		t.Errorf("CHANGELOG.md has no section Unreleased: %v", err)
	}
}
