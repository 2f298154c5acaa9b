// Command selectors reads a JSON list of PromQL expressions and writes what each of them asks Prometheus for.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// asked is what an expression asks for.
type asked struct {
	// Series are its selectors.
	Series []selector `json:"series"`
	// Labels are those that it groups, joins or matches by, beside the selectors'.
	Labels []string `json:"labels"`
	// Error says why it is none.
	Error string `json:"error,omitempty"`
}

type selector struct {
	Name     string    `json:"name"`
	Matchers []matcher `json:"matchers"`
}

// matcher is one of = != =~ !~ on a label.
type matcher struct {
	Label string `json:"label"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

func main() {
	var expressions []string
	if err := json.NewDecoder(os.Stdin).Decode(&expressions); err != nil {
		fmt.Fprintln(os.Stderr, "selectors: the input is no JSON list of expressions:", err)
		os.Exit(1)
	}
	all := make([]asked, len(expressions))
	for i, expression := range expressions {
		all[i] = read(expression)
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		fmt.Fprintln(os.Stderr, "selectors:", err)
		os.Exit(1)
	}
}

func read(expression string) asked {
	a := asked{Series: []selector{}, Labels: []string{}}
	root, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	parser.Inspect(root, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			s := selector{Matchers: []matcher{}}
			for _, m := range n.LabelMatchers {
				if m.Name == "__name__" {
					s.Name = m.Value
					continue
				}
				s.Matchers = append(s.Matchers, matcher{m.Name, m.Type.String(), m.Value})
			}
			a.Series = append(a.Series, s)
		case *parser.AggregateExpr:
			a.Labels = append(a.Labels, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				a.Labels = append(a.Labels, n.VectorMatching.MatchingLabels...)
				a.Labels = append(a.Labels, n.VectorMatching.Include...)
			}
		}
		return nil
	})
	slices.Sort(a.Labels)
	a.Labels = slices.Compact(a.Labels)
	return a
}
