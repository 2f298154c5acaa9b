// Package process runs the built operator as one or several processes, on a real API server and against a simulated Dafty:
// how a replica takes over from another, and what a process writes to its log and to traces.
package process

import (
	"testing"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// The audit log of the API server is a part of what is tested.
func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard()) // the tests' own client has nothing to say
	kubetest.Main(m, kubetest.Options{Audit: true})
}
