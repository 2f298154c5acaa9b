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
	// soon is for what nothing stands in the way of but a busy machine.
	soon = 60 * time.Second
)

// stage is a namespace with a Secret, and a Dafty whose jobs move by hand.
type stage struct {
	*kubetest.Env
	t   *testing.T
	sim *daftysim.Simulator

	mu     sync.Mutex
	jobs   []*v1alpha1.DaftyJob    // each version, in the order of the API server
	leases []*coordinationv1.Lease // the same

	// heldBack are the creates whose answer waits for the channel to be closed, by what is in their body.
	heldBack map[string]chan struct{}
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return newStageIn(t, kubetest.Start(t), daftysim.Options{
		CancelSettles: time.Hour, Variants: daftysim.Variants{AfterCancel: daftysim.AfterCancelLater},
	})
}

// newStageIn is newStage on a control plane of the test's own, with a Dafty that differs so.
func newStageIn(t *testing.T, env *kubetest.Env, dafty daftysim.Options) *stage {
	t.Helper()
	dafty.Manual, dafty.Limits = true, daftysim.NoLimits
	dafty.Accounts = []daftysim.Account{{Name: "acme", APIKeys: []string{apiKey}, Images: []daftysim.Image{{ID: someImage}}}}
	s := &stage{Env: env, t: t, sim: daftysim.New(dafty), heldBack: map[string]chan struct{}{}}
	t.Cleanup(s.sim.Close)
	s.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultSecretName},
		StringData: map[string]string{v1alpha1.DefaultSecretKey: apiKey},
	})
	s.record(&v1alpha1.DaftyJobList{}, func(o client.Object) { s.jobs = append(s.jobs, o.(*v1alpha1.DaftyJob)) })
	s.record(&coordinationv1.LeaseList{}, func(o client.Object) { s.leases = append(s.leases, o.(*coordinationv1.Lease)) })
	return s
}

func (s *stage) create(o client.Object) {
	s.t.Helper()
	o.SetNamespace(s.Namespace)
	if err := s.Client.Create(s.t.Context(), o); err != nil {
		s.t.Fatal(err)
	}
}

// record keeps each version of the objects of a kind.
func (s *stage) record(list client.ObjectList, keep func(client.Object)) {
	s.t.Helper()
	events, err := s.Client.Watch(s.t.Context(), list, client.InNamespace(s.Namespace))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(events.Stop)
	go func() {
		for event := range events.ResultChan() {
			if o, ok := event.Object.(client.Object); ok && event.Type != watch.Bookmark {
				s.mu.Lock()
				keep(o)
				s.mu.Unlock()
			}
		}
	}()
}

// generate makes a DaftyJob whose prompt is its name.
func (s *stage) generate(name string) {
	s.t.Helper()
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: name}}
	job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: v1alpha1.Prompt("A picture of " + name)}
	s.create(job)
}

func (s *stage) get(name string) *v1alpha1.DaftyJob {
	s.t.Helper()
	job := &v1alpha1.DaftyJob{}
	if err := s.Client.Get(s.t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: name}, job); err != nil {
		s.t.Fatal(err)
	}
	return job
}

// waitFor waits for what must come.
func (s *stage) waitFor(what string, within time.Duration, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not so after %s: %s; the DaftyJobs are:\n%s", within, what, s.describe())
		}
	}
}

func (s *stage) reaches(name string, phase v1alpha1.Phase) {
	s.t.Helper()
	s.waitFor(fmt.Sprintf("%s is %s", name, phase), soon, func() bool { return s.get(name).Status.Phase == phase })
}

func (s *stage) describe() string {
	list := &v1alpha1.DaftyJobList{}
	if err := s.Client.List(s.t.Context(), list, client.InNamespace(s.Namespace)); err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, job := range list.Items {
		fmt.Fprintf(&b, "%s %s %s %+v\n", job.Name, job.Status.Phase, job.Status.JobID, meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady))
	}
	return b.String()
}

// entries are the jobs that Dafty made for a DaftyJob.
func (s *stage) entries(name string) []daftysim.Entry {
	uid := string(s.get(name).UID)
	var own []daftysim.Entry
	for _, entry := range s.sim.Ledger() {
		if strings.HasPrefix(entry.IdempotencyKey, uid) {
			own = append(own, entry)
		}
	}
	return own
}

// paidOnce holds the ledger and the requests against what may be paid for.
func (s *stage) paidOnce() {
	s.t.Helper()
	paid := map[string]int{}
	for _, entry := range s.sim.Ledger() {
		const uuid = 36
		if paid[entry.IdempotencyKey[:uuid]]++; paid[entry.IdempotencyKey[:uuid]] > 1 {
			s.t.Errorf("paid twice: %+v", entry)
		}
	}
	if len(paid) == 0 {
		s.t.Error("nothing was paid for: the ledger tells nothing")
	}
	for _, violation := range s.sim.Violations() {
		s.t.Errorf("Dafty's contract was broken: %s", violation)
	}
}

// holder waits for a version of the lease, from the n-th on, and gives it and its number.
func (s *stage) holder(what string, from int, within time.Duration, is func(*coordinationv1.Lease) bool) (*coordinationv1.Lease, int) {
	s.t.Helper()
	var found *coordinationv1.Lease
	at := 0
	s.waitFor(what, within, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := from; i < len(s.leases); i++ {
			if is(s.leases[i]) {
				found, at = s.leases[i], i
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

// version is when an object was written, in the order of all writes to the API server: they have one etcd.
func (s *stage) version(o client.Object) uint64 {
	s.t.Helper()
	v, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// firstVersion is the first recorded version of a DaftyJob that is so.
func (s *stage) firstVersion(name string, is func(*v1alpha1.DaftyJob) bool) *v1alpha1.DaftyJob {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, job := range s.jobs {
		if job.Name == name && is(job) {
			return job
		}
	}
	return nil
}

// door is an address of Dafty that one process alone uses.
type door struct {
	url string

	mu    sync.Mutex
	calls []arrival
	open  int
}

// arrival is one request.
type arrival struct {
	at           time.Time
	method, path string
}

func (s *stage) door() *door {
	d := &door{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		d.mu.Lock()
		d.calls = append(d.calls, arrival{time.Now(), req.Method, req.URL.Path})
		d.open++
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			d.open--
			d.mu.Unlock()
		}()
		s.serve(w, req)
	}))
	s.t.Cleanup(server.Close)
	s.t.Cleanup(server.CloseClientConnections) // before, so that nothing is waited for
	d.url = server.URL + daftysim.BasePath
	return d
}

// serve is Dafty, which holds back some answers.
func (s *stage) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the process was killed meanwhile
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	until := s.takeHeldBack(body)
	if until == nil {
		s.sim.ServeHTTP(w, req)
		return
	}
	answer := httptest.NewRecorder()
	s.sim.ServeHTTP(answer, req)
	select {
	case <-until:
	case <-req.Context().Done():
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// takeHeldBack says until when the answer to a request with this body is held back, once.
func (s *stage) takeHeldBack(body []byte) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, until := range s.heldBack {
		if bytes.Contains(body, []byte(text+`"`)) {
			delete(s.heldBack, text)
			return until
		}
	}
	return nil
}

// since are the requests that came after a moment.
func (d *door) since(moment time.Time) []arrival {
	d.mu.Lock()
	defer d.mu.Unlock()
	var later []arrival
	for _, call := range d.calls {
		if call.at.After(moment) {
			later = append(later, call)
		}
	}
	return later
}

// underway is how many requests have no answer yet.
func (d *door) underway() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// behind puts a proxy between the operators and the API server, which lets DaftyJobs through once listed is closed.
func (s *stage) behind(listed <-chan struct{}) {
	s.t.Helper()
	direct, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		s.t.Fatal(err)
	}
	target, err := url.Parse(direct.Host)
	if err != nil {
		s.t.Fatal(err)
	}
	transport, err := rest.TransportFor(direct)
	if err != nil {
		s.t.Fatal(err)
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
	s.t.Cleanup(proxy.Close)
	s.t.Cleanup(proxy.CloseClientConnections)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: proxy.URL}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	s.Kubeconfig = filepath.Join(s.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, s.Kubeconfig); err != nil {
		s.t.Fatal(err)
	}
}
