package lifecycle

import (
	"slices"
	"strings"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Node is an object of a namespace that can wait for others, and be waited for.
type Node struct{ Kind, Name string }

const (
	jobKind   = "DaftyJob"
	assetKind = "DaftyAsset"
)

// JobNode returns the node of a DaftyJob.
func JobNode(name string) Node { return Node{Kind: jobKind, Name: name} }

// AssetNode returns the node of a DaftyAsset.
func AssetNode(name string) Node { return Node{Kind: assetKind, Name: name} }

// IsAsset reports whether a node is a DaftyAsset, and not a DaftyJob.
func (n Node) IsAsset() bool { return n.Kind == assetKind }

// String returns the kind and the name, as in "DaftyAsset hero".
func (n Node) String() string { return n.Kind + " " + n.Name }

// JobEdges returns what a DaftyJob waits for: what it refers to and isn't resolved yet. One that a DaftyAsset made takes what that
// has on record, and the asset's template speaks for it.
func JobEdges(job *v1alpha1.DaftyJob) []Node {
	if _, _, made := MadeBy(job); made {
		return nil
	}
	return nodes(needed(job))
}

// AssetEdges returns what the template of a DaftyAsset refers to, whether that is resolved or not: each change of the template, and
// of what it refers to, may have it wait again.
func AssetEdges(asset *v1alpha1.DaftyAsset) []Node {
	return nodes(sources(&asset.Spec.Template.Spec))
}

// nodes returns the DaftyJobs and DaftyAssets among sources, each once.
func nodes(sources []source) (all []Node) {
	for _, s := range sources {
		var node Node
		switch {
		case s.job != nil:
			node = JobNode(s.job.Name)
		case s.asset != nil:
			node = AssetNode(s.asset.Name)
		default:
			continue
		}
		if !slices.Contains(all, node) {
			all = append(all, node)
		}
	}
	return all
}

// FindCycle returns the way from a node through what it waits for back to itself, the node at both ends, and nil where there is no
// such way. edges returns what a node waits for, nil where it isn't there.
func FindCycle(start Node, edges func(Node) []Node) []Node {
	seen := map[Node]bool{}
	var walk func(way []Node) []Node
	walk = func(way []Node) []Node {
		for _, next := range edges(way[len(way)-1]) {
			if next == start {
				return append(slices.Clone(way), next)
			}
			if seen[next] {
				continue
			}
			seen[next] = true
			if found := walk(append(slices.Clone(way), next)); found != nil {
				return found
			}
		}
		return nil
	}
	return walk([]Node{start})
}

// Edges returns the edges of the objects of a namespace, for FindCycle. The functions return what is there under a name, else nil.
func Edges(job func(name string) *v1alpha1.DaftyJob, asset func(name string) *v1alpha1.DaftyAsset) func(Node) []Node {
	return func(node Node) []Node {
		if node.IsAsset() {
			if found := asset(node.Name); found != nil {
				return AssetEdges(found)
			}
			return nil
		}
		if found := job(node.Name); found != nil {
			return JobEdges(found)
		}
		return nil
	}
}

// DescribeCycle says for the user who waits for whom.
func DescribeCycle(way []Node) string {
	names, kinded := make([]string, len(way)), make([]string, len(way))
	mixed := false
	for i, node := range way {
		names[i], kinded[i] = node.Name, node.String()
		mixed = mixed || node.Kind != way[0].Kind
	}
	if mixed {
		return "these wait for each other: " + strings.Join(kinded, " → ")
	}
	return "these " + way[0].Kind + "s wait for each other: " + strings.Join(names, " → ")
}

// inCycle returns what keeps a job that waits for a node by which it waits for itself, and nil where it doesn't.
func (d *decider) inCycle(node Node) *obstacle {
	if way := d.References.Cycle; len(way) > 1 && way[1] == node {
		return d.waitFor(v1alpha1.ReasonDependencyCycle, DescribeCycle(way)+"; delete one of them", true)
	}
	return nil
}
