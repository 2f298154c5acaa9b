//go:build e2e

package flux

import (
	"strings"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

// changedClip returns an endless job with another request.
func changedClip(name string) string {
	return strings.Replace(e2e.Endless(name), "The sun comes up", "The sun goes down", 1)
}

func (e *env) refused() {
	e.Folder(refused, e2e.Endless("changed"), e2e.Endless("cancelled"))
	e.push("What is changed")
	e.create(refused)
	e.WaitForPhase(refused, "changed", v1alpha1.PhaseProcessing)
	id := e.WaitForPhase(refused, "cancelled", v1alpha1.PhaseProcessing).Status.JobID

	e.Folder(refused, changedClip("changed"), e2e.Endless("cancelled", "desiredState: Cancelled"), e2e.Short("new", "A new one"))
	e.push("Change a request, cancel another, and add one")
	e.waitForFailure(refused, "ReconciliationFailed", "the request can't be changed")
	e.reconcile(refused)
	if job := e.MustJob(refused, "cancelled"); job.Spec.DesiredState != "" {
		e.Errorf("the cancel was applied: %+v", job.Spec)
	}
	if _, err := e.Job(refused, "new"); !apierrors.IsNotFound(err) {
		e.Errorf("the new one was created: %v", err)
	}
	e.CheckPaid(refused, 2)
	if entry, _ := e.Dafty.Job(id); entry.Terminal() {
		e.Errorf("it has ended: %+v", entry)
	}
	e.Folder(refused, e2e.Endless("changed", "desiredState: Cancelled"))
	e.waitForReady(refused, e.push("The request as it was"))
	e.WaitForPhase(refused, "new", v1alpha1.PhaseCompleted)
	e.WaitForPhase(refused, "changed", v1alpha1.PhaseCancelled)
	e.WaitForPhase(refused, "cancelled", v1alpha1.PhaseCancelled)
	e.CheckCancelled(id)
	e.CheckPaid(refused, 3)
}

func (e *env) forced() {
	e.Folder(forced, e2e.Endless("clip"))
	e.push("What is forced")
	e.create(forced, set("force", true), set("commonMetadata", nil))
	before := e.WaitForPhase(forced, "clip", v1alpha1.PhaseProcessing)
	e.Folder(forced, changedClip("clip"))
	e.push("Change a request")
	e.Eventually("it is made anew", func(g Gomega) {
		job, err := e.Job(forced, "clip")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(job.UID).NotTo(Equal(before.UID))
		g.Expect(job.Status.Phase).To(Equal(v1alpha1.PhaseProcessing))
	})
	e.CheckCancelled(before.Status.JobID)
	e.CheckPaid(forced, 2)
	// A cancel by kubectl is refused by nobody, and makes nothing anew.
	uid := e.MustJob(forced, "clip").UID
	e.shell(e.Replace(e.cancelJob, "--namespace shop", "--namespace "+forced, "launch-clip", "clip"))
	e.WaitForPhase(forced, "clip", v1alpha1.PhaseCancelled)
	e.reconcile(forced)
	e.reconcile(forced)
	if job := e.MustJob(forced, "clip"); job.UID != uid {
		e.Error("it was created again")
	}
	e.CheckPaid(forced, 2)
}

func (e *env) pruned() {
	e.Folder(pruned, e2e.Endless("dropped"), e2e.Endless("old"), e2e.Short("picture", "A picture", "resultConfigMap: picture"))
	e.push("What is pruned")
	e.create(pruned)
	dropped := e.WaitForPhase(pruned, "dropped", v1alpha1.PhaseProcessing).Status.JobID
	old := e.WaitForPhase(pruned, "old", v1alpha1.PhaseProcessing).Status.JobID
	e.WaitForPhase(pruned, "picture", v1alpha1.PhaseCompleted)
	e.Eventually("the result is stored", func(g Gomega) {
		_, err := e.ConfigMap(pruned, "picture")
		g.Expect(err).NotTo(HaveOccurred())
	})
	e.CheckPaid(pruned, 3)

	mend := e.WithoutCancels(pruned)
	e.Repo.Remove(pruned + "/dropped.yaml")
	e.waitForReady(pruned, e.push("Without the one"))
	if job := e.MustJob(pruned, "dropped"); job.DeletionTimestamp == nil {
		e.Error("it isn't deleted")
	}
	mend()
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, pruned, "dropped")
	e.CheckCancelled(dropped)

	e.Repo.Remove(pruned + "/old.yaml")
	e.Repo.Remove(pruned + "/picture.yaml")
	e.Folder(pruned, e2e.Short("renamed", "A picture", "resultConfigMap: renamed"))
	e.waitForReady(pruned, e.push("Another name"))
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, pruned, "old")
	e.CheckCancelled(old)
	e.WaitForDeletion(&corev1.ConfigMap{}, pruned, "picture")
	e.WaitForPhase(pruned, "renamed", v1alpha1.PhaseCompleted)
	e.CheckPaid(pruned, 4)
}

func (e *env) lastFile() {
	e.Folder(last, e2e.Endless("clip"))
	e.push("The only file")
	e.create(last)
	id := e.WaitForPhase(last, "clip", v1alpha1.PhaseProcessing).Status.JobID
	e.Repo.Remove(last + "/clip.yaml")
	e.push("Without it")
	e.waitForFailure(last, "ArtifactFailed", "kustomization path not found")
	if job := e.MustJob(last, "clip"); job.DeletionTimestamp != nil {
		e.Error("it is deleted")
	}
	e.Repo.Write(last+"/kustomization.yaml", "resources: []\n")
	e.waitForReady(last, e.push("An empty folder"))
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, last, "clip")
	e.CheckCancelled(id)
	e.CheckPaid(last, 1)
}

// guarded adds the annotation of the documentation to a manifest.
func (e *env) guarded(manifest string) string {
	return strings.Replace(manifest, "metadata:\n", "metadata:\n  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}\n", 1)
}

// suspend suspends or resumes a Kustomization by a command of the documentation, which is about campaign.
func (e *env) suspend(name, command string) {
	e.Helper()
	e.shell(e.Replace(command, "kustomization campaign", "kustomization "+name))
}

// moved moves DaftyJobs from one Kustomization to another. Which of them acts first is chosen by suspending the other.
func (e *env) moved() {
	const from, to = "from", "to"
	suspend := e.Docs.Example(`kubectl patch kustomization campaign --namespace flux-system --type merge --patch '{"spec":{"suspend":true}}'`)
	resume := e.Docs.Example(`kubectl patch kustomization campaign --namespace flux-system --type merge --patch '{"spec":{"suspend":false}}'`)
	jobs := []string{"unguarded", "guarded", "ordered"}
	for _, name := range jobs {
		e.Folder(from, e2e.Endless(name))
	}
	e.Folder(to, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settled}\n")
	e.Folder(from, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stays}\n")
	e.push("What is moved")
	for _, name := range []string{from, to} {
		e.create(name, set("targetNamespace", moved))
	}
	before := map[string]*v1alpha1.DaftyJob{}
	for _, name := range jobs {
		before[name] = e.WaitForPhase(moved, name, v1alpha1.PhaseProcessing)
	}
	e.Folder(from, e.guarded(e2e.Endless("guarded")))
	e.waitForReady(from, e.push("Guard the one"))

	// The old one acts first.
	e.suspend(to, suspend)
	for _, name := range jobs[:2] {
		e.Repo.Remove(from + "/" + name + ".yaml")
		e.Folder(to, e2e.Endless(name))
	}
	commit := e.push("Move both")
	e.waitForReady(from, commit)
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, moved, "unguarded")
	e.CheckCancelled(before["unguarded"].Status.JobID)
	e.suspend(to, resume)
	e.waitForReady(to, commit)
	e.WaitForPhase(moved, "unguarded", v1alpha1.PhaseProcessing)
	e.CheckPaid(moved, 4)

	// The new one acts first.
	e.suspend(from, suspend)
	e.Repo.Remove(from + "/ordered.yaml")
	e.Folder(to, e2e.Endless("ordered"))
	commit = e.push("Move the third")
	e.waitForReady(to, commit)
	e.suspend(from, resume)
	e.waitForReady(from, commit)
	for _, name := range jobs[1:] {
		if job := e.MustJob(moved, name); job.UID != before[name].UID || job.DeletionTimestamp != nil || job.Status.JobID != before[name].Status.JobID {
			e.Errorf("%s was made anew", name)
		}
	}
	e.CheckPaid(moved, 4)
	for _, name := range jobs {
		e.Folder(to, e2e.Endless(name, "desiredState: Cancelled"))
	}
	e.waitForReady(to, e.push("Cancel all"))
	for _, name := range jobs {
		e.WaitForPhase(moved, name, v1alpha1.PhaseCancelled)
	}
}

func (e *env) deleted() {
	both := []string{at, later}
	ids := map[string]string{}
	for _, name := range both {
		e.Folder(name, e2e.Endless("clip"))
	}
	e.push("What is deleted")
	e.create(at, set("deletionPolicy", nil))
	e.create(later)
	for _, name := range both {
		ids[name] = e.WaitForPhase(name, "clip", v1alpha1.PhaseProcessing).Status.JobID
	}
	mend := e.WithoutCancels(both...)
	for _, name := range both {
		e.Kubectl("delete", "kustomization", name, "--namespace", fluxNamespace, "--wait=false")
	}
	e.waitForGone(at)
	for _, name := range both {
		e.Eventually("the DaftyJob is deleted", func(g Gomega) { g.Expect(e.MustJob(name, "clip").DeletionTimestamp).NotTo(BeNil()) })
	}
	if read, err := e.kustomization(later); err != nil || read.Metadata.DeletionTimestamp == "" {
		e.Errorf("it doesn't wait: %v %+v", err, read)
	}
	mend()
	e.waitForGone(later)
	if _, err := e.Job(later, "clip"); !apierrors.IsNotFound(err) {
		e.Errorf("the Kustomization is gone, and its DaftyJob: %v", err)
	}
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, at, "clip")
	for _, name := range both {
		e.CheckCancelled(ids[name])
		e.CheckPaid(name, 1)
	}
}

func (e *env) others() {
	e.Folder(suspended, e2e.Short("held", "A lake, later", "desiredState: Suspended"))
	e.Folder(fails, e2e.Short("parody", "[fail] A parody"), e2e.Endless("clip"))
	e.Folder(fleeting, e2e.Short("draft", "A draft", "ttlSecondsAfterFinished: 1"))
	e.push("What isn't ready")
	e.create(suspended, set("wait", true), set("timeout", "5s"))
	e.create(fails, set("wait", true), set("timeout", "10m"))
	e.create(fleeting)
	e.waitForFailure(suspended, "HealthCheckFailed", "timeout waiting for: [DaftyJob/suspended/held status: 'InProgress']")
	e.CheckPaid(suspended, 0)
	e.waitForFailure(fails, "HealthCheckFailed", "failed early due to stalled resources: [DaftyJob/fails/parody status: 'Failed'")
	if job := e.MustJob(fails, "clip"); job.Status.Phase.Final() {
		e.Errorf("the other job has ended: %+v", job.Status)
	}
	for paid := range 2 {
		if paid > 0 {
			e.reconcile(fleeting)
		}
		e.Eventually("it is made, and expires", func(g Gomega) {
			g.Expect(e.Paid(fleeting)).To(HaveLen(paid + 1))
			_, err := e.Job(fleeting, "draft")
			g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		})
	}
	e.Kubectl("delete", "kustomization", fleeting, "--namespace", fluxNamespace, "--timeout", e2e.Patience.String())
}
