//go:build e2e

package argocd

import (
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

// The Applications that run into what the documentation warns of. Each has a folder in Git, a namespace and an account at Dafty of its name.
const (
	frozen    = "frozen"    // applied by the API server, which compares too
	thawed    = "thawed"    // the same with the documentation's annotation
	swallowed = "swallowed" // its retries take new commits
	heeded    = "heeded"    // the same with the documentation's retries
	forced    = "forced"
	annotated = "annotated" // forces by annotation
	replacing = "replacing" // replaces and forces by annotation
	optioned  = "optioned"  // replaces and forces by options of the Application
	hooked    = "hooked"
	unlucky   = "unlucky" // its hook fails
	movedFrom = "moved-from"
	movedTo   = "moved-to" // in the namespace of the other
	linked    = "linked"
	keyed     = "keyed"
	earlier   = "earlier" // of two in waves of a third
	remains   = "remains" // when the operator is removed
)

var trapped = []string{frozen, thawed, swallowed, heeded, forced, annotated, replacing, optioned, hooked, unlucky, movedFrom, movedTo, linked, keyed, earlier, remains}

// runIntoTraps takes steps that don't need one another.
func (e *env) runIntoTraps() {
	application := e.Docs.Example("apiVersion: argoproj.io/v1alpha1\nkind: Application\n")
	e.shell(e.Docs.Example("kubectl patch configmap argocd-cm "))
	e.shell(e.Replace(e.Docs.Example("argocd login "), "localhost:8080", e.argoAddress))
	suite := e.T
	step := func(name string, do func(*env)) {
		suite.Run(name, func(t *testing.T) { do(e.in(t)) })
	}
	e.writeTraps()
	e.Repo.Commit("All that is trapped")
	for name, change := range map[string]func(*unstructured.Unstructured){
		frozen: serverSideApply, thawed: serverSideApplyAlone, swallowed: refreshing, optioned: options("Replace=true", "Force=true"),
		heeded: nil, forced: nil, annotated: nil, replacing: nil, hooked: nil, unlucky: nil, movedFrom: nil, movedTo: into(movedFrom), linked: nil, keyed: nil, remains: nil,
	} {
		if change == nil {
			e.create(application, name)
		} else {
			e.create(application, name, change)
		}
	}
	step("one refused object freezes an Application that the API server compares", (*env).freezes)
	step("with the documentation's annotation it doesn't", (*env).thaws)
	step("retries that take new commits swallow a cancel, and the documentation's don't", (*env).swallows)
	step("--force and Force=true answer a refusal by paying again", (*env).forces)
	step("Replace=true and Force=true as annotations pay at each commit, and as options they don't", (*env).replaces)
	step("a hook is paid for at each sync, and refused by the policy", (*env).hooks)
	step("what moves to another Application is paid for again, but in the documentation's order", (*env).moves)
	step("Argo CD's UI links results", (*env).links)
	step("where a chart or an operator owns argocd-cm, the keys are theirs to write", (*env).settingsOfOthers)
	step("a job that was cancelled is no result for what is made again with its key", (*env).keyedAgain)
	step("an Application of Applications doesn't wait for waves, unless it is told to", func(e *env) { e.ofApps(application) })
	step("without the operator jobs run on, and in the documentation's order nothing is left", (*env).operatorRemoved)
	step("nothing runs on, and Dafty was asked for nothing that it doesn't know", (*env).endsTraps)
}

// anotherFrames is a manifest of Endless with another prompt.
func anotherFrames(manifest string) string {
	return strings.Replace(manifest, "The sun comes up", "The moon comes up", 1)
}

// withAnnotation returns a manifest with an annotation.
func withAnnotation(manifest, annotation string) string {
	return strings.Replace(manifest, "metadata:\n", "metadata:\n  annotations: {"+annotation+"}\n", 1)
}

// page is a ConfigMap with data.
func page(content string) string {
	return configMap("page", "0") + "data: {content: " + content + "}\n"
}

func (e *env) writeTraps() {
	for _, app := range []string{frozen, thawed} {
		e.folder(app, e2e.Short("a", "A lake"), e2e.Endless("b"), e2e.Endless("beside"), page("first"))
	}
	for _, app := range []string{swallowed, heeded} {
		e.folder(app, e2e.Short("a", "A lake"), e2e.Endless("b"))
	}
	e.folder(forced, e2e.Endless("clip"), e2e.Short("lake", "A lake"))
	const option = "argocd.argoproj.io/sync-options: "
	e.folder(annotated, withAnnotation(e2e.Endless("clip"), option+"Force=true"))
	e.folder(replacing, withAnnotation(e2e.Short("lake", "A lake"), option+`"Replace=true,Force=true"`), page("first"))
	e.folder(optioned, e2e.Short("lake", "A lake"), page("first"))
	e.folder(hooked, withAnnotation(e2e.Short("hook", "A lake"), "argocd.argoproj.io/hook: Sync"), page("first"))
	e.folder(unlucky, withAnnotation(e2e.Short("hook", "[fail] A parody"), "argocd.argoproj.io/hook: Sync"))
	e.folder(movedFrom, e2e.Endless("first"), e2e.Endless("second"), e2e.Endless("third"), configMap("from", "0"))
	e.Folder(movedTo, configMap("to", "0"))
	e.folder(keyed, e2e.Endless("clip", "idempotencyKey: e2e-clip"))
	e.folder(remains, e2e.Endless("clip"))
	e.folder(linked, e2e.Short("lake", "A lake"), e2e.Waiting("held"), e2e.Hero("A lake"))
}

// options adds sync options to an Application.
func options(more ...string) func(*unstructured.Unstructured) {
	return func(app *unstructured.Unstructured) {
		path := []string{"spec", "syncPolicy", "syncOptions"}
		before, _, _ := unstructured.NestedStringSlice(app.Object, path...)
		_ = unstructured.SetNestedStringSlice(app.Object, append(before, more...), path...)
	}
}

// serverSideApplyAlone has the API server apply the manifests, and Argo CD compare them as the documentation's annotation says.
var serverSideApplyAlone = options("ServerSideApply=true")

// serverSideApply has the API server apply the manifests, and with that, where nothing else is said, compare them.
func serverSideApply(app *unstructured.Unstructured) {
	serverSideApplyAlone(app)
	app.SetAnnotations(nil)
}

// refreshing has retries take new commits.
func refreshing(app *unstructured.Unstructured) {
	tries(8)(app)
	_ = unstructured.SetNestedField(app.Object, true, "spec", "syncPolicy", "retry", "refresh")
}

// into has an Application of another namespace.
func into(namespace string) func(*unstructured.Unstructured) {
	return func(app *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(app.Object, namespace, "spec", "destination", "namespace")
	}
}

// refusedChange commits a change that is refused, beside a cancel, a new DaftyJob and another change, and returns the revision.
func (e *env) refusedChange(app string) string {
	e.Helper()
	e.WaitForPhase(app, "a", v1alpha1.PhaseCompleted)
	for _, name := range []string{"b", "beside"} {
		e.WaitForPhase(app, name, v1alpha1.PhaseProcessing)
	}
	e.waitForStatus(app, "Synced", "Progressing", "")
	e.folder(app, e2e.Short("a", "Another lake"), e2e.Endless("b", "desiredState: Cancelled"), e2e.Endless("beside"), e2e.Short("c", "A third lake"), page("second"), configMap("late", "1"))
	return e.push(app, "A request changed, a cancel, and more")
}

const refusedRequest = "the request can't be changed"

func (e *env) freezes() {
	revision := e.refusedChange(frozen)
	e.Eventually("the comparison fails", func(g Gomega) {
		app, err := e.application(frozen)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.Sync.Status).To(Equal("Unknown"))
		g.Expect(app.Status.Conditions).To(ContainElement(And(HaveField("Type", "ComparisonError"), HaveField("Message", ContainSubstring(refusedRequest)))))
		g.Expect(e.LogOf("argocd-application-controller")).To(ContainSubstring("Skipping auto-sync: application status is Unknown"))
	})
	e.checkFrozen()
	// A change in the cluster has it say that all is well at the new revision, of which nothing is applied.
	e.shell("argocd app actions run frozen cancel --kind DaftyJob --resource-name beside")
	e.WaitForPhase(frozen, "beside", v1alpha1.PhaseCancelled)
	e.Eventually("it says that it is Synced", func(g Gomega) {
		app, err := e.application(frozen)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect([]string{app.Status.Sync.Status, app.Status.Sync.Revision}).To(Equal([]string{"Synced", revision}))
	})
	if job := e.MustJob(frozen, "a"); string(job.Spec.ImageGenerate.Prompt) != "A lake" {
		e.Errorf("the change is applied: %+v", job.Spec)
	}
	if job := e.MustJob(frozen, "b"); job.Spec.DesiredState == v1alpha1.DesiredCancelled {
		e.Error("the cancel is applied")
	}
	// The way out for one object, and for all.
	e.shell(e.Replace(e.Docs.Example("argocd app sync campaign --resource "), "campaign", frozen, "launch-clip", "b"))
	e.WaitForPhase(frozen, "b", v1alpha1.PhaseCancelled)
	e.shell(e.Replace(e.Docs.Example("kubectl annotate application campaign "), "campaign", frozen))
	e.refresh(frozen, "hard")
	e.checkThawed(frozen)
}

func (e *env) checkFrozen() {
	e.Helper()
	if job := e.MustJob(frozen, "b"); job.Status.Phase != v1alpha1.PhaseProcessing || job.Spec.DesiredState == v1alpha1.DesiredCancelled {
		e.Errorf("b is cancelled: %+v", job.Status)
	}
	if _, err := e.Job(frozen, "c"); !apierrors.IsNotFound(err) {
		e.Errorf("c is made: %v", err)
	}
	if content, err := e.ConfigMap(frozen, "page"); err != nil || content.Data["content"] != "first" {
		e.Errorf("the page is applied: %v %v", err, content)
	}
}

// checkThawed checks that all of a commit is applied but what is refused, which the Application says.
func (e *env) checkThawed(name string) {
	e.Helper()
	e.WaitForPhase(name, "b", v1alpha1.PhaseCancelled)
	e.WaitForPhase(name, "c", v1alpha1.PhaseCompleted)
	e.Eventually("the refusal is told", func(g Gomega) {
		content, err := e.ConfigMap(name, "page")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(content.Data).To(HaveKeyWithValue("content", "second"))
		app, err := e.application(name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.Sync.Status).To(Equal("OutOfSync"))
		g.Expect(app.Status.OperationState.SyncResult.Resources).To(ContainElement(And(HaveField("Name", "a"), HaveField("Message", ContainSubstring(refusedRequest)))))
	})
	e.CheckPaid(name, 4)
}

func (e *env) checkNoLaterWave(name string) {
	e.Helper()
	if _, err := e.ConfigMap(name, "late"); !apierrors.IsNotFound(err) {
		e.Errorf("the later wave is there: %v", err)
	}
}

func (e *env) thaws() {
	e.refusedChange(thawed)
	e.checkThawed(thawed)
	e.checkNoLaterWave(thawed)
	// The sync is over once what it has applied beside is Healthy.
	if output, err := e.tryShell(e.Root, "argocd app sync thawed"); err == nil || !strings.Contains(output, "another operation is already in progress") {
		e.Errorf("argocd app sync: %v\n%s", err, output)
	}
	e.cancel(thawed, "beside")
	e.Eventually("the sync fails", func(g Gomega) {
		app, err := e.application(thawed)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.OperationState.Phase).To(Equal("Failed"))
	})
	// Server-side apply doesn't force either.
	if output, err := e.tryShell(e.Root, "argocd app sync thawed --force"); err == nil || !strings.Contains(output, refusedRequest) {
		e.Errorf("argocd app sync --force: %v\n%s", err, output)
	}
	e.checkNoLaterWave(thawed)
	e.CheckPaid(thawed, 4)
}

// swallows has self-heal try in vain to make a deleted DaftyJob again, as there is a quota, and commits a cancel meanwhile.
func (e *env) swallows() {
	var revision string
	for _, app := range []string{heeded, swallowed} {
		e.WaitForPhase(app, "a", v1alpha1.PhaseCompleted)
		e.WaitForPhase(app, "b", v1alpha1.PhaseProcessing)
		e.waitForStatus(app, "Synced", "Progressing", "")
		e.Kubectl("create", "quota", "jobs", "--hard=count/daftyjobs.dafty.ai=1", "--namespace", app)
		e.Kubectl("wait", "--for=jsonpath={.status.used.count/daftyjobs\\.dafty\\.ai}=2", "resourcequota/jobs", "--namespace", app, "--timeout", e2e.Patience.String())
		e.Kubectl("delete", "daftyjob", "a", "--namespace", app)
		e.Eventually("self-heal is refused", func(g Gomega) {
			state, err := e.application(app)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(state.Status.OperationState.Phase).To(Equal("Running"))
			g.Expect(state.Status.OperationState.Message).To(ContainSubstring("etrying"))
			g.Expect(state.Status.OperationState.SyncResult.Resources).To(HaveLen(1))
		})
		e.folder(app, e2e.Short("a", "A lake"), e2e.Endless("b", "desiredState: Cancelled"))
		revision = e.push(app, "Cancel b in "+app)
	}
	e.WaitForPhase(heeded, "b", v1alpha1.PhaseCancelled)
	e.Eventually("the retries are over", func(g Gomega) {
		state, err := e.application(swallowed)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(state.Status.OperationState.Phase).To(Equal("Failed"))
		g.Expect(state.Status.OperationState.SyncResult.Revision).To(Equal(revision))
		g.Expect(state.Status.OperationState.SyncResult.Resources).To(HaveLen(1))
	})
	e.refresh(swallowed, "hard")
	e.Eventually("Argo CD won't sync it", func(g Gomega) {
		g.Expect(e.LogOf("argocd-application-controller")).To(MatchRegexp(`Skipping auto-sync: failed previous sync attempt to \[` + revision + `\] and will not retry for \[` + revision + `\]`))
	})
	if job := e.MustJob(swallowed, "b"); job.Status.Phase != v1alpha1.PhaseProcessing {
		e.Errorf("it is cancelled: %+v", job.Status)
	}
	e.Kubectl("delete", "quota", "jobs", "--namespace", swallowed)
	e.shell("argocd app sync swallowed")
	e.WaitForPhase(swallowed, "b", v1alpha1.PhaseCancelled)
}

// checkPaidTwice checks that the first job was cancelled, and another paid for.
func (e *env) checkPaidTwice(app string) {
	e.Helper()
	e.Eventually("it is paid for twice", func(g Gomega) {
		var clips []bool
		for _, entry := range e.Paid(app) {
			if strings.HasSuffix(entry.Prompt, " comes up") {
				clips = append(clips, entry.Cancelled)
			}
		}
		g.Expect(clips).To(Equal([]bool{true, false}))
	})
}

func (e *env) cancel(app, name string) {
	e.Helper()
	e.shell("argocd app actions run " + app + " cancel --kind DaftyJob --resource-name " + name)
	e.WaitForPhase(app, name, v1alpha1.PhaseCancelled)
}

func (e *env) forces() {
	e.WaitForPhase(annotated, "clip", v1alpha1.PhaseProcessing)
	e.waitForStatus(annotated, "Synced", "Progressing", "")
	e.Repo.Write(annotated+"/clip.yaml", anotherFrames(e.Read(e.Repo.Dir+"/"+annotated+"/clip.yaml")))
	e.push(annotated, "Another prompt, with Force=true")

	lake := e.WaitForPhase(forced, "lake", v1alpha1.PhaseCompleted)
	e.WaitForPhase(forced, "clip", v1alpha1.PhaseProcessing)
	e.waitForStatus(forced, "Synced", "Progressing", "")
	e.Repo.Write(forced+"/clip.yaml", anotherFrames(e2e.Endless("clip")))
	e.push(forced, "Another prompt")
	e.Eventually("it is refused", func(g Gomega) {
		app, err := e.application(forced)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.OperationState.Phase).To(Equal("Failed"))
		g.Expect(app.Status.OperationState.Message).To(ContainSubstring(refusedRequest))
	})
	e.CheckPaid(forced, 2)
	e.shell("argocd app sync forced --force")
	e.checkPaidTwice(forced)
	if after := e.MustJob(forced, "lake"); after.UID != lake.UID {
		e.Errorf("what hasn't changed is made again: %+v", after)
	}
	e.checkPaidTwice(annotated)
	e.cancel(forced, "clip")
	e.cancel(annotated, "clip")
}

func (e *env) replaces() {
	for _, app := range []string{replacing, optioned} {
		before := e.WaitForPhase(app, "lake", v1alpha1.PhaseCompleted)
		e.waitForStatus(app, "Synced", "Healthy", "")
		paid := len(e.Paid(app))
		e.Repo.Write(app+"/page.yaml", page("second"))
		revision := e.push(app, "Another page of "+app)
		e.waitForStatus(app, "Synced", "Healthy", revision)
		after := e.WaitForPhase(app, "lake", v1alpha1.PhaseCompleted)
		if again := after.UID != before.UID; again != (app == replacing) {
			e.Errorf("%s: it is another object: %v", app, again)
		}
		if again := len(e.Paid(app)) > paid; again != (app == replacing) {
			e.Errorf("%s: it is paid for again: %v", app, again)
		}
	}
}

func (e *env) hooks() {
	e.WaitForPhase(hooked, "hook", v1alpha1.PhaseCompleted)
	e.waitForStatus(hooked, "Synced", "Healthy", "")
	paid := len(e.Paid(hooked))
	e.Repo.Write(hooked+"/page.yaml", page("second"))
	e.waitForStatus(hooked, "Synced", "Healthy", e.push(hooked, "Another page"))
	e.WaitForPhase(hooked, "hook", v1alpha1.PhaseCompleted)
	if now := len(e.Paid(hooked)); now != paid+1 {
		e.Errorf("%d jobs are paid for, and %d were: a hook isn't paid for at each sync", now, paid)
	}

	e.Eventually("one that fails is paid for at each retry", func(g Gomega) { g.Expect(len(e.Paid(unlucky))).To(BeNumerically(">=", 3)) })

	e.Kubectl("apply", "--filename", e.Root+"/config/admission-policy/admission_policy.yaml")
	const refusal = "a hook is deleted and made again at each sync or upgrade, and paid for each time"
	helm := withAnnotation(e2e.Short("of-helm", "A lake"), "helm.sh/hook: pre-install")
	e.Eventually("the policy is heeded", func(g Gomega) {
		_, err := e.TryKubectl(e.Context(), "apply", "--dry-run=server", "--namespace", hooked, "--filename", e.file("hook", helm))
		g.Expect(err).To(HaveOccurred())
	})
	e.Repo.Remove(hooked + "/hook.yaml")
	e.folder(hooked, helm, page("third"))
	e.push(hooked, "A hook of Helm's")
	e.Eventually("the hook is refused", func(g Gomega) {
		app, err := e.application(hooked)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.OperationState.Phase).To(Equal("Failed"))
		g.Expect(app.Status.OperationState.SyncResult.Resources).To(ContainElement(And(HaveField("Name", "of-helm"), HaveField("Message", ContainSubstring(refusal)))))
	})
	e.CheckPaid(hooked, paid+1)
	e.Repo.Write(hooked+"/of-helm.yaml", strings.Replace(helm, "pre-install", `pre-install, dafty.ai/allow-hook: "true"`, 1))
	e.waitForStatus(hooked, "Synced", "Healthy", e.push(hooked, "It is meant so"))
	e.CheckPaid(hooked, paid+2)

	// What a terminated sync has begun by a hook is cancelled.
	e.Repo.Remove(hooked + "/of-helm.yaml")
	e.folder(hooked, withAnnotation(e2e.Endless("endless"), `argocd.argoproj.io/hook: Sync, dafty.ai/allow-hook: "true"`), page("fourth")) // a hook alone begins no sync
	e.push(hooked, "A hook that runs on")
	running := e.WaitForPhase(hooked, "endless", v1alpha1.PhaseProcessing)
	e.shell("argocd app terminate-op hooked")
	e.Eventually("its job is cancelled", func(g Gomega) {
		entry, _ := e.Dafty.Job(running.Status.JobID)
		g.Expect(entry.Cancelled).To(BeTrue(), "%+v", entry)
	})
}

func (e *env) moves() {
	first := e.WaitForPhase(movedFrom, "first", v1alpha1.PhaseProcessing)
	second := e.WaitForPhase(movedFrom, "second", v1alpha1.PhaseProcessing)
	third := e.WaitForPhase(movedFrom, "third", v1alpha1.PhaseProcessing)
	e.waitForStatus(movedFrom, "Synced", "Progressing", "")
	e.waitForStatus(movedTo, "Synced", "Healthy", "")
	move := func(name string) {
		e.Helper()
		e.Repo.Remove(movedFrom + "/" + name + ".yaml")
		e.Folder(movedTo, e2e.Endless(name))
	}
	kept := func(before *v1alpha1.DaftyJob) {
		e.Helper()
		if after := e.MustJob(movedFrom, before.Name); after.UID != before.UID || after.DeletionTimestamp != nil || after.Status.JobID != before.Status.JobID {
			e.Errorf("%s is another, or goes: %+v", before.Name, after.ObjectMeta)
		}
	}
	// In the wrong order.
	move("first")
	e.push(movedFrom, "Move the first")
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, movedFrom, "first")
	e.CheckCancelled(first.Status.JobID)
	e.refresh(movedTo, "normal")
	e.WaitForPhase(movedFrom, "first", v1alpha1.PhaseProcessing)
	e.CheckPaid(movedFrom, 4)
	e.waitForStatus(movedFrom, "Synced", "Progressing", "")

	// In the documentation's.
	move("second")
	e.shell(e.Replace(e.Docs.Example("kubectl patch application campaign "), "campaign", movedFrom))
	revision := e.push(movedTo, "Move the second")
	e.waitForStatus(movedTo, "Synced", "Progressing", revision)
	e.shell(e.Replace(e.Docs.Example("kubectl patch application campaign "), "campaign", movedFrom))
	e.refresh(movedFrom, "normal")
	e.waitForStatus(movedFrom, "Synced", "Progressing", revision)
	kept(second)

	// What isn't pruned, and was so before.
	annotation := "argocd.argoproj.io/sync-options: Prune=false"
	e.Repo.Write(movedFrom+"/third.yaml", withAnnotation(e2e.Endless("third"), annotation))
	e.waitForStatus(movedFrom, "Synced", "Progressing", e.push(movedFrom, "Not to be pruned"))
	move("third")
	revision = e.push(movedFrom, "Move the third")
	e.waitForStatus(movedFrom, "OutOfSync", "Progressing", revision)
	e.refresh(movedTo, "normal")
	e.waitForStatus(movedTo, "Synced", "Progressing", revision)
	e.refresh(movedFrom, "normal")
	e.waitForStatus(movedFrom, "Synced", "Healthy", revision)
	kept(third)
	e.CheckPaid(movedFrom, 4)
	for _, name := range []string{"first", "second", "third"} {
		e.Kubectl("patch", "daftyjob", name, "--namespace", movedFrom, "--type", "merge", "--patch", `{"spec":{"desiredState":"Cancelled"}}`)
		e.WaitForPhase(movedFrom, name, v1alpha1.PhaseCancelled)
	}
}

// linksOf returns the addresses that Argo CD's UI links at an object.
func (e *env) linksOf(g Gomega, kind, name string) []string {
	var answer struct{ Items []struct{ URL, Title string } }
	e.get(g, "applications/"+linked+"/resource/links?namespace="+linked+"&resourceName="+name+"&group=dafty.ai&version=v1alpha1&kind="+kind, &answer)
	urls := []string{}
	for _, link := range answer.Items {
		urls = append(urls, link.Title+" "+link.URL)
	}
	return urls
}

func (e *env) links() {
	e.shell(e.Docs.Example("kubectl patch configmap argocd-cm --namespace argocd --patch-file "))
	e.waitForStatus(linked, "Synced", "Progressing", "")
	lake := e.WaitForPhase(linked, "lake", v1alpha1.PhaseCompleted)
	e.waitForHealth(linked, "hero", "Healthy ")
	asset := e.Asset(linked, "hero")
	children := slices.DeleteFunc(e.Jobs(linked), func(job v1alpha1.DaftyJob) bool { return !strings.HasPrefix(job.Name, "hero-") })
	if len(children) != 1 {
		e.Fatalf("the asset has %d DaftyJobs", len(children))
	}
	e.Eventually("results are linked", func(g Gomega) {
		g.Expect(e.linksOf(g, "DaftyJob", "lake")).To(Equal([]string{"Result " + lake.Status.Result.Primary}))
		g.Expect(e.linksOf(g, "DaftyAsset", "hero")).To(Equal([]string{"Result " + e2e.Result(asset)}))
		g.Expect(e.linksOf(g, "DaftyJob", children[0].Name)).To(Equal([]string{"Result " + children[0].Status.Result.Primary}))
	})
	NewWithT(e.T).Expect(e.linksOf(NewWithT(e.T), "DaftyJob", "held")).To(BeEmpty())

	// What is suspended stays so when it is replaced.
	e.shell("argocd app actions run linked suspend --kind DaftyJob --resource-name held")
	e.waitForHealth(linked, "held", "Suspended Suspended")
	e.shell("argocd app sync linked --replace")
	if desired := e.MustJob(linked, "held").Spec.DesiredState; desired != "" {
		e.Errorf("it is desired to be %s: it isn't replaced", desired)
	}
	e.waitForHealth(linked, "held", "Suspended Suspended")
	e.cancel(linked, "held")
}

func (e *env) endsTraps() {
	e.CheckLedger()
}
