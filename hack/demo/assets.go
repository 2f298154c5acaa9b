package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// The DaftyAssets of the samples are a campaign. The demo changes the first of them, of which the others are made, and takes that back.
const (
	assetsPath   = samplesPath + "/campaign-assets"
	assetChanged = "shop-style"
	newBrand     = `{"spec":{"template":{"spec":{"styleExtract":{"url":"https://example.com/new-brand"}}}}}`
	lookEvery    = 200 * time.Millisecond
)

// assetStep is what the demo does to the DaftyAssets, with what it cost.
type assetStep struct {
	name string
	// jobs is how many jobs each of them is to be made by.
	jobs int
	// made are the entries in Dafty's ledger that came with it, by DaftyAsset.
	made map[string][]daftysim.Entry
}

// assets follows the DaftyAssets.
type assets struct {
	steps []assetStep
	// problems are what went wrong on the way.
	problems []string
}

// playAssets changes the brand's page, and reverts that, with kubectl. Each time it waits until all that follows is Ready.
func (e *environment) playAssets(ctx context.Context) error {
	first, err := e.awaitAssets(ctx, nil, func(before, now string) bool { return now != before })
	if err != nil {
		return err
	}
	e.endAssetStep("CREATED", 1)
	if err := e.kubectl(ctx, "get", "daftyassets"); err != nil {
		return err
	}
	e.screen.print("", "The brand has another page. What is made of its style is made again, in order; each picture stays until the next one is there:")
	if err := e.kubectl(ctx, "patch", "daftyasset", assetChanged, "--type", "merge", "-p", newBrand); err != nil {
		return err
	}
	if _, err := e.awaitAssets(ctx, first, func(before, now string) bool { return now != before }); err != nil {
		return err
	}
	e.endAssetStep("CHANGED", 1)
	e.screen.print("", "That is taken back. All earlier pictures are on record, so nothing is paid for:")
	if err := e.kubectl(ctx, "apply", "-k", assetsPath); err != nil {
		return err
	}
	if _, err := e.awaitAssets(ctx, first, func(before, now string) bool { return now == before }); err != nil {
		return err
	}
	e.endAssetStep("REVERTED", 0)
	return e.kubectl(ctx, "get", "daftyassets")
}

// awaitAssets waits until every DaftyAsset is Ready with a job that holds against the one of before, and returns the jobs by name. What had
// a result must have one all the time.
func (e *environment) awaitAssets(ctx context.Context, before map[string]string, is func(before, now string) bool) (map[string]string, error) {
	reader, err := e.cp.Client()
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		list := &v1alpha1.DaftyAssetList{}
		if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil && ctx.Err() == nil {
			return nil, err
		}
		jobs := map[string]string{}
		for i := range list.Items {
			asset := &list.Items[i]
			current := asset.Status.Current
			switch {
			case current == nil && before[asset.Name] != "":
				e.assets.problems = append(e.assets.problems, asset.Name+": it was without a result while it changed")
			case current != nil && asset.Status.ObservedGeneration == asset.Generation &&
				meta.IsStatusConditionTrue(asset.Status.Conditions, v1alpha1.ConditionReady) && is(before[asset.Name], current.JobName):
				jobs[asset.Name] = current.JobName
			}
		}
		if len(jobs) == len(e.samples.assets) {
			return jobs, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w\n  %s", context.Cause(ctx), describeAssets(list.Items))
		}
	}
}

// endAssetStep puts down what has come into the ledger for each DaftyAsset since the step before.
func (e *environment) endAssetStep(name string, jobs int) {
	step := assetStep{name: name, jobs: jobs, made: map[string][]daftysim.Entry{}}
	told := map[string]bool{}
	for _, before := range e.assets.steps {
		for _, entries := range before.made {
			for i := range entries {
				told[entries[i].JobID] = true
			}
		}
	}
	ledger := e.sim.Ledger()
	for _, job := range e.jobs.all() {
		of := job.Labels[v1alpha1.AssetLabel]
		if of == "" {
			continue
		}
		for _, entry := range entriesOf(job, ledger) {
			if !told[entry.JobID] {
				step.made[of] = append(step.made[of], entry)
			}
		}
	}
	e.assets.steps = append(e.assets.steps, step)
}

// describeAssets tells how far the DaftyAssets are.
func describeAssets(all []v1alpha1.DaftyAsset) string {
	var said []string
	for i := range all {
		text := all[i].Name
		if ready := meta.FindStatusCondition(all[i].Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			text += ": " + ready.Reason + ": " + plain(ready.Message)
		}
		said = append(said, text)
	}
	return strings.Join(said, "\n  ")
}

// problemsOfAssets returns how the DaftyAssets differ from what is expected, and how many jobs Dafty has made for them.
func (e *environment) problemsOfAssets() (found []string, charged int) {
	found = slices.Clone(e.assets.problems)
	for _, step := range e.assets.steps {
		for _, name := range e.samples.assets {
			entries := step.made[name]
			charged += len(entries)
			if len(entries) != step.jobs {
				found = append(found, fmt.Sprintf("%s: when it was %s, Dafty made %d jobs for it; there should be %d",
					name, strings.ToLower(step.name), len(entries), step.jobs))
			}
			for i := range entries {
				if !entries[i].Terminal() || entries[i].Cancelled {
					found = append(found, fmt.Sprintf("%s: job %s hasn't completed at Dafty", name, entries[i].JobID))
				}
			}
		}
	}
	return found, charged
}

// assetCosts returns a table of what each step cost.
func (e *environment) assetCosts() []string {
	head := []string{"NAME"}
	for _, step := range e.assets.steps {
		head = append(head, step.name)
	}
	rows := [][]string{head}
	for _, name := range e.samples.assets {
		row := []string{name}
		for _, step := range e.assets.steps {
			paid := 0
			for i := range step.made[name] {
				paid += step.made[name][i].Paid()
			}
			row = append(row, fmt.Sprintf("%d CU", paid))
		}
		rows = append(rows, row)
	}
	var lines []string
	for i, row := range rows {
		cells := make([]string, len(row))
		for n, text := range row {
			width := 0
			for _, other := range rows {
				width = max(width, columns(other[n]))
			}
			cells[n] = pad(text, width)
		}
		lines = append(lines, join(cells))
		if i == 0 {
			lines[0] = e.screen.ansi.bold(lines[0])
		}
	}
	return lines
}
