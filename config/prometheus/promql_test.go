package prometheus_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"dafty.ai/dafty-operator/internal/metrics"
)

// asked is what an expression asks for, as hack/tools/promtool/selectors writes it.
type asked struct {
	Series []selector
	Labels []string
	Error  string
}

type selector struct {
	Name     string
	Matchers []struct{ Label, Type, Value string }
}

// parse reads expressions with Prometheus' own parser.
func parse(t *testing.T, expressions []string) []asked {
	t.Helper()
	in, err := json.Marshal(expressions)
	if err != nil {
		t.Fatal(err)
	}
	var all []asked
	if err := json.Unmarshal([]byte(mustGo(t, "hack/tools/promtool", string(in), "run", "./selectors")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(expressions) {
		t.Fatalf("%d expressions make %d", len(expressions), len(all))
	}
	return all
}

// targetLabels are those that Prometheus itself puts on a series of a ServiceMonitor's.
var targetLabels = []string{"job", "namespace", "pod", "instance", "service", "endpoint", "container"}

// foreign are the labels of what Prometheus makes itself, and of what kube-state-metrics has.
var foreign = map[string][]string{
	"up":                            targetLabels,
	"kube_deployment_spec_replicas": {"namespace", "deployment"},
	"kube_deployment_status_replicas_available": {"namespace", "deployment"},
}

// series are those of a scrape, by name. What they are about isn't of interest here but their labels.
type series map[string][]map[string]string

// readSeries reads a scrape in Prometheus' text format.
func readSeries(t *testing.T, scrape string) series {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape))
	if err != nil {
		t.Fatal(err)
	}
	all := series{}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, pair := range metric.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			if family.GetType() != dto.MetricType_HISTOGRAM {
				all[name] = append(all[name], labels)
				continue
			}
			all[name+"_sum"] = append(all[name+"_sum"], labels)
			all[name+"_count"] = append(all[name+"_count"], labels)
			bucket := maps.Clone(labels)
			bucket["le"] = "+Inf"
			all[name+"_bucket"] = append(all[name+"_bucket"], bucket)
		}
	}
	return all
}

// labelsOf are the labels of a metric: by its definition where it is the operator's own, else as scraped; nil where there is
// no such metric.
func (s series) labelsOf(name string) []string {
	for _, d := range metrics.Definitions() {
		if d.Name == name && d.Type != "histogram" {
			return slices.Concat(d.Labels, targetLabels)
		}
		if suffix, is := strings.CutPrefix(name, d.Name+"_"); is && d.Type == "histogram" && slices.Contains([]string{"bucket", "sum", "count"}, suffix) {
			return slices.Concat(d.Labels, targetLabels, []string{"le"})
		}
	}
	if len(s[name]) == 0 {
		return nil
	}
	return slices.AppendSeq(slices.Clone(targetLabels), maps.Keys(s[name][0]))
}

// complaints are what is wrong with what an expression asks for: a metric or a label that there isn't, or a value that no
// series has. With strict, no series may be missing, as an increase from nothing is none; otherwise a metric whose
// series come later is let pass.
func (s series) complaints(a asked, strict bool) []string {
	if a.Error != "" {
		return []string{a.Error}
	}
	var all []string
	var known []string
	for _, selector := range a.Series {
		if others, is := foreign[selector.Name]; is {
			known = append(known, others...)
			continue
		}
		labels := s.labelsOf(selector.Name)
		if labels == nil {
			all = append(all, "there is no metric "+selector.Name)
			continue
		}
		known = append(known, labels...)
		if len(s[selector.Name]) == 0 {
			if strict {
				all = append(all, selector.Name+" has no series at the start")
			}
		}
		for _, m := range selector.Matchers {
			switch {
			case !slices.Contains(labels, m.Label):
				all = append(all, selector.Name+" has no label "+m.Label)
			case slices.Contains(targetLabels, m.Label) || len(s[selector.Name]) == 0:
			default:
				for value := range strings.SplitSeq(m.Value, "|") {
					if !s.has(selector.Name, m.Label, value) {
						all = append(all, selector.Name+" has no series with "+m.Label+" "+value)
					}
				}
			}
		}
	}
	for _, label := range a.Labels {
		if !slices.Contains(known, label) {
			all = append(all, "no metric has the label "+label)
		}
	}
	return all
}

func (s series) has(name, label, value string) bool {
	pattern := regexp.MustCompile("^(?:" + value + ")$")
	return slices.ContainsFunc(s[name], func(labels map[string]string) bool { return pattern.MatchString(labels[label]) })
}

// The check itself sees what is wrong.
func TestComplaints(t *testing.T) {
	scraped := series{
		"dafty_jobs_unfinished": {{"reason": "None"}, {"reason": "Queued"}},
		"workqueue_depth":       {{"controller": "dafty-operator"}},
	}
	wants := map[string]string{
		`sum by (reason) (dafty_jobs_unfinished{reason=~"None|Queued"})`:       "",
		`sum by (pod) (workqueue_depth{controller="dafty-operator"})`:          "",
		`histogram_quantile(0.5, sum by (le) (dafty_wait_seconds_bucket))`:     "",
		`sum(dafty_jobs_unfinishd)`:                                            "there is no metric dafty_jobs_unfinishd",
		`sum(dafty_wait_seconds)`:                                              "there is no metric dafty_wait_seconds",
		`sum(dafty_jobs_unfinished{phase="Queued"})`:                           "dafty_jobs_unfinished has no label phase",
		`sum(dafty_jobs_unfinished{reason=~"None|Queud"})`:                     "dafty_jobs_unfinished has no series with reason Queud",
		`sum(workqueue_depth{controller="daftyjobs"})`:                         "workqueue_depth has no series with controller daftyjobs",
		`sum by (phase) (dafty_jobs_unfinished)`:                               "no metric has the label phase",
		`dafty_jobs_unfinished and on (instance, queue) workqueue_depth`:       "no metric has the label queue",
		`sum(dafty_jobs_unfinished`:                                            "1:26: parse error: unclosed left parenthesis",
		`dafty_jobs_unfinished * on (namespace) group_left (type) dafty_queue`: "there is no metric dafty_queue; no metric has the label type",
	}
	const late = `dafty_wait_seconds_count`
	expressions := append(slices.Sorted(maps.Keys(wants)), late)
	parsed := parse(t, expressions)
	for i, expression := range expressions[:len(wants)] {
		if got, want := strings.Join(scraped.complaints(parsed[i], false), "; "), wants[expression]; got != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
	if len(scraped.complaints(parsed[len(wants)], true)) == 0 {
		t.Error("a series that comes later is let pass")
	}
}
