package budget

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Update writes another change of an account's status, which may be made more than once, on what the account is by then. It leaves
// usage and reservations alone.
func (b *Book) Update(ctx context.Context, account string, change func(*v1alpha1.DaftyAccountStatus)) error {
	p := b.page(account)
	if err := p.load(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	from := p.known
	p.mu.Unlock()
	for tries := 1; ; tries++ {
		if from == nil {
			var err error
			if from, err = b.readAccount(ctx, b.live, account); err != nil {
				return err
			}
		}
		next := from.DeepCopy()
		change(&next.Status)
		err := b.client.Status().Patch(ctx, next, client.MergeFromWithOptions(from, client.MergeFromWithOptimisticLock{}))
		if err == nil {
			p.changed(next)
			return nil
		}
		if !apierrors.IsConflict(err) || tries == maxConflicts {
			return fmt.Errorf("writing the status of DaftyAccount %q: %w", account, err)
		}
		from = nil
	}
}
