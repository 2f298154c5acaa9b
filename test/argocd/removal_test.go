//go:build e2e

package argocd

import (
	"maps"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

const (
	operatorApp       = "dafty-operator"
	operatorNamespace = "dafty-operator-system"
	operatorManager   = "dafty-operator-controller-manager"
)

// crdUIDs returns the CRDs, as what kubectl prints of them.
func (e *env) crdUIDs() string {
	e.Helper()
	return e.Kubectl("get", "crd", "daftyaccounts.dafty.ai", "daftyassets.dafty.ai", "daftyjobs.dafty.ai", "--output",
		`jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.deletionTimestamp};{end}`)
}

// operatorGone deletes the operator's Application, and ends the operator, which is a process here, when its Deployment is gone.
func (e *env) operatorGone(remove string) {
	e.Helper()
	e.shell(remove)
	e.WaitForDeletion(&appsv1.Deployment{}, operatorNamespace, operatorManager)
	e.WaitForDeletion(&corev1.Namespace{}, "", operatorNamespace)
}

// operatorRemoved deletes the operator's Application while a job runs, creates it again, and then deletes all in the documentation's order.
func (e *env) operatorRemoved() {
	if err := os.CopyFS(filepath.Join(e.Repo.Dir, "config"), os.DirFS(filepath.Join(e.Root, "config"))); err != nil {
		e.Fatal(err)
	}
	e.Repo.Commit("The operator")
	manifest := e.file("operator", e.Replace(e.Docs.Example("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: "+operatorApp+"\n"),
		"https://git.example.com/dafty-operator.git", e.Repo.URL(), "targetRevision: v0.1.0", "targetRevision: main"))
	e.Kubectl("apply", "--filename", manifest)
	e.waitForStatus(operatorApp, "Synced", "Progressing", "")
	running := e.WaitForPhase(remains, "clip", v1alpha1.PhaseProcessing)
	before := e.crdUIDs()
	e.operatorGone("argocd app delete " + operatorApp + " --yes --wait")
	if err := e.Operator.Stop(e2e.Patience); err != nil {
		e.Fatal(err)
	}
	if after := e.crdUIDs(); after != before {
		e.Errorf("the CRDs were %s, and are %s", before, after)
	}
	if job := e.MustJob(remains, "clip"); job.UID != running.UID || job.DeletionTimestamp != nil {
		e.Errorf("the DaftyJob goes, or is another: %+v", job.ObjectMeta)
	}
	if entry, _ := e.Dafty.Job(running.Status.JobID); entry.Terminal() {
		e.Errorf("its job has ended: %+v", entry)
	}

	e.Kubectl("apply", "--filename", manifest)
	e.waitForStatus(operatorApp, "Synced", "Progressing", "")
	e.StartOperator()
	for name := range strings.FieldsSeq(e.Kubectl("get", "applications", "--namespace", argoNamespace, "--output", "jsonpath={.items[*].metadata.name}")) {
		if name != operatorApp && name != remains {
			e.Kubectl("delete", "application", name, "--namespace", argoNamespace, "--ignore-not-found", "--timeout", e2e.Patience.String())
		}
	}
	e.shell(e.Replace(e.Docs.Example("argocd app delete campaign "), "campaign", remains))
	e.CheckCancelled(running.Status.JobID)
	e.Kubectl("delete", "daftyjobs", "--all", "--namespace", hooked) // hooks, which no Application deletes
	e.shell(e.Docs.Example("kubectl wait daftyassets,daftyjobs "))
	for _, list := range []client.ObjectList{&v1alpha1.DaftyAssetList{}, &v1alpha1.DaftyJobList{}} {
		if err := e.Client.List(e.Context(), list); err != nil || meta.LenList(list) > 0 {
			e.Errorf("what is left: %v %+v", err, list)
		}
	}
	e.operatorGone(e.Docs.Example("argocd app delete dafty-operator "))
	e.shell(e.Docs.Example("kubectl delete crd "))
	if left := e.Kubectl("get", "crd", "--output=name"); strings.Contains(left, "dafty.ai") {
		e.Errorf("CRDs are left: %s", left)
	}
	e.CheckPaid(remains, 1)
}

// ofApps has an Application with Applications in two waves. Argo CD waits for the first only where it is told the health of Applications.
func (e *env) ofApps(application string) {
	e.Folder("later", configMap("later", "0"))
	e.folder(earlier, e2e.Endless("clip"))
	for wave, name := range []string{earlier, "later"} {
		child := map[string]any{}
		if err := yaml.Unmarshal([]byte(e.Replace(application, gitURL, e.Repo.URL(), "path: campaign", "path: "+name, "namespace: campaign", "namespace: "+earlier,
			"name: campaign", "name: "+name)), &child); err != nil {
			e.Fatal(err)
		}
		annotations := child["metadata"].(map[string]any)["annotations"].(map[string]any)
		annotations["argocd.argoproj.io/sync-wave"] = string(rune('0' + wave))
		content, err := yaml.Marshal(child)
		if err != nil {
			e.Fatal(err)
		}
		e.Repo.Write("apps/"+name+".yaml", string(content))
	}
	e.Repo.Commit("Applications")
	e.create(application, "apps", into(argoNamespace))
	e.waitForStatus("apps", "Synced", "Healthy", "") // and so the second is there
	e.waitForStatus("later", "Synced", "Healthy", "")
	e.waitForStatus(earlier, "Synced", "Progressing", "")
	e.shell(e.Replace(e.Docs.Example("kubectl patch configmap argocd-cm --namespace argocd --patch-file applications.yaml"), "applications.yaml",
		e.file("applications", e.Docs.Example("data:\n  resource.customizations.health.argoproj.io_Application: "))))
	e.Eventually("the health of Applications is heeded", func(g Gomega) {
		e.refresh("apps", "normal")
		app, err := e.application("apps")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.Health.Status).To(Equal("Progressing"))
	})
	e.Kubectl("delete", "application", "apps", "--namespace", argoNamespace, "--timeout", e2e.Patience.String())
	e.WaitForDeletion(&v1alpha1.DaftyJob{}, earlier, "clip")
	e.create(application, "apps", into(argoNamespace))
	clip := e.WaitForPhase(earlier, "clip", v1alpha1.PhaseProcessing)
	e.Eventually("the second wave waits", func(g Gomega) {
		app, err := e.application("apps")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.OperationState.Message).To(ContainSubstring("waiting for healthy state of argoproj.io/Application/" + earlier))
	})
	if _, err := e.application("later"); !apierrors.IsNotFound(err) {
		e.Errorf("the second is there already: %v", err)
	}
	e.cancel(earlier, clip.Name)
	e.waitForStatus("apps", "Synced", "Healthy", "")
	e.waitForStatus("later", "Synced", "Healthy", "")
	e.CheckPaid(earlier, 2)
}

// keyedAgain deletes a DaftyJob with a key of its own while it runs, and has self-heal make it again.
func (e *env) keyedAgain() {
	before := e.WaitForPhase(keyed, "clip", v1alpha1.PhaseProcessing)
	e.Kubectl("delete", "daftyjob", "clip", "--namespace", keyed)
	e.CheckCancelled(before.Status.JobID)
	e.waitForHealth(keyed, "clip", "Degraded "+v1alpha1.ReasonGenerationFailed)
	if after := e.MustJob(keyed, "clip"); after.UID == before.UID || after.Status.JobID != before.Status.JobID {
		e.Errorf("it doesn't find the job: %+v", after.Status)
	}
	e.CheckPaid(keyed, 1)
}

// argoCDs is the kind of the Argo CD operator, as far as it is needed.
const argoCDs = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: argocds.argoproj.io}
spec:
  group: argoproj.io
  names: {kind: ArgoCD, plural: argocds, singular: argocd}
  scope: Namespaced
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {extraConfig: {type: object, additionalProperties: {type: string}}}}}}}
`

// settingsOfOthers writes the settings in the forms of the chart and of the Argo CD operator, and holds them against argocd-cm.
func (e *env) settingsOfOthers() {
	live, err := e.ConfigMap(argoNamespace, "argocd-cm")
	if err != nil {
		e.Fatal(err)
	}
	want := map[string]string{}
	for key, value := range live.Data {
		if strings.HasPrefix(key, "resource.customizations.") && strings.Contains(key, ".dafty.ai_") {
			want[key] = value
		}
	}
	run := func(begin string) {
		e.Helper()
		command := strings.ReplaceAll(e.Docs.Example(begin), "=config/argocd/", "="+e.Root+"/config/argocd/")
		if output, err := e.tryShell(e.Dir, command); err != nil {
			e.Fatalf("%s: %v\n%s", command, err, output)
		}
	}
	run("kubectl create configmap argocd-cm ")
	run("printf ")
	var values struct {
		Configs struct{ CM map[string]string }
	}
	if err := yaml.UnmarshalStrict([]byte(e.Read(filepath.Join(e.Dir, "values.json"))), &values); err != nil {
		e.Fatal(err)
	}
	e.Kubectl("apply", "--filename", e.file("argocds", argoCDs))
	e.Kubectl("wait", "--for=condition=Established", "crd/argocds.argoproj.io", "--timeout", e2e.Patience.String())
	e.Kubectl("create", "--filename", e.file("argocd", "apiVersion: argoproj.io/v1beta1\nkind: ArgoCD\nmetadata: {name: argocd, namespace: argocd}\n"))
	run("kubectl patch argocd ")
	extra := map[string]string{}
	if err := yaml.Unmarshal([]byte(e.Kubectl("get", "argocd", "argocd", "--namespace", argoNamespace, "--output", "jsonpath={.spec.extraConfig}")), &extra); err != nil {
		e.Fatal(err)
	}
	if len(want) != 5 || !maps.Equal(values.Configs.CM, want) || !maps.Equal(extra, want) {
		e.Errorf("argocd-cm has\n%v\nthe chart gets\n%v\nthe operator\n%v", want, values.Configs.CM, extra)
	}
}
