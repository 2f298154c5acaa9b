package docs_test

import (
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
