package process

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

func (e *env) asset(name string) *v1alpha1.DaftyAsset {
	e.t.Helper()
	asset := &v1alpha1.DaftyAsset{}
	if err := e.Client.Get(e.t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, asset); err != nil {
		e.t.Fatal(err)
	}
	return asset
}

// changeAsset has an asset ask for another picture.
func (e *env) changeAsset(name, prompt string) {
	e.t.Helper()
	asset := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: name}}
	patch := fmt.Appendf(nil, `{"spec":{"template":{"spec":{"imageGenerate":{"prompt":%q}}}}}`, prompt)
	if err := e.Client.Patch(e.t.Context(), asset, client.RawPatch(types.MergePatchType, patch)); err != nil {
		e.t.Fatal(err)
	}
}

// waitForAsset waits until the newest spec of an asset has its result.
func (e *env) waitForAsset(name string) *v1alpha1.DaftyAsset {
	e.t.Helper()
	e.waitFor(name+" is Ready", patience, func() bool {
		asset := e.asset(name)
		return asset.Status.ObservedGeneration == asset.Generation && meta.IsStatusConditionTrue(asset.Status.Conditions, v1alpha1.ConditionReady)
	})
	return e.asset(name)
}

// waitForMade waits until Dafty has a job of a prompt.
func (e *env) waitForMade(prompt string) {
	e.t.Helper()
	e.waitFor("Dafty has a job of "+prompt, patience, func() bool { return len(e.madeOf(prompt)) == 1 })
}

func (e *env) madeOf(prompt string) (entries []daftysim.Entry) {
	for _, entry := range e.sim.Ledger() {
		if entry.Prompt == prompt {
			entries = append(entries, entry)
		}
	}
	return entries
}

// A leader freezes in the middle of a change, another takes over and goes on with newer ones, and the old one wakes up to a view that
// is long past: it makes nothing.
func TestAssetsHaveTwoLeaders(t *testing.T) {
	t.Parallel()
	const first, overtaken, newest = "A mountain", "A lake", "A river"
	e := newEnv(t)
	leader, standby := e.startPair(leaseTiming...)
	held, at := e.waitForLease("the leader holds the lease", 0, patience, func(l *coordinationv1.Lease) bool { return holderOf(l) != "" })
	hero := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Name: "hero"}}
	hero.Spec.Template.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: first}
	e.create(hero)
	e.waitForMade(first)
	e.sim.FinishAll(daftysim.Succeed)
	was := e.waitForAsset("hero").Status.Current
	e.changeAsset("hero", overtaken)
	e.waitForMade(overtaken)
	// Its status may be on its way still.
	pending := ""
	e.waitFor("the job of the change is in status", patience, func() bool {
		if p := e.asset("hero").Status.Pending; p != nil {
			pending = p.JobName
			return e.get(pending).Status.JobID != ""
		}
		return false
	})

	leader.signal(syscall.SIGSTOP)
	e.changeAsset("hero", newest)
	taken, _ := e.waitForLease("the standby takes the lease", at, patience, func(l *coordinationv1.Lease) bool {
		return holderOf(l) != "" && holderOf(l) != holderOf(held)
	})
	e.waitForMade(newest)
	e.waitFor("the job that was overtaken is called off", patience, func() bool { return e.get(pending).Status.CancelRequestedAt != nil })
	if current := e.asset("hero").Status.Current; current == nil || current.JobID != was.JobID {
		t.Errorf("the result of before doesn't stay: %+v", current)
	}
	woken := time.Now()
	leader.signal(syscall.SIGCONT)
	leader.ends(patience)
	for _, call := range leader.dafty.requestsSince(woken) {
		if call.method == http.MethodPost && !strings.HasSuffix(call.path, "/cancel") {
			t.Errorf("the old leader has something made: %s", call.path)
		}
	}

	e.sim.FinishAll(daftysim.Succeed)
	changed := e.waitForAsset("hero")
	e.changeAsset("hero", first)
	reverted := e.waitForAsset("hero")
	if reverted.Status.Current.JobID != was.JobID {
		t.Errorf("back to the first: %+v, and it was %+v", reverted.Status.Current, was)
	}
	if entries := e.madeOf(newest); len(entries) != 1 || changed.Status.Current.JobID != entries[0].JobID {
		t.Errorf("the newest is %+v of %+v", changed.Status.Current, entries)
	}
	if entries := e.madeOf(overtaken); len(entries) != 1 || !entries[0].Terminal() {
		t.Errorf("the overtaken one is %+v", entries)
	}
	if all := e.sim.Ledger(); len(all) != 3 {
		t.Errorf("%d jobs were paid for: %+v", len(all), all)
	}
	list := &coordinationv1.LeaseList{}
	if err := e.Client.List(t.Context(), list, client.InNamespace(e.Namespace)); err != nil || holderOf(&list.Items[0]) != holderOf(taken) {
		t.Errorf("the lease is %+v, %v", list.Items, err)
	}
	standby.signal(syscall.SIGTERM)
	standby.ends(patience)
}
