#!/usr/bin/env bash
# kustomize gives a cluster-scoped custom resource a namespace, even with its CRD in the same build.
#
# The field namespace of a kustomization leaves out the cluster-scoped kinds that kustomize has compiled in, such as ClusterRole. Any
# other kind counts as namespaced: that a CustomResourceDefinition of the same build says "scope: Cluster" isn't looked at. So
# the object of that kind gets metadata.namespace, which it can't have.
#
# Seen with sigs.k8s.io/kustomize/kustomize/v5 v5.8.2:
#
#   ClusterRole: no namespace
#   CustomResourceDefinition: no namespace
#   Planet: namespace shop
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
go mod init finding >/dev/null 2>&1
go get -tool sigs.k8s.io/kustomize/kustomize/v5@v5.8.2 >/dev/null 2>&1

mkdir app
cat >app/kustomization.yaml <<'EOF'
namespace: shop
resources: [all.yaml]
EOF
cat >app/all.yaml <<'EOF'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: looker}
rules: []
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: planets.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {kind: Planet, listKind: PlanetList, plural: planets, singular: planet}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
---
apiVersion: example.com/v1
kind: Planet
metadata: {name: earth}
EOF
got=$(go tool kustomize build app | awk '
	function told() { if (kind) print kind ": " (namespace ? "namespace " namespace : "no namespace") }
	/^---/ {told(); kind = namespace = ""}
	/^kind:/ {kind = $2}
	/^  namespace:/ {namespace = $2}
	END {told()}' | sort)
echo "$got"
want='ClusterRole: no namespace
CustomResourceDefinition: no namespace
Planet: namespace shop'
if [[ $got != "$want" ]]; then
	printf 'changed: this used to be:\n%s\n' "$want" >&2
	exit 1
fi
