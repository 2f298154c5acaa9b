package simulation

import (
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
)

// mutation breaks the operator on purpose, to see that the judge finds it.
type mutation struct {
	// patch changes or drops what the operator writes of job.
	patch func(job *v1alpha1.DaftyJob, patch map[string]any) (drop bool)
	// read changes what the operator reads of job.
	read func(job *v1alpha1.DaftyJob)
	// readResult changes what it reads of a ConfigMap.
	readResult func(*corev1.ConfigMap)
	// request changes what it sends, dafty how it calls with an API key.
	request func(*http.Request)
	dafty   func(calls account.Dafty, apiKey string) account.Dafty
	// skew is how much further the clock of slot B is off.
	skew time.Duration
	// deletionTimeout is instead of the one that is told.
	deletionTimeout time.Duration
	// refusal is how a refused status write shows, blind has nothing read past the cache, mute are the reasons of events
	// that aren't told, and maxRetry is the longest time between two tries of what fails.
	refusal     func(name string) error
	noLiveReads bool
	muted       []string
	maxRetry    time.Duration
	// dropWakes has answers of Dafty's wake nobody.
	dropWakes bool
	// noResultWatch has nobody see what becomes of the ConfigMaps of results.
	noResultWatch bool
	// play is what finds it, where that is rare in random histories.
	play func(*env)
}
