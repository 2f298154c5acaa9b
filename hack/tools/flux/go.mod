// The CRD of Flux's Kustomization, which its controller's module has: for tests alone. Nothing is built of it.
module dafty.ai/dafty-operator/hack/tools/flux

go 1.26.0

require github.com/fluxcd/kustomize-controller v1.9.6
