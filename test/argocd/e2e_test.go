//go:build e2e

package argocd

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/docstest"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

// The two have an Argo CD each, and mostly wait.
func TestArgoCD(t *testing.T) {
	var guide, traps *docstest.Page
	t.Run("beside one another", func(t *testing.T) {
		t.Run("guide", func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, applications)
			guide = e.Docs
			e.followGuide()
		})
		t.Run("traps", func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, trapped)
			traps = e.Docs
			e.runIntoTraps()
		})
	})
	if guide != nil && traps != nil && !t.Failed() {
		guide.T = t
		guide.CheckAllUsed(traps)
	}
}

// followGuide takes steps that share one Argo CD, which takes a while to start. All Applications but the first are created at once, so that Argo CD and Dafty work
// on one while another is checked.
func (e *env) followGuide() {
	t := e.T
	application := e.Docs.Example("apiVersion: argoproj.io/v1alpha1\nkind: Application\n")
	step := func(name string, do func(*env)) {
		if t.Failed() {
			return // it would only say the same again, after waiting for it
		}
		start := time.Now()
		t.Run(name, func(t *testing.T) {
			do(e.in(t))
		})
		t.Logf("%s: %s", name, time.Since(start).Round(time.Second))
	}

	step("without the health check, a wave is over at once", func(e *env) { e.withoutHealthCheck(application) })
	step("the health check and the actions are installed", (*env).installHealthCheck)
	step("a user logs in, and registers the repository", (*env).logIn)

	step("all Applications are created", func(e *env) {
		e.startCampaign(application)
		e.writeManifests()
		e.Repo.Commit("All campaigns")
		for _, app := range applications {
			switch app {
			case campaign, early:
			case server, shopServer:
				e.create(application, app, serverSide)
			case retried:
				e.create(application, app, tries(60))
			case fails, synced, recommitted:
				e.create(application, app, tries(1))
			default:
				e.create(application, app)
			}
		}
	})
	step("a campaign becomes Synced and Healthy, wave by wave", (*env).campaignCompletes)
	step("the operator changes nothing that is in Git", (*env).noDrift)
	step("a sync pays for nothing again", (*env).syncedAgain)
	step("a job is cancelled by an action, by kubectl and by Git", (*env).cancelled)
	step("so it is under server-side apply and diff", (*env).cancelledServerSide)
	step("a job is suspended and resumed by an action", (*env).suspended)
	step("what Git states, Argo CD restores", (*env).desiredStateRestored)
	step("a commit isn't applied while an earlier wave waits, but actions and kubectl are", (*env).earlierWaveWaits)
	step("a commit is applied once the sync is terminated", (*env).syncTerminated)
	step("a failed job makes its Application Degraded, until Git is mended", (*env).jobFails)
	step("what is mended outside of Git is synced by a retry, a commit or a person", (*env).credentialsRepaired)
	step("what is deleted is paid for again, unless it has a key of its own", (*env).deletedJobsRunAgain)
	step("what has a time to live is paid for again and again", (*env).expiredJobsRunAgain)
	e.assetSteps(step)
	step("what is pruned is cancelled, and the Secret goes last", (*env).pruned)
	step("deleting the Application cancels its jobs, and the Secret goes last", (*env).deleted)
	step("nothing runs on, and Dafty was asked for nothing that it doesn't know", (*env).checkLedger)
	step("the operator is installed by kustomize and by Helm", (*env).installOperator)
}

func (e *env) withoutHealthCheck(application string) {
	e.folder(early, e2e.Endless("first"), e2e.Endless("beside"), configMap("after", "1"))
	e.Repo.Commit("What is there before the health check")
	e.create(application, early)
	e.waitForStatus(early, "Synced", "Healthy", "")
	if _, err := e.ConfigMap(early, "after"); err != nil {
		e.Errorf("the second wave waits for a job of the first: %v", err)
	}
	if job := e.MustJob(early, "first"); job.Status.Phase.Final() {
		e.Errorf("the job has ended: %+v", job.Status)
	}
}

func (e *env) installHealthCheck() {
	e.shell(e.Docs.Example("kubectl patch configmap argocd-cm "))
	e.Eventually("the health check is heeded from a refresh on", func(g Gomega) {
		e.refresh(early, "normal")
		app, err := e.application(early)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.Health.Status).To(Equal("Progressing"))
	})

	// The component has the same result, on top of Argo CD's own settings.
	component := e.Docs.Example("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: argocd\n")
	for from, to := range map[string]string{
		"- argocd # as you install it\n":   "- " + e.relative(filepath.Join(built.Source, "manifests", "base", "config")) + "\n",
		"- dafty-operator/config/argocd\n": "- " + e.relative(filepath.Join(e.Root, "config", "argocd")) + "\n",
	} {
		if !strings.Contains(component, from) {
			e.Fatalf("the documentation's kustomization has no %q", from)
		}
		component = strings.ReplaceAll(component, from, to)
	}
	live, err := e.ConfigMap(argoNamespace, "argocd-cm")
	if err != nil {
		e.Fatal(err)
	}
	var builtOne *corev1.ConfigMap
	for document := range strings.SplitSeq(e.Read(e.kustomization("component", component)), "\n---\n") {
		object := &corev1.ConfigMap{}
		if err := yaml.Unmarshal([]byte(document), object); err == nil && object.Kind == "ConfigMap" && object.Name == "argocd-cm" {
			builtOne = object
		}
	}
	if builtOne == nil || !maps.Equal(builtOne.Data, live.Data) || builtOne.Namespace != argoNamespace || len(live.Data) < 5 {
		e.Errorf("the component and the command differ:\n%+v\n%+v", builtOne, live)
	}
}

// logIn leaves out what needs a Pod: the API server of Argo CD is a process here.
func (e *env) logIn() {
	if forward := e.Docs.Example("kubectl port-forward "); !strings.Contains(forward, " service/argocd-server --namespace "+argoNamespace+" 8080:443\n") ||
		!strings.Contains(e.Read(filepath.Join(built.Source, "manifests", "base", "server", "argocd-server-service.yaml")), "port: 443\n") {
		e.Errorf("this forwards no port of Argo CD: %s", forward)
	}
	e.shell(e.Replace(e.Docs.Example("argocd login "), "localhost:8080", e.argoAddress))
	e.shell(e.Replace(e.Docs.Example("kubectl create secret generic marketing "), gitURL, e.Repo.URL()))
	if output, err := e.tryShell(e.Root, "argocd repo list"); err != nil || !strings.Contains(output, e.Repo.URL()) || !strings.Contains(output, "Successful") {
		e.Errorf("argocd repo list: %v\n%s", err, output)
	}
}

// gitURL is the user's repository in the documentation.
const gitURL = "https://git.example.com/marketing.git"

// startCampaign follows the documentation, in its order.
func (e *env) startCampaign(application string) {
	e.shell(e.Docs.Example("kubectl get crd "))
	e.shell(e.Docs.Example("kubectl create namespace campaign\n"))
	e.shell(strings.ReplaceAll(e.Docs.Example("mkdir -p ../marketing"), "../marketing", e.Repo.Dir))
	e.Repo.Write("campaign/kustomization.yaml", e.Docs.Example("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"))
	// Without nodes, only a Deployment without Pods is Healthy.
	e.Repo.Write("campaign/page.yaml", e.Replace(e.Docs.Example("apiVersion: apps/v1\nkind: Deployment\n"), "replicas: 1\n", "replicas: 0\n"))
	e.Repo.Write("application.yaml", e.Replace(application, gitURL, e.Repo.URL()))
	if output, err := e.tryShell(e.Repo.Dir, e.Docs.Example("git add ")); err != nil {
		e.Fatalf("%v\n%s", err, output)
	}
}

func (e *env) writeManifests() {
	e.folder(cancels, e2e.Endless("by-action"), e2e.Endless("by-kubectl"), e2e.Endless("by-git"), e2e.Waiting("held"))
	e.folder(stated, e2e.Endless("cancelled", "desiredState: Completed"), e2e.Waiting("held", "desiredState: Suspended"))
	e.folder(fails, e2e.Short("parody", "[fail] A parody"), configMap("page", "1"))
	e.folder(waves, e2e.Endless("clip"), e2e.Short("held", "A lake, later", "desiredState: Suspended"), configMap("page", "1"))
	e.folder(ended, e2e.Endless("clip"), configMap("page", "1"))
	for _, app := range rejected {
		e.Folder(app, e2e.Short("lake", "A lake"), configMap("page", "1"))
		e.Kubectl("create", "namespace", app)
		e.Kubectl("create", "secret", "generic", "dafty-credentials", "--namespace", app, "--from-literal=apiKey=wrong")
	}
	e.folder(pruned, e2e.Endless("dropped"), e2e.Endless("kept"), configMap("placeholder", "0"))
	e.folder(again, e2e.Short("keyed", "A lake with a key", "idempotencyKey: e2e-lake"), e2e.Short("unkeyed", "A lake"))
	e.folder(server, e2e.Endless("by-action"), e2e.Short("lake", "A lake"))
	e.folder(fleeting, e2e.Short("draft", "A draft", "ttlSecondsAfterFinished: 1"))
	e.writeAssets()
}

func (e *env) campaignCompletes() {
	e.shell(e.Docs.Example("kubectl wait application/campaign "))
	e.waitForStatus(campaign, "Synced", "Healthy", "")
	for _, job := range e.Jobs(campaign) {
		if job.Status.Phase != v1alpha1.PhaseCompleted {
			e.Errorf("%s is %s, and the Application Healthy", job.Name, job.Status.Phase)
		}
	}
	page := &appsv1.Deployment{}
	if err := e.Client.Get(e.Context(), client.ObjectKey{Namespace: campaign, Name: "page"}, page); err != nil {
		e.Fatal(err)
	}
	style, hero := e.MustJob(campaign, "launch-style"), e.MustJob(campaign, "launch-hero")
	for _, later := range []string{"launch-poster", "launch-clip"} {
		job := e.MustJob(campaign, later)
		if job.CreationTimestamp.Before(hero.Status.FinishedAt) {
			e.Errorf("%s was created at %s, before launch-hero had ended at %s", later, job.CreationTimestamp, hero.Status.FinishedAt)
		}
		if page.CreationTimestamp.Before(job.Status.FinishedAt) {
			e.Errorf("page was created at %s, before %s had ended at %s", page.CreationTimestamp, later, job.Status.FinishedAt)
		}
	}
	if hero.CreationTimestamp.Before(style.Status.FinishedAt) {
		e.Errorf("launch-hero was created at %s, before launch-style had ended at %s", hero.CreationTimestamp, style.Status.FinishedAt)
	}
	e.CheckPaid(campaign, 4)
	e.waitForHealth(campaign, "launch-hero", "Healthy Completed")
}

// noDrift checks that nothing would show Argo CD a difference, and that it sees none.
func (e *env) noDrift() {
	for _, job := range e.Jobs(campaign) {
		if job.Generation != 1 {
			e.Errorf("%s has generation %d: somebody has changed its spec", job.Name, job.Generation)
		}
		for _, entry := range job.ManagedFields {
			fields := map[string]any{}
			if err := yaml.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
				e.Fatal(err)
			}
			if entry.Manager == "argocd-controller" {
				continue
			}
			metadata, _ := fields["f:metadata"].(map[string]any)
			annotations, _ := metadata["f:annotations"].(map[string]any)
			delete(annotations, ".")
			delete(annotations, "f:"+v1alpha1.JobAnnotation)
			delete(metadata, "f:finalizers")
			if _, spec := fields["f:spec"]; spec || len(annotations) > 0 || len(metadata) > 1 || len(metadata) == 1 && metadata["f:annotations"] == nil {
				e.Errorf("%s writes more of %s than its status, finalizer and annotation: %s", entry.Manager, job.Name, entry.FieldsV1.GetRawString())
			}
		}
	}
	before, err := e.application(campaign)
	if err != nil {
		e.Fatal(err)
	}
	e.refresh(campaign, "hard")
	after, err := e.application(campaign)
	if err != nil {
		e.Fatal(err)
	}
	if after.Status.Sync.Status != "Synced" || len(after.Status.History) != 1 || after.Status.OperationState.StartedAt != before.Status.OperationState.StartedAt {
		e.Errorf("it was synced again: %+v", after.Status)
	}
}

// syncFlags change nothing that exists already.
var syncFlags = []string{"", " --force", " --replace"}

func (e *env) syncedAgain() {
	ids := func() map[string]types.UID {
		uids := map[string]types.UID{}
		for _, job := range e.Jobs(campaign) {
			uids[job.Name] = job.UID
		}
		return uids
	}
	before := ids()
	for _, flags := range syncFlags {
		e.shell("argocd app sync campaign" + flags)
		e.waitForStatus(campaign, "Synced", "Healthy", "")
		e.CheckPaid(campaign, 4)
		if after := ids(); !maps.Equal(before, after) {
			e.Errorf("argocd app sync%s has created DaftyJobs again:\n%v\n%v", flags, before, after)
		}
	}
}

func (e *env) cancelled() {
	ids := map[string]string{}
	for _, name := range []string{"by-action", "by-kubectl", "by-git"} {
		ids[name] = e.WaitForPhase(cancels, name, v1alpha1.PhaseProcessing).Status.JobID
	}
	to := func(command, job string) string {
		return strings.NewReplacer("launch-clip", job, "actions run campaign", "actions run "+cancels,
			"--namespace campaign", "--namespace "+cancels).Replace(command)
	}
	e.shell(to(e.Docs.Example("argocd app actions run campaign cancel"), "by-action"))
	e.shell(to(e.Docs.Example("kubectl patch daftyjob launch-clip"), "by-kubectl"))
	e.Repo.Write(cancels+"/by-git.yaml", e2e.Endless("by-git", "desiredState: Cancelled"))
	revision := e.push(cancels, "Call it off")
	for name, id := range ids {
		job := e.WaitForPhase(cancels, name, v1alpha1.PhaseCancelled)
		if job.Spec.DesiredState != v1alpha1.DesiredCancelled || job.Status.JobID != id {
			e.Errorf("%s: desired %s, job %s; it was %s", name, job.Spec.DesiredState, job.Status.JobID, id)
		}
		e.CheckCancelled(id)
		e.waitForHealth(cancels, name, "Healthy Cancelled")
	}
	// The fourth still waits. Self-heal keeps what Git doesn't mention.
	e.waitForStatus(cancels, "Synced", "Progressing", revision)
	e.refresh(cancels, "hard")
	e.waitForStatus(cancels, "Synced", "Progressing", revision)
	for name := range ids {
		if job := e.MustJob(cancels, name); job.Spec.DesiredState != v1alpha1.DesiredCancelled {
			e.Errorf("%s is desired to be %s again", name, job.Spec.DesiredState)
		}
	}
	e.CheckPaid(cancels, 3)
}

func (e *env) cancelledServerSide() {
	e.WaitForPhase(server, "lake", v1alpha1.PhaseCompleted)
	id := e.WaitForPhase(server, "by-action", v1alpha1.PhaseProcessing).Status.JobID
	e.waitForStatus(server, "Synced", "Progressing", "")
	e.shell("argocd app actions run server cancel --kind DaftyJob --resource-name by-action")
	e.WaitForPhase(server, "by-action", v1alpha1.PhaseCancelled)
	e.CheckCancelled(id)
	e.refresh(server, "hard")
	e.waitForStatus(server, "Synced", "Healthy", "")
	e.shell("argocd app sync server --force")
	e.waitForStatus(server, "Synced", "Healthy", "")
	if job := e.MustJob(server, "by-action"); job.Spec.DesiredState != v1alpha1.DesiredCancelled {
		e.Errorf("it is desired to be %s again", job.Spec.DesiredState)
	}
	e.CheckPaid(server, 2)
}

func (e *env) suspended() {
	e.waitForHealth(cancels, "held", "Progressing WaitingForDependency")
	e.shell("argocd app actions run cancels suspend --kind DaftyJob --resource-name held")
	e.waitForHealth(cancels, "held", "Suspended Suspended")
	e.waitForStatus(cancels, "Synced", "Suspended", "")
	e.shell("argocd app actions run cancels resume --kind DaftyJob --resource-name held")
	e.waitForHealth(cancels, "held", "Progressing WaitingForDependency")
	e.shell("argocd app actions run cancels cancel --kind DaftyJob --resource-name held")
	e.waitForHealth(cancels, "held", "Healthy CancelledBeforeSubmission")
	e.waitForStatus(cancels, "Synced", "Healthy", "")
	e.CheckPaid(cancels, 3)
}

func (e *env) desiredStateRestored() {
	// What is suspended in Git stays so.
	e.waitForHealth(stated, "held", "Suspended Suspended")
	generation := e.MustJob(stated, "held").Generation
	e.shell("argocd app actions run stated resume --kind DaftyJob --resource-name held")
	e.Eventually("self-heal suspends it again", func(g Gomega) {
		job, err := e.Job(stated, "held")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(job.Generation).To(BeNumerically(">=", generation+2))
		g.Expect(job.Spec.DesiredState).To(Equal(v1alpha1.DesiredSuspended))
	})
	// Resumed in Git, it goes on.
	e.Repo.Write(stated+"/held.yaml", e2e.Waiting("held", "desiredState: Completed"))
	e.push(stated, "Release it")
	e.waitForHealth(stated, "held", "Progressing WaitingForDependency")

	// What somebody suspends is resumed, as Git says so.
	generation = e.MustJob(stated, "held").Generation
	e.shell("argocd app actions run stated suspend --kind DaftyJob --resource-name held")
	e.Eventually("self-heal resumes it", func(g Gomega) {
		job, err := e.Job(stated, "held")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(job.Generation).To(BeNumerically(">=", generation+2))
		g.Expect(job.Spec.DesiredState).To(Equal(v1alpha1.DesiredCompleted))
	})
	e.waitForHealth(stated, "held", "Progressing WaitingForDependency")

	// A cancel is for good: self-heal puts back what Git says, and nothing comes of it until Git agrees.
	id := e.WaitForPhase(stated, "cancelled", v1alpha1.PhaseProcessing).Status.JobID
	e.shell("argocd app actions run stated cancel --kind DaftyJob --resource-name cancelled")
	e.WaitForPhase(stated, "cancelled", v1alpha1.PhaseCancelled)
	e.CheckCancelled(id)
	e.waitForHealth(stated, "cancelled", "Degraded AlreadyCancelled")
	e.Repo.Write(stated+"/cancelled.yaml", e2e.Endless("cancelled", "desiredState: Cancelled"))
	revision := e.push(stated, "It is cancelled")
	e.waitForStatus(stated, "Synced", "Progressing", revision)
	e.waitForHealth(stated, "cancelled", "Healthy Cancelled")
	e.CheckPaid(stated, 1)
}

// waitForIgnoredCommit waits until Argo CD has seen a commit, and doesn't sync it, as another sync is still running.
func (e *env) waitForIgnoredCommit(name, revision string) {
	e.Helper()
	e.Eventually("the commit is seen and not synced", func(g Gomega) {
		app, err := e.application(name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect([]string{app.Status.Sync.Status, app.Status.Sync.Revision}).To(Equal([]string{"OutOfSync", revision}))
		g.Expect(app.Status.OperationState.Phase).To(Equal("Running"))
		skipped := false
		for line := range strings.SplitSeq(e.LogOf("argocd-application-controller"), "\n") {
			skipped = skipped || strings.Contains(line, "Skipping auto-sync: another operation is in progress") && strings.Contains(line, name)
		}
		g.Expect(skipped).To(BeTrue())
	})
	if output, err := e.tryShell(e.Root, "argocd app sync "+name); err == nil || !strings.Contains(output, "another operation is already in progress") {
		e.Errorf("argocd app sync: %v\n%s", err, output)
	}
	e.checkNoPage(name)
}

func (e *env) checkNoPage(name string) {
	e.Helper()
	if _, err := e.ConfigMap(name, "page"); !apierrors.IsNotFound(err) {
		e.Errorf("the later wave is there: %v", err)
	}
}

func (e *env) checkPage(name string) {
	e.Helper()
	if _, err := e.ConfigMap(name, "page"); err != nil {
		e.Errorf("the later wave isn't there: %v", err)
	}
}

func (e *env) earlierWaveWaits() {
	id := e.WaitForPhase(waves, "clip", v1alpha1.PhaseProcessing).Status.JobID
	e.waitForHealth(waves, "held", "Suspended Suspended")
	e.Repo.Write(waves+"/clip.yaml", e2e.Endless("clip", "desiredState: Cancelled"))
	e.Repo.Write(waves+"/held.yaml", e2e.Short("held", "A lake, later", "desiredState: Completed"))
	revision := e.push(waves, "Cancel one, resume the other")
	e.waitForIgnoredCommit(waves, revision)
	for name, desired := range map[string]v1alpha1.DesiredState{"clip": "", "held": v1alpha1.DesiredSuspended} {
		if job := e.MustJob(waves, name); job.Spec.DesiredState != desired {
			e.Errorf("%s is desired to be %s, as the commit says", name, job.Spec.DesiredState)
		}
	}
	e.shell("argocd app actions run waves resume --kind DaftyJob --resource-name held")
	e.Kubectl("patch", "daftyjob", "clip", "--namespace", waves, "--type", "merge", "--patch", `{"spec":{"desiredState":"Cancelled"}}`)
	e.WaitForPhase(waves, "held", v1alpha1.PhaseCompleted)
	e.WaitForPhase(waves, "clip", v1alpha1.PhaseCancelled)
	e.CheckCancelled(id)
	e.waitForStatus(waves, "Synced", "Healthy", revision)
	e.checkPage(waves)
	e.CheckPaid(waves, 2)
}

func (e *env) syncTerminated() {
	id := e.WaitForPhase(ended, "clip", v1alpha1.PhaseProcessing).Status.JobID
	e.Repo.Write(ended+"/clip.yaml", e2e.Endless("clip", "desiredState: Cancelled"))
	revision := e.push(ended, "Cancel it")
	e.waitForIgnoredCommit(ended, revision)
	e.shell(e.Replace(e.Docs.Example("argocd app terminate-op "), "campaign", ended))
	e.waitForStatus(ended, "Synced", "Healthy", revision)
	e.WaitForPhase(ended, "clip", v1alpha1.PhaseCancelled)
	e.CheckCancelled(id)
	e.checkPage(ended)
	e.CheckPaid(ended, 1)
}

func (e *env) jobFails() {
	e.waitForHealth(fails, "parody", "Degraded "+v1alpha1.ReasonGenerationFailed+": ")
	e.checkNoPage(fails)
	e.CheckPaid(fails, 1)
	// Once the retries are over, what is in Git by then is synced.
	e.Repo.Remove(fails + "/parody.yaml")
	e.folder(fails, e2e.Short("homage", "A homage"))
	e.waitForStatus(fails, "Synced", "Healthy", e.push(fails, "Another one in place of what failed"))
	e.checkPage(fails)
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, fails, "parody")
	e.CheckPaid(fails, 2)
}

// credentialsRepaired repairs three Applications, whose first wave is Degraded, with another Secret.
func (e *env) credentialsRepaired() {
	for _, app := range rejected {
		e.waitForHealth(app, "lake", "Degraded "+v1alpha1.ReasonCredentialsRejected+": ")
		e.checkNoPage(app)
		if app != retried {
			e.Eventually("the last retry of "+app+" has failed", func(g Gomega) {
				state, err := e.application(app)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(state.Status.OperationState.Phase).To(Equal("Failed"))
			})
		}
		e.Kubectl("patch", "secret", "dafty-credentials", "--namespace", app, "--type", "merge", "--patch", `{"stringData":{"apiKey":"`+e2e.APIKey(app)+`"}}`)
	}
	for _, app := range rejected {
		e.WaitForPhase(app, "lake", v1alpha1.PhaseCompleted)
	}
	e.waitForStatus(retried, "Synced", "Healthy", "")
	for _, app := range []string{synced, recommitted} {
		e.refresh(app, "hard")
		state, err := e.application(app)
		if err != nil {
			e.Fatal(err)
		}
		if conditions := state.Status.Conditions; state.Status.Sync.Status != "OutOfSync" || len(conditions) != 1 ||
			!strings.Contains(conditions[0].Message, "Failed last sync attempt to ") {
			e.Errorf("%s: %+v", app, state.Status)
		}
		e.checkNoPage(app)
	}
	e.shell(e.Replace(e.Docs.Example("argocd app sync campaign\n"), "campaign", synced))
	e.waitForStatus(synced, "Synced", "Healthy", "")
	// An empty commit is a new one too.
	e.waitForStatus(recommitted, "Synced", "Healthy", e.push(recommitted, "Try again"))
	for _, app := range rejected {
		e.checkPage(app)
		e.CheckPaid(app, 1)
	}
}

// installOperator syncs the documentation's Applications of the operator, one after the other. Without nodes no Pod of it runs.
func (e *env) installOperator() {
	for _, folder := range []string{"config", "charts"} {
		if err := os.CopyFS(filepath.Join(e.Repo.Dir, folder), os.DirFS(filepath.Join(e.Root, folder))); err != nil {
			e.Fatal(err)
		}
	}
	e.Repo.Commit("The operator")
	const app, namespace = "dafty-operator", "dafty-operator-system"
	for _, manager := range []string{"dafty-operator-controller-manager", "dafty-operator"} { // with kustomize, and with Helm
		manifest := e.Replace(e.Docs.Example("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: "+app+"\n"),
			"https://git.example.com/dafty-operator.git", e.Repo.URL(), "targetRevision: v0.1.0", "targetRevision: main")
		e.Repo.Write("operator.yaml", manifest)
		e.Kubectl("apply", "--filename", filepath.Join(e.Repo.Dir, "operator.yaml"))
		e.waitForStatus(app, "Synced", "Progressing", "")
		deployment := &appsv1.Deployment{}
		if err := e.Client.Get(e.Context(), client.ObjectKey{Namespace: namespace, Name: manager}, deployment); err != nil {
			e.Fatal(err)
		}
		if image := deployment.Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/dafty-operator:v0.1.0" {
			e.Errorf("its image is %s", image)
		}
		enforced := &corev1.Namespace{}
		if err := e.Client.Get(e.Context(), client.ObjectKey{Name: namespace}, enforced); err != nil ||
			enforced.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
			e.Errorf("its namespace: %v %v", err, enforced.Labels)
		}
		e.Kubectl("delete", "application", app, "--namespace", argoNamespace)
		e.Kubectl("delete", "namespace", namespace, "--timeout", e2e.Patience.String())
		// What is left of the one would be OutOfSync in the other, which has the same name and doesn't prune.
		e.Kubectl("delete", "clusterroles,clusterrolebindings", "--selector", "app.kubernetes.io/managed-by=kustomize")
	}
}

func (e *env) deletedJobsRunAgain() {
	first := map[string]*v1alpha1.DaftyJob{}
	e.waitForStatus(again, "Synced", "Healthy", "")
	for _, name := range []string{"keyed", "unkeyed"} {
		first[name] = e.WaitForPhase(again, name, v1alpha1.PhaseCompleted)
	}
	waitForNew := func(paid int) {
		e.Helper()
		for name, old := range first {
			e.Eventually(name+" is made again", func(g Gomega) {
				job, err := e.Job(again, name)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(job.UID).NotTo(Equal(old.UID))
				g.Expect(job.Status.Phase).To(Equal(v1alpha1.PhaseCompleted), "%+v", job.Status.Conditions)
				g.Expect(job.Status.JobID == old.Status.JobID).To(Equal(name == "keyed"), "job %s, and %s before", job.Status.JobID, old.Status.JobID)
				first[name] = job
			})
		}
		e.waitForStatus(again, "Synced", "Healthy", "")
		e.CheckPaid(again, paid)
	}
	e.CheckPaid(again, 2)
	e.Kubectl("delete", "daftyjobs", "keyed", "unkeyed", "--namespace", again)
	waitForNew(3)
	e.shell("argocd app sync again --replace --force")
	waitForNew(4)

	// A request can't be changed; a new name makes a new job, and prunes the old.
	e.Repo.Write(again+"/unkeyed.yaml", e2e.Short("unkeyed", "A pond"))
	e.push(again, "Another prompt")
	e.Eventually("the sync of a changed request fails", func(g Gomega) {
		app, err := e.application(again)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.OperationState.Message).To(ContainSubstring("the request can't be changed"))
	})
	e.Repo.Remove(again + "/unkeyed.yaml")
	e.folder(again, e2e.Short("pond", "A pond"))
	e.waitForStatus(again, "Synced", "Healthy", e.push(again, "Another name"))
	e.WaitForPhase(again, "pond", v1alpha1.PhaseCompleted)
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, again, "unkeyed")
	e.CheckPaid(again, 5)
}

func (e *env) expiredJobsRunAgain() {
	e.Eventually("the same manifest is paid for again", func(g Gomega) { g.Expect(len(e.Paid(fleeting))).To(BeNumerically(">=", 2)) })
	e.Kubectl("delete", "application", fleeting, "--namespace", argoNamespace, "--wait=false")
	e.Eventually("its Application is gone", func(g Gomega) {
		_, err := e.application(fleeting)
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	})
}

func (e *env) pruned() {
	dropped := e.WaitForPhase(pruned, "dropped", v1alpha1.PhaseProcessing).Status.JobID
	kept := e.WaitForPhase(pruned, "kept", v1alpha1.PhaseProcessing).Status.JobID
	e.Repo.Remove(pruned + "/dropped.yaml")
	revision := e.push(pruned, "Without the one")
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, pruned, "dropped")
	e.CheckCancelled(dropped)
	e.waitForStatus(pruned, "Synced", "Progressing", revision)
	if entry, _ := e.Dafty.Job(kept); entry.Terminal() {
		e.Errorf("the job that stays in Git has ended: %+v", entry)
	}

	e.Repo.Remove(pruned + "/kept.yaml")
	e.Repo.Remove(pruned + "/dafty-credentials.yaml")
	revision = e.push(pruned, "Without the other, and the Secret")
	e.WaitForDeletion(&corev1.Secret{}, pruned, "dafty-credentials")
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, pruned, "kept")
	e.CheckCancelled(kept)
	e.waitForStatus(pruned, "Synced", "Healthy", revision)
	e.checkSecretDeletedLast(pruned)
	e.CheckPaid(pruned, 2)
}

func (e *env) deleted() {
	ids := []string{
		e.WaitForPhase(early, "first", v1alpha1.PhaseProcessing).Status.JobID,
		e.WaitForPhase(early, "beside", v1alpha1.PhaseProcessing).Status.JobID,
	}
	e.Kubectl("delete", "application", early, "--namespace", argoNamespace, "--timeout", e2e.Patience.String())
	for _, id := range ids {
		e.CheckCancelled(id)
	}
	if jobs := e.Jobs(early); len(jobs) > 0 {
		e.Errorf("the Application is gone, and left DaftyJobs: %+v", jobs)
	}
	e.WaitForDeletion(&corev1.Secret{}, early, "dafty-credentials")
	e.checkSecretDeletedLast(early)
	e.CheckPaid(early, 2)
}

// checkSecretDeletedLast checks the order of the API server's answers: the last DaftyJob lost its finalizer before the Secret was
// deleted.
func (e *env) checkSecretDeletedLast(namespace string) {
	e.Helper()
	events, err := e.ControlPlane.AuditEvents()
	if err != nil {
		e.Fatal(err)
	}
	var gone, deleted time.Time
	for _, event := range events {
		if event.ObjectRef == nil || event.ObjectRef.Namespace != namespace || event.ResponseStatus == nil || event.ResponseStatus.Code >= 300 {
			continue
		}
		switch {
		case event.ObjectRef.Resource == "daftyjobs" && slices.Contains([]string{"update", "patch"}, event.Verb) && event.ObjectRef.Subresource == "":
			gone = event.StageTimestamp.Time
		case event.ObjectRef.Resource == "secrets" && event.Verb == "delete":
			deleted = event.RequestReceivedTimestamp.Time
		}
	}
	if gone.IsZero() || !deleted.After(gone) {
		e.Errorf("the Secret was deleted at %s, and the last DaftyJob let go at %s", deleted, gone)
	}
}

func (e *env) checkLedger() {
	// Argo CD has had minutes to find a difference.
	app, err := e.application(campaign)
	if err != nil {
		e.Fatal(err)
	}
	if syncs := 1 + len(syncFlags); len(app.Status.History) != syncs || app.Status.Sync.Status != "Synced" {
		e.Errorf("%s was to be synced %d times, and to stay Synced: %+v", campaign, syncs, app.Status)
	}
	e.CheckLedger()
}
