package v1alpha1_test

import (
	"fmt"
	"math/rand"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

func TestTypesRoundTrip(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	ours := func(serializer.CodecFactory) []any {
		return []any{
			// Any bytes won't do: it is JSON.
			func(j *apiextensionsv1.JSON, c randfill.Continue) {
				j.Raw = fmt.Appendf(nil, `{"prompt":"%d"}`, c.Uint64())
			},
		}
	}
	const seed = 1
	fill := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, ours), rand.NewSource(seed), codecs)
	for _, kind := range []string{"DaftyJob", "DaftyJobList"} {
		t.Run(kind, func(t *testing.T) {
			roundtrip.RoundTripSpecificKindWithoutProtobuf(t, v1alpha1.GroupVersion.WithKind(kind), scheme, codecs, fill, nil)
		})
	}
}
