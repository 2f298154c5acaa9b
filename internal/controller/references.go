package controller

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// dependsOn is the field index of the DaftyJobs that a DaftyJob still waits for, by name.
	dependsOn = "dependsOn"
	// followedJob is the field index of the job at Dafty that a DaftyJob follows, by id in lower case.
	followedJob = "followedJob"
)

// Indexes are the field indexes that the reconciler reads by.
var Indexes = map[string]client.IndexerFunc{
	dependsOn: func(obj client.Object) []string {
		jobs, _ := lifecycle.Needs(obj.(*v1alpha1.DaftyJob))
		return jobs
	},
	followedJob: func(obj client.Object) []string {
		job := obj.(*v1alpha1.DaftyJob)
		var ids []string
		if id := job.Spec.AdoptJobID; id != "" {
			ids = append(ids, strings.ToLower(id))
		}
		// One that has ended is followed no more, and there are many of them.
		if id := strings.ToLower(job.Status.JobID); id != "" && !job.Status.Phase.Final() && len(ids) == 0 {
			ids = append(ids, id)
		}
		return ids
	},
}

// indexed are the DaftyJobs of a namespace that have a value in a field index. They aren't to be changed.
func (r *Reconciler) indexed(ctx context.Context, namespace, field, value string) ([]v1alpha1.DaftyJob, error) {
	jobs := &v1alpha1.DaftyJobList{}
	if err := r.List(ctx, jobs, client.InNamespace(namespace), client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing DaftyJobs: %w", err)
	}
	return jobs.Items, nil
}

// dependents are the DaftyJobs that Dependents finds, for the watch to bring them back.
func (r *Reconciler) dependents(ctx context.Context, obj client.Object) []reconcile.Request {
	var requests []reconcile.Request
	names, err := Dependents(obj.(*v1alpha1.DaftyJob), func(field, value string) ([]v1alpha1.DaftyJob, error) {
		return r.indexed(ctx, obj.GetNamespace(), field, value)
	})
	if err != nil {
		// Only where the cache is at its end.
		log.FromContext(ctx).Error(err, "looking for the DaftyJobs that wait", "name", obj.GetName())
	}
	for _, name := range names {
		requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: name}})
	}
	return requests
}

// Dependents are the names of the DaftyJobs that wait for job, or adopt the job at Dafty which it adopts or has; indexed
// gives those of the namespace that have a value in one of the Indexes. Where job is new, these are also those that wait
// for them, and so on: it may close a circle.
func Dependents(job *v1alpha1.DaftyJob, indexed func(field, value string) ([]v1alpha1.DaftyJob, error)) ([]string, error) {
	var found []string
	seen := map[string]bool{job.Name: true}
	for names := []string{job.Name}; len(names) > 0; names = names[1:] {
		waiting, err := indexed(dependsOn, names[0])
		if err != nil {
			return found, err
		}
		for i := range waiting {
			name := waiting[i].Name
			if seen[name] {
				continue
			}
			seen[name] = true
			found = append(found, name)
			if job.Status.Phase == "" {
				names = append(names, name)
			}
		}
	}
	id := strings.ToLower(cmp.Or(job.Spec.AdoptJobID, job.Status.JobID))
	if id == "" {
		return found, nil
	}
	following, err := indexed(followedJob, id)
	for i := range following {
		if other := &following[i]; !seen[other.Name] && other.Spec.AdoptJobID != "" && !other.Status.Phase.Final() {
			found = append(found, other.Name)
		}
	}
	return found, err
}

// readReferences reads what a job refers to, as far as that is still needed.
func (r *Reconciler) readReferences(ctx context.Context, job *v1alpha1.DaftyJob) (lifecycle.References, error) {
	adopter, err := r.adopter(ctx, job)
	gathered := lifecycle.References{Adopter: adopter, ResultChanged: r.resultChanged(ctx, job)}
	if err != nil {
		return gathered, err
	}
	if !lifecycle.Wanted(job) && !job.Status.InDoubt() {
		return gathered, nil
	}
	names, files := lifecycle.Needs(job)
	for _, name := range names {
		other, err := r.other(ctx, job, name)
		if err != nil {
			return gathered, err
		}
		if gathered.Jobs == nil {
			gathered.Jobs = map[string]*v1alpha1.DaftyJob{}
		}
		gathered.Jobs[name] = other
	}
	if len(names) > 0 {
		gathered.Cycle = lifecycle.Cycle(job, func(name string) *v1alpha1.DaftyJob {
			if read, ok := gathered.Jobs[name]; ok {
				return read
			}
			other, otherErr := r.other(ctx, job, name)
			err = errors.Join(err, otherErr)
			return other
		})
		if err != nil {
			return gathered, err
		}
	}
	for _, ref := range files {
		read, err := r.readFile(ctx, job.Namespace, ref)
		if err != nil {
			return gathered, err
		}
		if gathered.Files == nil {
			gathered.Files = map[string]lifecycle.FileRead{}
		}
		gathered.Files[lifecycle.FileName(ref)] = read
	}
	return gathered, nil
}

// other is a DaftyJob that job refers to, nil where there is none. The cache may be behind, but it never has job as it was
// after that one was seen, without having that one: both come by the same watch, in order.
func (r *Reconciler) other(ctx context.Context, job *v1alpha1.DaftyJob, name string) (*v1alpha1.DaftyJob, error) {
	other := &v1alpha1.DaftyJob{}
	if err := r.Get(ctx, types.NamespacedName{Namespace: job.Namespace, Name: name}, other); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading DaftyJob %q: %w", name, err)
	}
	return other, nil
}

// awaited says whether another DaftyJob still waits for what this one made.
func (r *Reconciler) awaited(ctx context.Context, job *v1alpha1.DaftyJob) (bool, error) {
	jobs, err := r.indexed(ctx, job.Namespace, dependsOn, job.Name)
	return slices.ContainsFunc(jobs, func(other v1alpha1.DaftyJob) bool {
		return lifecycle.Wanted(&other)
	}), err
}

// readFile reads a picture from a ConfigMap. Like a Secret it is read when it is needed, and by its name.
func (r *Reconciler) readFile(ctx context.Context, namespace string, ref v1alpha1.ConfigMapKeyReference) (read lifecycle.FileRead, err error) {
	from := &corev1.ConfigMap{}
	var refusal apierrors.APIStatus
	err = r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, from)
	switch {
	case apierrors.IsNotFound(err):
		read.Missing = fmt.Sprintf("ConfigMap %q, which isn't there; create it: kubectl create configmap -n %s %s --from-file=%s=FILE", ref.Name, namespace, ref.Name, ref.Key)
		return read, nil
	case apierrors.IsForbidden(err):
		read.Missing = fmt.Sprintf("ConfigMap %q in namespace %q, which the operator may not read; give its service account the right to get it", ref.Name, namespace)
		return read, nil
	case errors.As(err, &refusal):
		// The API server answers, but can't give this one. That may last, and must not keep the job from being cancelled.
		log.FromContext(ctx).Error(err, "reading the ConfigMap", "configMap", ref.Name)
		read.Missing = fmt.Sprintf("ConfigMap %q, which can't be read (%s); it is tried again, and if it lasts, a cluster administrator must look at the API server", ref.Name, apierrors.ReasonForError(err))
		return read, nil
	case err != nil:
		return read, fmt.Errorf("reading ConfigMap %q: %w", ref.Name, err)
	}
	content, ok := from.BinaryData[ref.Key]
	if !ok {
		var text string
		text, ok = from.Data[ref.Key]
		content = []byte(text)
	}
	if !ok {
		read.Missing = fmt.Sprintf("key %q of ConfigMap %q, which isn't there; add it with the picture as its value", ref.Key, ref.Name)
		return read, nil
	}
	media, ok := dafty.ImageType(content)
	if !ok {
		read.Unusable = fmt.Sprintf("key %q of ConfigMap %q, which holds no PNG, JPEG, GIF or WebP picture (%d bytes); put one there, as binaryData (kubectl create configmap --from-file does)", ref.Key, ref.Name, len(content))
		return read, nil
	}
	digest := sha256.Sum256(content)
	read.File = &lifecycle.File{Name: ref.Key, MediaType: media, Content: content, Digest: hex.EncodeToString(digest[:])}
	return read, nil
}

// adopter is the name of another DaftyJob that is to follow the job which this one adopts, empty where there is none. One
// that follows it goes before one that doesn't yet, and of two alike the older: the cache may have told each of two that
// begin at the same moment that the other doesn't.
func (r *Reconciler) adopter(ctx context.Context, job *v1alpha1.DaftyJob) (string, error) {
	if job.Spec.AdoptJobID == "" || job.Status.Phase.Final() {
		return "", nil
	}
	jobs, err := r.indexed(ctx, job.Namespace, followedJob, strings.ToLower(job.Spec.AdoptJobID))
	if err != nil {
		return "", err
	}
	for i := range jobs {
		other := &jobs[i]
		if other.UID == job.UID {
			continue
		}
		follows, first := other.Status.JobID != "", job.Status.JobID == ""
		if follows && first || follows != first && !other.Status.Phase.Final() && olderThan(other, job) {
			return other.Name, nil
		}
	}
	return "", nil
}

func olderThan(a, b *v1alpha1.DaftyJob) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}
