package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// namespace holds all objects of a history, but for some of those with DaftyAccounts.
const namespace = "ns"

var (
	assetResource     = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "daftyassets"}
	jobResource       = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "daftyjobs"}
	configMapResource = schema.GroupResource{Resource: "configmaps"}
)

// apiServer is the API server, as far as the operator knows it: resourceVersions, merge patches
// that fail where the object has changed, the status subresource, finalizers, and a watch.
// All of it is guarded by env.mu.
type apiServer struct {
	env        *env
	revision   int64
	jobs       map[string]jobVersion
	assets     map[string]assetVersion
	accounts   map[string]accountVersion
	namespaces map[string]namespaceVersion
	// These are all versions there ever were, for those who read an old one.
	history          []jobVersion
	assetHistory     []assetVersion
	accountHistory   []accountVersion
	namespaceHistory []namespaceVersion
	secrets          map[string]*corev1.Secret
	// configMaps hold images, or results.
	configMaps map[string]*corev1.ConfigMap
	// terminating is set once the namespace is deleted: nothing new is taken.
	terminating bool
	created     int
	// names, assetNames and accountNames are the names of all objects there ever were.
	names, assetNames, accountNames map[string]bool
}

func newAPIServer(e *env) *apiServer {
	return &apiServer{
		env: e, jobs: map[string]jobVersion{}, assets: map[string]assetVersion{}, secrets: map[string]*corev1.Secret{},
		configMaps: map[string]*corev1.ConfigMap{}, names: map[string]bool{}, assetNames: map[string]bool{},
		accounts: map[string]accountVersion{}, namespaces: map[string]namespaceVersion{}, accountNames: map[string]bool{},
	}
}

// create stores a new object with the CRD's defaults.
func (a *apiServer) create(job *v1alpha1.DaftyJob) {
	a.created++
	a.names[job.Name] = true
	job.Namespace = a.env.namespaceOf(job.Name)
	job.UID = uid(a.created)
	job.Generation = 1
	job.CreationTimestamp = metav1.NewTime(time.Now())
	job.Status = v1alpha1.DaftyJobStatus{ObservedGeneration: -1}
	if job.Spec.DeletionPolicy == "" {
		job.Spec.DeletionPolicy = v1alpha1.DeletionCancel
	}
	if job.Spec.AccountRef == nil {
		job.Spec.CredentialsSecretRef = v1alpha1.SecretKeyReference{Name: v1alpha1.DefaultSecretName, Key: v1alpha1.DefaultSecretKey}
	}
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
func (a *apiServer) get(name string) *v1alpha1.DaftyJob { return a.jobs[name].object }

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
	job := &v1alpha1.DaftyJob{}
	changed, err := patched(current, status, data, job)
	if err != nil || !changed {
		return current.object, err
	}
	if !equality.Semantic.DeepEqual(job.Spec, current.object.Spec) {
		job.Generation++
	}
	return a.storeRead(job), nil
}

// patched applies a JSON merge patch to an object, or only to its status, and reads what comes of it into changed. It reports whether
// anything has changed.
func patched[T any](current version[T], status bool, data []byte, changed *T) (bool, error) {
	var doc, patch map[string]any
	if err := errors.Join(json.Unmarshal(current.raw, &doc), json.Unmarshal(data, &patch)); err != nil {
		return false, apierrors.NewBadRequest(err.Error())
	}
	if metadata, ok := patch["metadata"].(map[string]any); ok {
		is, _, _ := unstructured.NestedString(doc, "metadata", "resourceVersion")
		if want, ok := metadata["resourceVersion"].(string); ok && want != is {
			return false, apierrors.NewConflict(jobResource, current.name, fmt.Errorf("it is at %s, not at %s", is, want))
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
		return false, apierrors.NewBadRequest(err.Error())
	}
	if err := json.Unmarshal(raw, changed); err != nil {
		return false, apierrors.NewBadRequest(err.Error())
	}
	if raw, err = json.Marshal(changed); err != nil {
		return false, err
	}
	return !bytes.Equal(raw, current.raw), nil
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
	v := jobVersion{revision: a.revision, name: job.Name, object: job, raw: raw}
	a.env.invariants.checkVersion(a.jobs[job.Name], v)
	if job.DeletionTimestamp != nil && len(job.Finalizers) == 0 {
		delete(a.jobs, job.Name)
		v.object = nil
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

const (
	imageConfigMap = "brand"
	imageKey       = "logo.png"
)
