//go:build e2e

package flux

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
	"dafty.ai/dafty-operator/internal/test/installtest"
)

// The Kustomizations. Each has a folder in Git, a namespace and an account at Dafty of its name.
const (
	shop      = "shop" // the namespace of the documentation's
	assets    = "assets"
	beside    = "beside" // has nothing to wait for
	taken     = "taken"  // without the annotation that keeps what kubectl sets
	kept      = "kept"
	refused   = "refused"
	forced    = "forced"
	pruned    = "pruned"
	last      = "last"  // has one file
	moved     = "moved" // the namespace of two
	at        = "at-once"
	later     = "later" // its deletion waits
	suspended = "suspended"
	fails     = "fails"
	fleeting  = "fleeting" // has a time to live
	left      = "left"     // runs while there is no operator
)

var (
	holds    = []string{"hold-1", "hold-2", "hold-3", "hold-4"} // as many as there are workers
	accounts = slices.Concat(holds, []string{
		shop, assets, beside, taken, kept, refused, forced, pruned, last, moved, at, later, suspended, fails, fleeting, left,
	})
)

// The steps share one Flux.
func TestFlux(t *testing.T) {
	e := newEnv(t)
	step := func(name string, do func(*env)) {
		if t.Failed() {
			return // it would only say the same again, after waiting for it
		}
		start := time.Now()
		t.Run(name, func(t *testing.T) { do(&env{World: e.In(t), state: e.state}) })
		t.Logf("%s: %s", name, time.Since(start).Round(time.Second))
	}
	step("pictures in Git are left out, but for .sourceignore", (*env).pictures)
	step("a campaign completes, and then what depends on it", (*env).campaign)
	step("what the operator writes is no drift", (*env).noDrift)
	step("a commit changes a picture, which is there all the time, and a revert is free", (*env).assetChanged)
	step("a change that fails isn't ready, and the old result is served", (*env).assetFails)
	step("Kustomizations that wait hold the workers for their timeout", (*env).waiting)
	step("with the settings of the page a commit and a deletion end the wait", (*env).waitingEnds)
	step("what kubectl sets is taken back", (*env).takenBack)
	step("what kubectl sets is kept with ssa: Merge, and commits come through", (*env).keptByMerge)
	step("one refused object keeps all of the commit from being applied", (*env).refused)
	step("force pays again", (*env).forced)
	step("what is pruned or renamed is cancelled, and goes with its result", (*env).pruned)
	step("the last file of a folder isn't pruned", (*env).lastFile)
	step("what moves to another Kustomization is kept if prune was disabled before", (*env).moved)
	step("a deletion waits for the cancel with WaitForTermination alone", (*env).deleted)
	step("what is suspended, fails or expires", (*env).others)
	step("an operator that Flux removes leaves the CRDs and what is theirs", (*env).operatorRemoved)
	step("all is removed in order", (*env).removed)
	step("nothing runs on, and Dafty was asked for nothing that it doesn't know", func(e *env) { e.CheckLedger() })
	if !t.Failed() {
		e.Docs.T = t
		e.Docs.CheckAllUsed()
	}
}

// gitURL is the user's repository in the documentation.
const gitURL = "https://git.example.com/marketing.git"

// sample copies a folder of config into the repository, without its .sourceignore.
func (e *env) sample(from, to string) (ignore string) {
	e.Helper()
	to = filepath.Join(e.Repo.Dir, to)
	if err := os.CopyFS(to, os.DirFS(filepath.Join(e.Root, "config", from))); err != nil {
		e.Fatal(err)
	}
	ignore = e.Read(filepath.Join(to, ".sourceignore"))
	if err := os.Remove(filepath.Join(to, ".sourceignore")); err != nil {
		e.Fatal(err)
	}
	return ignore
}

// pictures installs the documentation's Kustomizations, with the campaign of the samples.
func (e *env) pictures() {
	e.startKustomizeController("--watch-all-namespaces")
	ignore := e.sample("samples/campaign", "campaign")
	e.Folder("pictures", e.Docs.Example("apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\n"))
	e.Folder("credentials", "apiVersion: v1\nkind: Secret\nmetadata: {name: dafty-credentials}\nstringData: {apiKey: "+e2e.APIKey(shop)+"}\n")
	e.Folder("shop", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\n")
	e.Repo.Commit("A campaign")
	e.apply(e.Replace(e.Docs.Example("apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: "+source+"\n"), gitURL, e.url))
	e.manifest = e.Docs.Example("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: pictures\n")
	e.apply(e.manifest)
	e.apply(e.Docs.Example("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: credentials\n"))
	e.apply(e.Docs.Example("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: campaign\n"))
	e.waitForFailure("campaign", "BuildFailed", "logo.png: no such file or directory")
	e.waitForReady("pictures", "")
	e.CheckPaid(shop, 1) // the asset, which has no picture of its own

	if output, err := e.Sh(e.Repo.Dir, e.Docs.Example("echo ")); err != nil {
		e.Fatalf("%v\n%s", err, output)
	}
	e.push("Pictures are sources too")
	e.Eventually("the campaign is built", func(g Gomega) { g.Expect(e.Jobs(shop)).To(HaveLen(5)) })
	// In the folder, as the samples have it, it does as well.
	e.Repo.Remove(".sourceignore")
	e.Repo.Write("campaign/.sourceignore", ignore)
	e.waitForReady("campaign", e.push("Only those of the campaign"))
}

func (e *env) campaign() {
	e.shell(e.Docs.Example("kubectl wait kustomization "))
	page, err := e.ConfigMap(shop, "page")
	if err != nil {
		e.Fatal(err)
	}
	for _, job := range e.Jobs(shop) {
		if job.Status.Phase != v1alpha1.PhaseCompleted {
			e.Errorf("%s is %s, and the Kustomization ready", job.Name, job.Status.Phase)
		}
		if page.CreationTimestamp.Before(job.Status.FinishedAt) {
			e.Errorf("page was created at %s, before %s had ended at %s", page.CreationTimestamp, job.Name, job.Status.FinishedAt)
		}
	}
	e.CheckPaid(shop, 5)
}

// noDrift checks that another look at Git writes nothing.
func (e *env) noDrift() {
	versions := func() map[string]string {
		all := map[string]string{"hero": e.Asset(shop, "launch-hero").ResourceVersion}
		for _, job := range e.Jobs(shop) {
			all[job.Name] = job.ResourceVersion
		}
		return all
	}
	before := versions()
	e.reconcile("campaign")
	e.reconcile("pictures")
	for name, version := range versions() {
		if version != before[name] {
			e.Errorf("%s was written, from version %s to %s", name, before[name], version)
		}
	}
}

// waiting fills all of kustomize-controller's workers, as it is installed.
func (e *env) waiting() {
	e.Folder(beside, e2e.Hero("A harbour, beside"))
	for _, name := range holds {
		e.Folder(name, e2e.Endless("clip"))
	}
	e.push("What takes long")
	// The timeout of the page, shortened.
	for _, name := range holds {
		e.create(name, set("wait", true), set("timeout", "10s"), set("retryInterval", "10s"))
	}
	id := e.WaitForPhase(holds[0], "clip", v1alpha1.PhaseProcessing).Status.JobID
	e.create(beside)
	e.Folder(holds[0], e2e.Endless("clip", "desiredState: Cancelled"))
	commit := e.push("Cancel the first")
	e.WaitForPhase(holds[0], "clip", v1alpha1.PhaseCancelled)
	e.CheckCancelled(id)
	e.waitForReady(holds[0], commit)
	e.waitForReady(beside, commit)
	e.waitForFailure(holds[1], "HealthCheckFailed", "timeout waiting for: [DaftyJob/"+holds[1]+"/clip status: 'InProgress']")

	// With a long one nothing else is done.
	e.Folder(holds[0], e2e.Endless("another"))
	e.push("Something new")
	e.waitLong(holds...)
	if active, most := e.metric(`controller_runtime_active_workers{controller="kustomization"}`), e.metric(`controller_runtime_max_concurrent_reconciles{controller="kustomization"}`); active != "4" || most != "4" {
		e.Errorf("%s of %s workers are busy", active, most)
	}
	e.Folder(holds[1], e2e.Endless("clip", "desiredState: Cancelled"))
	e.Folder(beside, e2e.Hero("Another harbour, beside"))
	commit = e.push("Cancel the second, and change what waits for nothing")
	e.Kubectl("delete", "kustomization", holds[2], "--namespace", fluxNamespace, "--wait=false")
	NewWithT(e.T).Consistently(func(g Gomega) {
		g.Expect(e.Asset(beside, "hero").Generation).To(Equal(int64(1)), "what waits for nothing is held too")
		for _, name := range holds[1:3] {
			job := e.MustJob(name, "clip")
			g.Expect(job.Status.Phase).To(Equal(v1alpha1.PhaseProcessing), name)
			g.Expect(job.DeletionTimestamp).To(BeNil(), name)
		}
	}).WithTimeout(15 * time.Second).WithPolling(time.Second).Should(Succeed()) // longer than the timeout of before
	e.commit = commit
}

// waitLong gives Kustomizations the timeout of half an hour, and returns once they wait.
func (e *env) waitLong(names ...string) {
	e.Helper()
	for _, name := range names {
		e.Kubectl("patch", "kustomization", name, "--namespace", fluxNamespace, "--type=merge", "--patch", `{"spec":{"wait":true,"timeout":"30m"}}`)
	}
	for _, name := range names {
		e.Eventually(name+" waits", func(g Gomega) {
			read, err := e.kustomization(name)
			g.Expect(err).NotTo(HaveOccurred())
			i := slices.IndexFunc(read.Status.Conditions, isReconciling)
			g.Expect(i).To(BeNumerically(">=", 0), "%+v", read.Status)
			g.Expect(read.Status.Conditions[i].Message).To(ContainSubstring("with a timeout of 30m0s"))
		})
	}
}

// waitingEnds starts kustomize-controller with the arguments that its Deployment has by the page.
func (e *env) waitingEnds() {
	dir := filepath.Join(e.Dir, "flux-system")
	if err := os.Mkdir(dir, 0o700); err != nil {
		e.Fatal(err)
	}
	for name, content := range map[string]string{
		"kustomization.yaml":   e.Docs.Example("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"),
		"gotk-components.yaml": e.Read(filepath.Join(built.Sources[kustomizeController], "config", "manager", "deployment.yaml")),
		"gotk-sync.yaml":       e.manifest,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			e.Fatal(err)
		}
	}
	deployment := installtest.Find[appsv1.Deployment](e, installtest.Kustomize(e, dir), "Deployment", kustomizeController)
	args := deployment.Spec.Template.Spec.Containers[0].Args
	if !strings.Contains(strings.Join(args, " "), "--watch-all-namespaces --log-level=info --log-encoding=json --enable-leader-election --") {
		e.Errorf("kustomize-controller's arguments aren't there: %q", args)
	}
	e.startKustomizeController(args...)
	e.WaitForPhase(holds[1], "clip", v1alpha1.PhaseCancelled) // what was held
	e.waitForGone(holds[2])
	e.waitForReady(beside, e.commit)

	e.waitLong(holds[0], holds[3])
	e.Folder(holds[0], e2e.Endless("another", "desiredState: Cancelled"))
	commit := e.push("Cancel it")
	e.WaitForPhase(holds[0], "another", v1alpha1.PhaseCancelled)
	e.waitForReady(holds[0], commit)
	id := e.MustJob(holds[3], "clip").Status.JobID
	e.waitLong(holds[3])
	e.Kubectl("delete", "kustomization", holds[3], "--namespace", fluxNamespace, "--timeout", e2e.Patience.String())
	e.CheckCancelled(id)
	for _, name := range holds[1:] {
		e.CheckPaid(name, 1)
	}
	e.CheckPaid(holds[0], 2)
}
