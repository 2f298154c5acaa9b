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

// resultCache is what a process's watch has shown it of the ConfigMaps that have the label of results. It breaks, and lags, with
// the watch of the DaftyJobs. Guarded by env.mu.
type resultCache struct {
	p *process
	// seen are the newest that were shown, and revisions from when what is seen of each is.
	seen      map[string]*corev1.ConfigMap
	revisions map[string]int64
	listed    bool
	asked     map[string]bool
}

// newResultCache lists what is there, after a while.
func newResultCache(p *process) *resultCache {
	c := &resultCache{p: p, seen: map[string]*corev1.ConfigMap{}, revisions: map[string]int64{}, asked: map[string]bool{}}
	p.env.afterFunc(p.env.random.between(time.Millisecond, 2*time.Second, p.id+" lists ConfigMaps"), c.list)
	return c
}

func (c *resultCache) list() {
	if c.p.paused() {
		c.p.whenResumed(c.list)
		return
	}
	c.seen, c.listed = c.p.env.api.results(), true
	for _, name := range slices.Sorted(maps.Keys(c.asked)) {
		c.p.queue.add(name, 0)
	}
	clear(c.asked)
}

// ResultVersion implements controller.ResultVersions.
func (c *resultCache) ResultVersion(_ context.Context, configMap, job types.NamespacedName) (version string, known bool) {
	c.p.env.mu.Lock()
	defer c.p.env.mu.Unlock()
	if !c.listed || c.p.env.mutation.noResultWatch {
		c.asked[job.Name] = true
		return "", false
	}
	if seen := c.seen[configMap.Name]; seen != nil {
		return seen.ResourceVersion, true
	}
	return "", true
}

// notify sends the news of a ConfigMap on its way; after is nil where it isn't a result's any more.
func (c *resultCache) notify(name string, after *corev1.ConfigMap, revision int64) {
	e := c.p.env
	if !c.listed || c.p.jobs.broken {
		return
	}
	connection := c.p.jobs.connection
	way := c.p.jobs.lag + e.random.between(time.Millisecond, 60*time.Millisecond, c.p.id+" watch "+name)
	e.afterFunc(way, func() { c.arrive(name, after, revision, connection) })
}

func (c *resultCache) arrive(name string, after *corev1.ConfigMap, revision int64, connection int) {
	if c.p.paused() {
		c.p.whenResumed(func() { c.arrive(name, after, revision, connection) })
		return
	}
	if c.p.jobs.connection == connection && revision > c.revisions[name] {
		c.revisions[name] = revision
		c.show(name, after)
	}
}

// show has the process see a ConfigMap as it is, and brings back whose it is and was.
func (c *resultCache) show(name string, after *corev1.ConfigMap) {
	before := c.seen[name]
	delete(c.seen, name)
	if after != nil {
		c.seen[name] = after
	}
	for _, configMap := range []*corev1.ConfigMap{before, after} {
		if configMap == nil {
			continue
		}
		if owner := controller.ResultOwner(configMap); owner != "" {
			c.p.queue.add(owner, 0)
		}
	}
}

// relist brings what is seen to where the cluster is.
func (c *resultCache) relist() {
	if !c.listed {
		return
	}
	now := c.p.env.api.results()
	names := slices.Collect(maps.Keys(now))
	for name := range c.seen {
		if now[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		c.revisions[name] = c.p.env.api.revision
		c.show(name, now[name])
	}
}

// results are the ConfigMaps that have the label of results.
func (a *apiServer) results() map[string]*corev1.ConfigMap {
	found := map[string]*corev1.ConfigMap{}
	for name, configMap := range a.configMaps {
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
func (a *apiServer) putConfigMap(name string, after *corev1.ConfigMap) {
	a.revision++
	before := a.configMaps[name]
	delete(a.configMaps, name)
	if after != nil {
		after.Name, after.Namespace, after.ResourceVersion = name, namespace, strconv.FormatInt(a.revision, 10)
		a.configMaps[name] = after
	}
	if !labelled(before) && !labelled(after) {
		return
	}
	shown := after
	if !labelled(after) {
		shown = nil
	}
	for _, p := range a.env.processes {
		p.results.notify(name, shown, a.revision)
	}
}

// collect is the garbage collector: what an object owned goes a while after it.
func (a *apiServer) collect(uid types.UID) {
	a.env.afterFunc(a.env.random.between(50*time.Millisecond, 5*time.Second, "what "+string(uid)+" owned goes"), func() {
		for _, name := range slices.Sorted(maps.Keys(a.configMaps)) {
			if owner := metav1.GetControllerOf(a.configMaps[name]); owner != nil && owner.UID == uid {
				a.env.trace.add("api", "ConfigMap %s goes with its owner", name)
				a.putConfigMap(name, nil)
			}
		}
	})
}

// meddled marks data that aren't the operator's.
const tamperedKey = "meddled"

// tamperings are what users do to ConfigMaps that hold results.
var tamperings = []struct {
	what string
	do   func(*corev1.ConfigMap)
}{
	{"changes", func(c *corev1.ConfigMap) { c.Data[tamperedKey] = "yes" }},
	{"empties", func(c *corev1.ConfigMap) { c.Data = map[string]string{tamperedKey: "yes"} }},
	{"adds bytes to", func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{tamperedKey: []byte("yes")} }},
	{"takes the label off", func(c *corev1.ConfigMap) { delete(c.Labels, v1alpha1.ResultLabel) }},
	{"takes the owner off", func(c *corev1.ConfigMap) { c.OwnerReferences = nil }},
	{"takes owner, label and annotations off", func(c *corev1.ConfigMap) { c.OwnerReferences, c.Labels, c.Annotations = nil, nil, nil }},
	{"takes the owner off, and changes", func(c *corev1.ConfigMap) { c.OwnerReferences, c.Data[tamperedKey] = nil, "yes" }},
	{"annotates", func(c *corev1.ConfigMap) {
		c.Annotations = map[string]string{v1alpha1.ResultOfAnnotation: c.Annotations[v1alpha1.ResultOfAnnotation], "note": "theirs"}
	}},
}

// tamperWithResult has a user change, delete or replace the ConfigMap of a result, or create one of that name.
func tamperWithResult(e *env, p picker) {
	name := "result-of-" + p.job()
	a := e.api
	stored := a.configMaps[name]
	at := p.n(len(tamperings) + 3)
	switch {
	case stored == nil && at%3 > 0 || a.terminating && stored == nil:
	case stored == nil, at == len(tamperings):
		e.trace.add("user", "puts a ConfigMap of their own at %s", name)
		a.putConfigMap(name, &corev1.ConfigMap{Data: map[string]string{tamperedKey: "yes"}})
	case at > len(tamperings):
		e.trace.add("user", "deletes ConfigMap %s", name)
		a.putConfigMap(name, nil)
	default:
		e.trace.add("user", "%s ConfigMap %s", tamperings[at].what, name)
		changed := stored.DeepCopy()
		if changed.Data == nil {
			changed.Data = map[string]string{}
		}
		tamperings[at].do(changed)
		a.putConfigMap(name, changed)
	}
}

// checkConfigMap looks at each ConfigMap that the operator writes.
func (inv *invariants) checkConfigMap(before, after *corev1.ConfigMap) {
	owner := metav1.GetControllerOf(after)
	if owner != nil {
		inv.resultData[owner.UID] = after.Data
	}
	if owner == nil || inv.latest[owner.UID] == nil {
		inv.violated("false: ConfigMap %s belongs to nobody", after.Name)
		return
	}
	if before != nil && !metav1.IsControlledBy(before, inv.latest[owner.UID]) {
		inv.checkTakeover(before, after)
	}
	if result := inv.latest[owner.UID].Status.Result; result != nil && len(result.Images) > 0 && after.Data["image_0_url"] != result.Images[0].URL {
		inv.violated("false: ConfigMap %s says %q", after.Name, after.Data["image_0_url"])
	}
}

// checkTakeover looks at a ConfigMap that the operator takes for a DaftyJob's own: nobody else who is there may have it, and what somebody
// else has put into it must not be lost.
func (inv *invariants) checkTakeover(before, after *corev1.ConfigMap) {
	if owner := metav1.GetControllerOf(before); owner != nil {
		if job := inv.latest[owner.UID]; job == nil || !inv.gone(job) {
			inv.violated("false: ConfigMap %s of another is changed", after.Name)
		}
	}
	ours := labelled(before) && before.Annotations[v1alpha1.ResultOfAnnotation] == after.Annotations[v1alpha1.ResultOfAnnotation]
	if !ours && !(maps.Equal(before.Data, after.Data) && len(before.BinaryData) == 0) {
		inv.violated("false: what somebody put into ConfigMap %s is lost", after.Name)
	}
}

// checkResults holds what DaftyJobs say of their ConfigMaps against these, at the end.
func (inv *invariants) checkResults() {
	for _, job := range inv.objects() {
		name := job.Spec.ResultConfigMap
		if name == "" || job.Status.Phase != v1alpha1.PhaseCompleted || job.Status.Result == nil || job.DeletionTimestamp != nil {
			continue
		}
		configMap := inv.env.api.configMaps[name]
		says := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionResultStored)
		switch {
		case says == nil:
			inv.violated("stuck: %s doesn't say whether its result is in ConfigMap %s", job.Name, name)
		case says.Status == metav1.ConditionTrue && !rightResult(configMap, job):
			inv.violated("false: %s says that its result is in ConfigMap %s, and it isn't", job.Name, name)
		case says.Status != metav1.ConditionTrue && (configMap == nil || metav1.IsControlledBy(configMap, job)):
			inv.violated("stuck: the result of %s isn't in ConfigMap %s: %s", job.Name, name, says.Message)
		case says.Status != metav1.ConditionTrue && inv.adoptable(configMap, job):
			inv.violated("stuck: ConfigMap %s has no owner, and is the one of %s: %s", name, job.Name, says.Message)
		}
	}
}

// adoptable reports whether a ConfigMap without an owner is to be taken for job's: it has what was written of its result, or was
// written for the same job at Dafty.
func (inv *invariants) adoptable(configMap *corev1.ConfigMap, job *v1alpha1.DaftyJob) bool {
	if metav1.GetControllerOf(configMap) != nil {
		return false
	}
	of := namespace + "/" + job.Name + ":" + job.Status.JobID
	written := inv.resultData[job.UID]
	return labelled(configMap) && configMap.Annotations[v1alpha1.ResultOfAnnotation] == of ||
		len(written) > 0 && maps.Equal(configMap.Data, written) && hasResult(configMap, job)
}

// rightResult reports whether a ConfigMap is job's, and has its result and nothing else.
func rightResult(configMap *corev1.ConfigMap, job *v1alpha1.DaftyJob) bool {
	return labelled(configMap) && metav1.IsControlledBy(configMap, job) && hasResult(configMap, job)
}

// hasResult reports whether a ConfigMap has job's result and nothing else.
func hasResult(configMap *corev1.ConfigMap, job *v1alpha1.DaftyJob) bool {
	if configMap.Data[tamperedKey] != "" || len(configMap.BinaryData) > 0 {
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
func resultDeleted(e *env) {
	e.create(aResult)
	e.advance(time.Minute)
	e.do(func() {
		e.trace.add("user", "deletes ConfigMap result-of-one")
		e.api.putConfigMap("result-of-one", nil)
	})
	e.advance(time.Minute)
}

// resultReplaced has somebody put a ConfigMap of their own in the place of a result's.
func resultReplaced(e *env) {
	e.create(aResult)
	e.advance(time.Minute)
	e.do(func() {
		e.trace.add("user", "puts a ConfigMap of their own at result-of-one")
		e.api.putConfigMap("result-of-one", &corev1.ConfigMap{Data: map[string]string{tamperedKey: "yes"}})
	})
	e.advance(time.Minute)
}

// resultDisowned has the ConfigMap of a result lose its owner.
func resultDisowned(e *env) {
	e.create(aResult)
	e.advance(time.Minute)
	e.do(func() {
		if stored := e.api.configMaps["result-of-one"]; stored != nil {
			e.trace.add("user", "takes the owner off ConfigMap result-of-one")
			disowned := stored.DeepCopy()
			disowned.OwnerReferences = nil
			e.api.putConfigMap("result-of-one", disowned)
		}
	})
	e.advance(time.Minute)
}
