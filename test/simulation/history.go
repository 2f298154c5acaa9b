package simulation

import (
	"bytes"
	"fmt"
	stdimage "image"
	"image/png"
	"math/rand/v2"
	"strings"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// jobNames are the names that objects have.
var jobNames = []string{"one", "two", "three"}

// history is a world and what happens in it.
type history struct {
	options options
	events  []event
}

// event is one thing that happens, so long after the one before. What it does depends on
// choice alone and on how the world then stands, so that events before it can be left out.
type event struct {
	gap    time.Duration
	kind   string
	choice uint64
}

// eventKinds are all events, each as often as it is likely.
var eventKinds = []struct {
	name   string
	weight int
	happen func(e *env, pick picker)
}{
	{"create", 24, createJob},
	{"suspend", 3, func(e *env, pick picker) { e.setDesiredState(pick, v1alpha1.DesiredSuspended) }},
	{"release", 5, func(e *env, pick picker) { e.setDesiredState(pick, v1alpha1.DesiredCompleted) }},
	{"cancel", 8, func(e *env, pick picker) { e.setDesiredState(pick, v1alpha1.DesiredCancelled) }},
	{"tool applies", 6, toolApplies},
	{"policy Orphan", 3, setOrphan},
	{"delete", 10, deleteJob},
	{"namespace gone", 1, deleteNamespace},
	{"secret", 6, putSecret},
	{"picture", 3, putImage},
	{"result meddled with", 4, tamperWithResult},
	{"secret gone", 3, deleteSecret},
	{"crash", 6, crashNow},
	{"crash at effect", 14, crashSoon},
	{"pause", 10, pauseProcess},
	{"clock jump", 2, clockJump},
	{"weather", 16, changeDaftyFaults},
	{"api weather", 6, changeAPIFaults},
	{"writes refused", 5, refuseWrites},
	{"watch lags", 4, watchLags},
	{"watch breaks", 4, watchBreaks},
	{"account", 8, changeAccount},
	{"key revoked", 2, revokeKey},
	{"job moves", 5, moveJob},
	{"status lost", 3, loseStatus},
	{"finalizer taken off", 2, takeFinalizerOff},
	{"annotation taken off", 2, takeAnnotationOff},
	{"restore", 3, restore},
	{"restore with status", 3, restoreWithStatus},
	{"person", 3, func(e *env, _ picker) { e.answerMessages() }},
}

// allVariants takes a while to make.
var allVariants = daftysim.AllVariants()

// draw makes the history of a seed.
func draw(seed uint64) history {
	r := rand.New(rand.NewPCG(seed, 0x5eed)) //nolint:gosec // Chance, not secrecy.
	times := []time.Duration{100 * time.Millisecond, 2 * time.Second, 20 * time.Second, 3 * time.Minute, 2 * time.Hour}
	waits := times[:4] // a job that waits is asked about every 5 s, which takes the simulation long
	h := history{options: options{
		seed:       seed,
		replicas:   1 + r.IntN(2),
		variants:   allVariants[r.IntN(len(allVariants))].Variants,
		pending:    waits[r.IntN(len(waits))],
		processing: times[r.IntN(len(times))],
		manual:     r.IntN(8) == 0,
		creating:   time.Duration(r.Int64N(int64(maxProcessing))) + time.Millisecond,
	}}
	if r.IntN(3) == 0 {
		h.options.creating /= 50 // mostly it is fast
	}
	total := 0
	for _, kind := range eventKinds {
		total += kind.weight
	}
	h.events = append(h.events, event{gap: time.Second, kind: "create", choice: r.Uint64()})
	for range 2 + r.IntN(14) {
		at := r.IntN(total)
		for _, kind := range eventKinds {
			if at -= kind.weight; at < 0 {
				h.events = append(h.events, event{gap: drawGap(r), kind: kind.name, choice: r.Uint64()})
				break
			}
		}
	}
	return h
}

// drawGap is a time between two events: mostly short, as that is when things meet.
func drawGap(r *rand.Rand) time.Duration {
	most := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute}[r.IntN(5)]
	switch r.IntN(500) {
	case 0, 1, 2:
		most = 3 * time.Hour
	case 3:
		return 22*time.Hour + time.Duration(r.Int64N(int64(4*time.Hour)))
	}
	return time.Duration(r.Int64N(int64(most)))
}

// play has a history happen.
func (h history) play(e *env) {
	for _, event := range h.events {
		e.advance(event.gap)
		for _, kind := range eventKinds {
			if kind.name == event.kind {
				e.do(func() { kind.happen(e, picker{event.choice}) })
			}
		}
	}
	e.crashAt = point{} // what crashes in a world that is well is for the crash points
}

// String lists the events.
func (h history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d processes, pending %s, processing %s, manual %t, creates take %s, variants not by default:",
		h.options.seed, h.options.replicas, h.options.pending, h.options.processing, h.options.manual, h.options.creating)
	standard := allVariants[0].Variants.Readings()
	for name, reading := range h.options.variants.Readings() {
		if standard[name] != reading {
			fmt.Fprintf(&b, " %s=%s", name, reading)
		}
	}
	b.WriteString("\n")
	for _, event := range h.events {
		fmt.Fprintf(&b, "  +%s %s %x\n", event.gap.Round(time.Millisecond), event.kind, event.choice)
	}
	return b.String()
}

// picker makes an event's choices, each from other bits.
type picker struct{ bits uint64 }

func (p *picker) n(n int) int {
	got := int(p.bits % uint64(n)) //nolint:gosec // Small.
	p.bits = (p.bits ^ p.bits>>29) * 0xbf58476d1ce4e5b9
	p.bits ^= p.bits >> 32
	return got
}

func (p *picker) job() string { return jobNames[p.n(len(jobNames))] }

func pick[T any](p *picker, from ...T) T { return from[p.n(len(from))] }

func createJob(e *env, p picker) {
	name := p.job()
	if e.api.get(name) != nil || e.api.terminating {
		return
	}
	if old := e.api.lastOf(name); old != nil && p.n(3) == 0 {
		e.trace.add("user", "creates %s again, with the annotations that it had", name)
		e.api.createFrom(old, false)
		return
	}
	job := &v1alpha1.DaftyJob{}
	job.Name = name
	what := "an image"
	switch p.n(14) {
	case 8:
		of := &v1alpha1.JobReference{Name: p.job(), Index: pick(&p, int32(0), 1)}
		what = "an upscale of " + of.Name
		job.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: of}}
	case 9:
		of := p.job()
		what = "an image in the style of " + of
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain", Style: &v1alpha1.StyleSource{JobRef: &v1alpha1.StyleJobReference{Name: of}}}
	case 10:
		of := p.job()
		what = "an image with a logo and the image of " + of
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain", References: []v1alpha1.ImageReference{
			logoReference(), {JobRef: &v1alpha1.JobReference{Name: of}},
		}}
	case 11:
		what = "an image with a logo"
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain", References: []v1alpha1.ImageReference{logoReference()}}
	case 12:
		what = "what a person made"
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain"}
		job.Spec.AdoptJobID = e.userJob(p.n(2) == 0)
	case 13:
		of := &v1alpha1.JobReference{Name: p.job()}
		by := &v1alpha1.JobReference{Name: p.job(), Index: pick(&p, int32(0), 1)}
		what = fmt.Sprintf("an edit of %s by the image %d of %s", of.Name, by.Index, by.Name)
		job.Spec.ImageEdit = &v1alpha1.ImageEdit{Image: v1alpha1.ImageTarget{JobRef: of}, Prompt: "a hat", References: []v1alpha1.ImageReference{{JobRef: by}}}
	case 0:
		what = "a style"
		job.Spec.StyleExtract = &v1alpha1.StyleExtract{URL: "https://example.com/brand"}
	case 1:
		what = "a video"
		job.Spec.ImageToVideo = &v1alpha1.ImageToVideo{Image: v1alpha1.ImageReference{URL: "https://example.com/a.png"}, Prompt: "it moves"}
	case 2:
		what = "an image that can't be made"
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: daftysim.DefaultFailWord}
	case 3:
		what = "what Dafty refuses"
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "too many", Variations: new(int32(99))}
	default:
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain"}
	}
	job.Spec.DesiredState = pick(&p, "", "", "", v1alpha1.DesiredCompleted, v1alpha1.DesiredCompleted, v1alpha1.DesiredSuspended)
	if p.n(8) == 0 {
		job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan
	}
	if p.n(3) == 0 && job.Spec.AdoptJobID == "" {
		job.Spec.BackoffLimit = new(pick(&p, int32(1), 2))
	}
	if p.n(6) == 0 {
		job.Spec.ActiveDeadlineSeconds = new(pick(&p, int64(1), 10, 60, 3600))
	}
	if p.n(8) == 0 && job.Spec.AdoptJobID == "" {
		job.Spec.StartingDeadlineSeconds = new(pick(&p, int64(1), 10, 60, 3600))
	}
	if p.n(8) == 0 {
		job.Spec.TTLSecondsAfterFinished = new(pick(&p, int32(0), 10, 600))
	}
	if p.n(4) == 0 {
		job.Spec.ResultConfigMap = "result-of-" + p.job()
	}
	if p.n(4) == 0 && job.Spec.AdoptJobID == "" {
		job.Spec.IdempotencyKey = e.api.ownKey()
	}
	e.trace.add("user", "creates %s: %s, %q %s%s", name, what, job.Spec.DesiredState, job.Spec.DeletionPolicy, describeLimits(job))
	if len(e.api.history) == 0 && p.n(8) != 0 {
		e.trace.add("user", "creates the Secret")
		e.api.putSecret(keyOne)
	}
	e.api.create(job)
}

// describeLimits are what a spec sets of these, in a few words.
func describeLimits(job *v1alpha1.DaftyJob) string {
	var text string
	if n := job.Spec.BackoffLimit; n != nil {
		text += fmt.Sprintf(", backoffLimit %d", *n)
	}
	if n := job.Spec.ActiveDeadlineSeconds; n != nil {
		text += fmt.Sprintf(", activeDeadlineSeconds %d", *n)
	}
	if n := job.Spec.StartingDeadlineSeconds; n != nil {
		text += fmt.Sprintf(", startingDeadlineSeconds %d", *n)
	}
	if n := job.Spec.TTLSecondsAfterFinished; n != nil {
		text += fmt.Sprintf(", ttlSecondsAfterFinished %d", *n)
	}
	if key := job.Spec.IdempotencyKey; key != "" {
		text += ", idempotencyKey " + key
	}
	return text
}

// userJob is the id of a job that a person made at Dafty, of the newest one or of a new one.
func (e *env) userJob(anew bool) string {
	if e.lastUserJob == "" || anew {
		e.lastUserJob = e.sim.AddJob(acme, daftysim.PersonJob{})
	}
	return e.lastUserJob
}

// logo is a picture that Dafty takes.
var logo = func() []byte {
	var to bytes.Buffer
	if err := png.Encode(&to, stdimage.NewGray(stdimage.Rect(0, 0, 8, 8))); err != nil {
		panic(err)
	}
	return to.Bytes()
}()

// putImage creates or changes the ConfigMap of the picture, or takes it away.
func putImage(e *env, p picker) {
	switch p.n(4) {
	case 0:
		e.trace.add("user", "deletes the picture")
		delete(e.api.configMaps, imageConfigMap)
	case 1:
		e.trace.add("user", "puts what is no picture in its place")
		e.api.putImage([]byte("no picture"))
	default:
		e.trace.add("user", "puts the picture there")
		e.api.putImage(logo)
	}
}

// setDesiredState changes desiredState, also of what is cancelled already.
func (e *env) setDesiredState(p picker, state v1alpha1.DesiredState) {
	name := p.job()
	job := e.api.get(name)
	if job == nil || job.Spec.DesiredState == state {
		return
	}
	e.trace.add("user", "wants %s to be %s", name, state)
	e.api.change(name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state })
}

func deleteJob(e *env, p picker) {
	name := p.job()
	if e.api.get(name) == nil {
		return
	}
	e.trace.add("user", "deletes %s", name)
	e.api.delete(name)
}

func deleteNamespace(e *env, p picker) {
	e.trace.add("user", "deletes the namespace")
	e.api.terminating = true
	if p.n(2) == 0 {
		clear(e.api.secrets)
	}
	for _, name := range jobNames {
		e.api.delete(name)
	}
	e.afterFunc(e.random.between(0, 10*time.Second, "the namespace's Secrets go"), func() { clear(e.api.secrets) })
}

func putSecret(e *env, p picker) {
	if e.api.terminating {
		return
	}
	key := pick(&p, keyOne, keyOne, keyTwo, keyTwo, keyOther, keyBad)
	e.trace.add("user", "puts key %s… into the Secret", key[:len("dk_live_acme_one")])
	e.api.putSecret(key)
}

func deleteSecret(e *env, _ picker) {
	e.trace.add("user", "deletes the Secret")
	clear(e.api.secrets)
}

func loseStatus(e *env, p picker) {
	name := p.job()
	if job := e.api.get(name); job == nil || lifecycle.Annotated(job) == "" {
		return // without the annotation nothing is promised
	}
	e.trace.add("user", "empties the status of %s", name)
	e.api.loseStatus(name)
}

func takeFinalizerOff(e *env, p picker) {
	name := p.job()
	if job := e.api.get(name); job == nil || len(job.Finalizers) == 0 {
		return
	}
	e.trace.add("user", "takes the finalizer off %s", name)
	e.api.takeFinalizerOff(name)
}

func takeAnnotationOff(e *env, p picker) {
	name := p.job()
	if job := e.api.get(name); job == nil || lifecycle.Annotated(job) == "" || job.Status.JobID == "" {
		return // with neither, it is a new object
	}
	e.trace.add("user", "takes the annotation off %s", name)
	e.api.takeAnnotationOff(name)
}

// restore brings an object back as it was some time ago, but for its status, in place of what is there now.
func restore(e *env, p picker) {
	name := p.job()
	var backups []version
	for _, v := range e.api.history {
		if v.name == name && v.job != nil && v.job.DeletionTimestamp == nil {
			backups = append(backups, v)
		}
	}
	if len(backups) == 0 || e.api.terminating {
		return
	}
	backup := backups[p.n(len(backups))]
	if e.api.get(name) != nil {
		e.api.vanish(name)
	}
	e.trace.add("user", "restores %s as it was at version %d, without status", name, backup.revision)
	e.api.createFrom(backup.job, p.n(2) == 0)
}

// pickProcess picks one that lives: mostly the leader, as that is where it hurts.
func (e *env) pickProcess(p *picker) *process {
	if e.leader != nil && !e.leader.dead && p.n(4) != 0 {
		return e.leader
	}
	if len(e.processes) == 0 {
		return nil
	}
	return e.processes[p.n(len(e.processes))]
}

func crashNow(e *env, p picker) {
	if victim := e.pickProcess(&p); victim != nil {
		victim.crash("killed")
	}
}

func crashSoon(e *env, p picker) {
	e.crashAt = point{effect: e.effects + 1 + p.n(6), after: p.n(2) == 0}
}

func pauseProcess(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	most := pick(&p, 5*time.Second, 30*time.Second, time.Minute, 2*time.Minute, time.Hour)
	pause := func() { victim.pause(most/8 + time.Duration(p.n(int(most)))*7/8) }
	// Now, or in the midst of something: between a write and what follows it, say.
	if p.n(3) == 0 {
		pause()
		return
	}
	e.afterFunc(time.Duration(p.n(int(400*time.Millisecond))), pause)
}

// clockJump sets the clocks of all machines wrong, or right. The operator's promises hold for
// clocks that are within 15 s of each other and of the past: no request may be on its way.
func clockJump(e *env, p picker) {
	off := pick(&p, -25*time.Minute, -5*time.Minute, 0, 5*time.Minute, 25*time.Minute)
	for _, job := range e.api.jobs {
		if job.job.Status.InDoubt() {
			return
		}
	}
	e.trace.add("world", "the clocks are set to %s off", off)
	e.clockOff, e.clocksJumped = off, e.clocksJumped || off != 0
}

func changeDaftyFaults(e *env, p picker) {
	name := pick(&p, faultSetNames...)
	most := pick(&p, 10*time.Second, time.Minute, time.Minute, 5*time.Minute, 20*time.Minute)
	if p.n(40) == 0 {
		most = 26 * time.Hour
	}
	e.daftyFaults = faults{kinds: faultSets[name], odds: uint64(1 + p.n(8)), until: time.Now().Add(most)} //nolint:gosec // Small.
	e.trace.add("world", "Dafty %s, for %s, %d of 8 calls", name, most, e.daftyFaults.odds)
}

func changeAPIFaults(e *env, p picker) {
	most := pick(&p, 10*time.Second, time.Minute, 5*time.Minute)
	e.apiFaults = faults{odds: uint64(1 + p.n(8)), until: time.Now().Add(most)} //nolint:gosec // Small.
	e.trace.add("world", "the API server fails, for %s, %d of 8 calls", most, e.apiFaults.odds)
}

func watchLags(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	victim.jobs.lag = pick(&p, time.Second, 10*time.Second, time.Minute)
	e.trace.add(victim.id, "sees changes %s late", victim.jobs.lag)
	e.afterFunc(pick(&p, 20*time.Second, 3*time.Minute), func() { victim.jobs.lag = 0 })
}

func watchBreaks(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	e.trace.add(victim.id, "sees no changes")
	victim.jobs.breakWatch()
	e.afterFunc(pick(&p, 5*time.Second, time.Minute, 10*time.Minute), func() {
		if victim.jobs.broken && !victim.dead {
			e.trace.add(victim.id, "sees changes again")
			victim.jobs.relist()
		}
	})
}

func changeAccount(e *env, p picker) {
	what := pick(&p, "has no credits", "has no subscription", "has no allowance left", "may have one job in flight", "is well")
	e.trace.add("world", "the account %s", what)
	switch what {
	case "has no credits":
		e.sim.SetCredits(acme, 0)
	case "has no subscription":
		e.sim.SetSubscribed(acme, false)
	case "has no allowance left":
		e.sim.SetAllowance(acme, 0)
	case "may have one job in flight":
		e.sim.SetCeilings(daftysim.Ceilings{Images: 1, Videos: 1, Styles: 1})
	default:
		e.sim.SetCredits(acme, daftysim.DefaultCredits)
		e.sim.SetSubscribed(acme, true)
		e.sim.SetAllowance(acme, daftysim.Unlimited)
		e.sim.SetCeilings(daftysim.Ceilings{})
	}
}

func revokeKey(e *env, p picker) {
	key := pick(&p, keyOne, keyTwo)
	e.trace.add("world", "key %s… is revoked", key[:len("dk_live_acme_one")])
	e.sim.RevokeKey(key)
}

// moveJob does to a running job what time would, or has its next cancel meet its end.
func moveJob(e *env, p picker) {
	running := e.sim.Running()
	if len(running) == 0 {
		return
	}
	id := running[p.n(len(running))].JobID
	switch p.n(4) {
	case 0:
		e.trace.add("world", "job %s starts", shortID(id))
		_ = e.sim.Start(id) // it may have
	case 1:
		e.trace.add("world", "job %s fails", shortID(id))
		_ = e.sim.Finish(id, daftysim.Fail)
	case 2:
		e.trace.add("world", "job %s completes", shortID(id))
		_ = e.sim.Finish(id, daftysim.Succeed)
	default:
		e.trace.add("world", "a cancel of job %s will meet its end", shortID(id))
		_ = e.sim.RaceCancel(id)
	}
}
