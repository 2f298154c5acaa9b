package simulation

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The kinds of the operator's writes.
const (
	statusWrites     = "status"
	metadataWrites   = "metadata"
	deletions        = "deletion"
	configMapCreates = "creation of ConfigMaps"
	configMapPatches = "patching of ConfigMaps"
)

// refusedWrites is what the API server refuses for a while: as a policy does, a webhook, or a webhook that is down.
type refusedWrites struct {
	kinds []string
	// object is the name of the one that is meant, empty where all are.
	object string
	// code is the status code of the answer, 0 for no answer.
	code  int
	until time.Time
}

// refusalCodes are the answers that a write can be refused with.
var refusalCodes = []int{
	http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 0,
}

// refuseWrites makes the API server refuse some kinds of writes, of one object or of all.
func refuseWrites(e *env, p picker) {
	all := []string{statusWrites, metadataWrites, deletions, configMapCreates, configMapPatches}
	r := refusedWrites{kinds: pick(&p, []string{statusWrites}, []string{statusWrites}, []string{metadataWrites}, []string{metadataWrites},
		[]string{statusWrites, metadataWrites}, []string{deletions}, []string{configMapCreates, configMapPatches}, all)}
	r.code = pick(&p, refusalCodes...)
	if p.n(2) == 0 {
		r.object = p.job()
	}
	most := pick(&p, 10*time.Second, time.Minute, 4*time.Minute, 10*time.Minute, time.Hour)
	e.refuse(r, most)
}

func (e *env) refuse(r refusedWrites, during time.Duration) {
	r.until = time.Now().Add(during)
	e.trace.add("env", "the API server answers %d to writes of %s of %q, for %s", r.code, strings.Join(r.kinds, " and "), r.object, during)
	e.refusals = append(e.refusals, r)
}

// kindOf returns the kind of a write, and the name of its object.
func kindOf(what string) (kind, name string) {
	for prefix, kind := range map[string]string{
		"patch status of ": statusWrites, "delete ": deletions, "create configmap ": configMapCreates, "patch configmap ": configMapPatches,
	} {
		if name, ok := strings.CutPrefix(what, prefix); ok {
			return kind, name
		}
	}
	return metadataWrites, strings.TrimPrefix(what, "patch ")
}

// refused returns the API server's answer to a write that it refuses now, nil where it takes it. No two of them read alike. It is checked
// that what the controller of DaftyJobs writes of them is told, where that is refused for long.
func (e *env) refused(p *process, what string, byJobs bool) error {
	kind, name := kindOf(what)
	at := slices.IndexFunc(e.refusals, func(r refusedWrites) bool {
		return time.Now().Before(r.until) && slices.Contains(r.kinds, kind) && (r.object == "" || r.object == name)
	})
	if at < 0 {
		return nil
	}
	code := e.refusals[at].code
	if byJobs {
		e.invariants.checkRefusal(p, kind, name, code)
	}
	e.refusedCount++
	e.trace.add(p.id, "%s: refused with %d", what, code)
	if mutate := e.mutation.refusal; mutate != nil && kind == statusWrites {
		return mutate(name)
	}
	words := fmt.Sprintf("denied by the policy of this cluster (request %d)", e.refusedCount)
	switch code {
	case 0:
		return errors.New("dial tcp 10.0.0.1:443: connect: connection refused")
	case http.StatusConflict:
		return apierrors.NewConflict(jobResource, name, errors.New(words))
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: int32(code), Reason: metav1.StatusReasonUnknown, Message: words, //nolint:gosec // Small.
	}}
}
