package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// namespace holds all objects of a history.
const namespace = "ns"

var (
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

// cluster is the API server, as far as the operator knows it: resourceVersions, merge patches
// that fail where the object has changed, the status subresource, finalizers, and a watch.
// All of it is guarded by the world's lock.
type cluster struct {
	w        *world
	revision int64
	jobs     map[string]version
	// history are all versions there ever were, for those who read an old one.
	history []version
	secrets map[string]*corev1.Secret
	// configMaps hold pictures, or results.
	configMaps map[string]*corev1.ConfigMap
	// terminating is set once the namespace is deleted: nothing new is taken.
	terminating bool
	created     int
	// everNamed are the names of all objects there ever were.
	everNamed map[string]bool
}

func newCluster(w *world) *cluster {
	return &cluster{w: w, jobs: map[string]version{}, secrets: map[string]*corev1.Secret{}, configMaps: map[string]*corev1.ConfigMap{}, everNamed: map[string]bool{}}
}

// create stores a new object with the CRD's defaults.
func (c *cluster) create(job *v1alpha1.DaftyJob) {
	c.created++
	c.everNamed[job.Name] = true
	job.Namespace = namespace
	job.UID = uid(c.created)
	job.Generation = 1
	job.CreationTimestamp = metav1.NewTime(time.Now())
	job.Status = v1alpha1.DaftyJobStatus{ObservedGeneration: -1}
	if job.Spec.DeletionPolicy == "" {
		job.Spec.DeletionPolicy = v1alpha1.DeletionCancel
	}
	job.Spec.CredentialsSecretRef = v1alpha1.SecretKeyReference{Name: v1alpha1.DefaultSecretName, Key: v1alpha1.DefaultSecretKey}
	c.store(job)
}

// uid is one that a reader of a trace can tell from others.
func uid(created int) types.UID { return types.UID(fmt.Sprintf("uid%d", created)) }

// ownKeys is how keys of the user's own begin here. The uid follows, so that no two objects share a job: what is paid for twice
// could not be told from what is shared.
const ownKeys = "own."

// ownKey is a key of the user's own for the next object.
func (c *cluster) ownKey() string { return ownKeys + string(uid(c.created+1)) }

// get is the newest version of an object, nil where there is none.
func (c *cluster) get(name string) *v1alpha1.DaftyJob { return c.jobs[name].job }

// change edits the spec as a user does.
func (c *cluster) change(name string, edit func(*v1alpha1.DaftyJob)) {
	job := c.get(name).DeepCopy()
	edit(job)
	job.Generation++
	c.store(job)
}

// delete marks an object as deleted; it goes once it has no finalizer.
func (c *cluster) delete(name string) {
	job := c.get(name)
	if job == nil || job.DeletionTimestamp != nil {
		return
	}
	job = job.DeepCopy()
	now := metav1.NewTime(time.Now())
	job.DeletionTimestamp = &now
	job.Generation++
	c.store(job)
}

// patch applies a JSON merge patch to the object, or to its status alone.
func (c *cluster) patch(name string, status bool, data []byte) (*v1alpha1.DaftyJob, error) {
	current, ok := c.jobs[name]
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
	return c.store(job), nil
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

// store makes job the newest version of the object, which is gone where it is deleted and
// nothing holds it; and tells everyone who watches.
func (c *cluster) store(job *v1alpha1.DaftyJob) *v1alpha1.DaftyJob {
	c.revision++
	job.ResourceVersion = strconv.FormatInt(c.revision, 10)
	raw, err := json.Marshal(job)
	if err != nil {
		panic(err) // it is ours
	}
	// Read back: the API server keeps whole seconds.
	stored := &v1alpha1.DaftyJob{}
	if err := json.Unmarshal(raw, stored); err != nil {
		panic(err)
	}
	v := version{revision: c.revision, name: job.Name, job: stored, raw: raw}
	c.w.judge.saw(c.jobs[job.Name], v)
	if stored.DeletionTimestamp != nil && len(stored.Finalizers) == 0 {
		delete(c.jobs, job.Name)
		v.job = nil
		c.w.trace.add("api", "%s is gone", job.Name)
		c.collect(stored.UID)
	} else {
		c.jobs[job.Name] = v
	}
	c.history = append(c.history, v)
	for _, p := range c.w.processes {
		p.view.notify(v)
	}
	return stored
}

// meddle has a user write what is the operator's: status, finalizers or annotations.
func (c *cluster) meddle(name string, edit func(*v1alpha1.DaftyJob)) {
	job := c.get(name).DeepCopy()
	edit(job)
	c.w.judge.handsOn = true
	c.store(job)
	c.w.judge.handsOn = false
}

// loseStatus is what an apply of an old backup to the status subresource does.
func (c *cluster) loseStatus(name string) {
	c.w.judge.lostStatus[c.get(name).UID] = true
	c.meddle(name, func(job *v1alpha1.DaftyJob) { job.Status = v1alpha1.DaftyJobStatus{ObservedGeneration: -1} })
}

func (c *cluster) takeFinalizerOff(name string) {
	if c.get(name) == nil {
		return
	}
	c.w.judge.stripped[c.get(name).UID] = true
	c.meddle(name, func(job *v1alpha1.DaftyJob) { job.Finalizers = nil })
}

func (c *cluster) takeAnnotationOff(name string) {
	if c.get(name) == nil {
		return
	}
	c.meddle(name, func(job *v1alpha1.DaftyJob) { delete(job.Annotations, v1alpha1.JobAnnotation) })
}

// vanish loses an object without asking anybody, as a cluster that is lost does.
func (c *cluster) vanish(name string) {
	c.takeFinalizerOff(name)
	c.delete(name)
}

// createFrom makes a new object of an old one's metadata and spec, as a restore from a backup and a manifest that
// was exported do. Status is in neither.
func (c *cluster) createFrom(old *v1alpha1.DaftyJob, finalizers bool) {
	job := &v1alpha1.DaftyJob{Spec: *old.Spec.DeepCopy()}
	job.Name, job.Annotations = old.Name, maps.Clone(old.Annotations)
	if strings.HasPrefix(job.Spec.IdempotencyKey, ownKeys) {
		job.Spec.IdempotencyKey = c.ownKey()
	}
	if finalizers {
		job.Finalizers = slices.Clone(old.Finalizers)
	}
	c.create(job)
	// Nothing holds it until the operator has seen it.
	c.w.judge.stripped[job.UID] = len(job.Finalizers) == 0
	if id := lifecycle.Annotated(job); id != "" {
		c.w.judge.heirs[job.UID], c.w.judge.lostStatus[job.UID] = id, true
	}
}

// lastOf is the last version of an object that had this name, nil where there was none.
func (c *cluster) lastOf(name string) *v1alpha1.DaftyJob {
	for _, v := range slices.Backward(c.history) {
		if v.name == name && v.job != nil {
			return v.job
		}
	}
	return nil
}

// snapshot is what the cluster held so many versions ago.
func (c *cluster) snapshot(ago int) map[string]version {
	jobs := map[string]version{}
	for _, v := range c.history[:max(0, len(c.history)-ago)] {
		if v.job == nil {
			delete(jobs, v.name)
		} else {
			jobs[v.name] = v
		}
	}
	return jobs
}

// putSecret creates or changes the Secret of the API key.
func (c *cluster) putSecret(apiKey string) {
	c.secrets[v1alpha1.DefaultSecretName] = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.DefaultSecretName},
		Data:       map[string][]byte{v1alpha1.DefaultSecretKey: []byte(apiKey)},
	}
}

// putPicture creates or changes the ConfigMap of a picture.
func (c *cluster) putPicture(content []byte) {
	c.configMaps[pictures] = &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pictures},
		BinaryData: map[string][]byte{pictureKey: content},
	}
}

const (
	pictures   = "brand"
	pictureKey = "logo.png"
)

// logoReference refers to the picture.
func logoReference() v1alpha1.ImageReference {
	return v1alpha1.ImageReference{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: pictures, Key: pictureKey}}
}

// createConfigMap is the operator's create.
func (c *cluster) createConfigMap(configMap *corev1.ConfigMap) error {
	switch {
	case c.terminating:
		return apierrors.NewForbidden(configMapResource, configMap.Name, errors.New("the namespace is being terminated"))
	case c.configMaps[configMap.Name] != nil:
		return apierrors.NewAlreadyExists(configMapResource, configMap.Name)
	}
	return c.storeConfigMap(configMap)
}

// patchConfigMap is the operator's patch of what it has read.
func (c *cluster) patchConfigMap(configMap *corev1.ConfigMap) error {
	stored := c.configMaps[configMap.Name]
	switch {
	case stored == nil:
		return apierrors.NewNotFound(configMapResource, configMap.Name)
	case stored.ResourceVersion != configMap.ResourceVersion:
		return apierrors.NewConflict(configMapResource, configMap.Name, errors.New("it has changed"))
	}
	return c.storeConfigMap(configMap)
}

func (c *cluster) storeConfigMap(configMap *corev1.ConfigMap) error {
	stored := configMap.DeepCopy()
	c.w.judge.stored(c.configMaps[configMap.Name], stored)
	c.putConfigMap(configMap.Name, stored)
	configMap.ResourceVersion = stored.ResourceVersion // as the answer has it
	return nil
}
