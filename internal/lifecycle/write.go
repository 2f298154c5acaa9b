package lifecycle

import "dafty.ai/dafty-operator/api/v1alpha1"

// Write is a kind of write to the DaftyJob that the API server may refuse.
type Write string

const (
	// WriteStatus writes the status subresource.
	WriteStatus Write = "status"
	// WriteFinalizer adds the finalizer.
	WriteFinalizer Write = "finalizer"
	// WriteAnnotation writes the annotation with the job's id.
	WriteAnnotation Write = "annotation"
	// WriteRelease removes the finalizer, from an object that is deleted or has ended.
	WriteRelease Write = "release"
	// WriteDeletion deletes the object when its time is over.
	WriteDeletion Write = "deletion"
)

// WriteOf returns the write that a step consists of, empty where it writes nothing to the DaftyJob.
func WriteOf(step Step) Write {
	switch step.(type) {
	case AddFinalizer:
		return WriteFinalizer
	case Annotate:
		return WriteAnnotation
	case Release, RemoveFinalizer:
		return WriteRelease
	case Delete:
		return WriteDeletion
	}
	return ""
}

// Unrecorded returns the step to take where the status of a decision about job can't be written, and whether there is one: it
// takes nothing back, and costs nothing twice.
func Unrecorded(job *v1alpha1.DaftyJob, decision Decision) (step Step, taken bool) {
	d := &decider{Snapshot: Snapshot{Job: job}}
	if decision.Status.Phase.Final() && Is[Rest](decision.Step) && d.deleting() && d.finalizer() {
		// Its end is known, and it is to go: nobody needs it written down.
		return RemoveFinalizer{}, true
	}
	switch decision.Step.(type) {
	case Cancel, Follow, LookForThumbnail, AddFinalizer, Annotate, RemoveFinalizer:
		return decision.Step, true
	}
	return nil, false
}
