package process

import (
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// looksAfterJobs has the operator complete a DaftyJob, be ready, and say in its log why it doesn't look after DaftyAssets.
func (e *env) looksAfterJobs(says string) {
	e.t.Helper()
	p := e.start("the operator", nil)
	e.createJob("hero")
	e.waitForPhase("hero", v1alpha1.PhaseQueued)
	e.sim.FinishAll(daftysim.Succeed)
	e.waitForPhase("hero", v1alpha1.PhaseCompleted)
	e.waitFor("it is ready", patience, p.ready)
	for _, line := range p.lines() {
		if message, _ := line["msg"].(string); line["level"] == "error" && strings.Contains(message, says) {
			return
		}
	}
	e.t.Errorf("no error in the log says %q", says)
}

// An upgrade that left out the CRD of DaftyAssets must not keep DaftyJobs from being looked after.
func TestWithoutTheCRDOfAssets(t *testing.T) {
	t.Parallel()
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	cp, err := kubetest.New(t.Context(), kubetest.Options{CRDs: []string{filepath.Join(root, "config", "crd", "bases", "dafty.ai_daftyjobs.yaml")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	newEnvIn(t, cp.Env(t), daftysim.Options{}).looksAfterJobs("the CRD daftyassets.dafty.ai isn't installed")
}

// So it is with the role of a version that knew no DaftyAssets.
func TestWithoutTheRightToListAssets(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	e.create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "older"}, Rules: []rbacv1.PolicyRule{
		rule("dafty.ai", "daftyjobs", "list", "watch", "patch", "delete"),
		rule("dafty.ai", "daftyjobs/status", "patch"),
		rule("", "secrets", "get"),
		rule("", "configmaps", "get", "list", "watch", "create", "patch"),
		rule("events.k8s.io", "events", "create"),
	}})
	user := "operator-of-" + e.Namespace
	e.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "older"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "older"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
	kubeconfig, err := clientcmd.LoadFromFile(e.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range kubeconfig.AuthInfos {
		info.Impersonate, info.ImpersonateGroups = user, []string{"system:authenticated"}
	}
	e.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, e.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	e.looksAfterJobs("DaftyAssets may not be listed, so they aren't looked after in any namespace")
}
