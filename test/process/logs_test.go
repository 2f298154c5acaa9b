package process

import (
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// runJobs has one DaftyJob complete and another refused, and ends the operator.
func (e *env) runJobs(p *operator) {
	e.t.Helper()
	e.createJob("hero")
	e.waitForPhase("hero", v1alpha1.PhaseQueued)
	e.sim.Inject(daftysim.Fault{
		Operation: daftysim.EditImage, Kind: daftysim.FaultAnswer, Status: 400, Code: "BAD_REQUEST", Message: "no image for " + apiKey,
	})
	refused := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "refused"}}
	refused.Spec.ImageEdit = &v1alpha1.ImageEdit{Image: v1alpha1.ImageTarget{ID: someImage}, Prompt: "A picture of refused"}
	e.create(refused)
	e.waitForPhase("refused", v1alpha1.PhaseFailed)
	e.sim.FinishAll(daftysim.Succeed)
	e.waitForPhase("hero", v1alpha1.PhaseCompleted)
	for _, name := range []string{"hero", "refused"} {
		e.waitFor(name+" is released", patience, func() bool { return len(e.get(name).Finalizers) == 0 })
	}
	p.signal(syscall.SIGTERM)
	if code := p.ends(patience); code != 0 {
		e.t.Errorf("it ended with code %d", code)
	}
}

// The log with the default flags.
func TestLog(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.start("the operator", nil, leaderElect)
	e.runJobs(p)

	jobID, told := e.get("hero").Status.JobID, map[string]map[string]any{}
	for _, line := range p.lines() {
		for _, key := range []string{"level", "ts", "msg"} {
			if line[key] == nil {
				t.Errorf("no %s in %v", key, line)
			}
		}
		if level := line["level"]; level != "info" && level != "error" {
			t.Errorf("a line of level %v", level)
		}
		if line["name"] == "hero" {
			reason, _ := line["reason"].(string)
			told[reason] = line
		}
	}
	for _, reason := range []string{v1alpha1.ReasonQueued, v1alpha1.ReasonCompleted} {
		line := told[reason]
		if line == nil {
			t.Errorf("no line with reason %s of the job; there are %v", reason, told)
			continue
		}
		for key, want := range map[string]any{
			"namespace": e.Namespace, "name": "hero", "jobID": jobID, "attempt": 1.0, "class": "image_create",
		} {
			if line[key] != want {
				t.Errorf("%s is %v, want %v, in %v", key, line[key], want, line)
			}
		}
	}
}

// At debug level each decision and each call is logged.
func TestDebugLog(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.start("the operator", nil, leaderElect, "--zap-log-level=debug")
	e.runJobs(p)

	jobID, calls, steps := e.get("hero").Status.JobID, map[any]map[string]any{}, map[any]bool{}
	var failed map[string]any
	seen := map[string]bool{}
	for _, line := range p.lines() {
		if line["namespace"] == e.Namespace {
			for key := range line {
				seen[key] = true
			}
		}
		switch {
		case line["msg"] == "Dafty has answered" && line["name"] == "hero":
			calls[line["operation"]] = line
		case line["msg"] == "the call to Dafty failed" && line["name"] == "refused":
			failed = line
		case line["msg"] == "decided" && line["name"] == "hero":
			steps[line["step"]] = true
		}
	}
	for _, row := range documentedRows(t, "| key | what it holds |") {
		for _, key := range codeSpan.FindAllStringSubmatch(row[0], -1) {
			if !seen[key[1]] {
				t.Errorf("no line has the key %s of the docs", key[1])
			}
		}
	}
	create, wait := calls["create"], calls["wait"]
	if create["namespace"] != e.Namespace || create["attempt"] != 1.0 || create["class"] != "image_create" ||
		create["seconds"] == nil || create["idempotencyKey"] == nil {
		t.Errorf("the create is told as %v", create)
	}
	if wait["jobID"] != jobID || wait["namespace"] != e.Namespace {
		t.Errorf("the held look is told as %v, of job %s", wait, jobID)
	}
	if failed["status"] != 400.0 || failed["kind"] != "Invalid" || failed["operation"] != "create" {
		t.Errorf("the refused create is told as %v", failed)
	}
	for _, step := range []string{"AddFinalizer", "Submit", "Follow"} {
		if !steps[step] {
			t.Errorf("no decision for %s is told; there are %v", step, steps)
		}
	}
}
