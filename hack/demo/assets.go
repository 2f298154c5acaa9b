package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// The DaftyAssets of the samples are a campaign. The demo changes the first of them, of which the others are made, and takes that back.
const (
	assetsPath   = samplesPath + "/campaign-assets"
	assetChanged = "shop-style"
	newBrand     = `{"spec":{"template":{"spec":{"styleExtract":{"url":"https://example.com/new-brand"}}}}}`
	lookEvery    = 200 * time.Millisecond
)

// assets follows the DaftyAssets.
type assets struct {
	stages stages
	// problems are what went wrong on the way.
	problems []string
}

// playAssets changes the brand's page, and reverts that, with kubectl. Each time it waits until all that follows is Ready.
func (e *environment) playAssets(ctx context.Context) error {
	first, err := e.awaitAssets(ctx, nil, func(before, now string) bool { return now != before })
	if err != nil {
		return err
	}
	e.endAssetStage("CREATED", 1)
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
	e.endAssetStage("CHANGED", 1)
	e.screen.print("", "That is taken back. All earlier pictures are on record, so nothing is paid for:")
	if err := e.kubectl(ctx, "apply", "-k", assetsPath); err != nil {
		return err
	}
	if _, err := e.awaitAssets(ctx, first, func(before, now string) bool { return now == before }); err != nil {
		return err
	}
	e.endAssetStage("REVERTED", 0)
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

// endAssetStage puts down what came of a stage, with how many jobs each DaftyAsset is to be made by.
func (e *environment) endAssetStage(name string, jobs int) {
	each := map[string]int{}
	for _, asset := range e.samples.assets {
		each[asset] = jobs
	}
	e.assets.stages.end(name, each, e.jobs.all(), e.sim.Ledger())
}

// assetOf returns the DaftyAsset of the samples that a job is made for.
func assetOf(job jobState) string {
	if job.Namespace != namespace {
		return ""
	}
	return job.Labels[v1alpha1.AssetLabel]
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
