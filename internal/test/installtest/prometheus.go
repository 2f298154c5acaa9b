package installtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// PrometheusCRDs installs the kinds of the Prometheus operator that go with an installation. They are read from its module,
// which the go command keeps and checks.
func PrometheusCRDs(t *testing.T, env *kubetest.Env) {
	t.Helper()
	const module = "github.com/prometheus-operator/prometheus-operator"
	stdout, err := output(t.Context(), Root(t), "go", "mod", "download", "-modfile=hack/tools/prometheus-operator/go.mod", "-json", module)
	if err != nil {
		t.Fatal(err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal([]byte(stdout), &downloaded); err != nil {
		t.Fatal(err)
	}
	for _, plural := range []string{"servicemonitors", "podmonitors", "prometheusrules"} {
		crd, err := os.ReadFile(filepath.Join(downloaded.Dir, "example", "prometheus-operator-crd", "monitoring.coreos.com_"+plural+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		Apply(t, env, string(crd))
		env.MustKubectl(t, "wait", "--for=condition=Established", "crd/"+plural+".monitoring.coreos.com", "--timeout=30s")
	}
}
