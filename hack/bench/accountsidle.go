package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// sharing is how many namespaces use each account.
const sharing = 100

// accountsIdle: DaftyAccounts of which each has what a hundred namespaces have used on record.
func accountsIdle(ctx context.Context, e *environment) error {
	count := e.scaled(1_000, 20)
	if err := e.serve(daftysim.Options{}, false); err != nil {
		return err
	}
	if err := e.kube.prepare(ctx, namespace, count); err != nil {
		return err
	}
	err := each(ctx, sharing, writers, func(ctx context.Context, i int) error {
		return e.kube.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: sharerName(i), Labels: map[string]string{"team": "any"}}})
	})
	if err != nil {
		return err
	}
	o, err := e.startWorking(ctx)
	if err != nil {
		return err
	}
	if err := e.waitQuiet(ctx, o); err != nil {
		return err
	}
	empty, err := o.memory(ctx)
	if err != nil {
		return err
	}
	if err := o.Kill(); err != nil {
		return err
	}
	if err := e.writeAccounts(ctx, count); err != nil {
		return err
	}
	return e.measureAccounts(ctx, empty, count)
}

func sharerName(n int) string { return fmt.Sprintf("team-%03d", n) }

// writeAccounts writes accounts that each namespace has used today.
func (e *environment) writeAccounts(ctx context.Context, n int) error {
	status := v1alpha1.DaftyAccountStatus{}
	today := time.Now().UTC().Format(time.DateOnly)
	for i := range sharing {
		status.Usage = append(status.Usage, v1alpha1.BudgetUsage{
			Budget: "Namespace/Day/Etc/UTC", Namespace: sharerName(i), Period: today, Submissions: new(int64(i)),
		})
	}
	raw, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	return each(ctx, n, bulkWriters, func(ctx context.Context, i int) error {
		of := &v1alpha1.DaftyAccount{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("account-%04d", i)},
			Spec: v1alpha1.DaftyAccountSpec{
				APIKeySecretRef: v1alpha1.NamespacedSecretKeyReference{Namespace: namespace, Name: secretName(i)},
				Namespaces:      &metav1.LabelSelector{MatchLabels: map[string]string{"team": "any"}},
				Budgets:         []v1alpha1.Budget{{Per: v1alpha1.PerNamespace, Period: v1alpha1.PeriodDay, Submissions: new(int64(1000))}},
			},
		}
		if err := e.kube.client.Create(ctx, of); err != nil {
			return err
		}
		return e.kube.client.Status().Patch(ctx, of, client.RawPatch(types.MergePatchType, raw))
	})
}

// measureAccounts starts an operator on them, and looks at it when it has nothing more to do.
func (e *environment) measureAccounts(ctx context.Context, empty memory, count int) error {
	before, err := e.apiRequests(ctx)
	if err != nil {
		return err
	}
	o, err := e.startWorking(ctx)
	if err != nil {
		return err
	}
	if err := e.waitQuiet(ctx, o); err != nil {
		return err
	}
	e.measure("start to quiet", time.Since(o.Started).Seconds(), "s")
	used, err := o.CPUTime()
	if err != nil {
		return err
	}
	// Twice as long as a Secret is left unread.
	const idle = 4 * time.Minute
	if !pause(ctx, idle) {
		return context.Cause(ctx)
	}
	later, err := o.CPUTime()
	if err != nil {
		return err
	}
	m, err := o.memory(ctx)
	if err != nil {
		return err
	}
	after, err := e.apiRequests(ctx)
	if err != nil {
		return err
	}
	writes := after.since(before, `resource="daftyaccounts"`, `verb="PATCH"`, `code="200"`, `subresource="status"`)
	e.measure("writes of the status per account since the start", writes/float64(count), "")
	e.atMost("… per account in 30 s", writes/float64(count)/(time.Since(o.Started).Seconds()/30), "", 1)
	e.measureGo(empty, m, float64(count))
	e.atMost("live heap for all of them", (m.live-empty.live)/mebibyte, "MiB", 100)
	e.atMost("resident memory for all of them", (m.resident-empty.resident)/mebibyte, "MiB", 100)
	e.measure("CPU seconds a minute", (later-used).Seconds()/idle.Minutes(), "s")
	return nil
}
