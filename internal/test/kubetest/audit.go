package kubetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// auditPolicy: bodies for what this operator writes, and who did what for all else. Secrets' bodies never.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  resources:
  - group: dafty.ai
  - group: events.k8s.io
- level: Metadata
`

func (cp *ControlPlane) configureAudit(flags *envtest.Arguments) error {
	cp.auditFile = filepath.Join(cp.dir, "audit.log")
	policy := filepath.Join(cp.dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	// Blocking: what a client has an answer to is in the log.
	flags.Set("audit-policy-file", policy).Set("audit-log-path", cp.auditFile).Set("audit-log-mode", "blocking")
	return nil
}

// auditLog is what has been read of the audit log so far: it gets long, and some tests look at it again and again.
type auditLog struct {
	sync.Mutex
	events []auditv1.Event
	read   int64 // bytes
}

// AuditEvents returns every request answered so far, in the order of the answers. A watch is there twice: when it starts
// and when it ends.
func (cp *ControlPlane) AuditEvents() ([]auditv1.Event, error) {
	if cp.auditFile == "" {
		return nil, fmt.Errorf("the control plane was started without Options.Audit")
	}
	cp.audited.Lock()
	defer cp.audited.Unlock()
	file, err := os.Open(cp.auditFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.NewSectionReader(file, cp.audited.read, math.MaxInt64-cp.audited.read))
	if err != nil {
		return nil, err
	}
	// A line whose end isn't written yet belongs to a request that isn't answered.
	content = content[:bytes.LastIndexByte(content, '\n')+1]
	for line := range bytes.Lines(content) {
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		cp.audited.events = append(cp.audited.events, event)
		cp.audited.read += int64(len(line))
	}
	return slices.Clip(cp.audited.events), nil
}
