package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

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
	if err := r.readAssets(ctx, job, &gathered); err != nil {
		return gathered, err
	}
	if len(names)+len(gathered.Assets) > 0 {
		if gathered.Cycle, err = r.cycle(ctx, job, &gathered); err != nil {
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

// readAssets reads the DaftyAssets that a job refers to, and the one that made it.
func (r *Reconciler) readAssets(ctx context.Context, job *v1alpha1.DaftyJob, gathered *lifecycle.References) error {
	for _, name := range lifecycle.NeedsAssets(job) {
		asset, err := r.asset(ctx, job.Namespace, name)
		if err != nil {
			return err
		}
		if gathered.Assets == nil {
			gathered.Assets = map[string]*v1alpha1.DaftyAsset{}
		}
		gathered.Assets[name] = asset
	}
	name, uid, made := lifecycle.MadeBy(job)
	if !made || job.Status.JobID != "" || job.Status.Phase.Final() {
		return nil
	}
	gathered.Maker = &lifecycle.Maker{Name: name}
	asset, err := r.asset(ctx, job.Namespace, name)
	if asset != nil && asset.UID == uid {
		gathered.Maker.Asset = asset
	}
	return err
}

// asset returns a DaftyAsset, nil where there is none.
func (r *Reconciler) asset(ctx context.Context, namespace, name string) (*v1alpha1.DaftyAsset, error) {
	if !r.WithAssets {
		return nil, nil
	}
	asset := &v1alpha1.DaftyAsset{}
	if err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, asset); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading DaftyAsset %q: %w", name, err)
	}
	return asset, nil
}

// cycle returns the way from a job through what it waits for back to itself, nil where there is none.
func (r *Reconciler) cycle(ctx context.Context, job *v1alpha1.DaftyJob, read *lifecycle.References) ([]lifecycle.Node, error) {
	var failed error
	edges := lifecycle.Edges(func(name string) *v1alpha1.DaftyJob {
		if name == job.Name {
			return job
		}
		if other, ok := read.Jobs[name]; ok {
			return other
		}
		other, err := r.other(ctx, job, name)
		failed = errors.Join(failed, err)
		return other
	}, func(name string) *v1alpha1.DaftyAsset {
		if asset, ok := read.Assets[name]; ok {
			return asset
		}
		asset, err := r.asset(ctx, job.Namespace, name)
		failed = errors.Join(failed, err)
		return asset
	})
	return lifecycle.FindCycle(lifecycle.JobNode(job.Name), edges), failed
}

// other returns a DaftyJob that job refers to, nil where there is none. The cache may be behind, but it never has job as it was
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

// readFile reads a picture from a ConfigMap. Like a Secret it is read when it is needed, and by its name.
func (r *Reconciler) readFile(ctx context.Context, namespace string, ref v1alpha1.ConfigMapKeyReference) (read lifecycle.FileRead, err error) {
	from := &corev1.ConfigMap{}
	var refusal apierrors.APIStatus
	err = r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, from)
	switch {
	case apierrors.IsNotFound(err):
		read.Missing = fmt.Sprintf("ConfigMap %q, which isn't there; create it: kubectl create configmap -n %s %s --from-file=%s=FILE", ref.Name, namespace,
			ref.Name, ref.Key)
		return read, nil
	case apierrors.IsForbidden(err):
		read.Missing = fmt.Sprintf("ConfigMap %q in namespace %q, which the operator may not read; give its service account the right to get it", ref.Name, namespace)
		return read, nil
	case errors.As(err, &refusal):
		// The API server answers, but can't give this one. That may last, and must not keep the job from being cancelled.
		log.FromContext(ctx).Error(err, "reading the ConfigMap", "configMap", ref.Name)
		read.Missing = fmt.Sprintf("ConfigMap %q, which can't be read (%s); it is tried again, and if it lasts, a cluster administrator must look at the API server",
			ref.Name, apierrors.ReasonForError(err))
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
		read.Unusable = fmt.Sprintf("key %q of ConfigMap %q, which holds no PNG, JPEG, GIF or WebP picture (%d bytes); put one there, "+
			"as binaryData (kubectl create configmap --from-file does)", ref.Key, ref.Name, len(content))
		return read, nil
	}
	digest := sha256.Sum256(content)
	read.File = &lifecycle.File{Name: ref.Key, MediaType: media, Content: content, Digest: hex.EncodeToString(digest[:])}
	return read, nil
}
