package simulation

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
)

// resultView is what a process's watch has shown it of the ConfigMaps that have the label of results. It breaks, and lags, with
// the watch of the DaftyJobs. Guarded by the world's lock.
type resultView struct {
	p *process
	// seen are the newest that were shown, and revisions from when what is seen of each is.
	seen      map[string]*corev1.ConfigMap
	revisions map[string]int64
	listed    bool
	asked     map[string]bool
}

// newResultView lists what is there, after a while.
func newResultView(p *process) *resultView {
	v := &resultView{p: p, seen: map[string]*corev1.ConfigMap{}, revisions: map[string]int64{}, asked: map[string]bool{}}
	p.w.after(p.w.chance.between(time.Millisecond, 2*time.Second, p.id+" lists ConfigMaps"), v.list)
	return v
}

func (v *resultView) list() {
	if v.p.paused() {
		v.p.whenResumed(v.list)
		return
	}
	v.seen, v.listed = v.p.w.cluster.results(), true
	for _, name := range slices.Sorted(maps.Keys(v.asked)) {
		v.p.queue.add(name, 0)
	}
	clear(v.asked)
}

// ResultVersion implements controller.ResultVersions.
func (v *resultView) ResultVersion(_ context.Context, configMap, job types.NamespacedName) (version string, known bool) {
	v.p.w.mu.Lock()
	defer v.p.w.mu.Unlock()
	if !v.listed || v.p.w.mutation.unwatched {
		v.asked[job.Name] = true
		return "", false
	}
	if seen := v.seen[configMap.Name]; seen != nil {
		return seen.ResourceVersion, true
	}
	return "", true
}

// notify sends the news of a ConfigMap on its way; after is nil where it isn't a result's any more.
func (v *resultView) notify(name string, after *corev1.ConfigMap, revision int64) {
	w := v.p.w
	if !v.listed || v.p.view.broken {
		return
	}
	connection := v.p.view.connection
	way := v.p.view.lag + w.chance.between(time.Millisecond, 60*time.Millisecond, v.p.id+" watch "+name)
	w.after(way, func() { v.arrive(name, after, revision, connection) })
}

func (v *resultView) arrive(name string, after *corev1.ConfigMap, revision int64, connection int) {
	if v.p.paused() {
		v.p.whenResumed(func() { v.arrive(name, after, revision, connection) })
		return
	}
	if v.p.view.connection == connection && revision > v.revisions[name] {
		v.revisions[name] = revision
		v.show(name, after)
	}
}

// show has the process see a ConfigMap as it is, and brings back whose it is and was.
func (v *resultView) show(name string, after *corev1.ConfigMap) {
	before := v.seen[name]
	delete(v.seen, name)
	if after != nil {
		v.seen[name] = after
	}
	for _, configMap := range []*corev1.ConfigMap{before, after} {
		if configMap == nil {
			continue
		}
		if owner := controller.ResultOwner(configMap); owner != "" {
			v.p.queue.add(owner, 0)
		}
	}
}

// relist brings what is seen to where the cluster is.
func (v *resultView) relist() {
	if !v.listed {
		return
	}
	now := v.p.w.cluster.results()
	names := slices.Collect(maps.Keys(now))
	for name := range v.seen {
		if now[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v.revisions[name] = v.p.w.cluster.revision
		v.show(name, now[name])
	}
}

// results are the ConfigMaps that have the label of results.
func (c *cluster) results() map[string]*corev1.ConfigMap {
	found := map[string]*corev1.ConfigMap{}
	for name, configMap := range c.configMaps {
		if labelled(configMap) {
			found[name] = configMap
		}
	}
	return found
}

func labelled(configMap *corev1.ConfigMap) bool {
	return configMap != nil && configMap.Labels[v1alpha1.ResultLabel] == v1alpha1.ResultLabelValue
}

// putConfigMap makes a ConfigMap so, nil where it goes, and tells everyone who watches.
func (c *cluster) putConfigMap(name string, after *corev1.ConfigMap) {
	c.revision++
	before := c.configMaps[name]
	delete(c.configMaps, name)
	if after != nil {
		after.Name, after.Namespace, after.ResourceVersion = name, namespace, strconv.FormatInt(c.revision, 10)
		c.configMaps[name] = after
	}
	if !labelled(before) && !labelled(after) {
		return
	}
	shown := after
	if !labelled(after) {
		shown = nil
	}
	for _, p := range c.w.processes {
		p.results.notify(name, shown, c.revision)
	}
}

// collect is the garbage collector: what an object owned goes a while after it.
func (c *cluster) collect(uid types.UID) {
	c.w.after(c.w.chance.between(50*time.Millisecond, 5*time.Second, "what "+string(uid)+" owned goes"), func() {
		for _, name := range slices.Sorted(maps.Keys(c.configMaps)) {
			if owner := metav1.GetControllerOf(c.configMaps[name]); owner != nil && owner.UID == uid {
				c.w.trace.add("api", "ConfigMap %s goes with its owner", name)
				c.putConfigMap(name, nil)
			}
		}
	})
}

// meddled marks data that aren't the operator's.
const meddledKey = "meddled"

// meddlings are what users do to ConfigMaps that hold results.
var meddlings = []struct {
	what string
	do   func(*corev1.ConfigMap)
}{
	{"changes", func(c *corev1.ConfigMap) { c.Data[meddledKey] = "yes" }},
	{"empties", func(c *corev1.ConfigMap) { c.Data = map[string]string{meddledKey: "yes"} }},
	{"adds bytes to", func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{meddledKey: []byte("yes")} }},
	{"takes the label off", func(c *corev1.ConfigMap) { delete(c.Labels, v1alpha1.ResultLabel) }},
	{"takes the owner off", func(c *corev1.ConfigMap) { c.OwnerReferences = nil }},
	{"takes owner, label and annotations off", func(c *corev1.ConfigMap) { c.OwnerReferences, c.Labels, c.Annotations = nil, nil, nil }},
	{"takes the owner off, and changes", func(c *corev1.ConfigMap) { c.OwnerReferences, c.Data[meddledKey] = nil, "yes" }},
	{"annotates", func(c *corev1.ConfigMap) {
		c.Annotations = map[string]string{v1alpha1.ResultOfAnnotation: c.Annotations[v1alpha1.ResultOfAnnotation], "note": "theirs"}
	}},
}

// meddleWithResult has a user change, delete or replace the ConfigMap of a result, or create one of that name.
func meddleWithResult(w *world, p picker) {
	name := "result-of-" + p.job()
	c := w.cluster
	stored := c.configMaps[name]
	at := p.n(len(meddlings) + 3)
	switch {
	case stored == nil && at%3 > 0 || c.terminating && stored == nil:
	case stored == nil, at == len(meddlings):
		w.trace.add("user", "puts a ConfigMap of their own at %s", name)
		c.putConfigMap(name, &corev1.ConfigMap{Data: map[string]string{meddledKey: "yes"}})
	case at > len(meddlings):
		w.trace.add("user", "deletes ConfigMap %s", name)
		c.putConfigMap(name, nil)
	default:
		w.trace.add("user", "%s ConfigMap %s", meddlings[at].what, name)
		changed := stored.DeepCopy()
		if changed.Data == nil {
			changed.Data = map[string]string{}
		}
		meddlings[at].do(changed)
		c.putConfigMap(name, changed)
	}
}

// stored looks at each ConfigMap that the operator writes.
func (j *invariants) stored(before, after *corev1.ConfigMap) {
	owner := metav1.GetControllerOf(after)
	if owner != nil {
		j.resultData[owner.UID] = after.Data
	}
	if owner == nil || j.newest[owner.UID] == nil {
		j.find("false: ConfigMap %s belongs to nobody", after.Name)
		return
	}
	if before != nil && !metav1.IsControlledBy(before, j.newest[owner.UID]) {
		j.adopted(before, after)
	}
	if result := j.newest[owner.UID].Status.Result; result != nil && len(result.Images) > 0 && after.Data["image_0_url"] != result.Images[0].URL {
		j.find("false: ConfigMap %s says %q", after.Name, after.Data["image_0_url"])
	}
}

// adopted looks at a ConfigMap that the operator takes for a DaftyJob's own: nobody else who is there may have it, and what somebody
// else has put into it must not be lost.
func (j *invariants) adopted(before, after *corev1.ConfigMap) {
	if owner := metav1.GetControllerOf(before); owner != nil {
		if job := j.newest[owner.UID]; job == nil || !j.gone(job) {
			j.find("false: ConfigMap %s of another is changed", after.Name)
		}
	}
	ours := labelled(before) && before.Annotations[v1alpha1.ResultOfAnnotation] == after.Annotations[v1alpha1.ResultOfAnnotation]
	if !ours && !(maps.Equal(before.Data, after.Data) && len(before.BinaryData) == 0) {
		j.find("false: what somebody put into ConfigMap %s is lost", after.Name)
	}
}

// results holds what DaftyJobs say of their ConfigMaps against these, at the end.
func (j *invariants) results() {
	for _, job := range j.objects() {
		name := job.Spec.ResultConfigMap
		if name == "" || job.Status.Phase != v1alpha1.PhaseCompleted || job.Status.Result == nil || job.DeletionTimestamp != nil {
			continue
		}
		configMap := j.w.cluster.configMaps[name]
		says := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionResultStored)
		switch {
		case says == nil:
			j.find("stuck: %s doesn't say whether its result is in ConfigMap %s", job.Name, name)
		case says.Status == metav1.ConditionTrue && !rightResult(configMap, job):
			j.find("false: %s says that its result is in ConfigMap %s, and it isn't", job.Name, name)
		case says.Status != metav1.ConditionTrue && (configMap == nil || metav1.IsControlledBy(configMap, job)):
			j.find("stuck: the result of %s isn't in ConfigMap %s: %s", job.Name, name, says.Message)
		case says.Status != metav1.ConditionTrue && j.adoptable(configMap, job):
			j.find("stuck: ConfigMap %s has no owner, and is the one of %s: %s", name, job.Name, says.Message)
		}
	}
}

// adoptable reports whether a ConfigMap without an owner is to be taken for job's: it has what was written of its result, or was
// written for the same job at Dafty.
func (j *invariants) adoptable(configMap *corev1.ConfigMap, job *v1alpha1.DaftyJob) bool {
	if metav1.GetControllerOf(configMap) != nil {
		return false
	}
	of := namespace + "/" + job.Name + ":" + job.Status.JobID
	written := j.resultData[job.UID]
	return labelled(configMap) && configMap.Annotations[v1alpha1.ResultOfAnnotation] == of ||
		len(written) > 0 && maps.Equal(configMap.Data, written) && hasResult(configMap, job)
}

// rightResult reports whether a ConfigMap is job's, and has its result and nothing else.
func rightResult(configMap *corev1.ConfigMap, job *v1alpha1.DaftyJob) bool {
	return labelled(configMap) && metav1.IsControlledBy(configMap, job) && hasResult(configMap, job)
}

// hasResult reports whether a ConfigMap has job's result and nothing else.
func hasResult(configMap *corev1.ConfigMap, job *v1alpha1.DaftyJob) bool {
	if configMap.Data[meddledKey] != "" || len(configMap.BinaryData) > 0 {
		return false
	}
	result := job.Status.Result
	switch {
	case len(result.Images) > 0:
		return configMap.Data["image_0_url"] == result.Images[0].URL
	case result.Video != nil:
		return configMap.Data["video_url"] == result.Video.URL && configMap.Data["video_thumbnail_url"] == result.Video.ThumbnailURL
	case result.Style != nil:
		return configMap.Data["style_id"] == result.Style.ID
	}
	return true
}

// aResult is an image whose result is stored.
func aResult() *v1alpha1.DaftyJob {
	job := image()
	job.Spec.ResultConfigMap = "result-of-one"
	return job
}

// resultDeleted has somebody delete the ConfigMap of a result.
func resultDeleted(w *world) {
	w.begin(aResult)
	w.pass(time.Minute)
	w.do(func() {
		w.trace.add("user", "deletes ConfigMap result-of-one")
		w.cluster.putConfigMap("result-of-one", nil)
	})
	w.pass(time.Minute)
}

// resultReplaced has somebody put a ConfigMap of their own in the place of a result's.
func resultReplaced(w *world) {
	w.begin(aResult)
	w.pass(time.Minute)
	w.do(func() {
		w.trace.add("user", "puts a ConfigMap of their own at result-of-one")
		w.cluster.putConfigMap("result-of-one", &corev1.ConfigMap{Data: map[string]string{meddledKey: "yes"}})
	})
	w.pass(time.Minute)
}

// resultDisowned has the ConfigMap of a result lose its owner.
func resultDisowned(w *world) {
	w.begin(aResult)
	w.pass(time.Minute)
	w.do(func() {
		if stored := w.cluster.configMaps["result-of-one"]; stored != nil {
			w.trace.add("user", "takes the owner off ConfigMap result-of-one")
			disowned := stored.DeepCopy()
			disowned.OwnerReferences = nil
			w.cluster.putConfigMap("result-of-one", disowned)
		}
	})
	w.pass(time.Minute)
}
