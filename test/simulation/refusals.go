package simulation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
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
	// code is the answer's, 0 where there is none.
	code  int
	until time.Time
}

// refusalCodes are the answers that a write can be refused with.
var refusalCodes = []int{
	http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 0,
}

// refuseWrites has the API server refuse some kinds of writes, of one object or of all.
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
	e.trace.add("world", "the API server answers %d to writes of %s of %q, for %s", r.code, strings.Join(r.kinds, " and "), r.object, during)
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

// refused returns the API server's answer to a write that it refuses now, nil where it takes it. No two of them read alike.
func (e *env) refused(p *process, what string) error {
	kind, name := kindOf(what)
	at := slices.IndexFunc(e.refusals, func(r refusedWrites) bool {
		return time.Now().Before(r.until) && slices.Contains(r.kinds, kind) && (r.object == "" || r.object == name)
	})
	if at < 0 {
		return nil
	}
	code := e.refusals[at].code
	e.invariants.checkRefusal(p, kind, name, code)
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

// liveReader reads past a process's cache.
type liveReader struct {
	client.Reader
	p *process
}

// List implements client.Reader.
func (l liveReader) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	name, _ := o.FieldSelector.RequiresExactMatch("metadata.name")
	if err := (apiClient{p: l.p}).read("list " + name); err != nil {
		return err
	}
	e := l.p.env
	e.mu.Lock()
	defer e.mu.Unlock()
	if job := e.api.get(name); job != nil && !e.mutation.noLiveReads {
		jobs := list.(*v1alpha1.DaftyJobList)
		jobs.Items = append(jobs.Items, *job.DeepCopy())
	}
	return nil
}

// refusedWrite is a kind of write of an object by a process.
type refusedWrite struct {
	process, kind string
	uid           types.UID
}

// refusedSince is since when, and until when, it was refused.
type refusedSince struct{ first, last time.Time }

// unreportedAfter is how long a write may be refused before the judge wants it told.
const unreportedAfter = 2 * time.Minute

// checkRefusal holds against the events that what is refused for long is told.
func (inv *invariants) checkRefusal(p *process, kind, name string, code int) {
	job, now := inv.env.api.get(name), time.Now()
	if job == nil || code == http.StatusNotFound || kind == configMapCreates || kind == configMapPatches {
		return // that of results has a condition of its own
	}
	key := refusedWrite{p.id, kind, job.UID}
	since, met := inv.refusedSince[key]
	if !met || now.Sub(since.last) > time.Minute {
		since.first = now
	}
	since.last = now
	inv.refusedSince[key] = since
	// A conflict may as well be one.
	if told := inv.reportedRefusals[key]; !told && now.Sub(since.first) > unreportedAfter && code != http.StatusConflict && !inv.env.clocksJumped {
		inv.violated("stuck: the %s of %s can't be written for %s, and nobody is told", kind, name, now.Sub(since.first))
		inv.reportedRefusals[key] = true
	}
}

// unrecorded reports whether the cancel of a job left a process that is no more, and isn't on record: whoever comes after it
// can't know.
func (inv *invariants) unrecorded(job *v1alpha1.DaftyJob) bool {
	by := inv.cancels[strings.ToLower(job.Status.JobID)].by
	return by != "" && !inv.cancelRecorded[job.UID] && (inv.env.leader == nil || inv.env.leader.id != by)
}

// noteRefusalEvent notes an event that tells of a refusal. It tells of one write; which it is stands in its words.
func (inv *invariants) noteRefusalEvent(p *process, job *v1alpha1.DaftyJob, reason, message string) {
	if reason != v1alpha1.ReasonWriteRefused && reason != v1alpha1.ReasonWriteFailed {
		return
	}
	kind := metadataWrites
	switch {
	case strings.HasPrefix(message, "the status "):
		kind = statusWrites
	case strings.HasPrefix(message, "this DaftyJob can't be deleted"):
		kind = deletions
	}
	inv.reportedRefusals[refusedWrite{p.id, kind, job.UID}] = true
}

// cancelSent is a cancel that left a process.
type cancelSent struct {
	by string
	at time.Time
}

// noteCancel notes a cancel that leaves a process, whether or not it arrives.
func (inv *invariants) noteCancel(p *process, req *http.Request) {
	if path, ok := strings.CutSuffix(req.URL.Path, "/cancel"); ok {
		id := strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
		inv.cancels[id] = cancelSent{by: p.id, at: time.Now()}
	}
}

// checkAbandoned holds an abandoned deletion against what was tried: where there was a key, the job's cancel was.
func (inv *invariants) checkAbandoned(job *v1alpha1.DaftyJob, message string) {
	id := job.Status.JobID
	if id == "" || strings.Contains(message, "no API key") {
		return
	}
	if tried, ok := inv.cancels[strings.ToLower(id)]; !ok || tried.at.Before(job.DeletionTimestamp.Add(-time.Minute)) {
		inv.violated("left running: the cancel of %s was given up, and was never tried: %s", job.Name, message)
	}
}

// checkNoRefusals holds against the objects that nothing is said to be refused any more, once nothing is.
func (inv *invariants) checkNoRefusals() {
	for _, job := range inv.objects() {
		if reason := readyOf(job).Reason; reason == v1alpha1.ReasonWriteRefused || reason == v1alpha1.ReasonWriteFailed {
			inv.violated("false: %s is %s, and nothing is refused any more", job.Name, describe(job))
		}
	}
}

// refusedScenarios are those in which a job is called off, or is to begin, while the API server refuses writes.
func refusedScenarios() []scenario {
	var list []scenario
	for _, refusal := range []struct {
		name  string
		kinds []string
		code  int
	}{
		{"status by a policy", []string{statusWrites}, http.StatusUnprocessableEntity},
		{"status by a webhook that is down", []string{statusWrites}, http.StatusInternalServerError},
		{"status by a webhook's conflicts", []string{statusWrites}, http.StatusConflict},
		{"all by a policy", []string{statusWrites, metadataWrites}, http.StatusUnprocessableEntity},
		{"all without an answer", []string{statusWrites, metadataWrites}, 0},
		{"metadata by a policy", []string{metadataWrites}, http.StatusUnprocessableEntity},
		{"metadata by a webhook that is down", []string{metadataWrites}, http.StatusServiceUnavailable},
	} {
		refused := refusedWrites{kinds: refusal.kinds, code: refusal.code}
		list = append(list,
			scenario{"cancel while the API server refuses " + refusal.name, true, func(e *env) { cancelledWhileRefused(e, refused, e.cancelOne) }},
			scenario{"delete while the API server refuses " + refusal.name, true, func(e *env) { cancelledWhileRefused(e, refused, e.deleteOne) }},
		)
	}
	return append(list,
		scenario{"deleted in doubt while the API server refuses status", true, func(e *env) {
			e.injectFault(hangAfter)
			e.create(image)
			e.advance(5 * time.Second)
			e.do(func() {
				e.refuse(refusedWrites{kinds: []string{statusWrites}, code: http.StatusUnprocessableEntity}, deletionTimeout+2*time.Minute)
				e.deleteOne()
			})
			e.advance(deletionTimeout + 4*time.Minute)
		}},
		scenario{"the finalizer can't be added", false, finalizerRefused},
		scenario{"the end can't be written for long", false, endRefused},
	)
}

// cancelledWhileRefused has a running job called off while writes are refused, for longer than a deletion waits.
func cancelledWhileRefused(e *env, refused refusedWrites, callOff func()) {
	e.create(image)
	e.advance(queued)
	e.do(func() {
		e.refuse(refused, deletionTimeout+3*time.Minute)
		callOff()
	})
	e.advance(3 * time.Minute)
	e.do(e.expectStopped)
	e.advance(deletionTimeout + 2*time.Minute)
}

// expectStopped is asked when whatever was called off has had time to be cancelled. Of a request in doubt nobody knows the job:
// to repeat it takes a record, or two of them could be on their way at once.
func (e *env) expectStopped() {
	if slices.ContainsFunc(e.invariants.objects(), func(job *v1alpha1.DaftyJob) bool { return job.Status.InDoubt() }) {
		return
	}
	for _, what := range e.invariants.unwantedJobs() {
		e.invariants.violated("left running: %s, while writes are refused", what)
	}
}

// finalizerRefused has a policy refuse the finalizer of a new object for a while.
func finalizerRefused(e *env) {
	e.do(func() {
		e.refuse(refusedWrites{kinds: []string{metadataWrites}, code: http.StatusUnprocessableEntity}, 4*time.Minute)
	})
	e.create(image)
	e.advance(3 * time.Minute)
	e.do(func() {
		if job := e.api.get("one"); job != nil && readyOf(job).Reason != v1alpha1.ReasonWriteRefused {
			e.invariants.violated("stuck: one doesn't say that its finalizer is refused: %s", describe(job))
		}
	})
	e.advance(2 * time.Minute)
}

// endRefused has the end of a job go unwritten for long, and then be written soon.
func endRefused(e *env) {
	e.create(image)
	e.advance(queued)
	e.do(func() {
		e.refuse(refusedWrites{kinds: []string{statusWrites}, code: http.StatusInternalServerError}, 10*time.Minute)
	})
	e.advance(10*time.Minute + 80*time.Second)
	e.do(func() {
		if job := e.api.get("one"); job != nil && !job.Status.Phase.Final() && len(e.invariants.objects()) > 0 {
			e.invariants.violated("stuck: one is %s, more than a minute after writes were taken again", describe(job))
		}
	})
}
