package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// No level of the log has the key, which is looked for when the test ends: client-go prints what it reads, Secrets among them, from 8 on.
func TestKeyIsInNoLogOfAnyLevel(t *testing.T) {
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	logo, err := os.ReadFile(filepath.Join(root, "config/samples/campaign/logo.png"))
	if err != nil {
		t.Fatal(err)
	}
	levels := [][]string{
		{"--zap-log-level=error"}, {"--zap-log-level=info"}, {"--zap-log-level=debug"}, {"--zap-log-level=panic"},
		{"--zap-devel"}, {"--zap-devel", "--zap-log-level=10"}, {"--zap-encoder=console", "--zap-stacktrace-level=info", "--zap-log-level=20"},
		// The library keeps a level in 8 bits: 128 is the highest, and 264 is 8 again.
		{"--zap-log-level=127"}, {"--zap-log-level=128"}, {"--zap-log-level=129"}, {"--zap-log-level=264"}, {"--zap-log-level=2147483647"},
	}
	for level := range 20 {
		levels = append(levels, []string{fmt.Sprintf("--zap-log-level=%d", level+1)})
	}
	for _, args := range levels {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.dropManagedFields()
			e.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "brand"}, BinaryData: map[string][]byte{"logo.png": logo}})
			p := e.start("the operator", nil, args...)
			job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "hero"}}
			job.Spec.ResultConfigMap = "hero"
			job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{
				Prompt:     "A picture of hero",
				References: []v1alpha1.ImageReference{{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "brand", Key: "logo.png"}}},
			}
			e.create(job)
			e.waitForPhase("hero", v1alpha1.PhaseQueued)
			e.sim.FinishAll(daftysim.Succeed)
			e.waitForPhase("hero", v1alpha1.PhaseCompleted)
			p.signal(syscall.SIGTERM)
			if code := p.ends(patience); code != 0 {
				t.Errorf("it ended with code %d", code)
			}
		})
	}
}

// dropManagedFields removes from the Secret what comes before the key, for logs that print only the beginning of an object.
func (e *env) dropManagedFields() {
	e.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: v1alpha1.DefaultSecretName}}
	if err := e.Client.Patch(e.t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"managedFields":[{}]}}`))); err != nil {
		e.t.Fatal(err)
	}
	if len(secret.ManagedFields) > 0 {
		e.t.Fatalf("the Secret still has managed fields: %v", secret.ManagedFields)
	}
}
