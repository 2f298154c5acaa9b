package account

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Config is what a Registry is made of.
type Config struct {
	// Client returns the client of an API key.
	Client func(apiKey string) Dafty
	// Wake is told of each DaftyJob that there is news about, and must not block.
	Wake func(types.NamespacedName)
	// WakeFirst is told instead of each whose job has ended or whose cancel was answered: somebody waits for that. By default it is Wake.
	WakeFirst func(types.NamespacedName)
	// WakeAccount is told of each DaftyAccount that there is news about, and must not block. It may be nil where there are none.
	WakeAccount func(name string)
	// Limits are the calls of a minute, by default DefaultLimits.
	Limits Limits
	// Sender names this process among all that ever ran (see v1alpha1.Submission.Sender), by default at random.
	Sender string
	// Now is the clock of the times in status, by default time.Now.
	Now func() time.Time
}
