package simulation

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// asset returns the newest version of a DaftyAsset, nil if there is none.
func (a *apiServer) asset(name string) *v1alpha1.DaftyAsset { return a.assets[name].object }

// createAsset stores a new DaftyAsset with the CRD's defaults.
func (a *apiServer) createAsset(asset *v1alpha1.DaftyAsset) {
	a.created++
	a.assetNames[asset.Name] = true
	asset.Namespace = namespace
	asset.UID = uid(a.created)
	asset.ResourceVersion, asset.Generation = "", 1
	asset.CreationTimestamp = metav1.NewTime(time.Now())
	asset.Status = v1alpha1.DaftyAssetStatus{ObservedGeneration: -1}
	defaultAsset(asset)
	a.storeAsset(asset)
}

// defaultAsset sets the CRD's defaults.
func defaultAsset(asset *v1alpha1.DaftyAsset) {
	spec := &asset.Spec
	if spec.ChangePolicy == "" {
		spec.ChangePolicy = v1alpha1.ChangeAutomatic
	}
	if spec.HistoryLimit == nil {
		spec.HistoryLimit = new(int32(3))
	}
	if spec.Template.Spec.DeletionPolicy == "" {
		spec.Template.Spec.DeletionPolicy = v1alpha1.DeletionCancel
	}
	spec.Template.Spec.CredentialsSecretRef = v1alpha1.SecretKeyReference{Name: v1alpha1.DefaultSecretName, Key: v1alpha1.DefaultSecretKey}
}

// changeAsset edits the spec or metadata of a DaftyAsset as a user does.
func (a *apiServer) changeAsset(name string, edit func(*v1alpha1.DaftyAsset)) {
	asset := a.asset(name).DeepCopy()
	edit(asset)
	defaultAsset(asset)
	if !equality.Semantic.DeepEqual(asset.Spec, a.asset(name).Spec) {
		asset.Generation++
	}
	a.env.invariants.userWrites = true
	a.storeAsset(asset)
	a.env.invariants.userWrites = false
}

// deleteAsset deletes a DaftyAsset, which has no finalizer.
func (a *apiServer) deleteAsset(name string) {
	if asset := a.asset(name); asset != nil {
		asset = asset.DeepCopy()
		asset.DeletionTimestamp, asset.Finalizers = new(metav1.Now()), nil
		a.storeAsset(asset)
	}
}

// deleteAssetInForeground has what belongs to a DaftyAsset deleted before it goes, as Argo CD does.
func (a *apiServer) deleteAssetInForeground(name string) {
	asset := a.asset(name)
	if asset == nil || asset.DeletionTimestamp != nil {
		return
	}
	asset = asset.DeepCopy()
	asset.DeletionTimestamp, asset.Finalizers = new(metav1.Now()), []string{metav1.FinalizerDeleteDependents}
	asset.Generation++
	a.storeAsset(asset)
	a.env.afterFunc(a.env.random.between(50*time.Millisecond, 5*time.Second, "what "+string(asset.UID)+" owns goes first"), func() {
		a.collectJobs(asset.UID)
		if is := a.asset(name); is != nil && is.UID == asset.UID {
			a.deleteAsset(name)
		}
	})
}

// collectJobs deletes the DaftyJobs of a DaftyAsset that is gone or goes.
func (a *apiServer) collectJobs(of types.UID) {
	for _, job := range all(a.jobs) {
		if _, owner, made := lifecycle.MadeBy(job); made && owner == of && job.DeletionTimestamp == nil {
			a.env.trace.add("api", "%s goes with its owner", job.Name)
			a.env.invariants.assets.removed[job.UID] = true
			a.delete(job.Name)
		}
	}
}

// disown leaves the DaftyJobs of a DaftyAsset to themselves, as a deletion with --cascade=orphan does.
func (a *apiServer) disown(of types.UID) {
	for _, job := range all(a.jobs) {
		if _, owner, made := lifecycle.MadeBy(job); made && owner == of {
			a.env.invariants.assets.removed[job.UID] = true
			a.tamper(job.Name, func(job *v1alpha1.DaftyJob) { job.OwnerReferences = nil })
		}
	}
}

// createJob is the operator's create of a DaftyJob.
func (a *apiServer) createJob(job *v1alpha1.DaftyJob) error {
	switch {
	case a.terminating:
		return apierrors.NewForbidden(jobResource, job.Name, errors.New("the namespace is being terminated"))
	case a.get(job.Name) != nil:
		return apierrors.NewAlreadyExists(jobResource, job.Name)
	}
	stored := job.DeepCopy()
	a.env.invariants.checkCreated(stored)
	a.create(stored)
	a.get(job.Name).DeepCopyInto(job)
	a.env.reached("DaftyJob created")
	a.collectOrphan(job)
	return nil
}

// collectOrphan has the garbage collector find a new DaftyJob whose owner isn't there.
func (a *apiServer) collectOrphan(job *v1alpha1.DaftyJob) {
	if name, owner, made := lifecycle.MadeBy(job); made && (a.asset(name) == nil || a.asset(name).UID != owner) {
		a.collect(owner)
	}
}

// patchAsset applies a JSON merge patch to a DaftyAsset, or only to its status.
func (a *apiServer) patchAsset(name string, status bool, data []byte) (*v1alpha1.DaftyAsset, error) {
	current, ok := a.assets[name]
	if !ok {
		return nil, apierrors.NewNotFound(assetResource, name)
	}
	asset := &v1alpha1.DaftyAsset{}
	changed, err := patched(current, status, data, asset)
	if err != nil {
		return nil, err
	}
	if !changed {
		a.env.invariants.violated("false: DaftyAsset %s is written, and nothing has changed: %s", name, data)
		return current.object, nil
	}
	stored := a.storeAsset(asset)
	if status {
		a.env.reached("asset recorded")
	}
	return stored, nil
}

// storeAsset makes asset the newest version of the object, as the API server would keep it, and tells everyone who watches.
func (a *apiServer) storeAsset(asset *v1alpha1.DaftyAsset) *v1alpha1.DaftyAsset {
	a.revision++
	asset.ResourceVersion = strconv.FormatInt(a.revision, 10)
	raw, err := json.Marshal(asset)
	if err != nil {
		panic(err) // it is ours
	}
	stored := &v1alpha1.DaftyAsset{}
	if err := json.Unmarshal(raw, stored); err != nil {
		panic(err)
	}
	v := assetVersion{revision: a.revision, name: asset.Name, object: stored, raw: raw}
	a.env.invariants.checkAssetVersion(a.assets[asset.Name].object, v)
	if asset.DeletionTimestamp != nil && len(asset.Finalizers) == 0 {
		delete(a.assets, asset.Name)
		v.object = nil
		a.env.trace.add("api", "DaftyAsset %s is gone", asset.Name)
		a.collect(asset.UID)
	} else {
		a.assets[asset.Name] = v
	}
	a.assetHistory = append(a.assetHistory, v)
	for _, p := range a.env.processes {
		p.assets.notify(v)
	}
	return stored
}

// assetBackups are the versions of a DaftyAsset that a backup may have, the oldest first.
func (a *apiServer) assetBackups(name string) (backups []assetVersion) {
	for _, v := range a.assetHistory {
		if v.name == name && v.object != nil && v.object.DeletionTimestamp == nil {
			backups = append(backups, v)
		}
	}
	return backups
}

// jobNamesOf are the names of the DaftyJobs that a DaftyAsset of this name ever had.
func (a *apiServer) jobNamesOf(asset string) (names []string) {
	for _, v := range a.history {
		if v.object == nil || slices.Contains(names, v.name) {
			continue
		}
		if name, _, made := lifecycle.MadeBy(v.object); made && name == asset {
			names = append(names, v.name)
		}
	}
	return names
}
