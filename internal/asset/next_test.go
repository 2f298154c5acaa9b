package asset_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
)

func TestChange(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.expect("Progressing: pending A jobs A(running)")
	if available := meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionAvailable); available {
		t.Error("it is Available without a result")
	}
	e.submit()
	e.complete("A")
	e.expect("Completed: current A jobs A")

	e.prompt("B")
	e.expect("Progressing: current A pending B jobs A B(running)")
	if !meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionAvailable) {
		t.Error("it isn't Available while a change is made")
	}
	e.submit()
	e.complete("B")
	e.expect("Completed: current B history A jobs A B")
	e.expectPaid("A", "B")
}

// One change costs the status twice and the annotation once, and saves the DaftyJob's own finalizer.
func TestWritesOfAChange(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.ResultConfigMap = "hero" })
	e.run()
	clear(e.writes)
	e.prompt("B")
	e.run()
	for what, want := range map[string]int{"status": 2, "metadata": 1, "ConfigMap": 1, "DaftyJob created": 1, "DaftyJob changed": 0} {
		if got := e.writes[what]; got != want {
			t.Errorf("%s: %d writes, want %d", what, got, want)
		}
	}
	if e.configMap != e.asset.Status.Current.Result.Primary {
		t.Errorf("the ConfigMap has %s, current is %s", e.configMap, e.asset.Status.Current.Result.Primary)
	}
	clear(e.writes)
	e.run()
	if len(e.writes) > 0 {
		t.Errorf("an idle asset is written: %v", e.writes)
	}
	if e.made("B").Finalizers[0] != v1alpha1.CancelFinalizer {
		t.Error("the DaftyJob is created without its finalizer")
	}
}

func TestRevertIsFree(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.run()
	e.prompt("B")
	e.run()
	clear(e.writes)
	e.prompt("A")
	e.expect("Completed: current A history B jobs A B")
	if e.writes["status"] != 1 || e.writes["metadata"] != 1 || len(e.writes) != 2 {
		t.Errorf("a revert takes these writes: %v", e.writes)
	}
	e.prompt("B")
	e.expect("Completed: current B history A jobs A B")
	e.expectPaid("A", "B")
	// Also where the DaftyJob is gone.
	e.remove(e.made("A").Name)
	e.prompt("A")
	e.expect("Completed: current A history B jobs B")
	e.expectPaid("A", "B")
}

func TestRevision(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.run()
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Revision = "2" })
	e.expect("Progressing: current A pending A jobs A A(running)")
	e.run()
	e.expect("Completed: current A history A jobs A A")
	e.expectPaid("A", "A")
}

func TestHowItIsMadeIsNoRequest(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*v1alpha1.DaftyAssetSpec){
		"labels": func(spec *v1alpha1.DaftyAssetSpec) {
			spec.Template.Metadata = &v1alpha1.JobTemplateMetadata{Labels: map[string]v1alpha1.LabelValue{"team": "web"}}
		},
		"annotations": func(spec *v1alpha1.DaftyAssetSpec) {
			spec.Template.Metadata = &v1alpha1.JobTemplateMetadata{Annotations: map[string]v1alpha1.AnnotationValue{"team": "web"}}
		},
		"deletionPolicy":       func(spec *v1alpha1.DaftyAssetSpec) { spec.Template.Spec.DeletionPolicy = v1alpha1.DeletionOrphan },
		"backoffLimit":         func(spec *v1alpha1.DaftyAssetSpec) { spec.Template.Spec.BackoffLimit = new(int32(2)) },
		"deadline":             func(spec *v1alpha1.DaftyAssetSpec) { spec.Template.Spec.ActiveDeadlineSeconds = new(int64(60)) },
		"startingDeadline":     func(spec *v1alpha1.DaftyAssetSpec) { spec.Template.Spec.StartingDeadlineSeconds = new(int64(60)) },
		"credentialsSecretRef": func(spec *v1alpha1.DaftyAssetSpec) { spec.Template.Spec.CredentialsSecretRef.Name = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.reconcile()
			e.edit(change)
			e.expect("Progressing: pending A jobs A(running)")
			if asset.Follow(e.made("A").DeepCopy(), &e.asset.Spec.Template) {
				t.Error("the DaftyJob that is being made doesn't follow the template")
			}
			e.run()
			clear(e.writes)
			e.edit(func(spec *v1alpha1.DaftyAssetSpec) {
				spec.Template.Spec.BackoffLimit, spec.Template.Spec.DeletionPolicy = new(int32(5)), v1alpha1.DeletionOrphan
			})
			e.expect("Completed: current A jobs A")
			if e.writes["DaftyJob changed"] > 0 {
				t.Error("a DaftyJob that has finished is changed")
			}
			e.expectPaid("A")
		})
	}
}

func TestOvertaken(t *testing.T) {
	t.Parallel()
	t.Run("while it runs", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.run()
		e.prompt("B")
		e.reconcile()
		e.submit()
		e.prompt("C")
		e.expect("Progressing: current A pending C jobs A B(to be Cancelled) C(running)")
		if !strings.Contains(strings.Join(e.events, " "), v1alpha1.EventOvertaken) {
			t.Errorf("nobody is told: %v", e.events)
		}
		e.run()
		e.expect("Completed: current C history A jobs A B(Cancelled) C")
	})
	t.Run("and completes all the same: it was paid for, so that going there is free", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.run()
		e.prompt("B")
		e.reconcile()
		e.submit()
		e.prompt("C")
		e.reconcile()
		e.complete("B")
		e.expect("Progressing: current A pending C history B jobs A B C(running)")
		e.run()
		e.expect("Completed: current C history A B jobs A B C")
		e.prompt("B")
		e.expect("Completed: current B history C A jobs A B C")
		e.expectPaid("A", "B", "C")
	})
	t.Run("and its template comes back: it is made again, the cancelled DaftyJob goes first", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.run()
		e.prompt("B")
		e.reconcile()
		e.submit()
		e.prompt("A")
		e.expect("Completed: current A jobs A B(to be Cancelled)")
		e.prompt("B")
		e.expect("Progressing: current A jobs A B(to be Cancelled)")
		e.submit()
		e.expect("Progressing: current A pending B jobs A B(running)")
		e.run()
		e.expect("Completed: current B history A jobs A B")
		e.expectPaid("A", "B", "B")
	})
	t.Run("before anything was there: what is first to complete is used until the newest is", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.reconcile()
		e.submit()
		e.complete("A")
		e.prompt("B")
		e.expect("Progressing: current A pending B jobs A B(running)")
	})
	t.Run("with a key of the user's own: a fresh one follows the one of the cancelled job", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Template.Spec.IdempotencyKey = "spring" })
		e.reconcile()
		first := e.made("A")
		if want := "spring-" + strings.TrimPrefix(first.Name, "hero-"); first.Spec.IdempotencyKey != want {
			t.Errorf("the key is %s, want %s", first.Spec.IdempotencyKey, want)
		}
		e.submit()
		e.prompt("B")
		e.reconcile()
		e.submit()
		e.prompt("A")
		e.reconcile()
		again := e.made("A")
		if again.UID == first.UID || again.Spec.IdempotencyKey == first.Spec.IdempotencyKey || !strings.HasPrefix(again.Spec.IdempotencyKey, "spring-") {
			t.Errorf("the keys are %s and %s", first.Spec.IdempotencyKey, again.Spec.IdempotencyKey)
		}
	})
}

func TestFailed(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.run()
	e.prompt("B")
	e.reconcile()
	e.submit()
	e.end(e.made("B"), v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
	const stands = "GenerationFailed: current A pending B jobs A B(Failed)"
	e.expect(stands)
	if !meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionStalled) || e.ready().Status != metav1.ConditionFalse {
		t.Error("it isn't Stalled")
	}
	for _, words := range []string{"stays in use", "said by Dafty", "spec.revision"} {
		if !strings.Contains(e.ready().Message, words) {
			t.Errorf("%q isn't in %q", words, e.ready().Message)
		}
	}
	e.run()
	e.expect(stands)
	// It isn't tried again when its DaftyJob goes, either.
	e.remove(e.made("B").Name)
	e.expect("GenerationFailed: current A pending B jobs A")
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Revision = "again" })
	e.run()
	e.expect("Completed: current B history A jobs A B")
}

func TestCancelledByAPerson(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.reconcile()
	e.submit()
	e.made("A").Spec.DesiredState = v1alpha1.DesiredCancelled
	e.submit()
	e.expect("Cancelled: pending A jobs A(Cancelled)")
	e.prompt("B")
	e.run()
	e.prompt("A")
	e.expect("Cancelled: current B pending A jobs A(Cancelled) B")
	e.expectPaid("A", "B")
}

func TestDeletedWhileItIsMade(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.run()
	e.prompt("B")
	e.reconcile()
	e.submit()
	e.remove(e.made("B").Name)
	e.expect("JobDeleted: current A pending B jobs A")
	e.run()
	e.expect("JobDeleted: current A pending B jobs A")
	command := e.ready().Message
	_, hash, found := strings.Cut(command, "after-")
	if !found {
		t.Fatalf("no command has it made: %s", command)
	}
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Revision = "after-" + hash[:10] })
	e.run()
	e.expect("Completed: current B history A jobs A B")
	e.expectPaid("A", "B", "B")
}

func TestNameTaken(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.run()
	e.prompt("B")
	e.reconcile()
	taken := e.made("B")
	taken.OwnerReferences = nil
	e.asset.Status.Pending = nil
	e.expect("JobNameTaken: current A jobs A B(running)")
	if !meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Error("it isn't Stalled")
	}
	e.remove(taken.Name)
	e.run()
	e.expect("Completed: current B history A jobs A B")
}

func TestHistoryLimit(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.HistoryLimit = new(int32(2)) })
	for _, prompt := range []string{"A", "B", "C", "D", "E"} {
		e.prompt(prompt)
		e.run()
	}
	e.expect("Completed: current E history D C jobs C D E")
	e.prompt("D")
	e.expect("Completed: current D history E C jobs C D E")
	e.prompt("A")
	e.run()
	e.expect("Completed: current A history D E jobs D E A")
	e.expectPaid("A", "B", "C", "D", "E", "A")

	// What has failed goes before what has a result.
	for _, prompt := range []string{"bad", "worse"} {
		e.prompt(prompt)
		e.reconcile()
		e.submit()
		e.end(e.made(prompt), v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
	}
	e.expect("GenerationFailed: current A pending worse history D E jobs D E A worse(Failed)")
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.HistoryLimit = new(int32(0)) })
	e.prompt("A")
	e.expect("Completed: current A jobs A")
}

func TestSuspend(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.run()
	e.prompt("B")
	e.reconcile()
	e.submit()
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Suspend = true })
	e.prompt("C")
	e.expect("Progressing: current A pending B jobs A B(running)")
	e.complete("B")
	e.expect("Suspended: current B history A jobs A B")
	if meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Error("what is held back on purpose is Stalled")
	}
	// Going back costs nothing, and isn't held back.
	e.prompt("A")
	e.expect("Completed: current A history B jobs A B")
	e.prompt("C")
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Suspend = false })
	e.run()
	e.expect("Completed: current C history A B jobs A B C")
}

// While nothing new is made, a change that waits to be approved and isn't wanted any more is not one that an approval has paid for.
func TestSuspendOverAWaitingChange(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.ChangePolicy = v1alpha1.ChangeManual })
	e.run()
	e.expect("WaitingForApproval: pending A jobs A(to be Suspended)")
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Suspend = true })
	e.expect("WaitingForApproval: pending A jobs A(to be Suspended)")
	e.prompt("B")
	e.expect("Suspended: pending A jobs A(to be Suspended)")
	e.asset.Annotations[v1alpha1.ApprovedAnnotation] = e.asset.Status.Pending.Hash
	e.run()
	e.expect("Suspended: pending A jobs A(to be Suspended)")
	e.expectPaid()
}

func TestManual(t *testing.T) {
	t.Parallel()
	waits := func(t *testing.T) *env {
		t.Helper()
		e := newEnv(t)
		e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.ChangePolicy = v1alpha1.ChangeManual })
		e.run()
		e.expect("WaitingForApproval: pending A jobs A(to be Suspended)")
		e.expectPaid()
		return e
	}
	for name, approve := range map[string]func(*env){
		"by the DaftyJob": func(e *env) { e.made("A").Spec.DesiredState = v1alpha1.DesiredCompleted },
		"by the annotation": func(e *env) {
			e.asset.Annotations[v1alpha1.ApprovedAnnotation] = e.asset.Status.Pending.Hash
		},
		"by another policy": func(e *env) {
			e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.ChangePolicy = v1alpha1.ChangeAutomatic })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := waits(t)
			approve(e)
			e.run()
			e.expect("Completed: current A jobs A")
			e.expectPaid("A")
		})
	}
	t.Run("an approval is of one change", func(t *testing.T) {
		t.Parallel()
		e := waits(t)
		e.asset.Annotations[v1alpha1.ApprovedAnnotation] = e.asset.Status.Pending.Hash
		e.run()
		e.prompt("B")
		e.run()
		e.expect("WaitingForApproval: current A pending B jobs A B(to be Suspended)")
		if !strings.Contains(e.ready().Message, v1alpha1.ApprovedAnnotation+"="+e.asset.Status.Pending.Hash) {
			t.Errorf("the command isn't in %q", e.ready().Message)
		}
	})
	t.Run("a person's suspension under Automatic stays", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.reconcile()
		e.made("A").Spec.DesiredState = v1alpha1.DesiredSuspended
		e.run()
		e.expect("Suspended: pending A jobs A(to be Suspended)")
	})
}

func TestRestored(t *testing.T) {
	t.Parallel()
	restored := func(t *testing.T) *env {
		t.Helper()
		e := newEnv(t)
		e.run()
		e.prompt("B")
		e.run()
		said := e.asset.Annotations[v1alpha1.CurrentAnnotation]
		e.jobs = nil // the cluster deletes them with the asset
		e.create("B")
		e.asset.Annotations[v1alpha1.CurrentAnnotation] = said
		return e
	}
	t.Run("its result's job is adopted", func(t *testing.T) {
		t.Parallel()
		e := restored(t)
		e.run()
		e.expect("Completed: current adopts-dafty-job-2 jobs adopts-dafty-job-2")
		e.expectPaid("A", "B")
	})
	t.Run("with another template, that is current until the new one is there", func(t *testing.T) {
		t.Parallel()
		e := restored(t)
		e.prompt("C")
		e.expect("Progressing: current adopts-dafty-job-2 (lost) pending C jobs C(running) adopts-dafty-job-2(running)")
		e.submit()
		e.complete("adopts-dafty-job-2")
		e.expect("Progressing: current adopts-dafty-job-2 pending C jobs C(running) adopts-dafty-job-2")
		e.run()
		e.expect("Completed: current C history adopts-dafty-job-2 jobs C adopts-dafty-job-2")
		e.expectPaid("A", "B", "C")
	})
	t.Run("Dafty doesn't know the job any more: it says so, and pays for none", func(t *testing.T) {
		t.Parallel()
		e := restored(t)
		e.reconcile()
		e.submit()
		e.end(e.made("adopts-dafty-job-2"), v1alpha1.PhaseFailed, v1alpha1.ReasonJobNotFound)
		e.expect("JobNotFound: pending adopts-dafty-job-2 jobs adopts-dafty-job-2(Failed)")
		if said := e.asset.Annotations[v1alpha1.CurrentAnnotation]; said != "" {
			t.Errorf("the annotation still names the job that is gone: %s", said)
		}
		e.expectPaid("A", "B")
		e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Revision = "2" })
		e.run()
		e.expectPaid("A", "B", "B")
	})
	for name, said := range map[string]string{
		"another name":      "shop/other:0123456789=dafty-job-2",
		"another namespace": "blog/hero:0123456789=dafty-job-2",
		"no annotation":     "",
		"nonsense":          "shop/hero:hello",
	} {
		t.Run("the annotation is of "+name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.asset.Annotations[v1alpha1.CurrentAnnotation] = said
			e.run()
			e.expect("Completed: current A jobs A")
			e.expectPaid("A")
		})
	}
	t.Run("its status alone is lost", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.run()
		e.prompt("B")
		e.run()
		e.asset.Status = v1alpha1.DaftyAssetStatus{}
		e.run()
		e.expect("Completed: current B history A jobs A B")
		e.expectPaid("A", "B")
	})
	t.Run("its status and its annotation are lost, and its DaftyJobs are there", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.run()
		e.prompt("B")
		e.run()
		e.asset.Status = v1alpha1.DaftyAssetStatus{}
		clear(e.asset.Annotations)
		e.run()
		e.expect("Completed: current B history A jobs A B")
		e.expectPaid("A", "B")
	})
	t.Run("with its status, while a change was being made: that was called off with the deletion, and isn't made by itself", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t)
		e.run()
		e.prompt("B")
		e.reconcile()
		e.submit()
		status := e.asset.Status.DeepCopy()
		e.jobs = nil
		e.create("B")
		e.asset.Status = *status
		e.expect("JobDeleted: current A pending B")
		e.expectPaid("A", "B")
	})
	t.Run("with its status, while one that was called off was to be made again: that may have been made since", func(t *testing.T) {
		t.Parallel()
		for _, early := range []bool{false, true} {
			e := newEnv(t)
			e.run()
			e.prompt("B")
			e.reconcile()
			e.submit()
			e.prompt("C")
			e.reconcile()
			e.submit()
			e.prompt("B")
			e.once()
			backup := e.asset.DeepCopy()
			if p := backup.Status.Pending; p == nil || p.UID != "" {
				t.Fatalf("the backup has no DaftyJob that is to be made again: %+v", p)
			}
			e.run()
			e.expect("Completed: current B history A jobs A C(Cancelled) B")
			paid := []string{"A", "B", "C", "B"}
			e.expectPaid(paid...)
			e.jobs = nil
			e.create("B")
			want := "JobDeleted: current A pending B"
			if early { // it was looked at before its status was back
				e.reconcile()
				want += " jobs B(running)"
			}
			e.asset.Status = *backup.Status.DeepCopy()
			e.run()
			e.expect(want)
			e.expectPaid(paid...)
			e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Revision = "2" })
			e.run()
			e.expectPaid(append(paid, "B")...)
		}
	})
}

func TestResultConfigMap(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.ResultConfigMap = "hero" })
	e.run()
	if !meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionResultStored) || e.configMap == "" {
		t.Fatal("the result isn't stored")
	}
	e.configMap = "somebody's"
	e.run()
	if e.configMap != e.asset.Status.Current.Result.Primary {
		t.Error("what somebody has changed isn't put right")
	}
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.ResultConfigMap = "" })
	e.run()
	if meta.FindStatusCondition(e.asset.Status.Conditions, v1alpha1.ConditionResultStored) != nil || e.asset.Status.ResultConfigMap != "" {
		t.Error("status tells of a ConfigMap that isn't asked for any more")
	}
}
