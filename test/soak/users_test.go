package soak

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// tenant is a namespace with its account at Dafty, whose keys are used in turn.
type tenant struct {
	namespace, account, image string
	keys                      []string

	// Used by playUsers only.
	key        int
	noSecret   bool
	secretBack time.Time

	orders int // used by playBuyers, and then by wantMore
}

// env is the API server with its tenants.
type env struct {
	client     client.WithWatch
	kubeconfig string
	tenants    []*tenant
	payers     []*payer
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{}
	for _, of := range []struct{ account, image string }{
		{"acme", "0d5c6b1e-3f2a-4b7c-9a10-1c2d3e4f5a6b"},
		{"globex", "1e6d7c2f-4a3b-4c8d-8b21-2d3e4f5a6b7c"},
	} {
		env := kubetest.Start(t)
		e.client, e.kubeconfig = env.Client, env.ControlPlane.Kubeconfig
		tenant := &tenant{namespace: env.Namespace, account: of.account, image: of.image}
		for n := range 3 {
			tenant.keys = append(tenant.keys, fmt.Sprintf("dk_soak_%s_%d_c41d9e07b5a2", of.account, n))
		}
		e.tenants = append(e.tenants, tenant)
		e.putSecret(t, tenant)
		e.putLogo(t, tenant)
	}
	e.newPayers(t)
	return e
}

// keys returns all API keys.
func (e *env) keys() []string {
	var keys []string
	for _, tenant := range e.tenants {
		keys = append(keys, tenant.keys...)
	}
	for _, p := range e.payers {
		keys = append(keys, p.key)
	}
	return keys
}

// putSecret writes the tenant's current key into its Secret.
func (e *env) putSecret(t *testing.T, tenant *tenant) {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: v1alpha1.DefaultSecretName},
		StringData: map[string]string{v1alpha1.DefaultSecretKey: tenant.keys[tenant.key]},
	}
	err := e.client.Create(t.Context(), secret)
	if apierrors.IsAlreadyExists(err) {
		err = e.client.Update(t.Context(), secret)
	}
	if err != nil {
		t.Errorf("writing the Secret: %v", err)
	}
	tenant.noSecret = false
}

// putLogo writes an image into the ConfigMap logo.
func (e *env) putLogo(t *testing.T, tenant *tenant) {
	t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	if err := e.client.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: "logo"},
		BinaryData: map[string][]byte{"logo.png": picture.Bytes()},
	}); err != nil {
		t.Fatalf("writing the logo: %v", err)
	}
}

func (e *env) deleteSecret(t *testing.T, tenant *tenant) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: v1alpha1.DefaultSecretName}}
	if err := e.client.Delete(t.Context(), secret); err != nil {
		t.Errorf("deleting the Secret: %v", err)
	}
	tenant.noSecret = true
}

// playUsers acts as the users. In the end each Secret exists, with a valid key.
func (r *run) playUsers(ctx context.Context, chance *rand.Rand) {
	made := map[*tenant]int{}
	defer func() {
		for _, tenant := range r.env.tenants {
			if tenant.noSecret {
				r.env.putSecret(r.t, tenant)
			}
		}
	}()
	for pause(ctx, between(chance, 50*time.Millisecond, 900*time.Millisecond)) {
		tenant := r.env.tenants[chance.IntN(len(r.env.tenants))]
		if tenant.noSecret && time.Now().After(tenant.secretBack) {
			r.timeline.add("user", "%s: the Secret is back", tenant.namespace)
			r.env.putSecret(r.t, tenant)
		}
		dice, number := chance.IntN(100), made[tenant]-chance.IntN(min(6, made[tenant]+1))
		which := fmt.Sprintf("job-%d", number)
		switch {
		case dice < 50 || made[tenant] < 3:
			made[tenant]++
			r.create(tenant, made[tenant], chance)
		case dice < 54:
			// A name that was used before, and may be free again.
			r.create(tenant, number, chance)
		case dice < 68:
			r.patch(tenant, which, v1alpha1.DesiredCancelled)
		case dice < 74:
			r.patch(tenant, which, v1alpha1.DesiredCompleted)
		case dice < 77:
			r.patch(tenant, which, v1alpha1.DesiredSuspended)
		case dice < 95:
			r.delete(tenant, which)
		case dice < 98:
			r.rotate(tenant, chance.IntN(3) == 0)
		default:
			if tenant.noSecret {
				continue
			}
			tenant.secretBack = time.Now().Add(between(chance, time.Second, 5*time.Second))
			r.timeline.add("user", "%s: deletes the Secret", tenant.namespace)
			r.env.deleteSecret(r.t, tenant)
		}
	}
}

// rotate writes the next key into the Secret, and may revoke the previous one.
func (r *run) rotate(tenant *tenant, revoke bool) {
	before := tenant.keys[tenant.key]
	tenant.key = (tenant.key + 1) % len(tenant.keys)
	r.dafty.AddKey(tenant.account, tenant.keys[tenant.key]) // should it have been revoked
	r.timeline.add("user", "%s: puts key %d into the Secret; revokes the other: %t", tenant.namespace, tenant.key, revoke)
	r.env.putSecret(r.t, tenant)
	if revoke {
		r.dafty.RevokeKey(before)
	}
}

// create creates the DaftyJob job-NUMBER, which may refer to one that was created shortly before.
func (r *run) create(tenant *tenant, number int, chance *rand.Rand) {
	name := fmt.Sprintf("job-%d", number)
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: name}}
	prompt := "A mountain at sunrise, " + name
	if chance.IntN(8) == 0 {
		prompt = daftysim.DefaultFailWord + " " + prompt
	}
	target := v1alpha1.ImageTarget{ID: tenant.image}
	if before := number - 1 - chance.IntN(3); before > 0 && chance.IntN(4) == 0 {
		target = v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: fmt.Sprintf("job-%d", before)}}
	}
	switch chance.IntN(5) {
	case 0, 1:
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: v1alpha1.Prompt(prompt)}
		if chance.IntN(3) == 0 {
			job.Spec.ImageGenerate.References = []v1alpha1.ImageReference{{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "logo", Key: "logo.png"}}}
		}
	case 2:
		job.Spec.ImageEdit = &v1alpha1.ImageEdit{Image: target, Prompt: v1alpha1.Prompt(prompt)}
	case 3:
		job.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: target}
	default:
		job.Spec.ImageResize = &v1alpha1.ImageResize{Image: target, AspectRatio: "21:9"}
	}
	switch chance.IntN(20) {
	case 0:
		job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan
	case 1, 2:
		job.Spec.DesiredState = v1alpha1.DesiredSuspended
	}
	r.recordUserAction(tenant, "creates "+name, r.env.client.Create(r.t.Context(), job))
}

func (r *run) patch(tenant *tenant, name string, desired v1alpha1.DesiredState) {
	patch := fmt.Appendf(nil, `{"spec":{"desiredState":%q}}`, desired)
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: name}}
	r.recordUserAction(tenant, "wants "+name+" "+string(desired), r.env.client.Patch(r.t.Context(), job, client.RawPatch(types.MergePatchType, patch)))
}

func (r *run) delete(tenant *tenant, name string) {
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: name}}
	r.recordUserAction(tenant, "deletes "+name, r.env.client.Delete(r.t.Context(), job))
}

// recordUserAction adds a user's request to the timeline. That the object doesn't exist, exists already, or is cancelled is no failure.
func (r *run) recordUserAction(tenant *tenant, what string, err error) {
	r.timeline.add("user", "%s: %s %v", tenant.namespace, what, err)
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err), apierrors.IsInvalid(err):
	default:
		r.t.Errorf("%s: %s: %v", tenant.namespace, what, err)
	}
}

// resolveUnknownSubmissions acts as the person whom SubmissionUnknown asks for: it looks for the job at Dafty, and sets one annotation or the
// other.
func (r *run) resolveUnknownSubmissions(ctx context.Context) {
	for pause(ctx, 500*time.Millisecond) {
		for _, history := range r.records.histories() {
			job := history.newest
			submission := job.Status.Submission
			if history.gone || submission == nil || reason(job) != v1alpha1.ReasonSubmissionUnknown {
				continue
			}
			// A careful person doesn't look while the request may still be on its way.
			if time.Since(submission.SentAt.Time) < 45*time.Second || r.fleet.anyPaused() {
				continue
			}
			annotation, value := v1alpha1.ResubmitAnnotation, submission.IdempotencyKey
			for _, entry := range r.dafty.Ledger() {
				if entry.IdempotencyKey == submission.IdempotencyKey {
					annotation, value = v1alpha1.JobAnnotation, lifecycle.Annotation(job, entry.JobID)
				}
			}
			if job.Annotations[annotation] == value {
				continue
			}
			r.timeline.add("person", "%s/%s: sets %s=%s", job.Namespace, job.Name, annotation, value)
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, annotation, value)
			err := r.env.client.Patch(ctx, job.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
			if client.IgnoreNotFound(err) != nil && ctx.Err() == nil {
				r.t.Errorf("annotating %s: %v", job.Name, err)
			}
		}
	}
}
