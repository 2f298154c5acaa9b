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
	result := b.write(ctx, account, from, func(next *v1alpha1.DaftyAccount) bool {
		change(&next.Status)
		return true
	})
	if result.err == nil {
		p.changed(result.account)
	}
	return result.err
}

// write writes a change of an account's status, on what the account was when it was last known, nil if it wasn't. Where that is no longer so, it
// has the change made again on what the account is. A change that reports false is none, and isn't written.
func (b *Book) write(ctx context.Context, account string, known *v1alpha1.DaftyAccount, change func(next *v1alpha1.DaftyAccount) (changed bool)) written {
	result := written{account: known}
	for tries := 1; ; tries++ {
		if result.account == nil {
			if result.account, result.err = b.readAccount(ctx, b.live, account); result.err != nil {
				return result
			}
			result.live = true
		}
		next := result.account.DeepCopy()
		if !change(next) {
			return result
		}
		err := b.client.Status().Patch(ctx, next, client.MergeFromWithOptions(result.account, client.MergeFromWithOptimisticLock{}))
		switch {
		case err == nil:
			result.account = next
			return result
		case !apierrors.IsConflict(err) || tries == maxConflicts:
			// It may be written all the same: whoever comes next meets a conflict and reads that.
			result.err = fmt.Errorf("writing the status of DaftyAccount %q: %w", account, err)
			return result
		}
		result.account = nil
	}
}
