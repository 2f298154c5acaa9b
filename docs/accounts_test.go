package docs_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

const accountsPage = "accounts.md"

// moment is when a period ends, which isn't what the page shows.
var moment = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z`)

// The page leads through sharing a key, spending a budget and suspending: its manifests are saved and its commands run in order, and what
// they print is what the page shows. In the place of its time zones is one in which no period ends meanwhile.
func TestAccountsPage(t *testing.T) {
	e := newEnv(t)
	startOperatorWith(t, e.Env, daftysim.Options{
		PendingFor: daftysim.Fixed(20 * time.Millisecond), ProcessingFor: daftysim.Fixed(20 * time.Millisecond),
	})
	zone := kubetest.TimeZoneAtNoon()
	zones := strings.NewReplacer("Etc/UTC", zone, "Europe/Berlin", zone)
	printed, compared := "", 0
	for _, b := range anyBlock.FindAllStringSubmatch(read(t, accountsPage), -1) {
		switch text := zones.Replace(b[2]); b[1] {
		case "text":
			compared++
			if got, want := shown(moment.ReplaceAllString(printed, "THEN")), shown(moment.ReplaceAllString(text, "THEN")); got != want {
				t.Errorf("the page shows\n%s\nand it prints\n%s", text, printed)
			}
		case "yaml":
			e.save(t, text)
			e.MustKubectl(t, "apply", "--dry-run=server", "--validate=strict", "-f", e.dir+"/"+nameIn(text)+".yaml")
		default:
			var err error
			if printed, err = e.output(t, text, ""); err != nil {
				t.Fatalf("%v:\n%s\n%s\n%s", err, text, printed, e.MustKubectl(t, "get", "dafty", "--all-namespaces", "-o", "yaml"))
			}
			if strings.Contains(printed, apiKey) {
				t.Errorf("the API key is shown by:\n%s", text)
			}
		}
	}
	if compared < 8 {
		t.Errorf("only %d outputs are compared", compared)
	}
}

// nameIn returns the name of the object of a manifest.
func nameIn(manifest string) string {
	return regexp.MustCompile(`(?m)^  name: (\S+)$`).FindStringSubmatch(manifest)[1]
}
