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
)

// One after the other, in one Argo CD, which takes a while to start. All Applications but the first are made at once, so that
// Argo CD and Dafty work on one while another is looked at.
func TestArgoCD(t *testing.T) {
	w := newWorld(t)
	application := w.docs.example("apiVersion: argoproj.io/v1alpha1\nkind: Application\n")
	step := func(name string, do func(*world)) {
		if t.Failed() {
			return // it would only say the same again, after waiting for it
		}
		start := time.Now()
		t.Run(name, func(t *testing.T) {
			here := *w
			here.T, w.repo.t, w.docs.t = t, t, t
			do(&here)
		})
		t.Logf("%s: %s", name, time.Since(start).Round(time.Second))
	}

	step("without the health check, a wave is over at once", func(w *world) { w.withoutTheHealthCheck(application) })
	step("the health check and the actions are installed", (*world).installs)
	step("a user logs in, and registers the repository", (*world).logsIn)

	step("all Applications are created", func(w *world) {
		w.startCampaign(application)
		w.writeTheOthers()
		w.repo.commit("All campaigns")
		for _, app := range applications {
			switch app {
			case campaign, early:
			case server:
				w.create(application, app, serverSide)
			case fails, retried:
				w.create(application, app, tries(-1))
			case synced, recommitted:
				w.create(application, app, tries(1))
			default:
				w.create(application, app)
			}
		}
	})
	step("a campaign becomes Synced and Healthy, wave by wave", (*world).campaignComes)
	step("the operator changes nothing that is in Git", (*world).noDrift)
	step("a sync pays for nothing again", (*world).syncsAgain)
	step("a job is cancelled by an action, by kubectl and by Git", (*world).cancels)
	step("so it is under server-side apply and diff", (*world).cancelsServerSide)
	step("a job is suspended and resumed by an action", (*world).suspends)
	step("what Git states, Argo CD restores", (*world).stated)
	step("a commit isn't applied while an earlier wave waits, but actions and kubectl are", (*world).wavesWait)
	step("a commit is applied once the sync is terminated", (*world).endsSync)
	step("a failed job makes its Application Degraded, until Git is mended", (*world).fails)
	step("what is mended outside of Git is synced by a retry, a commit or a person", (*world).mended)
	step("what is deleted is paid for again, unless it has a key of its own", (*world).again)
	step("what has a time to live is paid for again and again", (*world).fleeting)
	step("what is pruned is cancelled, and the Secret goes last", (*world).pruned)
	step("deleting the Application cancels its jobs, and the Secret goes last", (*world).deleted)
	step("nothing runs on, and Dafty was asked for nothing that it doesn't know", (*world).theBooks)
	step("the operator is installed by kustomize and by Helm", (*world).operators)
	if !t.Failed() {
		w.docs.t = t
		w.docs.wantAllTried()
	}
}

func (w *world) withoutTheHealthCheck(application string) {
	w.folder(early, endless("first"), endless("beside"), configMap("after", "1"))
	w.repo.commit("What is there before the health check")
	w.create(application, early)
	w.wants(early, "Synced", "Healthy", "")
	if _, err := w.configMap(early, "after"); err != nil {
		w.Errorf("the second wave waits for a job of the first: %v", err)
	}
	if job := w.mustJob(early, "first"); job.Status.Phase.Final() {
		w.Errorf("the job has ended: %+v", job.Status)
	}
}

func (w *world) installs() {
	w.shell(w.docs.example("kubectl patch configmap argocd-cm "))
	w.within("the health check is heeded from a refresh on", func(g Gomega) {
		w.refresh(early, "normal")
		app, err := w.application(early)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.Health.Status).To(Equal("Progressing"))
	})

	// The component gives the same, on top of what Argo CD itself has there.
	component := w.docs.example("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: argocd\n")
	for from, to := range map[string]string{
		"- argocd # as you install it\n":   "- " + w.relative(filepath.Join(built.Source, "manifests", "base", "config")) + "\n",
		"- dafty-operator/config/argocd\n": "- " + w.relative(filepath.Join(w.root, "config", "argocd")) + "\n",
	} {
		if !strings.Contains(component, from) {
			w.Fatalf("the documentation's kustomization has no %q", from)
		}
		component = strings.ReplaceAll(component, from, to)
	}
	live, err := w.configMap(argoNamespace, "argocd-cm")
	if err != nil {
		w.Fatal(err)
	}
	var builtOne *corev1.ConfigMap
	for document := range strings.SplitSeq(w.read(w.kustomization("component", component)), "\n---\n") {
		object := &corev1.ConfigMap{}
		if err := yaml.Unmarshal([]byte(document), object); err == nil && object.Kind == "ConfigMap" && object.Name == "argocd-cm" {
			builtOne = object
		}
	}
	if builtOne == nil || !maps.Equal(builtOne.Data, live.Data) || builtOne.Namespace != argoNamespace || len(live.Data) < 3 {
		w.Errorf("the component and the command differ:\n%+v\n%+v", builtOne, live)
	}
}

// logsIn is without what needs a Pod: the API server of Argo CD is a process here.
func (w *world) logsIn() {
	if forward := w.docs.example("kubectl port-forward "); !strings.Contains(forward, " service/argocd-server --namespace "+argoNamespace+" 8080:443\n") ||
		!strings.Contains(w.read(filepath.Join(built.Source, "manifests", "base", "server", "argocd-server-service.yaml")), "port: 443\n") {
		w.Errorf("this forwards no port of Argo CD: %s", forward)
	}
	w.shell(w.replace(w.docs.example("argocd login "), "localhost:8080", w.argoAddress))
	w.shell(w.replace(w.docs.example("kubectl create secret generic marketing "), gitURL, w.repo.url()))
	if output, err := w.tryShell(w.root, "argocd repo list"); err != nil || !strings.Contains(output, w.repo.url()) || !strings.Contains(output, "Successful") {
		w.Errorf("argocd repo list: %v\n%s", err, output)
	}
}

// gitURL is what the documentation calls the user's repository.
const gitURL = "https://git.example.com/marketing.git"

// replace is for what can't be here as it is there.
func (w *world) replace(text string, oldnew ...string) string {
	w.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			w.Fatalf("there is no %q in\n%s", oldnew[i], text)
		}
	}
	return strings.NewReplacer(oldnew...).Replace(text)
}

// startCampaign does what the documentation tells, in the order in which it does.
func (w *world) startCampaign(application string) {
	w.shell(w.docs.example("kubectl get crd "))
	w.shell(w.docs.example("kubectl create namespace campaign\n"))
	w.shell(strings.ReplaceAll(w.docs.example("mkdir -p ../marketing"), "../marketing", w.repo.dir))
	w.repo.write("campaign/kustomization.yaml", w.docs.example("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"))
	// Without nodes, a Deployment is Healthy that has no Pods.
	w.repo.write("campaign/page.yaml", w.replace(w.docs.example("apiVersion: apps/v1\nkind: Deployment\n"), "replicas: 1\n", "replicas: 0\n"))
	w.repo.write("application.yaml", w.replace(application, gitURL, w.repo.url()))
	if output, err := w.tryShell(w.repo.dir, w.docs.example("git add ")); err != nil {
		w.Fatalf("%v\n%s", err, output)
	}
}

func (w *world) writeTheOthers() {
	w.folder(cancels, endless("by-action"), endless("by-kubectl"), endless("by-git"), waiting("held"))
	w.folder(stated, endless("cancelled", "desiredState: Completed"), waiting("held", "desiredState: Suspended"))
	w.folder(fails, short("parody", "[fail] A parody"), configMap("page", "1"))
	w.folder(waves, endless("clip"), short("held", "A lake, later", "desiredState: Suspended"), configMap("page", "1"))
	w.folder(ended, endless("clip"), configMap("page", "1"))
	for _, app := range rejected {
		w.withoutSecret(app, short("lake", "A lake"), configMap("page", "1"))
		w.kubectl("create", "namespace", app)
		w.kubectl("create", "secret", "generic", "dafty-credentials", "--namespace", app, "--from-literal=apiKey=wrong")
	}
	w.folder(pruned, endless("dropped"), endless("kept"), configMap("placeholder", "0"))
	w.folder(again, short("keyed", "A lake with a key", "idempotencyKey: e2e-lake"), short("unkeyed", "A lake"))
	w.folder(server, endless("by-action"), short("lake", "A lake"))
	w.folder(fleeting, short("draft", "A draft", "ttlSecondsAfterFinished: 1"))
}

func (w *world) campaignComes() {
	w.shell(w.docs.example("kubectl wait application/campaign "))
	w.wants(campaign, "Synced", "Healthy", "")
	for _, job := range w.jobs(campaign) {
		if job.Status.Phase != v1alpha1.PhaseCompleted {
			w.Errorf("%s is %s, and the Application Healthy", job.Name, job.Status.Phase)
		}
	}
	page := &appsv1.Deployment{}
	if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: campaign, Name: "page"}, page); err != nil {
		w.Fatal(err)
	}
	style, hero := w.mustJob(campaign, "launch-style"), w.mustJob(campaign, "launch-hero")
	for _, later := range []string{"launch-poster", "launch-clip"} {
		job := w.mustJob(campaign, later)
		if job.CreationTimestamp.Before(hero.Status.FinishedAt) {
			w.Errorf("%s was created at %s, before launch-hero had ended at %s", later, job.CreationTimestamp, hero.Status.FinishedAt)
		}
		if page.CreationTimestamp.Before(job.Status.FinishedAt) {
			w.Errorf("page was created at %s, before %s had ended at %s", page.CreationTimestamp, later, job.Status.FinishedAt)
		}
	}
	if hero.CreationTimestamp.Before(style.Status.FinishedAt) {
		w.Errorf("launch-hero was created at %s, before launch-style had ended at %s", hero.CreationTimestamp, style.Status.FinishedAt)
	}
	w.wantsPaid(campaign, 4)
	w.wantsHealth(campaign, "launch-hero", "Healthy Completed")
}

// noDrift looks at what would make Argo CD see a difference, and then at whether it does.
func (w *world) noDrift() {
	for _, job := range w.jobs(campaign) {
		if job.Generation != 1 {
			w.Errorf("%s has generation %d: somebody has changed its spec", job.Name, job.Generation)
		}
		for _, entry := range job.ManagedFields {
			fields := map[string]any{}
			if err := yaml.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
				w.Fatal(err)
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
				w.Errorf("%s writes more of %s than its status, finalizer and annotation: %s", entry.Manager, job.Name, entry.FieldsV1.GetRawString())
			}
		}
	}
	before, err := w.application(campaign)
	if err != nil {
		w.Fatal(err)
	}
	w.refresh(campaign, "hard")
	after, err := w.application(campaign)
	if err != nil {
		w.Fatal(err)
	}
	if after.Status.Sync.Status != "Synced" || len(after.Status.History) != 1 || after.Status.OperationState.StartedAt != before.Status.OperationState.StartedAt {
		w.Errorf("it was synced again: %+v", after.Status)
	}
}

// syncFlags change nothing that is there already.
var syncFlags = []string{"", " --force", " --replace"}

func (w *world) syncsAgain() {
	ids := func() map[string]types.UID {
		uids := map[string]types.UID{}
		for _, job := range w.jobs(campaign) {
			uids[job.Name] = job.UID
		}
		return uids
	}
	before := ids()
	for _, flags := range syncFlags {
		w.shell("argocd app sync campaign" + flags)
		w.wants(campaign, "Synced", "Healthy", "")
		w.wantsPaid(campaign, 4)
		if after := ids(); !maps.Equal(before, after) {
			w.Errorf("argocd app sync%s has made DaftyJobs anew:\n%v\n%v", flags, before, after)
		}
	}
}

func (w *world) cancels() {
	ids := map[string]string{}
	for _, name := range []string{"by-action", "by-kubectl", "by-git"} {
		ids[name] = w.wantsPhase(cancels, name, v1alpha1.PhaseProcessing).Status.JobID
	}
	to := func(command, job string) string {
		return strings.NewReplacer("launch-clip", job, "actions run campaign", "actions run "+cancels, "--namespace campaign", "--namespace "+cancels).Replace(command)
	}
	w.shell(to(w.docs.example("argocd app actions run campaign cancel"), "by-action"))
	w.shell(to(w.docs.example("kubectl patch daftyjob launch-clip"), "by-kubectl"))
	w.repo.write(cancels+"/by-git.yaml", endless("by-git", "desiredState: Cancelled"))
	revision := w.push(cancels, "Call it off")
	for name, id := range ids {
		job := w.wantsPhase(cancels, name, v1alpha1.PhaseCancelled)
		if job.Spec.DesiredState != v1alpha1.DesiredCancelled || job.Status.JobID != id {
			w.Errorf("%s: desired %s, job %s; it was %s", name, job.Spec.DesiredState, job.Status.JobID, id)
		}
		w.wantsCancelled(id)
		w.wantsHealth(cancels, name, "Healthy Cancelled")
	}
	// The fourth still waits. Self-heal has nothing against what Git doesn't mention.
	w.wants(cancels, "Synced", "Progressing", revision)
	w.refresh(cancels, "hard")
	w.wants(cancels, "Synced", "Progressing", revision)
	for name := range ids {
		if job := w.mustJob(cancels, name); job.Spec.DesiredState != v1alpha1.DesiredCancelled {
			w.Errorf("%s is desired to be %s again", name, job.Spec.DesiredState)
		}
	}
	w.wantsPaid(cancels, 3)
}

func (w *world) cancelsServerSide() {
	w.wantsPhase(server, "lake", v1alpha1.PhaseCompleted)
	id := w.wantsPhase(server, "by-action", v1alpha1.PhaseProcessing).Status.JobID
	w.wants(server, "Synced", "Progressing", "")
	w.shell("argocd app actions run server cancel --kind DaftyJob --resource-name by-action")
	w.wantsPhase(server, "by-action", v1alpha1.PhaseCancelled)
	w.wantsCancelled(id)
	w.refresh(server, "hard")
	w.wants(server, "Synced", "Healthy", "")
	w.shell("argocd app sync server --force")
	w.wants(server, "Synced", "Healthy", "")
	if job := w.mustJob(server, "by-action"); job.Spec.DesiredState != v1alpha1.DesiredCancelled {
		w.Errorf("it is desired to be %s again", job.Spec.DesiredState)
	}
	w.wantsPaid(server, 2)
}

func (w *world) suspends() {
	w.wantsHealth(cancels, "held", "Progressing WaitingForDependency")
	w.shell("argocd app actions run cancels suspend --kind DaftyJob --resource-name held")
	w.wantsHealth(cancels, "held", "Suspended Suspended")
	w.wants(cancels, "Synced", "Suspended", "")
	w.shell("argocd app actions run cancels resume --kind DaftyJob --resource-name held")
	w.wantsHealth(cancels, "held", "Progressing WaitingForDependency")
	w.shell("argocd app actions run cancels cancel --kind DaftyJob --resource-name held")
	w.wantsHealth(cancels, "held", "Healthy CancelledBeforeSubmission")
	w.wants(cancels, "Synced", "Healthy", "")
	w.wantsPaid(cancels, 3)
}

func (w *world) stated() {
	// What is suspended in Git stays so.
	w.wantsHealth(stated, "held", "Suspended Suspended")
	generation := w.mustJob(stated, "held").Generation
	w.shell("argocd app actions run stated resume --kind DaftyJob --resource-name held")
	w.within("self-heal suspends it again", func(g Gomega) {
		job, err := w.job(stated, "held")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(job.Generation).To(BeNumerically(">=", generation+2))
		g.Expect(job.Spec.DesiredState).To(Equal(v1alpha1.DesiredSuspended))
	})
	// Resumed in Git, it goes on.
	w.repo.write(stated+"/held.yaml", waiting("held", "desiredState: Completed"))
	w.push(stated, "Release it")
	w.wantsHealth(stated, "held", "Progressing WaitingForDependency")

	// A cancel is for good: self-heal puts back what Git says, and nothing comes of it until Git agrees.
	id := w.wantsPhase(stated, "cancelled", v1alpha1.PhaseProcessing).Status.JobID
	w.shell("argocd app actions run stated cancel --kind DaftyJob --resource-name cancelled")
	w.wantsPhase(stated, "cancelled", v1alpha1.PhaseCancelled)
	w.wantsCancelled(id)
	w.wantsHealth(stated, "cancelled", "Degraded AlreadyCancelled")
	w.repo.write(stated+"/cancelled.yaml", endless("cancelled", "desiredState: Cancelled"))
	revision := w.push(stated, "It is cancelled")
	w.wants(stated, "Synced", "Progressing", revision)
	w.wantsHealth(stated, "cancelled", "Healthy Cancelled")
	w.wantsPaid(stated, 1)
}

// wantsIgnored waits until Argo CD has seen a commit, and syncs nothing of it, as another sync still runs.
func (w *world) wantsIgnored(name, revision string) {
	w.Helper()
	w.within("the commit is seen and not synced", func(g Gomega) {
		app, err := w.application(name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect([]string{app.Status.Sync.Status, app.Status.Sync.Revision}).To(Equal([]string{"OutOfSync", revision}))
		g.Expect(app.Status.OperationState.Phase).To(Equal("Running"))
		skipped := false
		for line := range strings.SplitSeq(w.log("argocd-application-controller"), "\n") {
			skipped = skipped || strings.Contains(line, "Skipping auto-sync: another operation is in progress") && strings.Contains(line, name)
		}
		g.Expect(skipped).To(BeTrue())
	})
	if output, err := w.tryShell(w.root, "argocd app sync "+name); err == nil || !strings.Contains(output, "another operation is already in progress") {
		w.Errorf("argocd app sync: %v\n%s", err, output)
	}
	w.wantsNoPage(name)
}

func (w *world) wantsNoPage(name string) {
	w.Helper()
	if _, err := w.configMap(name, "page"); !apierrors.IsNotFound(err) {
		w.Errorf("the later wave is there: %v", err)
	}
}

func (w *world) wantsPage(name string) {
	w.Helper()
	if _, err := w.configMap(name, "page"); err != nil {
		w.Errorf("the later wave isn't there: %v", err)
	}
}

func (w *world) wavesWait() {
	id := w.wantsPhase(waves, "clip", v1alpha1.PhaseProcessing).Status.JobID
	w.wantsHealth(waves, "held", "Suspended Suspended")
	w.repo.write(waves+"/clip.yaml", endless("clip", "desiredState: Cancelled"))
	w.repo.write(waves+"/held.yaml", short("held", "A lake, later", "desiredState: Completed"))
	revision := w.push(waves, "Cancel one, resume the other")
	w.wantsIgnored(waves, revision)
	for name, desired := range map[string]v1alpha1.DesiredState{"clip": "", "held": v1alpha1.DesiredSuspended} {
		if job := w.mustJob(waves, name); job.Spec.DesiredState != desired {
			w.Errorf("%s is desired to be %s, as the commit says", name, job.Spec.DesiredState)
		}
	}
	w.shell("argocd app actions run waves resume --kind DaftyJob --resource-name held")
	w.kubectl("patch", "daftyjob", "clip", "--namespace", waves, "--type", "merge", "--patch", `{"spec":{"desiredState":"Cancelled"}}`)
	w.wantsPhase(waves, "held", v1alpha1.PhaseCompleted)
	w.wantsPhase(waves, "clip", v1alpha1.PhaseCancelled)
	w.wantsCancelled(id)
	w.wants(waves, "Synced", "Healthy", revision)
	w.wantsPage(waves)
	w.wantsPaid(waves, 2)
}

func (w *world) endsSync() {
	id := w.wantsPhase(ended, "clip", v1alpha1.PhaseProcessing).Status.JobID
	w.repo.write(ended+"/clip.yaml", endless("clip", "desiredState: Cancelled"))
	revision := w.push(ended, "Cancel it")
	w.wantsIgnored(ended, revision)
	w.shell(w.replace(w.docs.example("argocd app terminate-op "), "campaign", ended))
	w.wants(ended, "Synced", "Healthy", revision)
	w.wantsPhase(ended, "clip", v1alpha1.PhaseCancelled)
	w.wantsCancelled(id)
	w.wantsPage(ended)
	w.wantsPaid(ended, 1)
}

func (w *world) fails() {
	w.wantsHealth(fails, "parody", "Degraded "+v1alpha1.ReasonGenerationFailed+": ")
	w.wantsNoPage(fails)
	w.wantsPaid(fails, 1)
	// It is tried again for ever, and each retry takes what is in Git by then.
	w.repo.remove(fails + "/parody.yaml")
	w.folder(fails, short("homage", "A homage"))
	w.wants(fails, "Synced", "Healthy", w.push(fails, "Another one in place of what failed"))
	w.wantsPage(fails)
	w.wantsGone(&v1alpha1.DaftyJob{}, fails, "parody")
	w.wantsPaid(fails, 2)
}

// mended has three Applications whose first wave was Degraded, and then is mended by another Secret.
func (w *world) mended() {
	for _, app := range rejected {
		w.wantsHealth(app, "lake", "Degraded "+v1alpha1.ReasonCredentialsRejected+": ")
		w.wantsNoPage(app)
		if app != retried {
			w.within("the last retry of "+app+" has failed", func(g Gomega) {
				state, err := w.application(app)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(state.Status.OperationState.Phase).To(Equal("Failed"))
			})
		}
		w.kubectl("patch", "secret", "dafty-credentials", "--namespace", app, "--type", "merge", "--patch", `{"stringData":{"apiKey":"`+apiKey(app)+`"}}`)
	}
	for _, app := range rejected {
		w.wantsPhase(app, "lake", v1alpha1.PhaseCompleted)
	}
	w.wants(retried, "Synced", "Healthy", "")
	for _, app := range []string{synced, recommitted} {
		w.refresh(app, "hard")
		state, err := w.application(app)
		if err != nil {
			w.Fatal(err)
		}
		if conditions := state.Status.Conditions; state.Status.Sync.Status != "OutOfSync" || len(conditions) != 1 || !strings.Contains(conditions[0].Message, "Failed last sync attempt to ") {
			w.Errorf("%s: %+v", app, state.Status)
		}
		w.wantsNoPage(app)
	}
	w.shell(w.replace(w.docs.example("argocd app sync campaign\n"), "campaign", synced))
	w.wants(synced, "Synced", "Healthy", "")
	// An empty commit is a new one too.
	w.wants(recommitted, "Synced", "Healthy", w.push(recommitted, "Try again"))
	for _, app := range rejected {
		w.wantsPage(app)
		w.wantsPaid(app, 1)
	}
}

// operators has the operator's Applications of the documentation sync, one after the other. Without nodes nothing of it runs.
func (w *world) operators() {
	for _, folder := range []string{"config", "charts"} {
		if err := os.CopyFS(filepath.Join(w.repo.dir, folder), os.DirFS(filepath.Join(w.root, folder))); err != nil {
			w.Fatal(err)
		}
	}
	w.repo.commit("The operator")
	const app, namespace = "dafty-operator", "dafty-operator-system"
	for _, manager := range []string{"dafty-operator-controller-manager", "dafty-operator"} { // with kustomize, and with Helm
		manifest := w.replace(w.docs.example("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: "+app+"\n"),
			"https://git.example.com/dafty-operator.git", w.repo.url(), "targetRevision: v0.1.0", "targetRevision: main")
		w.repo.write("operator.yaml", manifest)
		w.kubectl("apply", "--filename", filepath.Join(w.repo.dir, "operator.yaml"))
		w.wants(app, "Synced", "Progressing", "")
		deployment := &appsv1.Deployment{}
		if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: manager}, deployment); err != nil {
			w.Fatal(err)
		}
		if image := deployment.Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/dafty-operator:v0.1.0" {
			w.Errorf("its image is %s", image)
		}
		enforced := &corev1.Namespace{}
		if err := w.client.Get(w.Context(), client.ObjectKey{Name: namespace}, enforced); err != nil || enforced.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
			w.Errorf("its namespace: %v %v", err, enforced.Labels)
		}
		w.kubectl("delete", "application", app, "--namespace", argoNamespace)
		w.kubectl("delete", "namespace", namespace, "--timeout", patience.String())
		// What is left of the one would be OutOfSync in the other, which has the same name and doesn't prune.
		w.kubectl("delete", "clusterroles,clusterrolebindings", "--selector", "app.kubernetes.io/managed-by=kustomize")
	}
}

func (w *world) again() {
	first := map[string]*v1alpha1.DaftyJob{}
	w.wants(again, "Synced", "Healthy", "")
	for _, name := range []string{"keyed", "unkeyed"} {
		first[name] = w.wantsPhase(again, name, v1alpha1.PhaseCompleted)
	}
	wantsAnew := func(paid int) {
		w.Helper()
		for name, old := range first {
			w.within(name+" is made again", func(g Gomega) {
				job, err := w.job(again, name)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(job.UID).NotTo(Equal(old.UID))
				g.Expect(job.Status.Phase).To(Equal(v1alpha1.PhaseCompleted), "%+v", job.Status.Conditions)
				g.Expect(job.Status.JobID == old.Status.JobID).To(Equal(name == "keyed"), "job %s, and %s before", job.Status.JobID, old.Status.JobID)
				first[name] = job
			})
		}
		w.wants(again, "Synced", "Healthy", "")
		w.wantsPaid(again, paid)
	}
	w.wantsPaid(again, 2)
	w.kubectl("delete", "daftyjobs", "keyed", "unkeyed", "--namespace", again)
	wantsAnew(3)
	w.shell("argocd app sync again --replace --force")
	wantsAnew(4)

	// A request can't be changed; a new name makes a new job, and prunes the old.
	w.repo.write(again+"/unkeyed.yaml", short("unkeyed", "A pond"))
	w.push(again, "Another prompt")
	w.within("the sync of a changed request fails", func(g Gomega) {
		app, err := w.application(again)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.OperationState.Message).To(ContainSubstring("the request can't be changed"))
	})
	w.repo.remove(again + "/unkeyed.yaml")
	w.folder(again, short("pond", "A pond"))
	w.wants(again, "Synced", "Healthy", w.push(again, "Another name"))
	w.wantsPhase(again, "pond", v1alpha1.PhaseCompleted)
	w.wantsGone(&v1alpha1.DaftyJob{}, again, "unkeyed")
	w.wantsPaid(again, 5)
}

func (w *world) fleeting() {
	w.within("the same manifest is paid for again", func(g Gomega) { g.Expect(len(w.paid(fleeting))).To(BeNumerically(">=", 2)) })
	w.kubectl("delete", "application", fleeting, "--namespace", argoNamespace, "--wait=false")
	w.within("its Application is gone", func(g Gomega) {
		_, err := w.application(fleeting)
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	})
}

func (w *world) pruned() {
	dropped := w.wantsPhase(pruned, "dropped", v1alpha1.PhaseProcessing).Status.JobID
	kept := w.wantsPhase(pruned, "kept", v1alpha1.PhaseProcessing).Status.JobID
	w.repo.remove(pruned + "/dropped.yaml")
	revision := w.push(pruned, "Without the one")
	w.wantsGone(&v1alpha1.DaftyJob{}, pruned, "dropped")
	w.wantsCancelled(dropped)
	w.wants(pruned, "Synced", "Progressing", revision)
	if entry, _ := w.dafty.Job(kept); entry.Terminal() {
		w.Errorf("the job that stays in Git has ended: %+v", entry)
	}

	w.repo.remove(pruned + "/kept.yaml")
	w.repo.remove(pruned + "/dafty-credentials.yaml")
	revision = w.push(pruned, "Without the other, and the Secret")
	w.wantsGone(&corev1.Secret{}, pruned, "dafty-credentials")
	w.wantsGone(&v1alpha1.DaftyJob{}, pruned, "kept")
	w.wantsCancelled(kept)
	w.wants(pruned, "Synced", "Healthy", revision)
	w.wantsSecretLast(pruned)
	w.wantsPaid(pruned, 2)
}

func (w *world) deleted() {
	ids := []string{
		w.wantsPhase(early, "first", v1alpha1.PhaseProcessing).Status.JobID,
		w.wantsPhase(early, "beside", v1alpha1.PhaseProcessing).Status.JobID,
	}
	w.kubectl("delete", "application", early, "--namespace", argoNamespace, "--timeout", patience.String())
	for _, id := range ids {
		w.wantsCancelled(id)
	}
	if jobs := w.jobs(early); len(jobs) > 0 {
		w.Errorf("the Application is gone, and left DaftyJobs: %+v", jobs)
	}
	w.wantsGone(&corev1.Secret{}, early, "dafty-credentials")
	w.wantsSecretLast(early)
	w.wantsPaid(early, 2)
}

// wantsSecretLast holds the order of the API server's answers: the last DaftyJob lost its finalizer before somebody deleted
// the Secret.
func (w *world) wantsSecretLast(namespace string) {
	w.Helper()
	events, err := w.cp.AuditEvents()
	if err != nil {
		w.Fatal(err)
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
		w.Errorf("the Secret was deleted at %s, and the last DaftyJob let go at %s", deleted, gone)
	}
}

func (w *world) theBooks() {
	// Argo CD has had minutes to find a difference.
	app, err := w.application(campaign)
	if err != nil {
		w.Fatal(err)
	}
	if syncs := 1 + len(syncFlags); len(app.Status.History) != syncs || app.Status.Sync.Status != "Synced" {
		w.Errorf("%s was to be synced %d times, and to stay Synced: %+v", campaign, syncs, app.Status)
	}
	if running := w.dafty.Running(); len(running) > 0 {
		w.Errorf("still running, and paid for: %+v", running)
	}
	keys := map[string]bool{}
	for _, entry := range w.dafty.Ledger() {
		if keys[entry.IdempotencyKey] {
			w.Errorf("two jobs of one key: %+v", entry)
		}
		keys[entry.IdempotencyKey] = true
	}
	for _, violation := range w.dafty.Violations() {
		w.Errorf("%+v", violation)
	}
}
