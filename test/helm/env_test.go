//go:build e2e

package helm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/e2e"
	"dafty.ai/dafty-operator/internal/test/installtest"
)

// env is all that runs.
type env struct {
	e2e.World
}

// newEnv has an account at Dafty and a namespace of each name, and in most a Secret with the API key.
func newEnv(t *testing.T) *env {
	e := &env{World: e2e.New(t, e2e.Options{
		Page: "helm.md", Accounts: namespaces, Folders: []string{"charts", "home"},
		Failed: [][]string{{"get", "secrets", "--all-namespaces", "--selector=owner=helm", "--show-labels"}},
	})}
	for name, program := range map[string]string{
		"helm": installtest.HelmProgram(e), "helm3": installtest.Helm3Program(e), "kubectl": e.ControlPlane.Asset("kubectl"),
	} {
		if err := os.Symlink(program, filepath.Join(e.Dir, "bin", name)); err != nil {
			e.Fatal(err)
		}
	}
	for _, namespace := range namespaces {
		e.Kubectl("create", "namespace", namespace)
		if namespace != shop && namespace != keyless { // the page makes the first's
			e.createSecret(namespace, e2e.APIKey(namespace))
		}
	}
	return e
}

func (e *env) createSecret(namespace, key string) {
	e.Helper()
	e.Kubectl("create", "secret", "generic", "dafty-credentials", "--namespace", namespace, "--from-literal=apiKey="+key)
}

// try runs a command in the folder of the charts.
func (e *env) try(command string, more ...string) (string, error) {
	in := func(dir string) string { return filepath.Join(e.Dir, dir) }
	return e.Sh(in("charts"), command, append(more, "KUBECONFIG="+e.ControlPlane.Kubeconfig, "PATH="+in("bin")+":"+os.Getenv("PATH"),
		"HELM_CONFIG_HOME="+in("home"), "HELM_CACHE_HOME="+in("home"), "HELM_DATA_HOME="+in("home"), "DAFTY_API_KEY="+e2e.APIKey(shop))...)
}

// sh runs a command that has to succeed.
func (e *env) sh(command string, more ...string) string {
	e.Helper()
	output, err := e.try(command, more...)
	if err != nil {
		e.Fatalf("%s\n%v\n%s", command, err, output)
	}
	return output
}

// fails runs a command that has to fail, and to say all of this.
func (e *env) fails(command string, says ...string) {
	e.Helper()
	output, err := e.try(command)
	if err == nil {
		e.Fatalf("%s: succeeds\n%s", command, output)
	}
	for _, part := range says {
		if !strings.Contains(output, part) {
			e.Errorf("%s: doesn't say %q:\n%s", command, part, output)
		}
	}
}

// write puts a file into the folder of the charts.
func (e *env) write(file, content string) {
	e.Helper()
	path := filepath.Join(e.Dir, "charts", file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		e.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		e.Fatal(err)
	}
}

// ofPage writes a file of a chart that the page shows, which begins with its name.
func (e *env) ofPage(files ...string) {
	e.Helper()
	for _, file := range files {
		e.write(file, e.Docs.Example("# "+file+"\n"))
	}
}

// chart writes a chart with these templates, in place of one of that name. It has a ConfigMap settings beside them, which comes before them in Helm's
// order, and shows the value note.
func (e *env) chart(name string, templates ...string) {
	e.Helper()
	e.write(name+"/Chart.yaml", "apiVersion: v2\nname: "+name+"\nversion: 0.1.0\n")
	e.write(name+"/values.yaml", "note: first\n")
	settings := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {note: {{ .Values.note | quote }}}\n"
	e.write(name+"/templates/all.yaml", strings.Join(append([]string{settings}, templates...), "---\n"))
}

// note returns the note in the ConfigMap of a chart.
func (e *env) note(namespace string) string {
	e.Helper()
	settings, err := e.ConfigMap(namespace, "settings")
	if err != nil {
		e.Fatal(err)
	}
	return settings.Data["note"]
}

// annotated adds annotations to a manifest.
func annotated(manifest, annotations string) string {
	return strings.Replace(manifest, "metadata:\n", "metadata:\n  annotations: {"+annotations+"}\n", 1)
}

const keep = "helm.sh/resource-policy: keep"
