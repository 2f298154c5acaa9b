//go:build e2e

package helm

import (
	"strings"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

// helm3 does the same by Helm 3.
func (e *env) helm3() {
	const upgrade = "helm3 upgrade --install third ./third --namespace third --wait --timeout 2m"
	e.chart(third, e2e.Hero("A harbour"), e2e.Endless("clip"))
	e.sh(upgrade) // and doesn't wait for the clip
	e.sh("kubectl wait daftyasset hero --namespace third --for=condition=Ready --timeout=1m")
	first := e.served(third)
	before := e.WaitForPhase(third, "clip", v1alpha1.PhaseProcessing)
	e.CheckPaid(third, 2)
	e.chart(third, e2e.Hero("Another harbour"), e2e.Endless("clip"))
	e.sh(upgrade)
	e.sh("kubectl wait daftyasset hero --namespace third --for=condition=Ready --timeout=1m")
	e.CheckPaid(third, 3)
	e.sh("helm3 rollback third 1 --namespace third --wait")
	e.sh("kubectl wait daftyasset hero --namespace third --for=condition=Ready --timeout=1m")
	if got := e.served(third); got != first {
		e.Errorf("%s is served after the rollback; the first was %s", got, first)
	}
	e.chart(third, e2e.Hero("A harbour"), other(e2e.Endless("clip")))
	e.fails(upgrade, "the request can't be changed")

	// By the recipe, and by a release that Helm 4 takes over.
	e.sh("helm3 upgrade --install campaign ./campaign --namespace third")
	e.sh("helm upgrade campaign ./campaign --namespace third")
	if job := e.MustJob(third, "clip"); job.UID != before.UID {
		e.Error("it is another one")
	}
	e.sh("kubectl delete daftyjobs --namespace third --selector app.kubernetes.io/instance=campaign")
	e.sh("helm3 uninstall third --namespace third")
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, third, "clip")
	e.CheckCancelled(before.Status.JobID)
	e.CheckPaid(third, 4)
}

const (
	operatorName      = "dafty-operator"
	operatorNamespace = "dafty-operator-system"
)

// install returns the command that installs the operator, whose CRDs are there already.
func (e *env) install() string {
	return "helm upgrade --install " + operatorName + " " + e.Root + "/charts/" + operatorName + " --namespace " + operatorNamespace +
		" --create-namespace --take-ownership --force-conflicts"
}

func (e *env) hooksRefused() {
	e.sh(e.install() + " --set admissionPolicy.enabled=true")
	e.chart(brief, annotated(e2e.Waiting("held"), `helm.sh/hook: "pre-install,pre-upgrade"`))
	e.Eventually("the policy is in force", func(g Gomega) {
		output, err := e.try("helm template brief ./brief --namespace brief | " +
			"kubectl apply --namespace brief --server-side --field-manager=helm --dry-run=server --filename -")
		g.Expect(err).To(HaveOccurred(), output)
	})
	e.fails(upgradeOf(brief), "a hook is deleted and made again at each sync or upgrade, and paid for each time")
	e.gone(brief, "held")
	e.chart(brief, annotated(e2e.Waiting("held"), `helm.sh/hook: "pre-install,pre-upgrade", dafty.ai/allow-hook: "true"`))
	e.upgrade(brief)
	e.MustJob(brief, "held")
}

// operatorRemoved uninstalls the operator while a job runs, and installs it again. No Pod runs here: the operator is a process.
func (e *env) operatorRemoved() {
	e.chart(left, e2e.Endless("clip"), e2e.Hero("A harbour"))
	e.upgrade(left)
	e.sh("kubectl wait daftyasset hero --namespace left --for=condition=Ready --timeout=1m")
	running := e.WaitForPhase(left, "clip", v1alpha1.PhaseProcessing)
	e.sh(e.install())
	e.sh("helm uninstall dafty-operator --namespace dafty-operator-system")
	e.WaitForDeletion(&appsv1.Deployment{}, operatorNamespace, operatorName)
	if err := e.Operator.Stop(e2e.Patience); err != nil {
		e.Fatal(err)
	}
	if job := e.MustJob(left, "clip"); job.UID != running.UID || job.DeletionTimestamp != nil {
		e.Errorf("the DaftyJob is deleted, or another: %+v", job.ObjectMeta)
	}
	if entry, found := e.Dafty.Job(running.Status.JobID); !found || entry.Terminal() {
		e.Errorf("it doesn't run on at Dafty: %+v", entry)
	}
	e.sh(e.install())
	e.StartOperator()
	e.sh("helm uninstall left --namespace left --wait")
	e.CheckCancelled(running.Status.JobID)
	e.CheckPaid(left, 2)
}

// removed deletes all in the order of the page.
func (e *env) removed() {
	for line := range strings.Lines(e.sh("helm list --all-namespaces --no-headers | cut -f1,2")) {
		name, namespace, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name = strings.TrimSpace(name); name != operatorName && name != campaign {
			e.sh("helm uninstall " + name + " --wait --namespace " + strings.TrimSpace(namespace))
		}
	}
	e.sh(e.Docs.Example("kubectl delete daftyjobs "))
	for _, job := range e.Jobs(campaign) {
		e.Errorf("%s is left", job.Name)
	}
	e.sh(e.Docs.Example("kubectl delete daftyassets,daftyjobs "))
	for _, list := range []client.ObjectList{&v1alpha1.DaftyAssetList{}, &v1alpha1.DaftyJobList{}} {
		if err := e.Client.List(e.Context(), list); err == nil && meta.LenList(list) > 0 {
			e.Errorf("what is left: %+v", list)
		}
	}
	if crds := e.Kubectl("get", "crd", "--output=name"); strings.Contains(crds, "dafty.ai") {
		e.Errorf("CRDs are left: %s", crds)
	}
}
