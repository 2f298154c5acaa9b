// Package helm runs the real helm on charts with DaftyAssets and DaftyJobs, and on the operator's own, for the tests of docs/helm.md: see make e2e-helm.
package helm
