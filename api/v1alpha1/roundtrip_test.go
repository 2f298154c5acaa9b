package v1alpha1_test

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/randfill"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// What is written is what is read, through JSON, CBOR and the unstructured form, and in a deep copy.
func TestTypesRoundTrip(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	funcs := fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, func(serializer.CodecFactory) []any {
		return []any{
			// Any bytes won't do: it is JSON.
			func(j *apiextensionsv1.JSON, c randfill.Continue) {
				j.Raw = fmt.Appendf(nil, `{"prompt":"%d"}`, c.Uint64())
			},
			func(j *runtime.RawExtension, c randfill.Continue) {
				j.Raw = fmt.Appendf(nil, `{"credits":"%d"}`, c.Uint64())
			},
		}
	})

	codecs := serializer.NewCodecFactory(scheme)
	const seed = 1
	fill := fuzzer.FuzzerFor(funcs, rand.NewSource(seed), codecs)
	ours, others := sets.New[schema.GroupVersionKind](), sets.New[schema.GroupVersionKind]()
	for kind := range scheme.AllKnownTypes() {
		if kind.Group == v1alpha1.GroupVersion.Group && strings.HasPrefix(kind.Kind, "Dafty") {
			ours.Insert(kind)
			t.Run(kind.Kind, func(t *testing.T) {
				roundtrip.RoundTripSpecificKindWithoutProtobuf(t, kind, scheme, codecs, fill, nil)
			})
		} else {
			others.Insert(kind)
		}
	}
	if len(ours) != 2*len(kinds) {
		t.Errorf("the scheme knows %v of ours", ours)
	}
	t.Run("unstructured", func(t *testing.T) { roundtrip.RoundtripToUnstructured(t, scheme, funcs, others, ours) })
}
