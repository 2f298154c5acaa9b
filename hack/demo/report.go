package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// report prints what came of the samples, what they cost, and where everything is. It returns the number of problems.
func (e *environment) report(samplesTook time.Duration) (problems int) {
	s, p := e.screen, e.screen.ansi
	s.print("")
	s.print(e.costTable()...)
	s.print("", "The pictures of "+assetsPath+", which changed with their brand's page and back:")
	s.print(e.assets.stages.costs(p)...)
	s.print("", "The pictures of "+accountsPath+", of two namespaces with one API key and a budget that ended:")
	s.print(e.sharing.stages.costs(p)...)
	s.print("")
	found := e.problems()
	for _, problem := range found {
		s.print("  " + p.red("✗ "+plain(problem)))
	}
	if len(found) == 0 {
		s.print("  " + p.green("✓ "+e.costSummary(samplesTook)))
	}
	s.print("", p.bold("Where things are"))
	place := func(name, where string) { s.print("  " + pad(name, nameColumns) + where) }
	place("pictures", e.pictures())
	place("logs", e.logs())
	if s.interactive {
		place("ledger", e.ledgerURL())
		s.print("",
			p.bold("In another terminal"),
			"  export KUBECONFIG="+e.kubeconfig()+" PATH="+e.bin()+":$PATH LEDGER="+e.ledgerURL(),
			"  kubectl get daftyassets,daftyjobs -o wide",
			"  kubectl describe daftyaccount "+e.sharing.account.Name,
			"  kubectl describe daftyjob competitor-parody",
			"  kubectl describe daftyjob "+sampleHandedOn,
			"  kubectl delete -k "+filepath.Join(e.root, accountsPath),
			"  kubectl delete -k "+filepath.Join(e.root, campaignPath),
			"  kubectl delete -k "+filepath.Join(e.root, assetsPath),
			"  kubectl delete -k "+filepath.Join(e.root, samplesPath),
		)
	}
	return len(found)
}

// costTable returns a table of what every sample cost and made.
func (e *environment) costTable() []string {
	type item struct{ name, cost, took, result string }
	items := []item{{"NAME", "COST", "TOOK", "RESULT"}}
	jobs, ledger := e.jobs.all(), e.sim.Ledger()
	for _, name := range e.samples.names() {
		i := item{name: name, cost: cost(entriesOf(jobs[name], ledger))}
		if job := jobs[name]; job.DaftyJob != nil {
			i.took, i.result = job.Status.Duration, outcome(job)
			pictures := picturesOf(job)
			for n, picture := range pictures {
				// The simulator's pages are there for as long as the demo is.
				if i.result = "pictures/" + picture.file; e.screen.interactive {
					i.result = picture.url
				}
				if n < len(pictures)-1 {
					items = append(items, i)
					i = item{}
				}
			}
		}
		items = append(items, i)
	}
	var widths [3]int
	for _, i := range items {
		for n, text := range []string{i.name, i.cost, i.took} {
			widths[n] = max(widths[n], columns(text))
		}
	}
	var lines []string
	for n, i := range items {
		line := join([]string{pad(i.name, widths[0]), pad(i.cost, widths[1]), pad(i.took, widths[2]), i.result})
		if n == 0 {
			line = e.screen.ansi.bold(line)
		}
		lines = append(lines, line)
	}
	return lines
}

// outcome returns in words how a job without pictures ended.
func outcome(job jobState) string {
	result := strings.ToLower(string(job.Status.Phase))
	switch {
	case job.Status.Result != nil:
		result = describeResult(job.Status.Result)
	case job.Status.Error != nil:
		result += ": " + plain(job.Status.Error.Message)
	}
	if !job.deletedAt.IsZero() {
		result += ", and deleted"
	}
	return result
}

// cost returns what Dafty charged for a job and its cancel.
func cost(entries []daftysim.Entry) string {
	var parts []string
	for _, entry := range entries {
		parts = append(parts, fmt.Sprintf("%d CU", entry.Paid()))
	}
	return strings.Join(parts, ", ")
}

// costSummary returns the ledger in a line, which is right if there are no problems.
func (e *environment) costSummary(samplesTook time.Duration) string {
	jobs, cancels, charges, cancelCharges, refunds := 0, 0, 0, 0, 0
	for _, entry := range e.sim.Ledger() {
		jobs++
		charges += entry.Charge
		cancelCharges += entry.CancelCharge
		refunds += entry.Refund
		if entry.Cancelled {
			cancels++
		}
	}
	return fmt.Sprintf("%d jobs in %s, each charged once: %d CU; a revert of a change: 0 CU; "+
		"%d cancels: %d CU given back, %d CU charged; nothing still runs at Dafty",
		jobs, took(samplesTook), charges, cancels, refunds, cancelCharges)
}

func (e *environment) ledgerURL() string {
	return strings.TrimSuffix(e.sim.URL, daftysim.BasePath) + "/_sim/ledger"
}
