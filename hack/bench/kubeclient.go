package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

const (
	// namespace is that of all scenarios, unless they name another.
	namespace = "bench"
	// writers is how many requests of ours are on the wire at once: as many as the operator reconciles at once.
	writers = 16
	// prompt is as long as a usual one.
	prompt = "A minimalist poster of a mountain lake at sunrise, in warm colours, with room for a headline above"
)

// kubeClient is a user's client of the API server.
type kubeClient struct {
	client client.WithWatch
	// raw reads and writes DaftyJobs as JSON; watching has a connection of its own, so that many answers
	// don't delay what is timed.
	raw, watching *rest.RESTClient
}

func newKubeClient(cp *kubetest.ControlPlane) (*kubeClient, error) {
	c := &kubeClient{}
	var err error
	if c.client, err = cp.Client(); err != nil {
		return nil, err
	}
	if c.raw, err = rawClient(cp.Config); err != nil {
		return nil, err
	}
	config := rest.CopyConfig(cp.Config)
	config.Dial = (&net.Dialer{}).DialContext
	c.watching, err = rawClient(config)
	return c, err
}

func rawClient(config *rest.Config) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.APIPath = "/apis"
	config.GroupVersion = &v1alpha1.GroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(kubetest.Scheme).WithoutConversion()
	return rest.RESTClientFor(config)
}

// each calls do for 0 to n-1, atOnce at a time, and returns the first error.
func each(ctx context.Context, n, atOnce int, do func(ctx context.Context, i int) error) error {
	all, working := errgroup.WithContext(ctx)
	all.SetLimit(atOnce)
	for i := range n {
		if working.Err() != nil {
			break
		}
		all.Go(func() error { return do(working, i) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// apiKey returns the n-th API key; none of them is real.
func apiKey(n int) string { return fmt.Sprintf("dk_test_bench_%05d_not_a_real_key", n) }

func secretName(n int) string { return fmt.Sprintf("key-%05d", n) }

// prepare makes a namespace with a Secret for each API key.
func (c *kubeClient) prepare(ctx context.Context, namespace string, keys int) error {
	if err := c.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	return each(ctx, keys, writers, func(ctx context.Context, i int) error {
		return c.client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName(i)},
			StringData: map[string]string{v1alpha1.DefaultSecretKey: apiKey(i)},
		})
	})
}

// newJob returns a DaftyJob that uses the key-th API key.
func newJob(namespace, name string, key int) *v1alpha1.DaftyJob {
	return &v1alpha1.DaftyJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DaftyJob"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.DaftyJobSpec{
			ImageGenerate:        &v1alpha1.ImageGenerate{Prompt: prompt, AspectRatio: "16:9"},
			CredentialsSecretRef: v1alpha1.SecretKeyReference{Name: secretName(key)},
		},
	}
}

// createJobs makes n DaftyJobs, one after the other for each of the keys in turn.
func (c *kubeClient) createJobs(ctx context.Context, namespace string, n, keys int) error {
	return each(ctx, n, writers, func(ctx context.Context, i int) error {
		_, err := c.create(ctx, newJob(namespace, jobName(i), i%keys))
		return err
	})
}

func jobName(n int) string { return fmt.Sprintf("job-%06d", n) }

// create makes a DaftyJob, and returns what the API server answers.
func (c *kubeClient) create(ctx context.Context, job *v1alpha1.DaftyJob) ([]byte, error) {
	body, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	return c.raw.Post().Namespace(job.Namespace).Resource("daftyjobs").SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Raw()
}

// patch merges body into a DaftyJob, or into its subresource where one is named, and returns what the API server answers.
func (c *kubeClient) patch(ctx context.Context, namespace, name, subresource string, body []byte) ([]byte, error) {
	request := c.raw.Patch(types.MergePatchType).Namespace(namespace).Resource("daftyjobs").Name(name).Body(body)
	if subresource != "" {
		request = request.SubResource(subresource)
	}
	return request.Do(ctx).Raw()
}
