package config_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// The commands of docs/install.md and of the chart's page are run, section by section, against a real API server, with the files that they show and a
// Git repository at the address that they name.
func TestInstallPage(t *testing.T) {
	var text strings.Builder
	for _, page := range []string{"../docs/install.md", "../charts/dafty-operator/README.md"} {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(strings.Replace("\n"+string(content), "\n# ", "\n## ", 1))
	}
	env := startOwn(t, kubetest.Options{CRDs: []string{}, ControllerManager: true})
	env.MustKubectl(t, "create", "namespace", "monitoring") // of Prometheus
	checkout := copyOfCheckout(t)
	path := programs(t, env)
	fences := regexp.MustCompile("(?ms)^```(yaml|sh)\n(.*?)^```$")
	commands := 0
	withHelm := ""
	for section := range strings.SplitSeq(text.String(), "\n## ") {
		title, text, _ := strings.Cut(section, "\n")
		// There are no nodes, so no Pod ever runs.
		text = strings.ReplaceAll(text, "kubectl rollout status", "kubectl get")
		text = strings.ReplaceAll(text, "https://git.example.com/dafty-operator", "file://"+checkout)
		var scripts []string
		for _, fence := range fences.FindAllStringSubmatch(text, -1) {
			if fence[1] == "sh" {
				scripts = append(scripts, fence[2])
				commands++
				continue
			}
			name, found := strings.CutPrefix(strings.SplitN(fence[2], "\n", 2)[0], "# ")
			if !found {
				t.Errorf("%s: a manifest doesn't say what file it is:\n%s", title, fence[2])
			}
			write(t, filepath.Join(checkout, name), fence[2])
		}
		if len(scripts) == 0 {
			continue
		}
		switch whole := strings.Join(scripts, ""); title {
		case "With Helm":
			withHelm = whole
			scripts = []string{whole}
		case "Upgrade", "Uninstall":
			// Each of these is for an operator that was installed in another way.
			for i, script := range scripts {
				before := "kubectl apply --server-side -k operator\n"
				if strings.Contains(script, "helm ") {
					before = withHelm
				}
				scripts[i] = before + script
			}
		case "From kustomize to Helm, and back":
			if len(scripts) != 2 {
				t.Fatalf("%s: %d scripts", title, len(scripts))
			}
			scripts = []string{thereIsADaftyJob + scripts[0] + allIsHelms + scripts[1] + allIsKustomizes}
		default:
			scripts = []string{whole}
		}
		run := func(t *testing.T, script string) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -euxo pipefail\n"+script)
			cmd.Dir = checkout
			cmd.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "KUBECONFIG="+env.Kubeconfig, "HELM_CONFIG_HOME="+checkout+"/.helm")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			} else if strings.Contains(string(out), "Warning:") {
				t.Errorf("somebody warns:\n%s", out)
			}
			gone := title == "Uninstall" && !strings.Contains(script, "delete daftyassets,daftyjobs")
			if !gone {
				_, _, _ = env.Kubectl(t, "delete", "namespace/"+namespace, "namespace/team-a", "namespace/team-b", "crd/daftyaccounts.dafty.ai", "crd/daftyassets.dafty.ai", "crd/daftyjobs.dafty.ai", "--ignore-not-found", "--timeout=90s")
			}
			for _, kind := range []string{"clusterrole", "clusterrolebinding"} {
				left := env.MustKubectl(t, "get", kind, "-l", "app.kubernetes.io/name=dafty-operator", "-o", "name")
				if gone && left != "" {
					t.Errorf("left behind: %s", left)
				}
				env.MustKubectl(t, "delete", kind, "-l", "app.kubernetes.io/name=dafty-operator")
			}
			_, _, _ = env.Kubectl(t, "delete", "namespace/"+namespace, "crd/daftyaccounts.dafty.ai", "crd/daftyassets.dafty.ai", "crd/daftyjobs.dafty.ai", "--ignore-not-found", "--timeout=90s")
			if _, _, err := env.Kubectl(t, "get", "namespace", namespace); err == nil {
				t.Errorf("the namespace is left behind")
			}
		}
		for i, script := range scripts {
			t.Run(fmt.Sprint(title, " ", i+1), func(t *testing.T) { run(t, script) })
		}
	}
	if commands < 8 {
		t.Errorf("%d blocks of commands were found", commands)
	}
}

// These are put around the commands that go from kustomize to Helm, and back. Nothing of the other installation is left, all of this one is there,
// and a DaftyJob is kept.
const (
	thereIsADaftyJob = `kubectl apply --server-side -k operator
kubectl wait --for=condition=Established crd/daftyjobs.dafty.ai --timeout=30s
kubectl create -f - <<EOF
apiVersion: dafty.ai/v1alpha1
kind: DaftyJob
metadata: {name: kept, namespace: default}
spec: {imageGenerate: {prompt: A logo}}
EOF
uid=$(kubectl get daftyjob kept -n default -o jsonpath={.metadata.uid})
ours=deployments,poddisruptionbudgets,networkpolicies,services,serviceaccounts,configmaps,roles,rolebindings,clusterroles,clusterrolebindings,customresourcedefinitions
only() {
  kubectl get -f "$1" -o name | grep -v ^namespace/ | sort >wanted
  kubectl get $ours -n dafty-operator-system -l app.kubernetes.io/name=dafty-operator -o name | sort | diff - wanted
  [[ $(kubectl get daftyjob kept -n default -o jsonpath={.metadata.uid}) == $uid ]]
}
`
	allIsHelms = `helm get manifest dafty-operator --namespace dafty-operator-system >helms.yaml
only helms.yaml
`
	allIsKustomizes = `kubectl kustomize operator >kustomizes.yaml
only kustomizes.yaml
[[ -z $(helm list --short --namespace dafty-operator-system) ]]
`
)

// copyOfCheckout returns a Git repository with the files to install from, and a tag.
func copyOfCheckout(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"config", "charts/dafty-operator", "hack/tools"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join("..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"Makefile", "go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), string(content))
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "-A"},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "-qm", "v0.1.0"},
		{"tag", "v0.1.0"},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
	return dir
}

// programs returns a folder with the tests' kubectl and helm.
func programs(t *testing.T, env *kubetest.Env) string {
	t.Helper()
	dir := t.TempDir()
	for name, program := range map[string]string{"kubectl": env.Asset("kubectl"), "helm": installtest.HelmProgram(t)} {
		if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "#!/bin/sh\nexec '%s' \"$@\"\n", program), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
