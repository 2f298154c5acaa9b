// Package docs_test runs what the pages of this folder show: their manifests and their commands, one after another, on a
// real API server, with an operator and a simulated Dafty.
package docs_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{ControllerManager: true}) }

// readme comes before these pages. It shows how to delete its DaftyJob, and then refers to it again.
const readme = "../README.md"

// pagesRun has the pages that TestPages runs, each with what it needs beforehand.
var pagesRun = map[string]func(e *env, t *testing.T){
	readme:               (*env).withNothing,
	"daftyjob.md":        (*env).withSecret,
	"getting-started.md": (*env).withNothing,
	"operations.md":      (*env).withOperator,
	"reliability.md":     (*env).withShopJob,
	"security.md":        (*env).withOperator,
	"troubleshooting.md": (*env).withOperator,
}

// pagesRunElsewhere has the pages that another test runs, or that none can run, with the reason.
var pagesRunElsewhere = map[string]string{
	"accounts.md":   "TestAccountsPage, which compares what is shown too",
	"assets.md":     "TestAssetsPage, which compares what is shown too",
	"argocd.md":     "make e2e-argocd, with a real Argo CD",
	"flux.md":       "make e2e-flux, with Flux's own controllers",
	"helm.md":       "make e2e-helm, with Helm 4 and 3",
	"install.md":    "TestInstallPage in config, with kustomize and Helm",
	"kustomize.md":  "TestKustomizePage, with the files that it shows",
	"metrics.md":    "TestInstallation in config/prometheus, with the same kustomization",
	"policies.md":   "TestPolicies in config, which applies its overlay and its labels",
	"releasing.md":  "it needs a release, and a registry",
	"runbooks.md":   "TestRunbooks in config/prometheus, with the alerts",
	"validation.md": "TestValidationPage, with what each tool refuses",
}

// notRun has the commands that need more than an API server, by how their block begins.
var notRun = map[string]string{
	"kind create cluster":     "it makes a cluster of containers",
	"kubectl logs ":           "without a kubelet no Pod runs, and there are no logs",
	"kubectl rollout status ": "without a kubelet no Pod becomes ready",
	"make ":                   "TestPagesNameWhatExists looks for the targets of make, and the CI runs them",
}

const (
	apiKey = "dk_test_of_the_docs"
	// imageID is the image that the pages' examples name.
	imageID = "0d5c6b1e-3f2a-4b7c-9a10-1c2d3e4f5a6b"
	// assetName is the DaftyAsset that the pages' commands name by $ASSET.
	assetName = "asset"
	// accountName is the DaftyAccount that they name by $ACCOUNT.
	accountName = "account"
	// patience is for what takes the operator moments, on a slow machine.
	patience = 2 * time.Minute
)

var block = regexp.MustCompile("(?ms)^( *)```(yaml|sh)\n(.*?)^ *```$")

func TestPages(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	startOperator(t, kubetest.Start(t))
	skipped := map[string]bool{}
	for _, page := range append(pages, readme) {
		blocks := block.FindAllStringSubmatch(read(t, page), -1)
		prepare, runs := pagesRun[page]
		if !runs && pagesRunElsewhere[page] == "" {
			for _, b := range blocks {
				if b[2] == "yaml" || reasonNotToRun(b[3]) == "" {
					t.Errorf("%s shows what no test runs: put it into here or elsewhere", page)
					break
				}
			}
		}
		if !runs {
			continue
		}
		t.Run(page, func(t *testing.T) {
			e := newEnv(t)
			prepare(e, t)
			for _, b := range blocks {
				text := unindented(b[1], b[3])
				if b[2] == "yaml" {
					e.apply(t, text)
				} else if why := reasonNotToRun(text); why != "" {
					skipped[why] = true
				} else {
					if page == readme {
						e.applyAgain(t)
					}
					e.run(t, text)
				}
			}
		})
	}
	for begins, why := range notRun {
		if !skipped[why] {
			t.Errorf("no page has a command that begins with %q any more", begins)
		}
	}
}

func reasonNotToRun(script string) string {
	for begins, why := range notRun {
		if strings.HasPrefix(strings.TrimSpace(script), begins) {
			return why
		}
	}
	return ""
}

func unindented(by, text string) string {
	return regexp.MustCompile("(?m)^"+by).ReplaceAllString(text, "")
}

func read(t *testing.T, page string) string {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// env is what a page is run in: a namespace, and a folder like a checkout, into which each manifest is saved under its name.
type env struct {
	*kubetest.Env
	dir  string
	path string
	jobs int
	// ledger is the address of what the simulated Dafty was paid for, where a page shows it.
	ledger string
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{Env: kubetest.Start(t), dir: t.TempDir(), path: t.TempDir()}
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		filepath.Join(e.dir, "config"):   filepath.Join(root, "config"),
		filepath.Join(e.path, "kubectl"): e.KubectlCommand(t.Context()).Path,
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// withNothing prepares nothing.
func (e *env) withNothing(*testing.T) {}

func (e *env) withSecret(t *testing.T) {
	t.Helper()
	e.MustKubectl(t, "create", "secret", "generic", "dafty-credentials", "--from-literal=apiKey="+apiKey)
}

// withOperator installs the operator's objects, and an image.
func (e *env) withOperator(t *testing.T) {
	t.Helper()
	e.withSecret(t)
	e.MustKubectl(t, "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(e.dir, "config", "default"))
	e.MustApply(t, "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: dafty-operator.dafty.ai, namespace: dafty-operator-system}\n"+
		"spec: {holderIdentity: dafty-operator-controller-manager-0}\n")
	e.MustKubectl(t, "create", "configmap", "brand", "--from-file="+filepath.Join(e.dir, "config", "samples", "campaign", "logo.png"))
}

// withShopJob creates the job that the page about reliability names.
func (e *env) withShopJob(t *testing.T) {
	t.Helper()
	e.MustKubectl(t, "create", "namespace", "shop")
	e.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: hero, namespace: shop}\nspec: {imageGenerate: {prompt: A logo}}\n")
}

// save saves a manifest under the name of its first object.
func (e *env) save(t *testing.T, manifest string) {
	t.Helper()
	first, _, _ := strings.Cut(manifest, "\n---\n")
	var object struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal([]byte(first), &object); err != nil || object.Metadata.Name == "" {
		t.Fatalf("not a manifest with a name: %v\n%s", err, manifest)
	}
	if err := os.WriteFile(filepath.Join(e.dir, object.Metadata.Name+".yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
}

// apply saves a manifest, and applies it.
func (e *env) apply(t *testing.T, manifest string) {
	t.Helper()
	e.save(t, manifest)
	applied := e.MustApply(t, manifest, "--validate=strict")
	if got, want := strings.Count(applied, "\n"), len(regexp.MustCompile("(?m)^apiVersion: ").FindAllString(manifest, -1)); got != want {
		t.Errorf("%d of %d objects are applied:\n%s\n%s", got, want, applied, manifest)
	}
}

// applyAgain applies again what was applied before.
func (e *env) applyAgain(t *testing.T) {
	t.Helper()
	if saved, err := filepath.Glob(filepath.Join(e.dir, "*.yaml")); err != nil || len(saved) > 0 {
		e.MustKubectl(t, "apply", "-f", e.dir)
	}
}

// run runs the commands of a block. $JOB is a DaftyJob that has just completed, $ASSET a DaftyAsset that is Ready.
func (e *env) run(t *testing.T, script string) {
	t.Helper()
	job := ""
	if strings.Contains(script, "$JOB") {
		e.jobs++
		job = fmt.Sprintf("job-%d", e.jobs)
		e.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: "+job+"}\nspec: {imageGenerate: {prompt: A logo}}\n")
		e.MustKubectl(t, "wait", "--for=condition=Complete", "daftyjob/"+job, "--timeout="+patience.String())
	}
	if strings.Contains(script, "$ASSET") {
		e.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: "+assetName+"}\n"+
			"spec: {template: {spec: {imageGenerate: {prompt: A logo that changes}}}}\n")
		e.MustKubectl(t, "wait", "--for=condition=Ready", "daftyasset/"+assetName, "--timeout="+patience.String())
	}
	if strings.Contains(script, "$ACCOUNT") {
		e.MustApply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAccount\nmetadata: {name: "+accountName+"}\n"+
			"spec: {apiKeySecretRef: {namespace: "+e.Namespace+", name: dafty-credentials}, namespaces: {}}\n")
	}
	out, err := e.output(t, script, job)
	if err != nil {
		t.Errorf("%v:\n%s\n%s", err, script, out)
	}
	if strings.Contains(out, apiKey) {
		t.Errorf("the API key is shown by:\n%s", script)
	}
}

// output returns what the commands of a block print.
func (e *env) output(t *testing.T, script, job string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = e.dir
	cmd.Env = e.KubectlCommand(ctx).Env
	cmd.Env = append(cmd.Env, "KUBECONFIG="+e.Kubeconfig, "PATH="+e.path+":"+os.Getenv("PATH"), "LEDGER="+e.ledger,
		"NAMESPACE="+e.Namespace, "JOB="+job, "ASSET="+assetName, "ACCOUNT="+accountName, "DAFTY_API_KEY="+apiKey)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// startOperator runs an operator for all namespaces until the test ends. Jobs complete at once.
func startOperator(t *testing.T, env *kubetest.Env) {
	t.Helper()
	startOperatorWith(t, env, daftysim.Options{
		PendingFor:    daftysim.Fixed(20 * time.Millisecond),
		ProcessingFor: daftysim.Fixed(20 * time.Millisecond),
	})
}

// startOperatorWith is startOperator with options of Dafty. It returns Dafty's ledger, where Admin is among them.
func startOperatorWith(t *testing.T, env *kubetest.Env, dafty daftysim.Options) (ledger string) {
	t.Helper()
	dafty.AnyKey, dafty.Limits = true, daftysim.NoLimits
	dafty.NewAccount = daftysim.Account{Images: []daftysim.Image{{ID: imageID}}}
	sim := daftysim.Serve(daftysim.New(dafty))
	t.Cleanup(sim.Close)
	runOperator(t, env, sim.URL)
	return strings.TrimSuffix(sim.URL, daftysim.BasePath) + "/_sim/ledger"
}

// runOperator runs an operator until the test ends.
func runOperator(t *testing.T, env *kubetest.Env, daftyURL string) {
	t.Helper()
	operator := operatortest.Run(t, operatortest.Config{
		Program: operatortest.Program(t), APIKeys: []string{apiKey},
		Args: []string{
			"--kubeconfig=" + env.ControlPlane.Kubeconfig, "--dafty-url=" + daftyURL, "--metrics-bind-address=0", "--health-probe-bind-address=0",
			// The pages together create more than Dafty's documented limits allow in a minute.
			"--rate-limits=image_create=600,video_create=600,style_extract=600,upload=600,other=6000",
		},
	})
	t.Cleanup(func() {
		if err := operator.Stop(patience); err != nil {
			t.Error(err)
		}
	})
}
