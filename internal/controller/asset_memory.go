package controller

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// assetMemory is what this process remembers of DaftyAssets. It is a saving: without it, caches that are behind cost a write or a
// read more.
type assetMemory struct {
	mu     sync.Mutex
	assets map[types.NamespacedName]*rememberedAsset
}

type rememberedAsset struct {
	// generation is the newest that was seen, since when it was seen as a change, zero where status spoke of it already.
	uid        types.UID
	generation int64
	since      time.Time
	// annotation is what was written last.
	annotation string
	// made and gone are DaftyJobs that were created and deleted a moment ago: the cache may not know yet.
	made map[types.UID]madeJob
	gone map[types.UID]time.Time
	// refusals are the API server's newest ones that last, until such a write is taken.
	refusals map[assetWrite]assetRefusal
}

// assetWrite is a kind of write that is refused and taken by itself: of status, and of all that comes after it.
type assetWrite int

const (
	statusWrite assetWrite = iota
	stepWrite
)

// assetRefusal is what the API server said, and when.
type assetRefusal struct {
	message string
	at      time.Time
}

type madeJob struct {
	job *v1alpha1.DaftyJob
	at  time.Time
}

// of returns what is kept of an asset, and makes it where there is nothing. It is called with the lock held.
func (m *assetMemory) of(name types.NamespacedName) *rememberedAsset {
	if m.assets == nil {
		m.assets = map[types.NamespacedName]*rememberedAsset{}
	}
	if m.assets[name] == nil {
		m.assets[name] = &rememberedAsset{}
	}
	return m.assets[name]
}

// known returns what is known of an asset beside what was read.
func (m *assetMemory) known(read *v1alpha1.DaftyAsset, now time.Time) (known asset.Known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := client.ObjectKeyFromObject(read)
	kept := m.of(name)
	if kept.uid != "" && kept.uid != read.UID {
		*kept = rememberedAsset{}
	}
	kept.uid = read.UID
	if kept.generation != read.Generation {
		kept.since = time.Time{}
		if read.Status.ObservedGeneration != read.Generation {
			kept.since = now
		}
		kept.generation = read.Generation
	}
	for kind, refused := range kept.refusals {
		if now.Sub(refused.at) > refusalLife || now.Before(refused.at) {
			delete(kept.refusals, kind)
		}
	}
	// Where status can be written, that it couldn't be isn't true any more.
	known.SpecSince, known.Annotated, known.Refused = kept.since, kept.annotation, kept.refusals[stepWrite].message
	if read.Status.ObservedGeneration == read.Generation && kept.idle() {
		delete(m.assets, name) // as most are, most of the time
	}
	return known
}

// idle reports whether nothing is remembered that status, once it is of the newest spec, doesn't tell.
func (a *rememberedAsset) idle() bool {
	return a.since.IsZero() && a.annotation == "" && len(a.refusals)+len(a.made)+len(a.gone) == 0
}

// correct returns the DaftyJobs of an asset as they are, where the cache may be behind what this process has done.
func (m *assetMemory) correct(name types.NamespacedName, cached []*v1alpha1.DaftyJob, now time.Time) []*v1alpha1.DaftyJob {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.assets[name]
	if kept == nil {
		return cached
	}
	var jobs []*v1alpha1.DaftyJob
	for _, job := range cached {
		delete(kept.made, job.UID)
		if at, gone := kept.gone[job.UID]; !gone || now.Sub(at) > staleFor {
			jobs = append(jobs, job)
		}
	}
	for uid, made := range kept.made {
		if now.Sub(made.at) > staleFor {
			delete(kept.made, uid)
			continue
		}
		jobs = append(jobs, made.job)
	}
	for uid, at := range kept.gone {
		if now.Sub(at) > staleFor {
			delete(kept.gone, uid)
		}
	}
	return jobs
}

// maker returns what is kept of the asset that made a DaftyJob. It is called with the lock held.
func (m *assetMemory) maker(job *v1alpha1.DaftyJob) *rememberedAsset {
	owner, uid, _ := lifecycle.MadeBy(job)
	kept := m.of(types.NamespacedName{Namespace: job.Namespace, Name: owner})
	if kept.uid == "" {
		kept.uid = uid
	}
	return kept
}

func (m *assetMemory) created(job *v1alpha1.DaftyJob, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.maker(job)
	if kept.made == nil {
		kept.made = map[types.UID]madeJob{}
	}
	kept.made[job.UID] = madeJob{job: job, at: now}
}

// seen reports whether a DaftyJob that the cache has just been given is as it was created here, and forgets that.
func (m *assetMemory) seen(job *v1alpha1.DaftyJob) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	owner, _, _ := lifecycle.MadeBy(job)
	kept := m.assets[types.NamespacedName{Namespace: job.Namespace, Name: owner}]
	if kept == nil {
		return false
	}
	made, ok := kept.made[job.UID]
	delete(kept.made, job.UID)
	return ok && made.job.ResourceVersion == job.ResourceVersion
}

func (m *assetMemory) deleted(job *v1alpha1.DaftyJob, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.maker(job)
	if kept.gone == nil {
		kept.gone = map[types.UID]time.Time{}
	}
	kept.gone[job.UID] = now
	delete(kept.made, job.UID)
}

func (m *assetMemory) annotated(name types.NamespacedName, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(name).annotation = value
}

// refused keeps a refusal, and reports whether it is news.
func (m *assetMemory) refused(name types.NamespacedName, kind assetWrite, message string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.of(name)
	before, met := kept.refusals[kind]
	news := !met || !lifecycle.SameText(before.message, message)
	if !news {
		message = before.message
	}
	if kept.refusals == nil {
		kept.refusals = map[assetWrite]assetRefusal{}
	}
	kept.refusals[kind] = assetRefusal{message: message, at: now}
	return news
}

// taken forgets that a kind of write was refused.
func (m *assetMemory) taken(name types.NamespacedName, kind assetWrite) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kept := m.assets[name]; kept != nil {
		delete(kept.refusals, kind)
	}
}

func (m *assetMemory) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.assets, name)
}

// without returns the DaftyJobs but for one.
func without(jobs []*v1alpha1.DaftyJob, uid types.UID) []*v1alpha1.DaftyJob {
	return slices.DeleteFunc(slices.Clone(jobs), func(job *v1alpha1.DaftyJob) bool { return job.UID == uid })
}
