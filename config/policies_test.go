package config_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// designer may edit, and has no verb of the policies.
const designer = "--as=designer"

// strictLabels returns all labels that the policies know, from the command of docs/policies.md.
func strictLabels(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("(?s)kubectl label namespace \"\\$NAMESPACE\" (.*?)\n```\n").FindSubmatch(page)
	if command == nil {
		t.Fatal("the page has no labels")
	}
	labels := strings.Fields(strings.ReplaceAll(string(command[1]), "\\\n", ""))
	for _, label := range labels {
		if name, _, _ := strings.Cut(label, "="); !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("the page doesn't say what %s is", name)
		}
	}
	if len(labels) != 5 {
		t.Errorf("the page has the labels %q", labels)
	}
	return labels
}

// object returns the manifest of a DaftyJob or DaftyAsset.
func object(kind, name, metadata, spec string) string {
	return fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: %s\nmetadata: {name: %s%s}\nspec: %s\n---\n", kind, name, metadata, spec)
}

// tracked is of an object that Argo CD has applied.
const tracked = `, annotations: {argocd.argoproj.io/tracking-id: "shop:dafty.ai/DaftyJob:shop/new"}`

// What is refused of a new object, or "" where it is let in, in a namespace with all labels. Each asks for a single thing that is refused.
var policed = []struct{ name, manifest, says string }{
	{"a DaftyJob as it should be", job("", "imageGenerate: {prompt: A logo, resolution: 2K, variations: 2}, backoffLimit: 0"), ""},
	{"4K", job("", "imageGenerate: {prompt: A logo, resolution: 4K}"), "spec: 4K is refused"},
	{"a resize to 4K", job("", `imageResize: {image: {id: `+ownImage+`}, aspectRatio: "16:9", resolution: 4K}`), "spec: 4K is refused"},
	{"an upscale to 4K", job("", "imageUpscale: {image: {id: "+ownImage+"}, resolution: 4K}"), "spec: 4K is refused"},
	{"a clip", job("", "imageToVideo: {prompt: Waves, image: {id: "+ownImage+"}}"), "spec: clips are refused"},
	{"a clip between frames", job("", "videoFrames: {prompt: Waves, startImage: {id: "+ownImage+"}, endImage: {id: "+ownImage+"}}"), "spec: clips are refused"},
	{"variations", job("", "imageGenerate: {prompt: A logo, variations: 3}"), "spec.imageGenerate.variations: 3 are more than"},
	{"retries", job("", "imageGenerate: {prompt: A logo}, backoffLimit: 1"), "spec.backoffLimit: 1 is more than"},
	{"what isn't suspended", object("DaftyJob", "new", "", "{imageGenerate: {prompt: A logo}}"), "is created with desiredState: Suspended"},
	{"what expires, and Argo CD makes again", job(tracked, "imageGenerate: {prompt: A logo}, ttlSecondsAfterFinished: 5"), "leave it out, as a GitOps tool (argocd.argoproj.io/tracking-id)"},
	{"what expires, and Flux makes again", job(", labels: {kustomize.toolkit.fluxcd.io/name: shop}", "imageGenerate: {prompt: A logo}, ttlSecondsAfterFinished: 5"), "as a GitOps tool (kustomize.toolkit.fluxcd.io/name)"},
	{"what expires, by hand", job("", "imageGenerate: {prompt: A logo}, ttlSecondsAfterFinished: 5"), ""},
	{"what Argo CD makes again", job(tracked, "imageGenerate: {prompt: A logo}"), ""},
	{"what is called off", object("DaftyJob", "new", "", "{desiredState: Cancelled, backoffLimit: 3, imageUpscale: {image: {id: "+ownImage+"}, resolution: 4K}}"), ""},
	{"what is paid for already", object("DaftyJob", "new", "", "{adoptJobID: "+ownImage+", imageUpscale: {image: {id: "+ownImage+"}, resolution: 4K}}"), ""},
	{"a hook of Argo CD", job(", annotations: {argocd.argoproj.io/hook: PreSync}", "imageGenerate: {prompt: A logo}"), "leave out argocd.argoproj.io/hook: a hook is deleted and made again"},
	{"a hook of Helm", job(", annotations: {helm.sh/hook: pre-install}", "imageGenerate: {prompt: A logo}"), "leave out helm.sh/hook: a hook is deleted and made again"},
	{"a hook that is meant so", job(`, annotations: {helm.sh/hook: test, dafty.ai/allow-hook: "true"}`, "imageGenerate: {prompt: A logo}"), ""},
	{"what Argo CD is to skip", job(", annotations: {argocd.argoproj.io/hook: Skip}", "imageGenerate: {prompt: A logo}"), ""},

	{"a DaftyAsset as it should be", asset("", "imageGenerate: {prompt: A logo, resolution: 2K}"), ""},
	{"4K of an asset", asset("", "imageGenerate: {prompt: A logo, resolution: 4K}"), "spec.template.spec: 4K is refused"},
	{"an asset that is a clip", asset("", "imageToVideo: {prompt: Waves, image: {id: "+ownImage+"}}"), "spec.template.spec: clips are refused"},
	{"variations of an asset", asset("", "imageGenerate: {prompt: A logo, variations: 3}"), "spec.template.spec.imageGenerate.variations: 3 are more than"},
	{"retries of an asset", asset("", "imageGenerate: {prompt: A logo}, backoffLimit: 1"), "spec.template.spec.backoffLimit: 1 is more than"},
	{"an asset without approval", object("DaftyAsset", "new", "", "{template: {spec: {imageGenerate: {prompt: A logo}}}}"), "spec.changePolicy: set Manual"},
	{"an asset that approves itself", asset(", annotations: {dafty.ai/approved: abc}", "imageGenerate: {prompt: A logo}"), "dafty.ai/approved is given by somebody who has the verb approve"},
	{"an asset that makes nothing yet", object("DaftyAsset", "new", "", "{suspend: true, template: {spec: {imageGenerate: {prompt: A logo, resolution: 4K}}}}"), ""},
	{"an asset that is a hook", asset(", annotations: {helm.sh/hook: pre-install}", "imageGenerate: {prompt: A logo}"), "leave out helm.sh/hook"},
}

func job(metadata, spec string) string {
	return object("DaftyJob", "new", metadata, "{desiredState: Suspended, "+spec+"}")
}

func asset(metadata, template string) string {
	return object("DaftyAsset", "new", metadata, "{changePolicy: Manual, template: {spec: {"+template+"}}}")
}

// The policies come to an installation with objects that have all that they refuse. These can be updated, called off and deleted, and the operator does its work.
func TestPolicies(t *testing.T) {
	env := startInTurn(t)
	ns := env.Namespace
	install(t, env, installtest.Kustomize(t, "config/default"))
	sim := newDafty(t)
	operator := startOperator(t, env, sim.URL)
	env.MustKubectl(t, "create", "secret", "generic", "dafty-credentials", "--from-literal=apiKey="+apiKey)
	env.MustKubectl(t, "create", "rolebinding", "designer", "--clusterrole=edit", "--user=designer")
	const unruly = `, annotations: {argocd.argoproj.io/tracking-id: "shop:dafty.ai/DaftyJob:shop/new", helm.sh/hook: pre-install}`
	for _, name := range []string{"deleted", "cancelled", "changed", "stays"} {
		env.MustApply(t, object("DaftyJob", name, unruly, "{backoffLimit: 2, ttlSecondsAfterFinished: 3600, imageUpscale: {image: {id: "+ownImage+"}, resolution: 4K}}"))
	}
	env.MustApply(t, object("DaftyAsset", "source", "", "{template: {spec: {imageGenerate: {prompt: A logo}}}}"))
	env.MustApply(t, object("DaftyAsset", "follower", unruly, "{followInputs: true, template: {spec: {backoffLimit: 2, imageGenerate: {prompt: A shop, resolution: 4K, variations: 4, references: [{assetRef: {name: source}}]}}}}"))
	wait := func(what string, objects ...string) {
		t.Helper()
		env.MustKubectl(t, append([]string{"wait", "--timeout=" + patience.String(), "--for=" + what}, objects...)...)
	}
	wait("jsonpath={.status.phase}=Processing", "daftyjob/deleted", "daftyjob/cancelled", "daftyjob/changed", "daftyjob/stays")
	wait("condition=Ready", "daftyasset/source", "daftyasset/follower")

	manifests := installtest.Overlay(t, map[string]string{".": "resources: [CONFIG/default]\ncomponents: [CONFIG/admission-policy, CONFIG/policies]\n"})
	installtest.Apply(t, env, manifests)
	env.MustKubectl(t, append([]string{"label", "namespace", ns}, strictLabels(t)...)...)
	t.Run("what is new is judged", func(t *testing.T) { newIsJudged(t, env) })
	t.Run("of what is there, what a change adds is judged", func(t *testing.T) { changesAreJudged(t, env) })
	t.Run("what waits is approved by who may", func(t *testing.T) { approvals(t, env, wait) })
	t.Run("the operator makes what a DaftyAsset asks for that is older", func(t *testing.T) {
		before := env.MustKubectl(t, "get", "daftyasset", "follower", "-o", "jsonpath={.status.current.jobName}")
		env.MustKubectl(t, "patch", "daftyasset", "source", "--type=merge", "-p", `{"spec":{"template":{"spec":{"imageGenerate":{"prompt":"Another logo"}}}}}`)
		if !eventually(t, patience, func() bool {
			now := env.MustKubectl(t, "get", "daftyasset", "follower", "-o", "jsonpath={.status.current.jobName}")
			return now != before && now != ""
		}) {
			t.Errorf("it isn't made again:\n%s", env.MustKubectl(t, "get", "daftyasset", "follower", "-o", "yaml"))
		}
	})
	t.Run("what is older is called off and deleted", func(t *testing.T) {
		env.MustKubectl(t, designer, "patch", "daftyjob", "cancelled", "--type=merge", "-p", `{"spec":{"desiredState":"Cancelled","backoffLimit":9}}`)
		wait("condition=Cancelled", "daftyjob/cancelled")
		env.MustKubectl(t, designer, "delete", "daftyjob", "deleted", "cancelled", "--timeout="+patience.String())
		env.MustKubectl(t, designer, "delete", "daftyasset", "follower", "--timeout="+patience.String())
	})
	t.Run("without the labels hooks and what expires alone are refused", func(t *testing.T) { unlabelled(t, env) })
	env.MustKubectl(t, "delete", "daftyassets,daftyjobs", "--all", "--timeout="+patience.String())
	operator.stop(t)
	uninstall(t, env, manifests)
}

func newIsJudged(t *testing.T, env *kubetest.Env) {
	tried := func(manifest string) string {
		_, stderr, err := env.Apply(t, manifest, "--dry-run=server", designer)
		if err == nil {
			return ""
		}
		return stderr
	}
	for _, c := range policed {
		// Nothing tells when a policy is loaded.
		var said string
		if !eventually(t, patience/3, func() bool {
			said = tried(c.manifest)
			return (c.says == "") == (said == "") && strings.Contains(said, c.says)
		}) {
			t.Errorf("%s: %q; want %q", c.name, said, c.says)
		}
	}
	if _, stderr, err := env.Apply(t, object("DaftyJob", "new", "", "{imageGenerate: {prompt: A logo}}"), "--dry-run=server"); err != nil {
		t.Errorf("who may approve creates what isn't suspended: %s", stderr)
	}
}

func changesAreJudged(t *testing.T, env *kubetest.Env) {
	for _, c := range []struct{ of, patch, says string }{
		{"daftyjob/changed", `{"spec":{"backoffLimit":3}}`, "spec.backoffLimit: 3 is more than"},
		{"daftyjob/changed", `{"spec":{"backoffLimit":1}}`, ""},
		{"daftyjob/changed", `{"spec":{"ttlSecondsAfterFinished":60}}`, ""},
		{"daftyjob/changed", `{"spec":{"desiredState":"Suspended"}}`, ""},
		{"daftyjob/changed", `{"spec":{"desiredState":"Completed"}}`, "has the verb approve for daftyjobs"},
		{"daftyjob/changed", `{"spec":{"desiredState":"Cancelled"}}`, ""},
		{"daftyjob/changed", `{"metadata":{"labels":{"a":"b"},"annotations":{"helm.sh/hook":"post-install"}}}`, ""},
		{"daftyjob/changed", `{"metadata":{"annotations":{"argocd.argoproj.io/hook":"Sync"}}}`, "leave out argocd.argoproj.io/hook"},
		{"daftyasset/source", `{"metadata":{"annotations":{"helm.sh/hook":"pre-install"}}}`, "leave out helm.sh/hook"},
		{"daftyasset/follower", `{"spec":{"suspend":true}}`, ""},
		{"daftyasset/follower", `{"spec":{"suspend":true,"template":{"spec":{"imageGenerate":{"prompt":"Another shop"}}}}}`, ""},
		{"daftyasset/follower", `{"spec":{"historyLimit":1,"followInputs":false,"template":{"spec":{"backoffLimit":1}}}}`, ""},
		{"daftyasset/follower", `{"spec":{"changePolicy":"Manual"}}`, ""},
		{"daftyasset/follower", `{"spec":{"template":{"spec":{"backoffLimit":3}}}}`, "spec.template.spec.backoffLimit: 3 is more than"},
		{"daftyasset/follower", `{"spec":{"template":{"spec":{"imageGenerate":{"prompt":"Another shop"}}}}}`, "4K is refused"},
		{"daftyasset/follower", `{"spec":{"changePolicy":"Manual","revision":"2"}}`, "4K is refused"},
		{"daftyasset/source", `{"spec":{"template":{"spec":{"imageGenerate":{"prompt":"Another logo"}}}}}`, "spec.changePolicy: set Manual"},
		{"daftyasset/source", `{"spec":{"changePolicy":"Manual","template":{"spec":{"imageGenerate":{"prompt":"Another logo"}}}}}`, ""},
		{"daftyasset/source", `{"metadata":{"annotations":{"dafty.ai/approved":"abc"}}}`, "dafty.ai/approved is given by"},
	} {
		_, stderr, err := env.Kubectl(t, designer, "patch", c.of, "--type=merge", "--dry-run=server", "-p", c.patch)
		if (err == nil) != (c.says == "") || !strings.Contains(stderr, c.says) {
			t.Errorf("%s to %s: %v, %s; want %q", c.of, c.patch, err, stderr, c.says)
		}
	}
}

// approvals has a designer make what somebody else approves.
func approvals(t *testing.T, env *kubetest.Env, wait func(string, ...string)) {
	env.MustApply(t, object("DaftyJob", "held", "", "{desiredState: Suspended, imageGenerate: {prompt: A logo}}"), designer)
	env.MustApply(t, object("DaftyAsset", "waiting", "", "{changePolicy: Manual, template: {spec: {imageGenerate: {prompt: A logo}}}}"), designer)
	wait("jsonpath={.status.pending.hash}", "daftyasset/waiting")
	for _, refused := range [][]string{
		{"patch", "daftyjob", "held", "--type=merge", "-p", `{"spec":{"desiredState":"Completed"}}`},
		{"patch", "daftyjob", "held", "--type=merge", "-p", `{"spec":{"desiredState":null}}`},
		{"patch", "daftyasset", "waiting", "--type=merge", "-p", `{"spec":{"changePolicy":"Automatic"}}`},
	} {
		if _, stderr, err := env.Kubectl(t, append(refused, designer)...); err == nil || !strings.Contains(stderr, "the verb approve") {
			t.Errorf("%q: %v %s", refused, err, stderr)
		}
	}
	// Somebody who edits, and has the role.
	env.MustKubectl(t, "create", "rolebinding", "lead-edits", "--clusterrole=edit", "--user=lead")
	page, err := os.ReadFile("../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	binding := regexp.MustCompile(`(?m)^kubectl (create rolebinding approvers) -n "\$NAMESPACE" (.*)$`).FindStringSubmatch(string(page))
	if binding == nil {
		t.Fatal("the page has no role for approvers")
	}
	env.MustKubectl(t, strings.Fields(binding[1]+" "+binding[2])...)
	env.MustKubectl(t, "patch", "daftyjob", "held", "--type=merge", "-p", `{"spec":{"desiredState":"Completed"}}`, "--as=lead")
	hash := env.MustKubectl(t, "get", "daftyasset", "waiting", "-o", "jsonpath={.status.pending.hash}")
	env.MustKubectl(t, "annotate", "daftyasset", "waiting", "dafty.ai/approved="+hash, "--as=lead")
	wait("condition=Complete", "daftyjob/held")
	wait("condition=Ready", "daftyasset/waiting")
}

func unlabelled(t *testing.T, env *kubetest.Env) {
	for _, label := range strictLabels(t) {
		name, _, _ := strings.Cut(label, "=")
		env.MustKubectl(t, "label", "namespace", env.Namespace, name+"-")
	}
	for _, c := range policed {
		refused := strings.Contains(c.says, "GitOps tool") || strings.Contains(c.says, "hook")
		var said string
		if !eventually(t, patience/3, func() bool {
			_, stderr, err := env.Apply(t, c.manifest, "--dry-run=server", designer)
			said = stderr
			return (err != nil) == refused
		}) {
			t.Errorf("%s: %q", c.name, said)
		}
	}
}
