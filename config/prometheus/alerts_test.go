package prometheus_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/gobuild"
)

// alertRule is an alert of alerts.yaml.
type alertRule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// readAlerts returns the alerts, and the spec that they stand in as Prometheus itself reads it.
func readAlerts(t *testing.T) (alerts []alertRule, spec []byte) {
	t.Helper()
	raw, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var resource struct{ Spec map[string]any }
	if err := yaml.UnmarshalStrict(raw, &struct {
		APIVersion, Kind string
		Metadata         map[string]any
		Spec             *map[string]any
	}{Spec: &resource.Spec}); err != nil {
		t.Fatal(err)
	}
	if spec, err = yaml.Marshal(resource.Spec); err != nil {
		t.Fatal(err)
	}
	var groups struct{ Groups []struct{ Rules []alertRule } }
	if err := yaml.Unmarshal(spec, &groups); err != nil {
		t.Fatal(err)
	}
	for _, group := range groups.Groups {
		alerts = append(alerts, group.Rules...)
	}
	if len(alerts) < 10 {
		t.Fatalf("alerts.yaml has %d alerts", len(alerts))
	}
	return alerts, spec
}

// buildPromtool builds the pinned one, where that wasn't done before. Its ways of finding targets in clouds are left out, as they take
// minutes to compile.
func buildPromtool(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "promtool")
	module := filepath.Join(root(t), "hack", "tools", "promtool")
	if err := gobuild.Main(t.Context(), module, "promtool", program, "-tags", "remove_all_sd", "github.com/prometheus/prometheus/cmd/promtool"); err != nil {
		t.Fatal(err)
	}
	return program
}

// The rules are valid, and each fires when it should and not a moment earlier.
func TestAlerts(t *testing.T) {
	alerts, rules := readAlerts(t)
	cases, err := os.ReadFile("alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	program := buildPromtool(t)
	promtool := func(t *testing.T, rules []byte, args ...string) (output string, err error) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = t.TempDir()
		for name, content := range map[string][]byte{"rules.yaml": rules, "alerts_test.yaml": cases} {
			if err := os.WriteFile(filepath.Join(cmd.Dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := cmd.CombinedOutput()
		return string(raw), err
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"},
		{"test", "rules", "alerts_test.yaml"},
	} {
		if output, err := promtool(t, rules, args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}

	// The tests fail where an alert comes too early, too late or never.
	for name, change := range map[string]*strings.Replacer{
		"a minute later":                    strings.NewReplacer("for: 5m", "for: 6m"),
		"a minute earlier":                  strings.NewReplacer("for: 15m", "for: 14m"),
		"less is enough":                    strings.NewReplacer("> 0.1", "> 0.08"),
		"an asset that is stuck for longer": strings.NewReplacer("> 900", "> 960"),
		"an asset that is made for less":    strings.NewReplacer("> 7200", "> 7140"),
		"more is needed":                    strings.NewReplacer("> 3.5", "> 4.5"),
		"one that starts late":              strings.NewReplacer("replicas_available", "replicas"),
		"one that comes and goes":           strings.NewReplacer("< 0.5", "< 0.4"),
		"other words":                       strings.NewReplacer("{{ $labels.reason }}", "{{ $labels.class }}"),
	} {
		t.Run(name, func(t *testing.T) {
			changed := change.Replace(string(rules))
			if changed == string(rules) {
				t.Fatal("that changes nothing")
			}
			if output, err := promtool(t, []byte(changed), "test", "rules", "alerts_test.yaml"); err == nil || !strings.Contains(output, "FAILED") {
				t.Errorf("no test notices: %v\n%s", err, output)
			}
		})
	}

	var all struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(cases, &all); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range all.Tests {
		for _, c := range test.AlertRuleTest {
			if len(c.ExpAlerts) > 0 {
				fires[c.Alertname] = true
			} else {
				silent[c.Alertname] = true
			}
		}
	}
	for _, alert := range alerts {
		if !fires[alert.Alert] || !silent[alert.Alert] {
			t.Errorf("alerts_test.yaml has %s fire: %v, and be silent: %v", alert.Alert, fires[alert.Alert], silent[alert.Alert])
		}
	}
}

// Each alert says how bad it is, what is wrong and where to read on.
func TestAlertsSay(t *testing.T) {
	alerts, _ := readAlerts(t)
	raw, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, alert := range alerts {
		if seen[alert.Alert] {
			t.Errorf("%s is there twice", alert.Alert)
		}
		seen[alert.Alert] = true
		if severity := alert.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s: severity %q", alert.Alert, severity)
		}
		if alert.Annotations["summary"] == "" || alert.Annotations["description"] == "" {
			t.Errorf("%s says nothing", alert.Alert)
		}
		if got, want := alert.Annotations["runbook_url"], "https://dafty.ai/dafty-operator/docs/runbooks.md#"+strings.ToLower(alert.Alert); got != want {
			t.Errorf("%s: runbook_url %s, want %s", alert.Alert, got, want)
		}
	}
	// A number in for without a reason can't be judged.
	if reasons := regexp.MustCompile(`(?m)^ +#.*\n +for: `).FindAllString(string(raw), -1); len(reasons) != len(alerts) {
		t.Errorf("%d of %d alerts say why they wait for so long", len(reasons), len(alerts))
	}
}
