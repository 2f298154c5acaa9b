package lifecycle_test

import (
	"slices"
	"strings"
	"testing"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// referring returns references to DaftyJobs by name, and to DaftyAssets by name and "@".
func referring(names []string) (references []ImageReference) {
	for _, name := range names {
		if asset, is := strings.CutPrefix(name, "@"); is {
			references = append(references, ImageReference{AssetRef: &AssetReference{Name: asset}})
		} else {
			references = append(references, ImageReference{JobRef: &JobReference{Name: name}})
		}
	}
	return references
}

// named returns a DaftyJob that waits for others.
func named(name string, on ...string) *DaftyJob {
	job := newJob()
	job.Name = name
	job.Spec.ImageGenerate.References = referring(on)
	return job
}

func TestCycle(t *testing.T) {
	ended := func(job *DaftyJob) *DaftyJob { says(PhaseCancelled, ReasonCancelled)(job); return job }
	running := func(job *DaftyJob) *DaftyJob { job.Status.JobID = jobID; return job }
	resolved := func(job *DaftyJob) *DaftyJob { input("imageGenerate.references[0]", "", imageID)(job); return job }
	made := func(job *DaftyJob) *DaftyJob { ofAsset(job); return job }
	for _, row := range []struct {
		name string
		// The DaftyJob a is asked about, or the DaftyAsset a where there are no DaftyJobs.
		jobs   []*DaftyJob
		assets []*DaftyAsset
		want   string
	}{
		{name: "no reference", jobs: []*DaftyJob{named("a")}},
		{name: "a chain", jobs: []*DaftyJob{named("a", "b"), named("b", "c"), named("c")}},
		{name: "one that isn't there", jobs: []*DaftyJob{named("a", "b")}},
		{name: "itself", jobs: []*DaftyJob{named("a", "a")}, want: "these DaftyJobs: a → a"},
		{name: "two", jobs: []*DaftyJob{named("a", "b"), named("b", "a")}, want: "these DaftyJobs: a → b → a"},
		{name: "three", jobs: []*DaftyJob{named("a", "b"), named("b", "c"), named("c", "a")}, want: "these DaftyJobs: a → b → c → a"},
		{name: "by the second reference", jobs: []*DaftyJob{named("a", "b", "c"), named("b"), named("c", "a")}, want: "these DaftyJobs: a → c → a"},
		{name: "waiting for a circle isn't being in it", jobs: []*DaftyJob{named("a", "b"), named("b", "c"), named("c", "b")}},
		{name: "two ways to one", jobs: []*DaftyJob{named("a", "b", "c"), named("b", "d"), named("c", "d"), named("d")}},
		{name: "one that has ended waits for nothing", jobs: []*DaftyJob{named("a", "b"), ended(named("b", "a"))}},
		{name: "one that runs waits for nothing", jobs: []*DaftyJob{named("a", "b"), running(named("b", "a"))}},
		{name: "one that has what it waited for", jobs: []*DaftyJob{named("a", "b"), resolved(named("b", "a"))}},

		{name: "a DaftyAsset that isn't there", jobs: []*DaftyJob{named("a", "@b")}},
		{name: "a DaftyAsset that refers to nothing", jobs: []*DaftyJob{named("a", "@b")}, assets: []*DaftyAsset{newAsset("b")}},
		{name: "a DaftyJob and a DaftyAsset", jobs: []*DaftyJob{named("a", "@b")}, assets: []*DaftyAsset{newAsset("b", "a")}, want: "these: DaftyJob a → DaftyAsset b → DaftyJob a"},
		{name: "of one name", jobs: []*DaftyJob{named("a", "@a")}, assets: []*DaftyAsset{newAsset("a", "a")}, want: "these: DaftyJob a → DaftyAsset a → DaftyJob a"},
		{name: "of one name, and no way back", jobs: []*DaftyJob{named("a", "@a")}, assets: []*DaftyAsset{newAsset("a", "b")}},
		{
			name: "through both kinds", jobs: []*DaftyJob{named("a", "b"), named("b", "@c")}, assets: []*DaftyAsset{newAsset("c", "x", "@d"), newAsset("d", "a")},
			want: "these: DaftyJob a → DaftyJob b → DaftyAsset c → DaftyAsset d → DaftyJob a",
		},
		{name: "waiting for DaftyAssets that wait for each other", jobs: []*DaftyJob{named("a", "@b")}, assets: []*DaftyAsset{newAsset("b", "@c"), newAsset("c", "@b")}},
		{name: "a DaftyAsset that is Ready may wait again", jobs: []*DaftyJob{named("a", "@b")}, assets: []*DaftyAsset{readyAsset(madeImages(1), "b", "a")}, want: "these: DaftyJob a → DaftyAsset b → DaftyJob a"},
		{name: "a DaftyJob that has what it waited for", jobs: []*DaftyJob{named("a", "b"), resolved(named("b", "@c"))}, assets: []*DaftyAsset{newAsset("c", "a")}},
		{name: "a DaftyJob of a DaftyAsset waits for nothing", jobs: []*DaftyJob{named("a", "b"), made(named("b", "a"))}},
		{name: "and isn't in a cycle", jobs: []*DaftyJob{made(named("a", "@b", "b")), named("b", "a")}, assets: []*DaftyAsset{newAsset("b", "a")}},

		{name: "DaftyAssets", assets: []*DaftyAsset{newAsset("a", "@b"), newAsset("b", "@a")}, want: "these DaftyAssets: a → b → a"},
		{name: "a DaftyAsset first", jobs: nil, assets: []*DaftyAsset{newAsset("a", "@b"), newAsset("b", "b", "@c"), newAsset("c", "@a")}, want: "these DaftyAssets: a → b → c → a"},
		{name: "a chain of DaftyAssets", assets: []*DaftyAsset{newAsset("a", "@b"), newAsset("b", "@c"), newAsset("c")}},
	} {
		t.Run(row.name, func(t *testing.T) {
			jobs, assets := map[string]*DaftyJob{}, map[string]*DaftyAsset{}
			for _, job := range row.jobs {
				jobs[job.Name] = job
			}
			for _, asset := range row.assets {
				assets[asset.Name] = asset
			}
			edges := lifecycle.Edges(func(name string) *DaftyJob { return jobs[name] }, func(name string) *DaftyAsset { return assets[name] })
			start := lifecycle.AssetNode("a")
			if len(row.jobs) > 0 {
				start = lifecycle.JobNode("a")
			}
			var says string
			way := lifecycle.FindCycle(start, edges)
			if len(way) > 0 {
				says = lifecycle.DescribeCycle(way)
			}
			if want := strings.Replace(row.want, ":", " wait for each other:", 1); says != want {
				t.Errorf("cycle is %q, want %q", says, want)
			}
			// Whoever is in it finds it.
			for _, member := range way {
				if other := lifecycle.FindCycle(member, edges); len(other) != len(way) || other[0] != member {
					t.Errorf("%s finds %v, and %s %v", member, other, start, way)
				}
			}
		})
	}
}

func TestEdges(t *testing.T) {
	nodes := func(of ...lifecycle.Node) []lifecycle.Node { return of }
	b, c := lifecycle.JobNode("b"), lifecycle.AssetNode("c")
	job := named("a", "b", "@c", "b", "@c")
	if got, want := lifecycle.JobEdges(job), nodes(b, c); !slices.Equal(got, want) {
		t.Errorf("a DaftyJob waits for %v, want %v", got, want)
	}
	input("imageGenerate.references[1]", "", imageID)(job)
	input("imageGenerate.references[3]", "", imageID)(job)
	if got, want := lifecycle.JobEdges(job), nodes(b); !slices.Equal(got, want) {
		t.Errorf("a DaftyJob that has its picture waits for %v, want %v", got, want)
	}
	if got, want := lifecycle.AssetEdges(newAsset("a", "@c", "b", "b")), nodes(c, b); !slices.Equal(got, want) {
		t.Errorf("a DaftyAsset refers to %v, want %v", got, want)
	}
}
