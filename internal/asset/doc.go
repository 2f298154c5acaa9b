// Package asset decides what happens to a DaftyAsset next. It is pure, as package lifecycle is for DaftyJobs: Next takes the
// object, its DaftyJobs, the DaftyAssets that it refers to, and the time; it returns the status to write and the steps to take.
// It never speaks of Dafty: whatever is paid for is paid for by a DaftyJob, under the promises of package lifecycle.
//
// Its words:
//
//   - asset: the DaftyAsset. job: one of its DaftyJobs, which it controls by an owner reference.
//   - request: all that makes what is asked of Dafty: the template's operation, the revision, and what the assetRefs stand for.
//     Its hash names its job.
//   - wanted: the request of the newest spec.
//   - record: what status says of a request: it is pending, current, or in the history.
//   - pending: a job of the wanted request that isn't current yet. Only a job that is on record as pending is submitted: package
//     lifecycle sees to that. So it may be created on an old view of the asset, or twice, and nothing is paid for.
//   - current: the result to use. It stays until the next one is there.
//   - overtaken: no longer wanted, as there is a newer change. Its job is called off.
//   - adopt: to follow, by a DaftyJob with spec.adoptJobID, the job of the annotation of an asset that has lost its status.
//   - upstream: the DaftyAssets that the template names under assetRef.
//
// The order of what a decision asks for matters:
//
//   - First is taken before status is written, as it is to be in status: a job is created, a result stored. Each can be done
//     twice, or for nothing, without harm.
//   - Then status is written, under the resourceVersion that was read. A stale cache or a second leader loses there.
//   - Steps are taken after that. They call off and delete, and rest on that this was the newest view. Where status can't be
//     written, what calls off is taken all the same, once a read past the cache has shown that it was.
package asset
