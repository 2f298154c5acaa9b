package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/argolua"
	"dafty.ai/dafty-operator/internal/test/docstest"
)

const healthCheck = "../../config/argocd/resource_customizations/dafty.ai/DaftyJob/health.lua"

// argoTable holds the table of the page about Argo CD against what its health check makes of each phase with each reason.
// The first row and the last are held by the health check's own tests: created.yaml and deleted.yaml.
func argoTable(t *testing.T, seen explored) {
	t.Helper()
	rows := []string{"| none yet | Progressing | |"}
	for _, phase := range phases {
		for _, health := range []string{"Progressing", "Suspended", "Degraded", "Healthy"} {
			if reasons := slices.Sorted(maps.Keys(seen.health[phase][health])); len(reasons) > 0 {
				rows = append(rows, fmt.Sprintf("| `%s` | %s | `%s` |", phase, health, strings.Join(reasons, "`, `")))
			}
		}
	}
	rows = append(rows, "| any, while it is deleted | Progressing | any |")
	docstest.Table(t, "../../docs/argocd.md", "| phase | health | reasons |", rows)
}

// argoHealth returns the health that Argo CD shows of a job.
func argoHealth(t *testing.T, job *v1alpha1.DaftyJob) string {
	t.Helper()
	script, err := os.ReadFile(healthCheck)
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(content, &object); err != nil {
		t.Fatal(err)
	}
	health := argolua.Run(t, string(script), object)
	return health.RawGetString("status").String()
}
