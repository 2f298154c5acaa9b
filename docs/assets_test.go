package docs_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const assetsPage = "assets.md"

var (
	anyBlock = regexp.MustCompile("(?ms)^```(yaml|sh|text)\n(.*?)^```$")
	spaces   = regexp.MustCompile(` +`)
	age      = regexp.MustCompile(`(?m) [0-9]+[ms0-9]*$`)
)

// shown returns an output as it is on the page, but for ages and the width of columns.
func shown(output string) string {
	return spaces.ReplaceAllString(age.ReplaceAllString(output, " AGE"), " ")
}

// A deletion in the foreground doesn't wait for Dafty, and what runs is cancelled all the same, here once Dafty is well again. The page's
// command waits for that.
func TestAssetDeletedInTheForeground(t *testing.T) {
	e := newEnv(t)
	sim := daftysim.Serve(daftysim.New(daftysim.Options{AnyKey: true, PendingFor: daftysim.Fixed(time.Hour)}))
	t.Cleanup(sim.Close)
	runOperator(t, e.Env, sim.URL)
	e.withSecret(t)
	const id = "jsonpath={.items[0].status.jobID}"
	jobs := []string{"daftyjobs", "--selector", "dafty.ai/asset=shop-banner"}
	e.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: shop-banner}\nspec: {template: {spec: {imageGenerate: {prompt: A banner}}}}\n")
	e.MustKubectl(t, "wait", "--for=create", "daftyasset/shop-banner")
	e.MustKubectl(t, "wait", "--for=jsonpath={.status.pending.jobName}", "daftyasset/shop-banner", "--timeout="+patience.String())
	e.MustKubectl(t, append([]string{"wait", "--for=jsonpath={.status.jobID}", "--timeout=" + patience.String()}, jobs...)...)
	sim.Inject(daftysim.Fault{Operation: daftysim.CancelJob, Kind: daftysim.FaultAnswer, Status: http.StatusInternalServerError, Count: daftysim.Forever})
	_, section, _ := strings.Cut(read(t, assetsPage), "\n## Deleting\n")
	commands := block.FindStringSubmatch(section)
	if commands == nil {
		t.Fatal("the page shows no deletion")
	}
	deletion, wait, two := strings.Cut(strings.TrimSpace(commands[3]), "\n")
	if !two {
		t.Fatalf("not two commands:\n%s", commands[3])
	}
	if out, err := e.output(t, deletion, ""); err != nil {
		t.Fatalf("%v:\n%s\n%s", err, deletion, out)
	}
	if left := e.MustKubectl(t, append([]string{"get", "--output", id}, jobs...)...); left == "" {
		t.Error("its DaftyJob doesn't wait for Dafty")
	}
	sim.ClearFaults()
	if out, err := e.output(t, wait, ""); err != nil {
		t.Errorf("%v:\n%s\n%s", err, wait, out)
	}
	if left := e.MustKubectl(t, append([]string{"get", "--output", "name"}, jobs...)...); left != "" {
		t.Errorf("%s is still there", left)
	}
	for _, entry := range sim.Ledger() {
		if !entry.Cancelled {
			t.Errorf("it isn't cancelled: %+v", entry)
		}
	}
}

// The page leads through a create, a change and a revert, with what each costs: its manifests are applied and its commands run in order,
// and what they print is what the page shows.
func TestAssetsPage(t *testing.T) {
	e := newEnv(t)
	e.ledger = startOperatorWith(t, e.Env, daftysim.Options{
		PendingFor: daftysim.Fixed(20 * time.Millisecond), ProcessingFor: daftysim.Fixed(20 * time.Millisecond), Admin: true,
	})
	e.withSecret(t)
	printed, compared := "", 0
	for _, b := range anyBlock.FindAllStringSubmatch(read(t, assetsPage), -1) {
		switch kind, text := b[1], b[2]; {
		case kind == "text":
			compared++
			if got, want := shown(printed), shown(text); got != want {
				t.Errorf("the page shows\n%s\nand it prints\n%s", text, printed)
			}
		case kind == "yaml" && strings.Contains(text, "\n  name: harbour\n"):
			e.save(t, text) // the page has it applied by a command
		case kind == "yaml":
			e.apply(t, text)
		case reasonNotToRun(text) != "":
		default:
			var err error
			if printed, err = e.output(t, text, ""); err != nil {
				t.Fatalf("%v:\n%s\n%s", err, text, printed)
			}
			if strings.Contains(printed, apiKey) {
				t.Errorf("the API key is shown by:\n%s", text)
			}
		}
	}
	if compared < 5 {
		t.Errorf("only %d outputs are compared", compared)
	}
}
