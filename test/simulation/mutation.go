package simulation

import (
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/metrics"
)

// mutation breaks the operator on purpose, to see that an invariant finds it.
type mutation struct {
	// patch changes or drops what the operator writes of job.
	patch func(job *v1alpha1.DaftyJob, patch map[string]any) (drop bool)
	// read changes what the operator reads of job.
	read func(job *v1alpha1.DaftyJob)
	// readResult changes what the operator reads of a ConfigMap.
	readResult func(*corev1.ConfigMap)
	// request changes what the operator sends.
	request func(*http.Request)
	// dafty wraps the calls with an API key.
	dafty func(calls account.Dafty, apiKey string) account.Dafty
	// skew is added to the clock of slot B.
	skew time.Duration
	// deletionTimeout replaces the constant.
	deletionTimeout time.Duration
	// refusal replaces the error of a refused status write.
	refusal func(name string) error
	// noLiveReads makes reads past the cache find nothing.
	noLiveReads bool
	// cachedLiveReads makes reads of DaftyJobs past the cache find what is in the cache.
	cachedLiveReads bool
	// muted are the reasons of events that never arrive.
	muted []string
	// maxRetry is the longest time between two tries of what fails.
	maxRetry time.Duration
	// dropWakes makes Dafty's answers wake nobody.
	dropWakes bool
	// noResultWatch makes changes of the ConfigMaps of results unseen.
	noResultWatch bool
	// patchAsset changes or drops what the operator writes of a DaftyAsset.
	patchAsset func(asset *v1alpha1.DaftyAsset, patch map[string]any) (drop bool)
	// readAsset changes what the controller of DaftyAssets reads of one.
	readAsset func(e *env, asset *v1alpha1.DaftyAsset)
	// readMaker changes what the controller of DaftyJobs reads of the DaftyAsset that made one.
	readMaker func(job *v1alpha1.DaftyJob, asset *v1alpha1.DaftyAsset)
	// create changes the DaftyJobs that the operator creates.
	create func(*v1alpha1.DaftyJob)
	// patchAccount changes or drops what the operator writes of a DaftyAccount.
	patchAccount func(e *env, account *v1alpha1.DaftyAccount, patch map[string]any) (drop bool)
	// readAccount changes what the operator reads of a DaftyAccount.
	readAccount func(*v1alpha1.DaftyAccount)
	// readToSettle changes what the budgets read of a DaftyJob.
	readToSettle func(*v1alpha1.DaftyJob)
	// load changes what the metrics show of the accounts.
	load func(metrics.Load)
	// keepResults leaves the ConfigMaps of DaftyAssets as they are first written.
	keepResults bool
	// play finds it, where that is rare in random histories.
	play func(*env)
}
