package resultmap_test

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/resultmap"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// seen are the resourceVersions that a watch has seen, by ConfigMap; nil where not all are listed.
type seen map[types.NamespacedName]string

// Version implements resultmap.Versions.
func (s seen) Version(_ context.Context, configMap, owner types.NamespacedName) (version string, known bool) {
	return s[configMap], s != nil && owner.Name == "hero"
}

func TestChanged(t *testing.T) {
	env := kubetest.Start(t)
	written := owner(env.Namespace, "DaftyAsset", "hero")
	first, _ := store(env)
	result := image("https://example.com/one.png")
	written.StoredIn, written.StoredVersion = written.ConfigMap, first.Write(t.Context(), written, "one", result).Version
	version, _, _ := strings.Cut(written.StoredVersion, "-")
	key := types.NamespacedName{Namespace: env.Namespace, Name: "result"}
	for _, tt := range []struct {
		name   string
		owner  func(*resultmap.Owner)
		jobID  string
		result *v1alpha1.JobResult
		seen   seen
		want   bool
	}{
		{name: "as it was written", jobID: "one", result: result, seen: seen{key: version}},
		{name: "another version", jobID: "one", result: result, seen: seen{key: version + "0"}, want: true},
		{name: "gone", jobID: "one", result: result, seen: seen{}, want: true},
		{name: "not all are listed", jobID: "one", result: result},
		{name: "another result", jobID: "one", result: image("https://example.com/two.png"), seen: seen{key: version}, want: true},
		{name: "the result of another job", jobID: "two", result: result, seen: seen{key: version}, want: true},
		{name: "no result", jobID: "one", seen: seen{}},
		{
			name: "other labels are wanted", jobID: "one", result: result, seen: seen{key: version}, want: true,
			owner: func(o *resultmap.Owner) {
				o.Metadata = &v1alpha1.ResultConfigMapMetadata{Labels: map[string]v1alpha1.LabelValue{"team": "shop"}}
			},
		},
		{name: "another object of the name", owner: func(o *resultmap.Owner) { o.SetUID("2") }, jobID: "one", result: result, seen: seen{key: version}, want: true},
		{name: "none is wanted", owner: func(o *resultmap.Owner) { o.ConfigMap = "" }, jobID: "one", result: result, seen: seen{}},
		{name: "it isn't written yet", owner: func(o *resultmap.Owner) { o.ConfigMap = "other" }, jobID: "one", result: result, seen: seen{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := owner(env.Namespace, "DaftyAsset", "hero")
			o.StoredIn, o.StoredVersion = written.StoredIn, written.StoredVersion
			if tt.owner != nil {
				tt.owner(&o)
			}
			s := &resultmap.Store{Versions: tt.seen, Memory: &resultmap.Memory{}}
			if got := s.Changed(t.Context(), o, tt.jobID, tt.result); got != tt.want {
				t.Errorf("changed: %t", got)
			}
		})
	}
}

// What was found right isn't read again until it changes, although status has an older version.
func TestChangedRemembersWhatIsRight(t *testing.T) {
	env := kubetest.Start(t)
	s, _ := store(env)
	o, result := owner(env.Namespace, "DaftyAsset", "hero"), image("https://example.com/one.png")
	o.StoredIn, o.StoredVersion = o.ConfigMap, s.Write(t.Context(), o, "one", result).Version
	env.MustKubectl(t, "label", "configmap", "result", "theirs=x")
	now := seen{{Namespace: env.Namespace, Name: "result"}: env.MustKubectl(t, "get", "configmap", "result", "-o", "jsonpath={.metadata.resourceVersion}")}
	s.Versions = now
	if !s.Changed(t.Context(), o, "one", result) {
		t.Error("a new version isn't looked at")
	}
	if got := s.Write(t.Context(), o, "one", result); got.Version+got.Problem+got.Restored != "" {
		t.Fatalf("others' label came to %+v", *got)
	}
	if s.Changed(t.Context(), o, "one", result) {
		t.Error("it is looked at again")
	}
	s.Memory.Forget(types.NamespacedName{Namespace: env.Namespace, Name: "hero"})
	if !s.Changed(t.Context(), o, "one", result) {
		t.Error("it isn't forgotten")
	}
}
