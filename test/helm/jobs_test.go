//go:build e2e

package helm

import (
	"fmt"
	"strings"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

// other returns an endless job with another request.
func other(manifest string) string {
	return strings.Replace(manifest, "The sun comes up", "The sun goes down", 1)
}

// upgrade installs or upgrades the release of a namespace.
func (e *env) upgrade(namespace string, flags ...string) {
	e.Helper()
	e.sh(upgradeOf(namespace, flags...))
}

func upgradeOf(namespace string, flags ...string) string {
	return fmt.Sprintf("helm upgrade --install %[1]s ./%[1]s --namespace %[1]s %[2]s", namespace, strings.Join(flags, " "))
}

func (e *env) renamed() {
	e.chart(renamed, e2e.Short("hero", "A lake", "resultConfigMap: hero"))
	e.upgrade(renamed, "--wait")
	before := e.MustJob(renamed, "hero")
	e.chart(renamed, e2e.Short("hero-2", "A lake", "resultConfigMap: hero-2"))
	e.upgrade(renamed, "--wait")
	e.gone(renamed, "hero")
	e.CheckPaid(renamed, 2)
	e.sh("helm rollback renamed 1 --namespace renamed --wait")
	if e.MustJob(renamed, "hero").UID == before.UID {
		e.Error("it is the same")
	}
	e.CheckPaid(renamed, 3)
}

func (e *env) rolledBack() {
	const failing = "[fail] A lake"
	for namespace, paid := range map[string]int{atomic: 3, safe: 2} {
		job := func(name, prompt string) {
			manifest := e2e.Short(name, prompt)
			if namespace == safe {
				manifest = annotated(manifest, keep)
			}
			e.chart(namespace, manifest)
		}
		job("hero", "A lake")
		e.upgrade(namespace, "--wait")
		job("hero-2", failing)
		e.fails(upgradeOf(namespace, "--rollback-on-failure", "--timeout 2m"), "hero-2 not ready. status: Failed")
		e.WaitForPhase(namespace, "hero", v1alpha1.PhaseCompleted)
		e.CheckPaid(namespace, paid)
	}

	// A first install.
	e.sh("helm uninstall atomic --namespace atomic --wait")
	e.chart(atomic, e2e.Endless("clip"), e2e.Short("parody", failing))
	e.fails(upgradeOf(atomic, "--rollback-on-failure", "--timeout 10s"), "parody not ready. status: Failed")
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, atomic, "clip")
	for _, entry := range e.Paid(atomic) {
		if !entry.Terminal() {
			e.Errorf("it runs on: %+v", entry)
		}
	}
}

func (e *env) changed() {
	e.chart(changed, e2e.Endless("clip"))
	e.upgrade(changed)
	before := e.WaitForPhase(changed, "clip", v1alpha1.PhaseProcessing)
	e.chart(changed, other(e2e.Endless("clip")))
	e.fails(upgradeOf(changed, "--set note=second"), "the request can't be changed")
	if got := e.note(changed); got != "second" {
		e.Errorf("what comes before it isn't changed: %q", got)
	}
	if output := e.sh("helm history changed --namespace changed"); !strings.Contains(output, "deployed") || !strings.Contains(output, "failed") {
		e.Errorf("the history:\n%s", output)
	}
	if job := e.MustJob(changed, "clip"); job.UID != before.UID || job.Status.Phase != v1alpha1.PhaseProcessing {
		e.Errorf("the job doesn't go on: %+v", job.Status)
	}
	e.fails(upgradeOf(changed, "--force-replace --server-side=false"), "the request can't be changed")
	e.CheckPaid(changed, 1)
	e.sh("helm uninstall changed --namespace changed --wait")
	e.CheckCancelled(before.Status.JobID)
}

func (e *env) hooks() {
	const hook = `helm.sh/hook: "pre-install,pre-upgrade"`
	e.chart(hooked, annotated(e2e.Endless("clip"), hook))
	e.upgrade(hooked, "--wait", "--timeout 2m") // which is over before the job is
	first := e.WaitForPhase(hooked, "clip", v1alpha1.PhaseProcessing)
	e.upgrade(hooked, "--wait", "--timeout 2m")
	e.CheckCancelled(first.Status.JobID)
	second := e.WaitForPhase(hooked, "clip", v1alpha1.PhaseProcessing)
	if second.UID == first.UID {
		e.Error("it is the same")
	}
	e.CheckPaid(hooked, 2)
	e.sh("helm uninstall hooked --namespace hooked --wait")
	if job := e.MustJob(hooked, "clip"); job.DeletionTimestamp != nil {
		e.Error("it is deleted with the release")
	}
	e.Kubectl("delete", "daftyjob", "clip", "--namespace", hooked)

	e.chart(hooked, annotated(e2e.Short("hero", "A lake", "idempotencyKey: lake"), hook))
	e.upgrade(hooked)
	e.WaitForPhase(hooked, "hero", v1alpha1.PhaseCompleted)
	e.upgrade(hooked)
	e.WaitForPhase(hooked, "hero", v1alpha1.PhaseCompleted)
	e.CheckPaid(hooked, 3)

	// One that runs.
	e.chart(hooked, annotated(e2e.Endless("clip", "idempotencyKey: sun"), hook))
	e.upgrade(hooked)
	first = e.WaitForPhase(hooked, "clip", v1alpha1.PhaseProcessing)
	e.upgrade(hooked)
	e.Eventually("it is cancelled", func(g Gomega) {
		entry, _ := e.Dafty.Job(first.Status.JobID)
		g.Expect(entry.Cancelled && entry.Terminal()).To(BeTrue(), "%+v", entry)
	})
	e.chart(hooked, annotated(e2e.Endless("sun", "idempotencyKey: sun-2", "deletionPolicy: Orphan"), hook))
	e.upgrade(hooked)
	first = e.WaitForPhase(hooked, "sun", v1alpha1.PhaseProcessing)
	paid := len(e.Paid(hooked))
	e.upgrade(hooked)
	second = e.WaitForPhase(hooked, "sun", v1alpha1.PhaseProcessing)
	if second.UID == first.UID || second.Status.JobID != first.Status.JobID {
		e.Errorf("the job isn't found again: %+v", second.Status)
	}
	e.CheckPaid(hooked, paid)
	e.Kubectl("patch", "daftyjob", "sun", "--namespace", hooked, "--type=merge", `--patch={"spec":{"desiredState":"Cancelled"}}`)
	e.WaitForPhase(hooked, "sun", v1alpha1.PhaseCancelled)

	e.chart(brief, annotated(e2e.Short("hero", "A lake", "resultConfigMap: hero"), `helm.sh/hook: pre-install, helm.sh/hook-delete-policy: hook-succeeded`))
	e.upgrade(brief)
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, brief, "hero")
	if _, err := e.ConfigMap(brief, "hero"); !apierrors.IsNotFound(err) {
		e.Errorf("it has a result: %v", err)
	}
}

func (e *env) checked() {
	check := e.Docs.Example("helm template campaign ")
	in := func(command string) string {
		return e.Replace(command, "./campaign", "./checked", "--namespace campaign", "--namespace checked", " campaign ", " checked ")
	}
	e.chart(checked, e2e.Hero("A harbour"), e2e.Endless("clip"))
	e.upgrade(checked)
	e.sh(in(check))
	e.chart(checked, e2e.Hero("Another harbour"), e2e.Endless("clip"))
	e.sh(in(check))
	for words, manifest := range map[string]string{
		"the request can't be changed":             other(e2e.Endless("clip")),
		"should be at least 1 chars long":          e2e.Short("blank", ""),
		`spec.imageGenerate.quality: Unsupported`:  strings.Replace(e2e.Short("hero", "A lake"), `"}`, `", quality: bogus}`, 1),
		"spec.template.spec.imageGenerate.quality": strings.Replace(e2e.Hero("A lake"), `"}`, `", quality: bogus}`, 1),
	} {
		e.chart(checked, manifest)
		e.sh(upgradeOf(checked, "--dry-run=server"))
		e.fails(in(check), words)
	}
	if got := e.Asset(checked, "hero").Spec.Template.Spec.ImageGenerate.Prompt; got != "A harbour" {
		e.Errorf("a dry run has changed it to %q", got)
	}
	e.sh("helm uninstall checked --namespace checked --wait")
	// The page's own.
	e.sh(e.Replace(check, "--namespace campaign", "--namespace "+campaign))
}

func (e *env) going() {
	e.chart(going, e2e.Endless("clip"))
	e.upgrade(going)
	id := e.WaitForPhase(going, "clip", v1alpha1.PhaseProcessing).Status.JobID
	mend := e.WithoutCancels(going)
	e.sh("helm uninstall going --namespace going")
	if e.MustJob(going, "clip").DeletionTimestamp == nil {
		e.Error("it isn't being deleted")
	}
	if output := e.sh("helm install going ./going --namespace going"); !strings.Contains(output, "STATUS: deployed") {
		e.Errorf("it isn't deployed:\n%s", output)
	}
	mend()
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, going, "clip")
	e.CheckCancelled(id)

	// Mended by an upgrade.
	e.upgrade(going)
	id = e.WaitForPhase(going, "clip", v1alpha1.PhaseProcessing).Status.JobID
	mend = e.WithoutCancels(going)
	uninstall := e.Docs.Example("helm uninstall shop ")
	e.fails(e.Replace(uninstall, "shop", going, "10m", "3s"), "resource DaftyJob/going/clip still exists. status: Terminating")
	e.fails("helm status going --namespace going", "release: not found")
	mend()
	e.sh(e.Replace(e.Docs.Example("kubectl wait --for=delete daftyjobs "), "--namespace shop", "--namespace going"))
	e.CheckCancelled(id)
	e.upgrade(going)
	id = e.WaitForPhase(going, "clip", v1alpha1.PhaseProcessing).Status.JobID
	e.sh(e.Replace(uninstall, "shop", going))
	e.gone(going, "clip")
	e.CheckCancelled(id)
	e.CheckPaid(going, 3)
	e.sh(uninstall)
}

func (e *env) lookups() {
	const address = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\n" +
		`data: {address: {{ dig "status" "current" "result" "primary" "none" (lookup "dafty.ai/v1alpha1" "DaftyAsset" .Release.Namespace "hero") }}}` + "\n"
	page := func() string {
		read, err := e.ConfigMap(looked, "page")
		if err != nil {
			e.Fatal(err)
		}
		return read.Data["address"]
	}
	guarded := `{{ if not (lookup "dafty.ai/v1alpha1" "DaftyJob" .Release.Namespace "clip") }}` + "\n" + e2e.Endless("clip") + "{{ end }}\n"
	e.chart(looked, e2e.Hero("A harbour"), address, guarded)
	e.upgrade(looked)
	e.sh("kubectl wait daftyasset hero --namespace looked --for=condition=Ready --timeout=1m")
	if got := page(); got != "none" {
		e.Errorf("the address is %s at first", got)
	}
	first := e2e.Result(e.Asset(looked, "hero"))
	id := e.WaitForPhase(looked, "clip", v1alpha1.PhaseProcessing).Status.JobID

	e.chart(looked, e2e.Hero("Another harbour"), address, guarded)
	e.upgrade(looked)
	e.sh("kubectl wait daftyasset hero --namespace looked --for=condition=Ready --timeout=1m")
	if got := page(); got != first || e2e.Result(e.Asset(looked, "hero")) == first {
		e.Errorf("the address is %s; the first was %s", got, first)
	}
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, looked, "clip")
	e.CheckCancelled(id)
	e.upgrade(looked)
	e.WaitForPhase(looked, "clip", v1alpha1.PhaseProcessing)
	e.CheckPaid(looked, 4)
	e.sh("helm uninstall looked --namespace looked --wait")
}

func (e *env) fleeting() {
	e.chart(fleeting, e2e.Short("draft", "A draft", "ttlSecondsAfterFinished: 1"))
	for paid := 1; paid <= 2; paid++ {
		e.upgrade(fleeting)
		e.Eventually("it is made, and expires", func(g Gomega) {
			g.Expect(e.Paid(fleeting)).To(HaveLen(paid))
			_, err := e.Job(fleeting, "draft")
			g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		})
	}
}

// desire sets desiredState by kubectl.
func (e *env) desire(name, state string) {
	e.Helper()
	e.Kubectl("patch", "daftyjob", name, "--namespace", replaced, "--type=merge", `--patch={"spec":{"desiredState":"`+state+`"}}`)
}

func (e *env) isSuspended(g Gomega) {
	g.Expect(e.MustJob(replaced, "held").Status.SuspendedAt).NotTo(BeNil())
}

func (e *env) desiredState() {
	// Where the chart has it, and kubectl changes it.
	e.chart(replaced, e2e.Endless("clip", "desiredState: Completed"), e2e.Waiting("held", "desiredState: Completed"))
	e.upgrade(replaced)
	e.WaitForPhase(replaced, "clip", v1alpha1.PhaseProcessing)
	e.desire("clip", "Cancelled")
	e.desire("held", "Suspended")
	e.Eventually("it is suspended", e.isSuspended)
	id := e.WaitForPhase(replaced, "clip", v1alpha1.PhaseCancelled).Status.JobID
	e.CheckCancelled(id)
	e.fails(upgradeOf(replaced), "conflict with", "spec.desiredState")
	e.upgrade(replaced, "--force-conflicts")
	e.Eventually("it stays cancelled", func(g Gomega) {
		// The one that is resumed waits.
		for name, reason := range map[string]string{"clip": v1alpha1.ReasonAlreadyCancelled, "held": v1alpha1.ReasonWaitingForDependency} {
			g.Expect(e.MustJob(replaced, name).Status.Conditions).To(ContainElement(HaveField("Reason", reason)), name)
		}
	})
	e.sh("helm uninstall replaced --namespace replaced --wait")

	// Client-side.
	e.chart(replaced, e2e.Endless("clip"), e2e.Waiting("held"))
	e.upgrade(replaced, "--server-side=false")
	e.WaitForPhase(replaced, "clip", v1alpha1.PhaseProcessing)
	e.desire("clip", "Cancelled")
	e.desire("held", "Suspended")
	e.WaitForPhase(replaced, "clip", v1alpha1.PhaseCancelled)
	e.Eventually("it is suspended", e.isSuspended)
	e.upgrade(replaced, "--set note=second")
	if got := e.MustJob(replaced, "held").Spec.DesiredState; got != v1alpha1.DesiredSuspended {
		e.Errorf("desiredState is %q", got)
	}
	e.upgrade(replaced, "--server-side=false --force-replace --set note=third")
	e.Eventually("the change is seen", func(g Gomega) {
		for name, reason := range map[string]string{"clip": v1alpha1.ReasonAlreadyCancelled, "held": v1alpha1.ReasonSuspended} {
			job := e.MustJob(replaced, name)
			g.Expect(job.Spec.DesiredState).To(BeEmpty())
			g.Expect(job.Status.ObservedGeneration).To(Equal(job.Generation))
			g.Expect(job.Status.Conditions).To(ContainElement(HaveField("Reason", reason)), name)
		}
	})
	e.CheckPaid(replaced, 2)
}
