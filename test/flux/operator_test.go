//go:build e2e

package flux

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

const (
	operatorName      = "dafty-operator"
	operatorNamespace = "dafty-operator-system"
)

var crds = []string{"daftyaccounts.dafty.ai", "daftyassets.dafty.ai", "daftyjobs.dafty.ai"}

func (e *env) crd(name string) *apiextensionsv1.CustomResourceDefinition {
	e.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := json.Unmarshal([]byte(e.Kubectl("get", "crd", name, "--output=json")), crd); err != nil {
		e.Fatal(err)
	}
	return crd
}

// operatorRemoved installs the operator by Flux, deletes its Kustomization while a job runs, and installs it again. No Pod runs here: the operator
// is a process, which ends when the Deployment is gone.
func (e *env) operatorRemoved() {
	if err := os.CopyFS(filepath.Join(e.Repo.Dir, "config"), os.DirFS(filepath.Join(e.Root, "config"))); err != nil {
		e.Fatal(err)
	}
	e.Folder(left, e2e.Endless("clip"), e2e.Hero("A harbour"))
	e.push("The operator, and what it does")
	e.create(left)
	e.waitForAsset(left, isMade)
	running := e.WaitForPhase(left, "clip", v1alpha1.PhaseProcessing)
	uids := map[string]any{}
	for _, name := range crds {
		uids[name] = e.crd(name).UID
	}

	manifest := e.Replace(e.Docs.Example("apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: "+operatorName+"\n"),
		"https://git.example.com/dafty-operator.git", e.url, "tag: v0.1.0", "branch: main")
	e.apply(manifest)
	e.waitForReady(operatorName, "")
	deployment := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: operatorNamespace, Name: operatorName + "-controller-manager"}
	if err := e.Client.Get(e.Context(), key, deployment); err != nil {
		e.Fatal(err)
	}
	if image := deployment.Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/dafty-operator:v0.1.0" {
		e.Errorf("its image is %s", image)
	}

	e.Kubectl("delete", "kustomization", operatorName, "--namespace", fluxNamespace, "--timeout", e2e.Patience.String())
	e.WaitForDeletion(&appsv1.Deployment{}, operatorNamespace, key.Name)
	if err := e.Operator.Stop(e2e.Patience); err != nil {
		e.Fatal(err)
	}
	e.WaitForDeletion(&corev1.Namespace{}, "", operatorNamespace)
	for _, name := range crds {
		if crd := e.crd(name); crd.UID != uids[name] || crd.DeletionTimestamp != nil {
			e.Errorf("%s is deleted, or another: %+v", name, crd.ObjectMeta)
		}
	}
	if job := e.MustJob(left, "clip"); job.UID != running.UID || job.DeletionTimestamp != nil {
		e.Errorf("the DaftyJob is deleted, or another: %+v", job.ObjectMeta)
	}

	e.apply(manifest)
	e.waitForReady(operatorName, "")
	e.StartOperator()
	e.Folder(left, e2e.Endless("clip", "desiredState: Cancelled"), e2e.Hero("Another harbour"))
	e.push("Cancel the one, and change the other")
	if job := e.WaitForPhase(left, "clip", v1alpha1.PhaseCancelled); job.Status.JobID != running.Status.JobID {
		e.Errorf("it is another job: %+v", job.Status)
	}
	e.CheckCancelled(running.Status.JobID)
	e.waitForAsset(left, isMade)
	e.CheckPaid(left, 3)
}

// removed deletes all in the order of the documentation.
func (e *env) removed() {
	names := strings.Fields(e.Kubectl("get", "kustomizations", "--namespace", fluxNamespace, "--output", "jsonpath={.items[*].metadata.name}"))
	for _, name := range names {
		if name != operatorName && name != "pictures" && name != "campaign" && name != "credentials" {
			e.Kubectl("delete", "kustomization", name, "--namespace", fluxNamespace, "--timeout", e2e.Patience.String())
		}
	}
	e.shell(e.Docs.Example("kubectl delete kustomization "))
	e.shell(e.Docs.Example("kubectl wait daftyassets,daftyjobs "))
	for _, list := range []client.ObjectList{&v1alpha1.DaftyAssetList{}, &v1alpha1.DaftyJobList{}} {
		if err := e.Client.List(e.Context(), list); err != nil || meta.LenList(list) > 0 {
			e.Errorf("what is left: %v %+v", err, list)
		}
	}
	e.shell(e.Docs.Example("kubectl delete kustomization "))
	e.WaitForDeletion(&appsv1.Deployment{}, operatorNamespace, operatorName+"-controller-manager")
	e.shell(e.Docs.Example("kubectl delete crd "))
	if left := e.Kubectl("get", "crd", "--output=name"); strings.Contains(left, "dafty.ai") {
		e.Errorf("CRDs are left: %s", left)
	}
}
