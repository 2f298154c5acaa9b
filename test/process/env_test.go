package process

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

const (
	apiKey    = "dk_process_7be40c91d2a85f36"
	someImage = "0d5c6b1e-3f2a-4b7c-9a10-1c2d3e4f5a6b"
	// patience is for what takes long only on a busy machine.
	patience = 60 * time.Second
)

// env is a namespace with a Secret, and a Dafty whose jobs the test starts and ends.
type env struct {
	*kubetest.Env
	t   *testing.T
	sim *daftysim.Simulator

	mu     sync.Mutex
	jobs   []*v1alpha1.DaftyJob    // each version, in the order of the API server
	leases []*coordinationv1.Lease // the same

	// unanswered has the creates whose answer waits until the channel is closed, by what is in their body.
	unanswered map[string]chan struct{}
}

func newEnv(t *testing.T) *env {
	t.Helper()
	return newEnvIn(t, kubetest.Start(t), daftysim.Options{
		CancelSettles: time.Hour, Variants: daftysim.Variants{AfterCancel: daftysim.AfterCancelLater},
	})
}

// newEnvIn is newEnv on a control plane of the test's own, with other options of Dafty.
func newEnvIn(t *testing.T, control *kubetest.Env, dafty daftysim.Options) *env {
	t.Helper()
	dafty.Manual, dafty.Limits = true, daftysim.NoLimits
	dafty.Accounts = []daftysim.Account{{Name: "acme", APIKeys: []string{apiKey}, Images: []daftysim.Image{{ID: someImage}}}}
	e := &env{Env: control, t: t, sim: daftysim.New(dafty), unanswered: map[string]chan struct{}{}}
	t.Cleanup(e.sim.Close)
	e.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultSecretName},
		StringData: map[string]string{v1alpha1.DefaultSecretKey: apiKey},
	})
	e.record(&v1alpha1.DaftyJobList{}, func(o client.Object) { e.jobs = append(e.jobs, o.(*v1alpha1.DaftyJob)) })
	e.record(&coordinationv1.LeaseList{}, func(o client.Object) { e.leases = append(e.leases, o.(*coordinationv1.Lease)) })
	return e
}

func (e *env) create(o client.Object) {
	e.t.Helper()
	o.SetNamespace(e.Namespace)
	if err := e.Client.Create(e.t.Context(), o); err != nil {
		e.t.Fatal(err)
	}
}

// record keeps each version of the objects of a kind.
func (e *env) record(list client.ObjectList, keep func(client.Object)) {
	e.t.Helper()
	events, err := e.Client.Watch(e.t.Context(), list, client.InNamespace(e.Namespace))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(events.Stop)
	go func() {
		for event := range events.ResultChan() {
			if o, ok := event.Object.(client.Object); ok && event.Type != watch.Bookmark {
				e.mu.Lock()
				keep(o)
				e.mu.Unlock()
			}
		}
	}()
}

// createJob creates a DaftyJob with its name in its prompt.
func (e *env) createJob(name string) {
	e.t.Helper()
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: name}}
	job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: v1alpha1.Prompt("A picture of " + name)}
	e.create(job)
}

func (e *env) get(name string) *v1alpha1.DaftyJob {
	e.t.Helper()
	job := &v1alpha1.DaftyJob{}
	if err := e.Client.Get(e.t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, job); err != nil {
		e.t.Fatal(err)
	}
	return job
}

// waitFor polls until a condition holds, or ends the test.
func (e *env) waitFor(what string, within time.Duration, holds func() bool) {
	e.t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			e.t.Fatalf("not so after %s: %s; the DaftyJobs are:\n%s", within, what, e.describe())
		}
	}
}

func (e *env) waitForPhase(name string, phase v1alpha1.Phase) {
	e.t.Helper()
	e.waitFor(fmt.Sprintf("%s is %s", name, phase), patience, func() bool { return e.get(name).Status.Phase == phase })
}

func (e *env) describe() string {
	list := &v1alpha1.DaftyJobList{}
	if err := e.Client.List(e.t.Context(), list, client.InNamespace(e.Namespace)); err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, job := range list.Items {
		fmt.Fprintf(&b, "%s %s %s %+v\n", job.Name, job.Status.Phase, job.Status.JobID, meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady))
	}
	return b.String()
}

// entries returns the jobs that Dafty made for a DaftyJob.
func (e *env) entries(name string) []daftysim.Entry {
	uid := string(e.get(name).UID)
	var own []daftysim.Entry
	for _, entry := range e.sim.Ledger() {
		if strings.HasPrefix(entry.IdempotencyKey, uid) {
			own = append(own, entry)
		}
	}
	return own
}

// checkPaidOnce checks that Dafty made at most one job for a DaftyJob, and no request broke its contract.
func (e *env) checkPaidOnce() {
	e.t.Helper()
	paid := map[string]int{}
	for _, entry := range e.sim.Ledger() {
		const uuid = 36
		if paid[entry.IdempotencyKey[:uuid]]++; paid[entry.IdempotencyKey[:uuid]] > 1 {
			e.t.Errorf("paid twice: %+v", entry)
		}
	}
	if len(paid) == 0 {
		e.t.Error("nothing was paid for: the ledger tells nothing")
	}
	for _, violation := range e.sim.Violations() {
		e.t.Errorf("Dafty's contract was broken: %s", violation)
	}
}

// waitForLease waits for a version of the lease, from a number on, and returns it and its number.
func (e *env) waitForLease(what string, from int, within time.Duration, is func(*coordinationv1.Lease) bool) (*coordinationv1.Lease, int) {
	e.t.Helper()
	var found *coordinationv1.Lease
	at := 0
	e.waitFor(what, within, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for i := from; i < len(e.leases); i++ {
			if is(e.leases[i]) {
				found, at = e.leases[i], i
				return true
			}
		}
		return false
	})
	return found, at
}

func holderOf(l *coordinationv1.Lease) string {
	if l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

// resourceVersion returns the place of an object's last write in the order of all writes: they have one etcd.
func (e *env) resourceVersion(o client.Object) uint64 {
	e.t.Helper()
	v, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		e.t.Fatal(err)
	}
	return v
}

// firstVersion returns the first recorded version of a DaftyJob for which a condition holds.
func (e *env) firstVersion(name string, is func(*v1alpha1.DaftyJob) bool) *v1alpha1.DaftyJob {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, job := range e.jobs {
		if job.Name == name && is(job) {
			return job
		}
	}
	return nil
}

// daftyProxy is an address of Dafty that only one process uses.
type daftyProxy struct {
	url string

	mu       sync.Mutex
	requests []request
	open     int
}

// request is a request to Dafty.
type request struct {
	at           time.Time
	method, path string
}

func (e *env) newProxy() *daftyProxy {
	d := &daftyProxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		d.mu.Lock()
		d.requests = append(d.requests, request{time.Now(), req.Method, req.URL.Path})
		d.open++
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			d.open--
			d.mu.Unlock()
		}()
		e.serve(w, req)
	}))
	e.t.Cleanup(server.Close)
	e.t.Cleanup(server.CloseClientConnections) // before, so that nothing is waited for
	d.url = server.URL + daftysim.BasePath
	return d
}

// serve answers as Dafty, after waiting for createWithoutAnswer's answer.
func (e *env) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the process was killed meanwhile
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	until := e.takeUnanswered(body)
	if until == nil {
		e.sim.ServeHTTP(w, req)
		return
	}
	answer := httptest.NewRecorder()
	e.sim.ServeHTTP(answer, req)
	select {
	case <-until:
	case <-req.Context().Done():
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// takeUnanswered returns what the answer to a request with this body waits for, once; nil if it doesn't wait.
func (e *env) takeUnanswered(body []byte) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	for text, until := range e.unanswered {
		if bytes.Contains(body, []byte(text+`"`)) {
			delete(e.unanswered, text)
			return until
		}
	}
	return nil
}

// requestsSince returns the requests that came after a moment.
func (d *daftyProxy) requestsSince(moment time.Time) []request {
	d.mu.Lock()
	defer d.mu.Unlock()
	var later []request
	for _, call := range d.requests {
		if call.at.After(moment) {
			later = append(later, call)
		}
	}
	return later
}

// inFlight returns how many requests have no answer yet.
func (d *daftyProxy) inFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// delayLists puts a proxy between the operators and the API server, which passes requests for DaftyJobs once listed is closed.
func (e *env) delayLists(listed <-chan struct{}) {
	e.t.Helper()
	direct, err := clientcmd.BuildConfigFromFlags("", e.Kubeconfig)
	if err != nil {
		e.t.Fatal(err)
	}
	target, err := url.Parse(direct.Host)
	if err != nil {
		e.t.Fatal(err)
	}
	transport, err := rest.TransportFor(direct)
	if err != nil {
		e.t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.Transport, forward.FlushInterval = transport, -1
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/daftyjobs") {
			select {
			case <-listed:
			case <-req.Context().Done():
				return
			}
		}
		forward.ServeHTTP(w, req)
	}))
	e.t.Cleanup(proxy.Close)
	e.t.Cleanup(proxy.CloseClientConnections)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: proxy.URL}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	e.Kubeconfig = filepath.Join(e.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, e.Kubeconfig); err != nil {
		e.t.Fatal(err)
	}
}
