package resultmap_test

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/resultmap"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// Without garbage collection, as the owners of these tests aren't there.
func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }

// kinds are those of the owners, each with the other one.
var kinds = map[string]string{"DaftyJob": "DaftyAsset", "DaftyAsset": "DaftyJob"}

// owner returns an owner that has everything but a ConfigMap yet, which is to be called result.
func owner(namespace, kind, name string) resultmap.Owner {
	return resultmap.Owner{
		Object:    &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(kind + "-" + name)}},
		Kind:      kind,
		ConfigMap: "result",
		Exists:    func(context.Context) (bool, error) { return false, errors.New("nobody is to ask") },
	}
}

// reference returns the owner reference of an object of the API's group.
func reference(kind, name, uid string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: name, UID: types.UID(uid), Controller: new(true)}
}

// labelled returns a ConfigMap with the label of results.
func labelled(namespace, name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, OwnerReferences: owners, Labels: map[string]string{v1alpha1.ResultLabel: v1alpha1.ResultLabelValue},
	}}
}

func image(url string) *v1alpha1.JobResult {
	return &v1alpha1.JobResult{Primary: url, Images: []v1alpha1.Image{{ID: "id", URL: url}}}
}

// store returns a Store that knows nothing, and its clock.
func store(env *kubetest.Env) (*resultmap.Store, *clocktesting.FakePassiveClock) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	return &resultmap.Store{Client: env.Client, Clock: now, Memory: &resultmap.Memory{}}, now
}
