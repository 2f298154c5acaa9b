//go:build e2e

package flux

import (
	"slices"

	. "github.com/onsi/gomega"

	"dafty.ai/dafty-operator/internal/test/e2e"
)

// checkServed checks that a result is current and in the ConfigMap.
func (e *env) checkServed(namespace, want string) {
	e.Helper()
	if is := e2e.Result(e.Asset(namespace, "hero")); is != want {
		e.Errorf("hero of %s is %q; want %q", namespace, is, want)
	}
	e.Eventually("the ConfigMap has it", func(g Gomega) {
		stored, err := e.ConfigMap(namespace, "hero")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(stored.Data["image_0_url"]).To(Equal(want))
	})
}

// waitForHero has a Kustomization wait for its hero.
func waitForHero(namespace string) change {
	return set("healthChecks", []any{map[string]any{"apiVersion": "dafty.ai/v1alpha1", "kind": "DaftyAsset", "name": "hero", "namespace": namespace}})
}

func (e *env) assetChanged() {
	e.Folder(assets, e2e.Hero("A harbour in the morning"))
	commit := e.push("A picture")
	e.create(assets, waitForHero(assets))
	e.waitForReady(assets, commit)
	seen := e.Results(assets)
	first := e2e.Result(e.Asset(assets, "hero"))
	e.checkServed(assets, first)
	e.CheckPaid(assets, 1)

	e.Folder(assets, e2e.Hero("A harbour in a storm"))
	e.waitForReady(assets, e.push("Another prompt"))
	second := e2e.Result(e.Asset(assets, "hero"))
	e.checkServed(assets, second)
	e.CheckPaid(assets, 2)

	e.waitForReady(assets, e.revert())
	e.checkServed(assets, first)
	e.CheckPaid(assets, 2)
	if got := seen(); !slices.Equal(got, []string{first, second, first}) || first == second {
		e.Errorf("the results were %q; want %q, %q and the first again", got, first, second)
	}
}

func (e *env) assetFails() {
	seen := e.Results(assets)
	before := e2e.Result(e.Asset(assets, "hero"))
	e.Folder(assets, e2e.Hero("[fail] A harbour"))
	e.push("A prompt that Dafty refuses")
	e.waitForFailure(assets, "HealthCheckFailed", "stalled resources: [DaftyAsset/"+assets+"/hero status: 'Failed'")
	e.checkServed(assets, before)
	e.CheckPaid(assets, 3)
	e.waitForReady(assets, e.revert())
	e.CheckPaid(assets, 3)
	if got := seen(); !slices.Equal(got, []string{before}) {
		e.Errorf("the results were %q; want %q", got, before)
	}
}
