package lifecycle

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// AssetSource is a field of a spec that refers to a DaftyAsset.
type AssetSource struct {
	// Field is as in v1alpha1.Input, and Name the DaftyAsset's.
	Field, Name string

	source source
}

// AssetSources returns the fields of a spec that refer to DaftyAssets, in order.
func AssetSources(spec *v1alpha1.DaftyJobSpec) (fields []AssetSource) {
	for _, s := range sources(spec) {
		if s.asset != nil {
			fields = append(fields, AssetSource{Field: s.field, Name: s.asset.Name, source: s})
		}
	}
	return fields
}

// Pick returns what the field stands for by the current result of the DaftyAsset, or what is wrong with that, for the user.
func (s AssetSource) Pick(asset *v1alpha1.DaftyAsset) (in v1alpha1.Input, problem string) {
	in = v1alpha1.Input{Field: s.Field, Source: s.source.String()}
	var result *v1alpha1.JobResult
	var jobID string
	if current := asset.Status.Current; current != nil {
		result, jobID = current.Result, current.JobID
	}
	problem = pick(s.source, result, jobID, &in)
	return in, problem
}

// DependsOnAssets returns the names of the DaftyAssets that a spec refers to, each once.
func DependsOnAssets(spec *v1alpha1.DaftyJobSpec) []string { return assetNames(sources(spec)) }

// NeedsAssets returns the names of the DaftyAssets that are still to be read before a job can be submitted. One that a DaftyAsset
// made takes what that has on record, and needs no others.
func NeedsAssets(job *v1alpha1.DaftyJob) []string {
	if _, _, made := MadeBy(job); made {
		return nil
	}
	return assetNames(needed(job))
}

func assetNames(sources []source) (names []string) {
	for _, s := range sources {
		if s.asset != nil && !slices.Contains(names, s.asset.Name) {
			names = append(names, s.asset.Name)
		}
	}
	return names
}

// resolveAsset finds what a DaftyAsset keeps, once: what it keeps later doesn't matter to this job. Nothing that a DaftyAsset says
// is an end, as it may be changed or mended at any time.
func (d *decider) resolveAsset(s source, in *v1alpha1.Input) *obstacle {
	if d.ofAsset() {
		return d.resolveRecorded(s, in)
	}
	name, asset := s.asset.Name, d.References.Assets[s.asset.Name]
	switch {
	case d.status.InDoubt():
		// Its result may be another by now, and a repeat is of the same request.
		return d.waitFor(v1alpha1.ReasonWaitingForDependency, fmt.Sprintf("%s refers to DaftyAsset %q, whose result of then isn't known", s.field, name), true)
	case asset == nil:
		return d.waitFor(v1alpha1.ReasonWaitingForDependency,
			fmt.Sprintf("%s refers to DaftyAsset %q, which isn't there yet; it goes on once that one is created and Ready", s.field, name), false)
	case !AssetReady(asset):
		if met := d.inCycle(AssetNode(name)); met != nil {
			return met
		}
		return d.waitFor(v1alpha1.ReasonWaitingForDependency,
			fmt.Sprintf("%s waits for DaftyAsset %q, which isn't Ready: %s", s.field, name, describeAsset(asset)), false)
	}
	found, problem := AssetSource{Field: s.field, Name: name, source: s}.Pick(asset)
	if problem != "" {
		return d.waitFor(v1alpha1.ReasonInvalidReference, fmt.Sprintf(
			"%s refers to %s, but %s; nothing was submitted. It goes on by itself once DaftyAsset %q has such a result", s.field, s, problem, name), true)
	}
	*in = found
	return nil
}

// AssetReady reports whether a DaftyAsset has the result of its newest spec, as far as its status says.
func AssetReady(asset *v1alpha1.DaftyAsset) bool {
	current := asset.Status.Current
	return meta.IsStatusConditionTrue(asset.Status.Conditions, v1alpha1.ConditionReady) && asset.Status.ObservedGeneration == asset.Generation &&
		current != nil && current.Result != nil
}

// describeAsset says why a DaftyAsset isn't Ready, and what to do about that.
func describeAsset(asset *v1alpha1.DaftyAsset) string {
	ready := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || asset.Status.ObservedGeneration != asset.Generation:
		return "its newest spec hasn't been looked at yet; it goes on by itself"
	case ready.Status == metav1.ConditionFalse:
		return fmt.Sprintf("%s; it goes on by itself once that is mended: kubectl describe -n %s daftyasset %s", ready.Reason, asset.Namespace, asset.Name)
	case ready.Status == metav1.ConditionTrue:
		return "its result is being fetched again; it goes on by itself"
	}
	return ready.Reason + "; it goes on by itself once its result is there"
}
