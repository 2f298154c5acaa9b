package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// The commands of daftyjob.md for scripts return however a job ends, and fail unless it completed. The README's first manifest leads to the output
// that the README shows.
func TestWaiting(t *testing.T) {
	e := newEnv(t)
	startOperator(t, e.Env)
	e.withSecret(t)
	manifest := regexp.MustCompile("(?ms)^```yaml\n([^`]*\n  name: spring-hero\n.*?)^```$").FindStringSubmatch(read(t, readme))[1]
	jobTable := regexp.MustCompile(`(?m)^\$ kubectl get daftyjobs\n((?:.*\n){2})\$`).FindStringSubmatch(read(t, readme))
	_, section, _ := strings.Cut(read(t, "daftyjob.md"), "\n## Waiting for a job\n")
	commands := block.FindStringSubmatch(section)
	if jobTable == nil || commands == nil {
		t.Fatal("the README shows no output, or daftyjob.md no commands that wait")
	}
	ended, completed, two := strings.Cut(strings.TrimSpace(commands[3]), "\n")
	if !two {
		t.Fatalf("not two commands:\n%s", commands[3])
	}

	e.MustApply(t, manifest)
	for job, spec := range map[string]string{
		"cancelled": "{desiredState: Cancelled, imageGenerate: {prompt: A logo}}",
		"failed":    "{imageUpscale: {image: {jobRef: {name: cancelled}}}}",
	} {
		e.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: "+job+"}\nspec: "+spec+"\n")
	}
	for job, phase := range map[string]string{"spring-hero": "Completed", "cancelled": "Cancelled", "failed": "Failed"} {
		if out, err := e.output(t, strings.ReplaceAll(ended, "spring-hero", job), ""); err != nil {
			t.Errorf("%s: %v\n%s", job, err, out)
		}
		if got := e.MustKubectl(t, "get", "daftyjob", job, "-o", "jsonpath={.status.phase}"); got != phase {
			t.Errorf("%s is %s once it has ended, not %s", job, got, phase)
		}
		if out, err := e.output(t, strings.ReplaceAll(completed, "spring-hero", job), ""); (err == nil) != (phase == "Completed") {
			t.Errorf("%s, which is %s: %v\n%s", job, phase, err, out)
		}
	}
	columns := func(table string) string {
		return regexp.MustCompile(` +`).ReplaceAllString(regexp.MustCompile(` [0-9ms]+\n`).ReplaceAllString(table, " AGE\n"), " ")
	}
	assetTable := regexp.MustCompile(`(?m)^\$ kubectl get daftyassets\n((?:.*\n){2})`).FindStringSubmatch(read(t, readme))
	if assetTable == nil {
		t.Fatal("the README shows no DaftyAsset")
	}
	e.MustApply(t, block.FindStringSubmatch(read(t, readme))[3])
	e.MustKubectl(t, "wait", "--for=condition=Ready", "daftyasset/front-page", "--timeout="+patience.String())
	if got := shown(e.MustKubectl(t, "get", "daftyassets")); got != shown(assetTable[1]) {
		t.Errorf("the README shows %q, kubectl %q", assetTable[1], got)
	}
	if got := columns(e.MustKubectl(t, "get", "daftyjobs", "--field-selector", "metadata.name=spring-hero")); got != columns(jobTable[1]) {
		t.Errorf("the README shows %q, kubectl %q", columns(jobTable[1]), got)
	}
}
