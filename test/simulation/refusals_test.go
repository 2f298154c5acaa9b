package simulation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
)

// refusalMutants break what holds while the API server refuses writes.
var refusalMutants = []mutant{
	{name: "a cancel waits for its status to be written", mutation: mutation{noLiveReads: true, refusal: func(name string) error {
		return apierrors.NewConflict(jobResource, name, errors.New("taken for another write"))
	}, play: func(e *env) {
		cancelledWhileRefused(e, refusedWrites{kinds: []string{statusWrites}, code: http.StatusUnprocessableEntity}, e.cancelOne)
	}}, finds: "left running", where: "a cancel while status is refused"},
	{name: "a deletion gives up what was never tried", mutation: mutation{
		dafty: func(calls account.Dafty, _ string) account.Dafty { return unsentCancel{calls} },
	}, finds: "left running"},
	{name: "a refused write isn't told", mutation: mutation{muted: []string{v1alpha1.ReasonWriteRefused, v1alpha1.ReasonWriteFailed}}, finds: "stuck"},
	{name: "Ready doesn't say that a write is refused", mutation: mutation{patch: func(_ *v1alpha1.DaftyJob, patch map[string]any) bool {
		status, _ := patch["status"].(map[string]any)
		return strings.Contains(fmt.Sprint(status["conditions"]), v1alpha1.ReasonWriteRefused)
	}, play: finalizerRefused}, finds: "stuck", where: "a finalizer that is refused"},
	{name: "what fails is tried ever more rarely", mutation: mutation{maxRetry: 1000 * time.Second, play: endRefused}, finds: "stuck", where: "an end that can't be written"},
}

// unsentCancel takes a cancel that was never sent for one that failed.
type unsentCancel struct{ account.Dafty }

func (c unsentCancel) Cancel(context.Context, string) (*dafty.Job, error) {
	return nil, &dafty.CallError{Kind: dafty.KindUnavailable, Message: "not sent", Unsent: true}
}
