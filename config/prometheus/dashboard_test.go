package prometheus_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// panel is one of the dashboard.
type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ H, W, X, Y int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		Expr, LegendFormat string
		Datasource         struct{ Type, UID string }
	}
}

type dashboard struct {
	UID           string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name, Type string
			Definition string
		}
	}
	Panels []panel
}

func readDashboard(t *testing.T) (d dashboard, raw []byte) {
	t.Helper()
	raw, err := os.ReadFile("../grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d, raw
}

// The dashboard follows Grafana's own schema, and each panel says what it shows.
func TestDashboard(t *testing.T) {
	d, raw := readDashboard(t)
	mustGo(t, "hack/tools/grafana", string(raw), "run", ".")
	if _, err := goCommand(t, "hack/tools/grafana", strings.Replace(string(raw), `"legendFormat"`, `"legend"`, 1), "run", "."); err == nil || !strings.Contains(err.Error(), "unexpected field 'legend'") {
		t.Errorf("a field that Grafana doesn't know: %v", err)
	}

	ids, titles := map[int]bool{}, map[string]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] || titles[p.Title] || p.Title == "" {
			t.Errorf("panel %d: the id or the title %q is there twice, or none is", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for _, other := range d.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s lies on %s", p.Title, other.Title)
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is wider than the page", p.Title)
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%s lacks a description, a unit or a query", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || target.Datasource.Type != "prometheus" || p.Datasource != target.Datasource {
				t.Errorf("%s asks %+v", p.Title, target.Datasource)
			}
		}
	}
	used := map[string]bool{"datasource": true, "__rate_interval": true}
	for _, v := range d.Templating.List {
		used[v.Name] = true
		if v.Name != "datasource" && !strings.Contains(string(raw), `\"$`+v.Name+`\"`) {
			t.Errorf("no panel goes by the variable %s", v.Name)
		}
	}
	for _, match := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(string(raw), -1) {
		if !used[match[1]] && match[1] != "__all" {
			t.Errorf("there is no variable %s", match[1])
		}
	}
}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// dashboardAsks holds what the panels ask for against a scrape.
func dashboardAsks(t *testing.T, scraped series) {
	d, _ := readDashboard(t)
	var names, expressions, legends []string
	variables := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$type", ".*")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			names = append(names, p.Title)
			expressions = append(expressions, variables.Replace(target.Expr))
			legends = append(legends, target.LegendFormat)
		}
	}
	for _, v := range d.Templating.List {
		if query, is := strings.CutPrefix(v.Definition, "label_values("); is {
			metric, label, _ := strings.Cut(strings.TrimSuffix(query, ")"), ", ")
			names, legends = append(names, "the variable "+v.Name), append(legends, "")
			expressions = append(expressions, "count by ("+label+") ("+metric+")")
		}
	}
	if len(expressions) < 30 {
		t.Fatalf("the dashboard asks for %d things", len(expressions))
	}
	for i, a := range parse(t, expressions) {
		for _, complaint := range scraped.complaints(a, false) {
			t.Errorf("%s: %s: %s", names[i], expressions[i], complaint)
		}
		for _, match := range legendLabel.FindAllStringSubmatch(legends[i], -1) {
			// What is summed up has the labels that it is grouped by; anything else has those of its target.
			if !slices.Contains(a.Labels, match[1]) && (!slices.Contains(targetLabels, match[1]) || strings.Contains(expressions[i], "sum")) {
				t.Errorf("%s: the legend %s isn't among the labels of %s", names[i], legends[i], expressions[i])
			}
		}
	}
}
