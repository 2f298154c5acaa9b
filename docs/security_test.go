package docs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/kubetest"
)

// What the page about security gives a team as its bounds holds: its quota, and its policy against retries.
func TestBudgets(t *testing.T) {
	env := kubetest.Start(t)
	for _, b := range block.FindAllStringSubmatch(read(t, "security.md"), -1) {
		if b[2] == "yaml" && (strings.Contains(b[3], "kind: ResourceQuota") || strings.Contains(b[3], "kind: ValidatingAdmissionPolicy\n")) {
			env.MustApply(t, b[3])
		}
	}
	env.MustKubectl(t, "label", "namespace", env.Namespace, "budget=small")
	made := 0
	// refused creates suspended DaftyJobs until one is refused, and tells with which words: quotas and policies take a moment.
	refused := func(spec string, atMost int) string {
		for range atMost {
			made++
			_, stderr, err := env.Apply(t, fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: hero-%d}\n"+
				"spec: {desiredState: Suspended, imageGenerate: {prompt: A logo}%s}\n", made, spec))
			if err != nil {
				return stderr
			}
			time.Sleep(50 * time.Millisecond) // for the policy to be loaded; nothing tells when it is
			env.MustKubectl(t, "delete", "daftyjob", fmt.Sprintf("hero-%d", made))
		}
		return ""
	}
	if words := refused(", backoffLimit: 1", 100); !strings.Contains(words, "retries are paid for; leave out backoffLimit") {
		t.Errorf("retries are refused with %q", words)
	}
	if words := refused("", 1); words != "" {
		t.Errorf("one without retries is refused with %q", words)
	}
	env.MustKubectl(t, "wait", "--for=jsonpath={.status.hard.count/daftyjobs\\.dafty\\.ai}=20", "resourcequota/daftyjobs", "--timeout="+patience.String())
	var many strings.Builder
	for i := range 21 {
		fmt.Fprintf(&many, "---\napiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: many-%d}\nspec: {desiredState: Suspended, imageGenerate: {prompt: A logo}}\n", i)
	}
	stdout, stderr, err := env.Apply(t, many.String())
	if err == nil || !strings.Contains(stderr, "exceeded quota: daftyjobs") || strings.Count(stdout, " created\n") != 20 {
		t.Errorf("of 21 DaftyJobs, where 20 may be: %v\n%s%s", err, stdout, stderr)
	}
}
