package config_test

import (
	"fmt"
	"testing"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// exerciseAssets creates, changes and deletes DaftyAssets so that the operator uses all that it may do with these and for these.
func exerciseAssets(t *testing.T, env *kubetest.Env, sim *daftysim.Server, ns string, wait func(what string, args ...string)) {
	t.Helper()
	apply := func(name, more, spec string) {
		t.Helper()
		env.MustApply(t, fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: %s}\nspec: {%s template: {spec: %s}}\n", name, more, spec), "-n", ns)
	}
	// Made, annotated, changed twice, so that a DaftyJob beyond the history is deleted, and back at no cost.
	const kept = "historyLimit: 1, resultConfigMap: hero,"
	for _, prompt := range []string{"A mountain", "A lake", "A mountain", "A river"} {
		before := len(sim.Ledger())
		apply("hero", kept, fmt.Sprintf("{imageGenerate: {prompt: %s}}", prompt))
		wait("condition=Ready", "daftyasset/hero")
		if paid := len(sim.Ledger()) - before; prompt == "A mountain" && before > 0 && paid > 1 {
			t.Errorf("%s: %d payments", prompt, paid)
		}
	}
	wait(`jsonpath={.metadata.annotations.dafty\.ai/current}`, "daftyasset/hero")
	wait("jsonpath={.data.image_0_url}", "configmap/hero")

	// One that waits for it, changes while it is made, and is approved.
	const follower = `{imageUpscale: {image: {assetRef: {name: hero}}, resolution: %s}}`
	apply("poster", "changePolicy: Manual,", fmt.Sprintf(follower, "2K"))
	wait(`jsonpath={.status.conditions[?(@.type=="Ready")].reason}=WaitingForApproval`, "daftyasset/poster")
	hash := env.MustKubectl(t, "get", "daftyasset", "poster", "-n", ns, "-o", "jsonpath={.status.pending.hash}")
	env.MustKubectl(t, "annotate", "daftyasset", "poster", "-n", ns, "dafty.ai/approved="+hash)
	wait("jsonpath={.status.phase}=Processing", "daftyjob/poster-"+hash)
	apply("poster", "", fmt.Sprintf(follower, "4K"))
	wait("condition=Cancelled", "daftyjob/poster-"+hash)

	env.MustKubectl(t, "delete", "daftyassets", "--all", "-n", ns, "--timeout="+patience.String())
}
