package resultmap_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/resultmap"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// writing is one case of a write: given is what has become of the ConfigMap that was written for the job one, at a new process.
type writing struct {
	name string
	// given changes the ConfigMap, of which kind is the owner's and other the other one; false deletes it.
	given func(c *corev1.ConfigMap, kind, other string) bool
	// owner changes the owner.
	owner func(*resultmap.Owner)
	// next has the result of the job two written.
	next bool
	want lifecycle.StoreOutcome
	// stands reports that the version on record does.
	stands bool
}

const (
	leftAlone = ", so it is left alone; delete it, or name another in spec.resultConfigMap"
	isThere   = `ConfigMap "result" is there already and `
)

func owned(by metav1.OwnerReference) []metav1.OwnerReference { return []metav1.OwnerReference{by} }

func exists(answer bool, err error) func(*resultmap.Owner) {
	return func(o *resultmap.Owner) {
		o.Exists = func(context.Context) (bool, error) { return answer, err }
	}
}

// notRecorded is an owner that a backup brought back, without its status.
func notRecorded(o *resultmap.Owner) { o.StoredIn, o.StoredVersion = "", "" }

// In what is wanted, KIND is the owner's kind and OTHER the other one.
var writings = []writing{
	{name: "as it was written", given: func(*corev1.ConfigMap, string, string) bool { return true }, stands: true},
	{name: "as it was written, which isn't on record", given: func(*corev1.ConfigMap, string, string) bool { return true }, owner: notRecorded},
	{
		name:  "changed",
		given: func(c *corev1.ConfigMap, _, _ string) bool { c.Data["image_0_url"] = "wrong"; return true },
		want:  lifecycle.StoreOutcome{Restored: `ConfigMap "result" was changed by somebody, and is again as it was written`},
	},
	{
		name:  "deleted",
		given: func(*corev1.ConfigMap, string, string) bool { return false },
		want:  lifecycle.StoreOutcome{Restored: `ConfigMap "result" was deleted by somebody, and is written again`},
	},
	{name: "of the result before", given: func(*corev1.ConfigMap, string, string) bool { return true }, next: true},
	{
		name:  "changed, and of the result before",
		given: func(c *corev1.ConfigMap, _, _ string) bool { c.Data["image_0_url"] = "wrong"; return true },
		next:  true,
	},
	{name: "deleted, and of the result before", given: func(*corev1.ConfigMap, string, string) bool { return false }, next: true},
	{
		name:  "without its owner",
		given: func(c *corev1.ConfigMap, _, _ string) bool { c.OwnerReferences = nil; return true },
		owner: notRecorded,
		want:  lifecycle.StoreOutcome{Restored: `ConfigMap "result" had no owner, and belongs to this KIND again`},
	},
	{
		name: "without its owner and its data",
		given: func(c *corev1.ConfigMap, _, _ string) bool {
			c.OwnerReferences, c.Data = nil, nil
			return true
		},
		owner: notRecorded,
		want:  lifecycle.StoreOutcome{Restored: `ConfigMap "result" had no owner, and belongs to this KIND again`},
	},
	{
		name: "without its owner, and of an earlier job",
		given: func(c *corev1.ConfigMap, _, _ string) bool {
			c.OwnerReferences, c.Data = nil, map[string]string{"image_0_url": "earlier"}
			c.Annotations[v1alpha1.ResultOfAnnotation] = c.Namespace + "/hero:earlier"
			return true
		},
		owner: func(o *resultmap.Owner) { notRecorded(o); o.ManyJobs = true },
		want:  lifecycle.StoreOutcome{Restored: `ConfigMap "result" had no owner, and belongs to this KIND again`},
	},
	{
		name: "without its owner, and of an earlier job, where there is but one",
		given: func(c *corev1.ConfigMap, _, _ string) bool {
			c.OwnerReferences, c.Data = nil, map[string]string{"image_0_url": "earlier"}
			c.Annotations[v1alpha1.ResultOfAnnotation] = c.Namespace + "/hero:earlier"
			return true
		},
		owner: notRecorded,
		want:  lifecycle.StoreOutcome{Problem: isThere + "doesn't belong to this KIND" + leftAlone},
	},
	{
		name: "somebody's",
		given: func(c *corev1.ConfigMap, _, _ string) bool {
			c.OwnerReferences, c.Labels, c.Data = nil, nil, map[string]string{"mine": "x"}
			return true
		},
		owner: notRecorded,
		want:  lifecycle.StoreOutcome{Problem: isThere + "doesn't belong to this KIND" + leftAlone},
	},
	{
		name: "of an object of this name that is gone",
		given: func(c *corev1.ConfigMap, kind, _ string) bool {
			c.OwnerReferences = owned(reference(kind, "hero", "before"))
			return true
		},
		owner: func(o *resultmap.Owner) { notRecorded(o); exists(true, nil)(o) },
		want:  lifecycle.StoreOutcome{Restored: `ConfigMap "result" had no owner, and belongs to this KIND again`},
	},
	{
		name: "of an object of this name that came later",
		given: func(c *corev1.ConfigMap, kind, _ string) bool {
			c.OwnerReferences = owned(reference(kind, "hero", "later"))
			return true
		},
		owner: exists(false, nil),
		want:  lifecycle.StoreOutcome{Unknown: true, Problem: `this KIND is gone, and ConfigMap "result" belongs to the one that came after it`},
	},
	{
		name: "of an object of this name, and nobody says whether it is there",
		given: func(c *corev1.ConfigMap, kind, _ string) bool {
			c.OwnerReferences = owned(reference(kind, "hero", "later"))
			return true
		},
		owner: exists(false, errors.New("no answer")),
		want: lifecycle.StoreOutcome{Unknown: true, Problem: `ConfigMap "result" can't be read: no answer; it is tried again. If it lasts, ` +
			"a cluster administrator must look at the API server, and at the operator's rights"},
	},
	{
		name: "of another object of this kind",
		given: func(c *corev1.ConfigMap, kind, _ string) bool {
			c.OwnerReferences = owned(reference(kind, "poster", "poster"))
			return true
		},
		want: lifecycle.StoreOutcome{Problem: isThere + `belongs to KIND "poster" and not to this KIND` + leftAlone},
	},
	{
		name: "of an object of this name and the other kind",
		given: func(c *corev1.ConfigMap, _, other string) bool {
			c.OwnerReferences = owned(reference(other, "hero", "another"))
			return true
		},
		want: lifecycle.StoreOutcome{Problem: isThere + `belongs to OTHER "hero" and not to this KIND` + leftAlone},
	},
	{
		name: "of an object of this name and kind in another group",
		given: func(c *corev1.ConfigMap, kind, _ string) bool {
			another := reference(kind, "hero", "another")
			another.APIVersion = "example.com/v1"
			c.OwnerReferences = owned(another)
			return true
		},
		want: lifecycle.StoreOutcome{Problem: isThere + `belongs to KIND "hero" and not to this KIND` + leftAlone},
	},
	{
		name:  "being deleted",
		given: func(c *corev1.ConfigMap, _, _ string) bool { c.Finalizers = []string{"example.com/hold"}; return false },
		want: lifecycle.StoreOutcome{Problem: `ConfigMap "result" is being deleted, and waits for the finalizers that it has; ` +
			"it is written again once it is gone"},
	},
}

// meddle has the ConfigMap of an owner be as a case gives it, and returns it, nil where it is gone.
func (tt *writing) meddle(t *testing.T, env *kubetest.Env, kind string) *corev1.ConfigMap {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := client.ObjectKey{Namespace: env.Namespace, Name: "result"}
	given := &corev1.ConfigMap{}
	must(env.Client.Get(t.Context(), key, given))
	stays := tt.given(given, kind, kinds[kind])
	must(env.Client.Update(t.Context(), given))
	if stays {
		return given
	}
	must(env.Client.Delete(t.Context(), given))
	if client.IgnoreNotFound(env.Client.Get(t.Context(), key, given)) != nil {
		t.Fatal("it can't be read")
	}
	return given
}

func TestWrite(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, tt := range writings {
			t.Run(kind+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				env := kubetest.Start(t)
				o := owner(env.Namespace, kind, "hero")
				before, _ := store(env)
				first := before.Write(t.Context(), o, "one", image("https://example.com/one.png"))
				if *first != (lifecycle.StoreOutcome{Version: first.Version}) || first.Version == "" {
					t.Fatalf("the first write came to %+v", *first)
				}
				o.StoredIn, o.StoredVersion = o.ConfigMap, first.Version
				given := tt.meddle(t, env, kind)
				if tt.owner != nil {
					tt.owner(&o)
				}
				jobID, url := "one", "https://example.com/one.png"
				if tt.next {
					jobID, url = "two", "https://example.com/two.png"
				}
				after, _ := store(env)
				got := after.Write(t.Context(), o, jobID, image(url))
				want, names := tt.want, strings.NewReplacer("KIND", kind, "OTHER", kinds[kind])
				want.Problem, want.Restored, want.Version = names.Replace(want.Problem), names.Replace(want.Restored), got.Version
				if *got != want {
					t.Errorf("it came to %+v\nwant %+v", *got, want)
				}
				if told := got.Version != ""; told != (want.Problem == "" && !tt.stands) {
					t.Errorf("the version is %q", got.Version)
				}
				tt.check(t, env, given, o, jobID, url)
			})
		}
	}
}

// check holds the ConfigMap against what is wanted.
func (tt *writing) check(t *testing.T, env *kubetest.Env, given *corev1.ConfigMap, o resultmap.Owner, jobID, url string) {
	t.Helper()
	stored := &corev1.ConfigMap{}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(given), stored); err != nil {
		t.Fatal(err)
	}
	if tt.want.Problem != "" || tt.stands {
		if stored.ResourceVersion != given.ResourceVersion {
			t.Errorf("it isn't left alone: %+v", stored)
		}
		return
	}
	want := []metav1.OwnerReference{reference(o.Kind, "hero", o.Kind+"-hero")}
	if fmt.Sprint(described(stored.OwnerReferences)) != fmt.Sprint(described(want)) {
		t.Errorf("its owners are %v", described(stored.OwnerReferences))
	}
	if !maps.Equal(stored.Data, map[string]string{"image_0_id": "id", "image_0_url": url}) {
		t.Errorf("its data are %v", stored.Data)
	}
	resultOf := env.Namespace + "/hero:" + jobID
	if stored.Labels[v1alpha1.ResultLabel] != "true" || stored.Annotations[v1alpha1.ResultOfAnnotation] != resultOf {
		t.Errorf("its labels are %v, its annotations %v", stored.Labels, stored.Annotations)
	}
}

func described(references []metav1.OwnerReference) (lines []string) {
	for _, ref := range references {
		lines = append(lines, fmt.Sprintf("%s %s %s %s controller %t blocks %t",
			ref.APIVersion, ref.Kind, ref.Name, ref.UID, ref.Controller != nil && *ref.Controller, ref.BlockOwnerDeletion != nil))
	}
	return lines
}

// A ConfigMap that is changed each time that it is put right is put right less and less often.
func TestContested(t *testing.T) {
	env := kubetest.Start(t)
	s, now := store(env)
	o := owner(env.Namespace, "DaftyAsset", "hero")
	write := func() *lifecycle.StoreOutcome {
		return s.Write(t.Context(), o, "one", image("https://example.com/one.png"))
	}
	o.StoredIn, o.StoredVersion = o.ConfigMap, write().Version
	remove := func() {
		t.Helper()
		if err := env.Client.Delete(t.Context(), labelled(env.Namespace, "result")); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		remove()
		if got := write(); got.Restored == "" {
			t.Fatalf("time %d: it came to %+v", n, *got)
		}
	}
	remove()
	got := write()
	if got.After != 2*time.Second || !strings.HasPrefix(got.Problem, `ConfigMap "result" is deleted by somebody else each time that it is written`) {
		t.Fatalf("the next time, it came to %+v", *got)
	}
	now.SetTime(now.Now().Add(got.After))
	if got := write(); got.Restored == "" {
		t.Errorf("after the wait, it came to %+v", *got)
	}
	remove()
	s.Memory.Forget(types.NamespacedName{Namespace: env.Namespace, Name: "hero"})
	if got := write(); got.Restored == "" {
		t.Errorf("of one that was forgotten, it came to %+v", *got)
	}
}
