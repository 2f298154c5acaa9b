package prometheus_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// runbooks are the sections of docs/runbooks.md, by their heads.
func runbooks(t *testing.T) (heads []string, sections map[string]string) {
	t.Helper()
	sections = map[string]string{}
	_, rest, _ := strings.Cut(readPage(t, "runbooks.md"), "\n## ")
	for section := range strings.SplitSeq(rest, "\n## ") {
		head, text, _ := strings.Cut(section, "\n")
		heads = append(heads, head)
		sections[head] = text
	}
	return heads, sections
}

// Each alert has a section, in the same order, that says all that there is to say.
func TestRunbooks(t *testing.T) {
	alerts, _ := readAlerts(t)
	heads, sections := runbooks(t)
	var names []string
	for _, alert := range alerts {
		names = append(names, alert.Alert)
		rest := sections[alert.Alert]
		for _, part := range []string{"Means", "Impact", "Look", "Do", "Resolves"} {
			_, after, found := strings.Cut(rest, "\n**"+part+"**: ")
			if !found {
				t.Errorf("%s: no %s where it belongs", alert.Alert, part)
				continue
			}
			rest = after
		}
		if !strings.Contains(sections[alert.Alert], "kubectl ") {
			t.Errorf("%s: no command to look with", alert.Alert)
		}
	}
	if !slices.Equal(names, heads) {
		t.Errorf("the alerts are %q, the sections %q", names, heads)
	}
	for _, link := range pageLink.FindAllStringSubmatch(readPage(t, "runbooks.md"), -1) {
		page, anchor, _ := strings.Cut(link[1], "#")
		if strings.HasPrefix(page, "../") {
			if _, err := os.Stat(filepath.Join("../../docs", page)); err != nil {
				t.Error(err)
			}
			continue
		}
		anchors := headAnchors(readPage(t, cmp.Or(page, "runbooks.md")))
		if anchor != "" && !slices.Contains(anchors, anchor) {
			t.Errorf("%s leads nowhere", link[1])
		}
	}
}

var (
	pageLink = regexp.MustCompile(`\]\(([^)]+)\)`)
	pageHead = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notWord  = regexp.MustCompile(`[^a-z0-9 -]`)
)

func readPage(t *testing.T, page string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// headAnchors are those that GitHub gives a page's heads.
func headAnchors(page string) (anchors []string) {
	for _, head := range pageHead.FindAllStringSubmatch(page, -1) {
		anchors = append(anchors, strings.ReplaceAll(notWord.ReplaceAllString(strings.ToLower(head[1]), ""), " ", "-"))
	}
	return anchors
}

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	// listed are those that a command looks for in a list.
	listed = regexp.MustCompile(`grep (?:-E '([\w|]+)'|(\w+))`)
)

// mayBeEmpty are the lists of which nothing is here, or not yet.
var mayBeEmpty = regexp.MustCompile(`endpointslices|webhookconfigurations|networkpolicies`)

// runbooksRun runs the commands of the runbooks, each of which must work and print something. There are no nodes here, so
// that there are no logs: it is enough that their Pods are found.
func runbooksRun(t *testing.T, env *kubetest.Env) {
	dir := t.TempDir()
	kubectl := env.KubectlCommand(t.Context())
	if err := os.Symlink(kubectl.Path, filepath.Join(dir, "kubectl")); err != nil {
		t.Fatal(err)
	}
	env.MustKubectl(t, "wait", "--for=create", "pod", "-l", "control-plane=controller-manager", "-n", namespace, "--timeout=60s")
	heads, sections := runbooks(t)
	ran := map[string]bool{}
	for _, head := range heads {
		t.Run(head, func(t *testing.T) {
			for _, block := range shellBlock.FindAllStringSubmatch(sections[head], -1) {
				for _, line := range commands(block[1]) {
					if ran[line] {
						continue // a restart, say, is refused twice in a second
					}
					ran[line] = true
					job, asset, account := putJob(t, env, line), putAsset(t, env, line), putAccount(t, env, line)
					logs := strings.HasPrefix(line, "kubectl logs ")
					if logs {
						line, _, _ = strings.Cut(line, " | grep")
					}
					cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", line)
					cmd.Env = append(os.Environ(), "KUBECONFIG="+env.Kubeconfig, "PATH="+dir+":"+os.Getenv("PATH"),
						"NAMESPACE="+env.Namespace, "JOB="+job, "ASSET="+asset, "ACCOUNT="+account, "JOB_ID=5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f", "DAFTY_API_KEY=not-a-key")
					out, err := cmd.CombinedOutput()
					empty := len(strings.TrimSpace(string(out))) == 0 || strings.Contains(string(out), "No resources found")
					if err != nil || empty && !logs && !mayBeEmpty.MatchString(line) {
						t.Errorf("%s: %v\n%s", line, err, out)
					}
				}
			}
		})
	}
	if len(ran) < 30 {
		t.Errorf("%d commands were run", len(ran))
	}
}

// commands are the lines of a block; one with a document behind it is one command.
func commands(block string) []string {
	if strings.Contains(block, "<<EOF") {
		return []string{block}
	}
	return strings.Split(strings.TrimSpace(block), "\n")
}

// putAsset makes a DaftyAsset that reads as a command expects it, where one speaks of DaftyAssets.
func putAsset(t *testing.T, env *kubetest.Env, command string) (name string) {
	t.Helper()
	if !strings.Contains(command, "daftyasset") {
		return ""
	}
	asset := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{GenerateName: "runbook-", Namespace: env.Namespace}}
	asset.Spec.Template.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "A mountain"}
	if err := env.Client.Create(t.Context(), asset); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(command, "-1") {
		return asset.Name // as it is created
	}
	before, now := asset.DeepCopy(), metav1.Now()
	asset.Status.ObservedGeneration = 1
	for _, condition := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionStalled} {
		is := metav1.Condition{Type: condition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonGenerationFailed, Message: "as a runbook has it", LastTransitionTime: now}
		if condition == v1alpha1.ConditionReady {
			is.Status = metav1.ConditionFalse
		}
		asset.Status.Conditions = append(asset.Status.Conditions, is)
	}
	if err := env.Client.Status().Patch(t.Context(), asset, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	return asset.Name
}

// putAccount makes a DaftyAccount that reads as a command expects it, and a DaftyJob that uses it, where one speaks of DaftyAccounts.
func putAccount(t *testing.T, env *kubetest.Env, command string) (name string) {
	t.Helper()
	if !strings.Contains(command, "daftyaccount") && !strings.Contains(command, "$ACCOUNT") {
		return ""
	}
	account := &v1alpha1.DaftyAccount{ObjectMeta: metav1.ObjectMeta{GenerateName: "runbook-"}}
	account.Spec.APIKeySecretRef = v1alpha1.NamespacedSecretKeyReference{Namespace: env.Namespace, Name: "agency"}
	if err := env.Client.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	before := account.DeepCopy()
	account.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonCredentialsRejected, Message: "as a runbook has it", LastTransitionTime: metav1.Now(),
	}}
	account.Status.Usage = []v1alpha1.BudgetUsage{{Budget: "Namespace/Day/Etc/UTC", Namespace: env.Namespace, Period: "2026-12-03", Submissions: new(int64(90))}}
	if err := env.Client.Status().Patch(t.Context(), account, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{GenerateName: "runbook-", Namespace: env.Namespace}}
	job.Spec.ImageGenerate, job.Spec.AccountRef = &v1alpha1.ImageGenerate{Prompt: "A mountain"}, &v1alpha1.AccountReference{Name: account.Name}
	if err := env.Client.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	return account.Name
}

// putJob makes a DaftyJob that reads as a command expects it, and the event that one looks for. No operator is there to
// change it.
func putJob(t *testing.T, env *kubetest.Env, command string) (name string) {
	t.Helper()
	reason, phase := v1alpha1.ReasonProcessing, v1alpha1.PhaseProcessing
	for _, match := range listed.FindAllStringSubmatch(command, -1) {
		word, _, _ := strings.Cut(match[1]+match[2], "|")
		if v := v1alpha1.Phase(word); v == v1alpha1.PhaseSubmitting {
			phase = v
		}
		reason = word
	}
	job := &v1alpha1.DaftyJob{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "runbook-", Namespace: env.Namespace},
		Spec:       v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: "A mountain"}},
	}
	if err := env.Client.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(command, "-1") {
		return job.Name // as it is created
	}
	before, now := job.DeepCopy(), metav1.Now()
	job.Status = v1alpha1.DaftyJobStatus{
		ObservedGeneration: 1, Phase: phase, SubmittedAt: &now,
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: "as a runbook has it", LastTransitionTime: now}},
	}
	if err := env.Client.Status().Patch(t.Context(), job, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	if reason := regexp.MustCompile(`reason=(\w+)`).FindStringSubmatch(command); reason != nil {
		event := &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{GenerateName: "runbook-", Namespace: env.Namespace},
			InvolvedObject: corev1.ObjectReference{Kind: "DaftyJob", Namespace: env.Namespace, Name: job.Name},
			Type:           corev1.EventTypeWarning, Reason: reason[1], Message: fmt.Sprint("of ", job.Name), FirstTimestamp: now, LastTimestamp: now,
		}
		if err := env.Client.Create(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	return job.Name
}
