package kubetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

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

// AuditEvents returns every request answered so far, in the order of the answers. A watch is there twice: when it starts
// and when it ends.
func (cp *ControlPlane) AuditEvents() ([]auditv1.Event, error) {
	if cp.auditFile == "" {
		return nil, fmt.Errorf("the control plane was started without Options.Audit")
	}
	content, err := os.ReadFile(cp.auditFile)
	if err != nil {
		return nil, err
	}
	// A line whose end isn't written yet belongs to a request that isn't answered.
	content = content[:bytes.LastIndexByte(content, '\n')+1]
	var events []auditv1.Event
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var event auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		events = append(events, event)
	}
	return events, lines.Err()
}
