package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// assetsIdle: DaftyAssets that nobody changes.
func assetsIdle(ctx context.Context, e *environment) error {
	count := e.scaled(10_000, 200)
	if err := e.serve(daftysim.Options{PendingFor: daftysim.Fixed(200 * time.Millisecond), ProcessingFor: daftysim.Fixed(time.Second)}, false); err != nil {
		return err
	}
	if err := e.kube.prepare(ctx, namespace, 1); err != nil {
		return err
	}
	o, err := e.startWorking(ctx)
	if err != nil {
		return err
	}
	sample, err := e.sampleAsset(ctx)
	if err != nil {
		return err
	}
	if err := e.waitQuiet(ctx, o); err != nil {
		return err
	}
	empty, err := o.memory(ctx)
	if err != nil {
		return err
	}
	if err := o.Kill(); err != nil {
		return err
	}
	if err := e.writeIdleAssets(ctx, sample, count); err != nil {
		return err
	}
	// The first one writes their ConfigMaps.
	if o, err = e.startWorking(ctx); err != nil {
		return err
	}
	if err := e.waitQuiet(ctx, o); err != nil {
		return err
	}
	if err := o.Kill(); err != nil {
		return err
	}
	return e.measureIdle(ctx, empty, count)
}

// sampleAsset has one asset made, and returns it as the operator leaves it.
func (e *environment) sampleAsset(ctx context.Context) (*v1alpha1.DaftyAsset, error) {
	asset := newAsset(namespace, "sample", 0)
	if err := e.kube.client.Create(ctx, asset); err != nil {
		return nil, err
	}
	return asset, waitFor(ctx, time.Minute, "the sample", func() bool {
		err := e.kube.client.Get(ctx, client.ObjectKeyFromObject(asset), asset)
		return err == nil && asset.Status.ResultConfigMap != "" && asset.Annotations[v1alpha1.CurrentAnnotation] != ""
	})
}

// writeIdleAssets writes assets as the sample was left, but for their ConfigMaps, which aren't there yet.
func (e *environment) writeIdleAssets(ctx context.Context, sample *v1alpha1.DaftyAsset, n int) error {
	sample.Status.ResultConfigMap, sample.Status.ResultConfigMapVersion = "", ""
	raw, err := json.Marshal(map[string]any{"status": sample.Status})
	if err != nil {
		return err
	}
	return each(ctx, n, bulkWriters, func(ctx context.Context, i int) error {
		asset := newAsset(namespace, assetName(i), 0)
		asset.Annotations = map[string]string{
			v1alpha1.CurrentAnnotation: strings.Replace(sample.Annotations[v1alpha1.CurrentAnnotation], "/sample:", "/"+asset.Name+":", 1),
		}
		if err := e.kube.client.Create(ctx, asset); err != nil {
			return err
		}
		status := strings.ReplaceAll(string(raw), "sample", asset.Name)
		return e.kube.client.Status().Patch(ctx, asset, client.RawPatch(types.MergePatchType, []byte(status)))
	})
}

// measureIdle starts an operator on them, and looks at it when it has nothing more to do.
func (e *environment) measureIdle(ctx context.Context, empty memory, count int) error {
	before, err := e.apiRequests(ctx)
	if err != nil {
		return err
	}
	o, err := e.startWorking(ctx)
	if err != nil {
		return err
	}
	if err := e.waitQuiet(ctx, o); err != nil {
		return err
	}
	e.measure("start to quiet", time.Since(o.Started).Seconds(), "s")
	used, err := o.CPUTime()
	if err != nil {
		return err
	}
	if !pause(ctx, time.Minute) {
		return context.Cause(ctx)
	}
	later, err := o.CPUTime()
	if err != nil {
		return err
	}
	m, err := o.memory(ctx)
	if err != nil {
		return err
	}
	after, err := e.apiRequests(ctx)
	if err != nil {
		return err
	}
	e.atMost("writes for all of them", writesSince(after, before), "", 0)
	e.atMost("live heap per asset, its ConfigMap among it", (m.live-empty.live)/float64(count)/kibibyte, "KiB", 5)
	e.measureGo(empty, m, float64(count))
	e.measure("resident memory per asset", (m.resident-empty.resident)/float64(count)/kibibyte, "KiB")
	e.measure("resident memory", m.resident/mebibyte, "MiB")
	e.atMost("CPU seconds in a quiet minute", (later - used).Seconds(), "s", quietCPU)
	if paid := len(e.dafty.Ledger()); paid != 1 {
		return fmt.Errorf("%d jobs were paid for, want the sample's", paid)
	}
	return nil
}
