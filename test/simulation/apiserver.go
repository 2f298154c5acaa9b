package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// namespace holds all objects of a history.
const namespace = "ns"

var (
	assetResource     = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "daftyassets"}
	jobResource       = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "daftyjobs"}
	configMapResource = schema.GroupResource{Resource: "configmaps"}
)

// version is one state of a DaftyJob. It is never changed.
type version struct {
	revision int64
	name     string
	job      *v1alpha1.DaftyJob // nil: it is gone
	raw      []byte
}

// apiServer is the API server, as far as the operator knows it: resourceVersions, merge patches
// that fail where the object has changed, the status subresource, finalizers, and a watch.
// All of it is guarded by env.mu.
type apiServer struct {
	env      *env
	revision int64
	jobs     map[string]version
	// history are all versions there ever were, for those who read an old one.
	history []version
	secrets map[string]*corev1.Secret
	// configMaps hold images, or results.
	configMaps map[string]*corev1.ConfigMap
	// terminating is set once the namespace is deleted: nothing new is taken.
	terminating bool
	created     int
	// names are the names of all objects there ever were.
	names map[string]bool
}

func newAPIServer(e *env) *apiServer {
	return &apiServer{
		env: e, jobs: map[string]version{}, secrets: map[string]*corev1.Secret{}, configMaps: map[string]*corev1.ConfigMap{}, names: map[string]bool{},
	}
}

// create stores a new object with the CRD's defaults.
func (a *apiServer) create(job *v1alpha1.DaftyJob) {
	a.created++
	a.names[job.Name] = true
	job.Namespace = namespace
	job.UID = uid(a.created)
	job.Generation = 1
	job.CreationTimestamp = metav1.NewTime(time.Now())
	job.Status = v1alpha1.DaftyJobStatus{ObservedGeneration: -1}
	if job.Spec.DeletionPolicy == "" {
		job.Spec.DeletionPolicy = v1alpha1.DeletionCancel
	}
	job.Spec.CredentialsSecretRef = v1alpha1.SecretKeyReference{Name: v1alpha1.DefaultSecretName, Key: v1alpha1.DefaultSecretKey}
	a.store(job)
}

// uid is one that a reader of a trace can tell from others.
func uid(created int) types.UID { return types.UID(fmt.Sprintf("uid%d", created)) }

// ownKeys is how keys of the user's own begin here. The uid follows, so that no two objects share a job: what is paid for twice
// could not be told from what is shared.
const ownKeys = "own."

// ownKey is a key of the user's own for the next object.
func (a *apiServer) ownKey() string { return ownKeys + string(uid(a.created+1)) }

// get returns the newest version of an object, nil if there is none.
func (a *apiServer) get(name string) *v1alpha1.DaftyJob { return a.jobs[name].job }

// delete marks an object as deleted; it goes once it has no finalizer.
func (a *apiServer) delete(name string) {
	job := a.get(name)
	if job == nil || job.DeletionTimestamp != nil {
		return
	}
	job = job.DeepCopy()
	now := metav1.NewTime(time.Now())
	job.DeletionTimestamp = &now
	job.Generation++
	a.store(job)
}

// patch applies a JSON merge patch to the object, or only to its status.
func (a *apiServer) patch(name string, status bool, data []byte) (*v1alpha1.DaftyJob, error) {
	current, ok := a.jobs[name]
	if !ok {
		return nil, apierrors.NewNotFound(jobResource, name)
	}
	var doc, patch map[string]any
	if err := errors.Join(json.Unmarshal(current.raw, &doc), json.Unmarshal(data, &patch)); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if metadata, ok := patch["metadata"].(map[string]any); ok {
		if want, ok := metadata["resourceVersion"].(string); ok && want != current.job.ResourceVersion {
			return nil, apierrors.NewConflict(jobResource, name, fmt.Errorf("it is at %s, not at %s", current.job.ResourceVersion, want))
		}
		delete(metadata, "resourceVersion")
	}
	for field := range patch {
		if (field == "status") != status {
			delete(patch, field)
		}
	}
	raw, err := json.Marshal(merge(doc, patch))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	job := &v1alpha1.DaftyJob{}
	if err := json.Unmarshal(raw, job); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if raw, err = json.Marshal(job); err != nil || bytes.Equal(raw, current.raw) {
		return current.job, err
	}
	return a.storeRead(job), nil
}

// merge is RFC 7386.
func merge(doc, patch map[string]any) map[string]any {
	if doc == nil {
		doc = map[string]any{}
	}
	for field, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(doc, field)
		case map[string]any:
			inner, _ := doc[field].(map[string]any)
			doc[field] = merge(inner, value)
		default:
			doc[field] = value
		}
	}
	return doc
}

// store makes job the newest version of the object, as the API server would keep it.
func (a *apiServer) store(job *v1alpha1.DaftyJob) {
	// Read back: the API server keeps whole seconds.
	raw, err := json.Marshal(job)
	if err != nil {
		panic(err) // it is ours
	}
	stored := &v1alpha1.DaftyJob{}
	if err := json.Unmarshal(raw, stored); err != nil {
		panic(err)
	}
	a.storeRead(stored)
}

// storeRead does so with a job that was read from JSON, and that nobody else has. The object is gone where it is deleted and
// has no finalizer. Everyone who watches is told.
func (a *apiServer) storeRead(job *v1alpha1.DaftyJob) *v1alpha1.DaftyJob {
	a.revision++
	job.ResourceVersion = strconv.FormatInt(a.revision, 10)
	raw, err := json.Marshal(job)
	if err != nil {
		panic(err) // it is ours
	}
	v := version{revision: a.revision, name: job.Name, job: job, raw: raw}
	a.env.invariants.checkVersion(a.jobs[job.Name], v)
	if job.DeletionTimestamp != nil && len(job.Finalizers) == 0 {
		delete(a.jobs, job.Name)
		v.job = nil
		a.env.trace.add("api", "%s is gone", job.Name)
		a.collect(job.UID)
	} else {
		a.jobs[job.Name] = v
	}
	a.history = append(a.history, v)
	for _, p := range a.env.processes {
		p.jobs.notify(v)
	}
	return job
}

// lastOf is the last version of an object that had this name, nil where there was none.
func (a *apiServer) lastOf(name string) *v1alpha1.DaftyJob {
	for _, v := range slices.Backward(a.history) {
		if v.name == name && v.job != nil {
			return v.job
		}
	}
	return nil
}

// snapshot is what the cluster held so many versions ago.
func (a *apiServer) snapshot(ago int) map[string]version {
	jobs := map[string]version{}
	for _, v := range a.history[:max(0, len(a.history)-ago)] {
		if v.job == nil {
			delete(jobs, v.name)
		} else {
			jobs[v.name] = v
		}
	}
	return jobs
}

const (
	imageConfigMap = "brand"
	imageKey       = "logo.png"
)
