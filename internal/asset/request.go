package asset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// request is what an asset asks of Dafty.
type request struct {
	hash   string
	inputs []v1alpha1.Input
}

// settle is how long after a change of the spec the upstream assets are taken for changed by the same commit, and not resolved
// yet: kubectl and GitOps tools apply one object after the other.
const settle = 5 * time.Second

// obstacle is a verdict on why it isn't known what is wanted.
func obstacle(v verdict) *verdict { return &v }

// hashOf returns the hash of the request of a spec whose assetRefs stand for these inputs. It must stay the same from one version
// of the operator to the next, or all that is on record would be made, and paid for, again.
func hashOf(spec *v1alpha1.DaftyAssetSpec, inputs []v1alpha1.Input) string {
	type input struct{ Field, JobID string }
	asked := struct {
		Spec     v1alpha1.DaftyJobSpec `json:"spec"`
		Revision string                `json:"revision,omitempty"`
		Inputs   []input               `json:"inputs,omitempty"`
	}{Spec: *spec.Template.Spec.DeepCopy(), Revision: spec.Revision}
	clearDirections(&asked.Spec)
	for i := range inputs {
		asked.Inputs = append(asked.Inputs, input{inputs[i].Field, strings.ToLower(inputs[i].JobID)})
	}
	raw, err := json.Marshal(asked)
	if err != nil {
		panic(err) // it was read from JSON
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:5])
}

// clearDirections takes out of a spec what isn't part of the request: how it is made, and not what.
func clearDirections(spec *v1alpha1.DaftyJobSpec) {
	spec.CredentialsSecretRef = v1alpha1.SecretKeyReference{}
	spec.AccountRef = nil
	spec.DeletionPolicy = ""
	spec.BackoffLimit = nil
	spec.ActiveDeadlineSeconds = nil
	spec.StartingDeadlineSeconds = nil
}

// jobName returns the name of the DaftyJob of a request.
func jobName(asset *v1alpha1.DaftyAsset, hash string) string { return asset.Name + "-" + hash }

// ofJobName is the name of a DaftyJob that an asset may have made.
var ofJobName = regexp.MustCompile(`^(.+)-([0-9a-f]{10})$`)

// NameFrom returns the name of the asset that a DaftyJob of this name may be wanted by, empty where it is none's.
func NameFrom(jobName string) string {
	if parts := ofJobName.FindStringSubmatch(jobName); parts != nil {
		return parts[1]
	}
	return ""
}

// hashFrom returns the hash of the request that a DaftyJob is of.
func hashFrom(job *v1alpha1.DaftyJob) string {
	if parts := ofJobName.FindStringSubmatch(job.Name); parts != nil {
		return parts[2]
	}
	return ""
}

// settling returns for how long the upstream assets are not to be looked at yet, 0 where they may be.
func (d *decider) settling() time.Duration {
	if d.Known.SpecSince.IsZero() || len(lifecycle.AssetSources(&d.Asset.Spec.Template.Spec)) == 0 {
		return 0
	}
	if !d.Asset.Spec.FollowInputs && d.resolvedBefore() != nil {
		return 0
	}
	left := d.Known.SpecSince.Add(settle).Sub(d.Now)
	if left > settle {
		return 0 // the clock was set back
	}
	return max(left, 0)
}

// resolve finds out what the newest spec wants. Where the assetRefs were resolved before, and aren't to follow, that stands.
func (d *decider) resolve() (*request, *verdict) {
	spec := &d.Asset.Spec
	if d.Cycle != "" {
		return nil, obstacle(stalled(v1alpha1.ReasonDependencyCycle, d.Cycle+
			"; change one of them, or delete it. Nothing is made meanwhile"))
	}
	sources := lifecycle.AssetSources(&spec.Template.Spec)
	if len(sources) == 0 {
		return &request{hash: hashOf(spec, nil)}, nil
	}
	if !spec.FollowInputs {
		if r := d.resolvedBefore(); r != nil {
			return r, nil
		}
	}
	var inputs []v1alpha1.Input
	for _, s := range sources {
		in, met := d.resolveSource(s)
		if met != nil {
			return nil, met
		}
		inputs = append(inputs, in)
	}
	return &request{hash: hashOf(spec, inputs), inputs: inputs}, nil
}

// resolvedBefore returns the request of the spec with the inputs of a record, nil where none is of it.
func (d *decider) resolvedBefore() *request {
	spec := &d.Asset.Spec
	if p := d.status.Pending; p != nil && hashOf(spec, p.Inputs) == p.Hash {
		return &request{hash: p.Hash, inputs: p.Inputs}
	}
	if c := d.status.Current; c != nil && hashOf(spec, c.Inputs) == c.Hash {
		return &request{hash: c.Hash, inputs: c.Inputs}
	}
	for _, h := range d.status.History {
		if hashOf(spec, h.Inputs) == h.Hash {
			return &request{hash: h.Hash, inputs: h.Inputs}
		}
	}
	return nil
}

// resolveSource finds what an assetRef stands for.
func (d *decider) resolveSource(s lifecycle.AssetSource) (v1alpha1.Input, *verdict) {
	up, field := d.Upstream[s.Name], "spec.template.spec."+s.Field
	switch {
	case up == nil:
		return v1alpha1.Input{}, obstacle(inProgress(v1alpha1.ReasonWaitingForDependency,
			fmt.Sprintf("%s refers to DaftyAsset %q, which isn't there; it goes on once that one is created and Ready", field, s.Name)))
	case !lifecycle.AssetReady(up):
		return v1alpha1.Input{}, obstacle(inProgress(v1alpha1.ReasonWaitingForDependency,
			fmt.Sprintf("%s waits for DaftyAsset %q, which isn't Ready%s", field, s.Name, describeReady(up))))
	}
	in, problem := s.Pick(up)
	if problem != "" {
		return in, obstacle(stalled(v1alpha1.ReasonInvalidReference,
			fmt.Sprintf("%s refers to DaftyAsset %q, but %s; correct one of them", field, s.Name, problem)))
	}
	return in, nil
}

func describeReady(asset *v1alpha1.DaftyAsset) string {
	ready := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || asset.Status.ObservedGeneration != asset.Generation || ready.Status == metav1.ConditionTrue {
		return " yet"
	}
	return " (" + ready.Reason + ")"
}

// overtaken reports whether a record that isn't current is certainly not wanted any more.
func (d *decider) overtaken(hash string, inputs []v1alpha1.Input) bool {
	switch {
	case d.Asset.Spec.Suspend:
		return false // nothing new is made, so what is being made goes on
	case d.wanted != nil:
		return hash != d.wanted.hash
	}
	return hashOf(&d.Asset.Spec, inputs) != hash
}
