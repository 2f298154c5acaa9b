//go:build e2e

package helm

import (
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/e2e"
)

// The namespaces. Each has an account at Dafty of its name, and a release of its name where the page doesn't say otherwise.
const (
	shop     = "shop"     // of the page's chart with a DaftyAsset
	campaign = "campaign" // of the page's chart by the recipe
	owned    = "owned"    // has a DaftyAsset that outlives its release
	waiting  = "waiting"
	keyless  = "keyless" // has no Secret at first
	renamed  = "renamed"
	safe     = "safe" // is renamed with the annotation that keeps
	atomic   = "atomic"
	changed  = "changed"
	hooked   = "hooked"
	brief    = "brief" // a hook that is deleted once it has succeeded
	checked  = "checked"
	going    = "going"
	looked   = "looked"
	fleeting = "fleeting"
	replaced = "replaced"
	third    = "third" // of Helm 3
	left     = "left"  // runs while there is no operator
)

var namespaces = []string{
	shop, campaign, owned, waiting, keyless, renamed, safe, atomic, changed, hooked, brief, checked, going, looked, fleeting, replaced, third, left,
}

func TestHelm(t *testing.T) {
	e := newEnv(t)
	step := func(name string, do func(*env)) {
		if t.Failed() {
			return // it would only say the same again, after waiting for it
		}
		t.Run(name, func(t *testing.T) { do(&env{World: e.In(t)}) })
	}
	step("a picture changes by an upgrade, and a rollback is free", (*env).asset)
	step("an asset outlives its release if it is kept", (*env).assetKept)
	step("the recipe for DaftyJobs", (*env).recipe)
	step("what --wait sees", (*env).waits)
	step("a rename pays again, and a rollback too", (*env).renamed)
	step("--rollback-on-failure pays again but for what is kept", (*env).rolledBack)
	step("a changed request fails the upgrade half-way", (*env).changed)
	step("hooks aren't waited for, and are paid for at each upgrade", (*env).hooks)
	step("a dry run by Helm catches no rule, and one by kubectl does", (*env).checked)
	step("an install over a deletion is without its DaftyJob", (*env).going)
	step("a lookup is of before, and a guard by it deletes", (*env).lookups)
	step("what expires is made again", (*env).fleeting)
	step("desiredState, and what kubectl sets", (*env).desiredState)
	step("Helm 3", (*env).helm3)
	step("the policy refuses hooks that aren't meant so", (*env).hooksRefused)
	step("an operator that is uninstalled leaves the CRDs, and what runs", (*env).operatorRemoved)
	step("all is removed in order", (*env).removed)
	step("nothing runs on, and Dafty was asked for nothing that it doesn't know", func(e *env) { e.CheckLedger() })
	if !t.Failed() {
		e.Docs.T = t
		e.Docs.CheckAllUsed()
	}
}

// served returns the address in the ConfigMap hero.
func (e *env) served(namespace string) string {
	e.Helper()
	result, err := e.ConfigMap(namespace, "hero")
	if err != nil {
		e.Fatal(err)
	}
	return result.Data["image_0_url"]
}

func (e *env) asset() {
	e.sh(e.Docs.Example("kubectl create secret "))
	e.ofPage("shop/Chart.yaml", "shop/values.yaml", "shop/templates/hero.yaml")
	seen := e.Results(shop)
	e.sh(e.Docs.Example("helm install shop "))
	first := e.served(shop)
	e.CheckPaid(shop, 1)
	upgrade := e.Docs.Example("helm upgrade shop ")
	e.sh(upgrade)
	second := e.served(shop)
	e.CheckPaid(shop, 2)
	rollback := e.Docs.Example("helm rollback shop ")
	e.sh(rollback)
	if got := e.served(shop); got != first || first == second {
		e.Errorf("%s is served after the rollback; the first was %s, the second %s", got, first, second)
	}

	e.fails(e.Replace(upgrade, "The new trail shoe", "[fail] The new trail shoe"), "resource DaftyAsset/shop/hero not ready. status: Failed")
	if got := e.served(shop); got != first {
		e.Errorf("%s is served after a failure; the first was %s", got, first)
	}
	e.CheckPaid(shop, 3)
	e.sh(rollback)
	e.CheckPaid(shop, 3)
	e.fails(e.Replace(upgrade, "The new trail shoe", "[fail] Another trail shoe", "--wait", "--wait --rollback-on-failure"), "status: Failed")
	e.sh("kubectl wait daftyasset hero --namespace shop --for=condition=Ready --timeout=1m")
	e.CheckPaid(shop, 4)

	e.Kubectl("patch", "daftyasset", "hero", "--namespace", shop, "--type=merge", `--patch={"spec":{"suspend":true}}`)
	e.fails(e.Replace(upgrade, "in the snow", "at night", "10m", "5s"), "resource DaftyAsset/shop/hero not ready. status: InProgress")
	if !e.Asset(shop, "hero").Spec.Suspend {
		e.Error("it isn't suspended any more")
	}
	e.sh(rollback)
	e.Kubectl("patch", "daftyasset", "hero", "--namespace", shop, "--type=merge", `--patch={"spec":{"suspend":null}}`)
	e.sh("kubectl wait daftyasset hero --namespace shop --for=condition=Ready --timeout=1m")
	e.CheckPaid(shop, 4)
	if got := seen(); !slices.Equal(got, []string{first, second, first}) {
		e.Errorf("the results were %q; want %q, %q, and the first again", got, first, second)
	}
}

func (e *env) assetKept() {
	e.chart(owned, annotated(e2e.Hero("A harbour"), keep))
	e.sh("helm install owned ./owned --namespace owned --wait")
	uid := e.Asset(owned, "hero").UID
	e.sh("helm uninstall owned --namespace owned --wait")
	e.sh("helm install owned ./owned --namespace owned --wait")
	e.sh("helm uninstall owned --namespace owned --wait")
	e.fails("helm install other ./owned --namespace owned --wait", `"meta.helm.sh/release-name" must equal "other"`)
	e.sh("helm upgrade --install other ./owned --namespace owned --wait --take-ownership")
	if got := e.Asset(owned, "hero").UID; got != uid {
		e.Error("it was made anew")
	}
	e.CheckPaid(owned, 1)
	// A rename, without the annotation.
	e.chart(owned, e2e.Hero("A harbour"))
	e.sh("helm upgrade other ./owned --namespace owned --wait")
	e.chart(owned, strings.Replace(e2e.Hero("A harbour"), "name: hero", "name: banner", 1))
	e.sh("helm upgrade other ./owned --namespace owned")
	e.WaitForDeletion(&v1alpha1.DaftyAsset{}, owned, "hero")
	e.sh("kubectl wait daftyasset banner --namespace owned --for=condition=Available --timeout=1m")
	e.CheckPaid(owned, 2)
}

func (e *env) recipe() {
	e.ofPage("campaign/Chart.yaml", "campaign/values.yaml", "campaign/templates/hero.yaml")
	picture := func() *v1alpha1.DaftyJob {
		page, err := e.ConfigMap(campaign, "campaign-page")
		if err != nil {
			e.Fatal(err)
		}
		return e.MustJob(campaign, page.Data["picture"])
	}
	install, upgrade, rollback := e.Docs.Example("helm install campaign "), e.Docs.Example("helm upgrade campaign "), e.Docs.Example("helm rollback campaign ")
	e.sh(install)
	first := picture()
	e.sh(upgrade)
	second := picture()
	e.sh(rollback)
	if got := picture(); got.UID != first.UID || second.UID == first.UID || got.Status.Result == nil {
		e.Errorf("after the rollback it is %s; the first was %s", got.Name, first.Name)
	}
	for _, job := range []*v1alpha1.DaftyJob{first, second} {
		if _, err := e.ConfigMap(campaign, job.Name); err != nil {
			e.Errorf("its result: %v", err)
		}
	}
	e.CheckPaid(campaign, 2)
	e.sh(e.Docs.Example("JOB=$(kubectl get configmap "))

	e.fails(e.Replace(upgrade, "A lighthouse", "[fail] A lighthouse", "--wait", "--wait --rollback-on-failure"), "status: Failed")
	if got := picture(); got.UID != first.UID {
		e.Errorf("after the rollback on a failure it is %s; the first was %s", got.Name, first.Name)
	}
	e.CheckPaid(campaign, 3)

	// One that runs.
	e.write("campaign/templates/hero.yaml", e.Replace(e.Read(e.Dir+"/charts/campaign/templates/hero.yaml"),
		`dict "imageGenerate" (dict "prompt" .Values.prompt)`,
		`dict "videoFrames" (dict "prompt" .Values.prompt `+
			`"startImage" (dict "url" "https://example.com/1.png") "endImage" (dict "url" "https://example.com/2.png"))`))
	e.sh("helm upgrade campaign ./campaign --namespace campaign")
	third := picture().Name
	running := e.WaitForPhase(campaign, third, v1alpha1.PhaseProcessing)
	e.sh("helm uninstall campaign --namespace campaign --wait")
	e.sh(strings.Replace(install, "--wait --timeout 10m", "", 1))
	if job := e.MustJob(campaign, third); job.UID != running.UID || job.Status.Phase != v1alpha1.PhaseProcessing {
		e.Errorf("it doesn't run on: %+v", job.Status)
	}
	e.sh(e.Docs.Example("kubectl patch daftyjob "), "JOB="+third)
	e.WaitForPhase(campaign, third, v1alpha1.PhaseCancelled)
	e.CheckCancelled(running.Status.JobID)
	e.sh(strings.Replace(upgrade, "A lighthouse at dawn", "A lighthouse at dusk", 1)) // cancelled as asked is no failure
	if job := e.MustJob(campaign, third); job.Spec.DesiredState != v1alpha1.DesiredCancelled || job.UID != running.UID {
		e.Errorf("the cancel doesn't last: %+v", job.Spec)
	}
	e.CheckPaid(campaign, 4)
}

func (e *env) waits() {
	upgrade := "helm upgrade --install waiting ./waiting --namespace waiting --wait"
	e.chart(waiting, e2e.Short("held", "A lake", "desiredState: Suspended"))
	e.fails(upgrade+" --timeout 3s", "resource DaftyJob/waiting/held not ready. status: InProgress", "held back, as asked")
	e.sh(upgrade + "=legacy --timeout 1m")
	e.CheckPaid(waiting, 0)

	e.chart(waiting, e2e.Short("parody", "[fail] A parody"))
	e.fails(upgrade+" --timeout 10m", "resource DaftyJob/waiting/parody not ready. status: Failed")
	e.fails(upgrade+" --timeout 10m --set note=second", "resource DaftyJob/waiting/parody not ready. status: Failed")
	if got := e.note(waiting); got != "second" {
		e.Errorf("the note is %q", got)
	}
	e.sh("helm upgrade waiting ./waiting --namespace waiting --set note=third")
	e.CheckPaid(waiting, 1)
	e.Kubectl("delete", "daftyjob", "parody", "--namespace", waiting)
	e.sh("helm upgrade waiting ./waiting --namespace waiting --set note=third")
	e.WaitForPhase(waiting, "parody", v1alpha1.PhaseFailed)
	e.CheckPaid(waiting, 2)

	// A failure is told once nothing else is on its way.
	e.chart(waiting, e2e.Short("parody", "[fail] A parody"), e2e.Waiting("held"))
	start, timeout := time.Now(), 8*time.Second
	e.fails(upgrade+" --timeout "+timeout.String(), "parody not ready. status: Failed")
	if took := time.Since(start); took < timeout {
		e.Errorf("it took %s", took)
	}

	e.chart(keyless, e2e.Endless("clip"))
	install := "helm upgrade --install keyless ./keyless --namespace keyless --wait"
	e.fails(install+" --timeout 3s", "resource DaftyJob/keyless/clip not ready. status: InProgress", `Secret "dafty-credentials" isn't there`)
	e.createSecret(keyless, "of-nobody")
	e.fails(install+" --timeout 10m", "resource DaftyJob/keyless/clip not ready. status: Failed", "Dafty doesn't accept the API key")
	e.Kubectl("delete", "secret", "dafty-credentials", "--namespace", keyless)
	e.createSecret(keyless, e2e.APIKey(keyless))
	id := e.WaitForPhase(keyless, "clip", v1alpha1.PhaseProcessing).Status.JobID
	e.fails(install+" --timeout 3s", "resource DaftyJob/keyless/clip not ready. status: InProgress")
	if job := e.MustJob(keyless, "clip"); job.Status.Phase != v1alpha1.PhaseProcessing {
		e.Errorf("the job doesn't go on: %+v", job.Status)
	}
	e.sh("helm uninstall keyless --namespace keyless --wait")
	e.CheckCancelled(id)
	e.CheckPaid(keyless, 1)
}

// gone checks that a DaftyJob isn't there.
func (e *env) gone(namespace, name string) {
	e.Helper()
	if _, err := e.Job(namespace, name); !apierrors.IsNotFound(err) {
		e.Errorf("%s is there: %v", name, err)
	}
}
