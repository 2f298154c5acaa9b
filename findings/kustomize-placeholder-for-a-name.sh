#!/usr/bin/env bash
# kustomize drops a local-config resource only after it has fixed the references to its name.
#
# A resource with the annotation config.kubernetes.io/local-config: "true" isn't part of the output. But it is dropped last: namePrefix and
# nameSuffix rename it first, and what refers to it by name follows. So a ConfigMap that some controller writes in the cluster, and
# that no manifest has, can be stood for by an empty one with that annotation: its users get the prefix, and it isn't applied.
# Without the placeholder nothing tells kustomize that the name is one, and the users go on naming the ConfigMap without the prefix.
#
# Seen with sigs.k8s.io/kustomize/kustomize/v5 v5.8.2:
#
#   without a placeholder: Deployment; names result
#   with one: Deployment; names spring-result
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
go mod init finding >/dev/null 2>&1
go get -tool sigs.k8s.io/kustomize/kustomize/v5@v5.8.2 >/dev/null 2>&1

mkdir app
cat >app/deployment.yaml <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: site}
spec:
  selector: {matchLabels: {app: site}}
  template:
    metadata: {labels: {app: site}}
    spec:
      containers:
      - name: site
        image: registry.example.com/site:1
        envFrom:
        - configMapRef: {name: result}
EOF
cat >app/placeholder.yaml <<'EOF'
apiVersion: v1
kind: ConfigMap
metadata:
  name: result
  annotations: {config.kubernetes.io/local-config: "true"}
EOF

try() { # WHAT RESOURCE ...
	local what=$1 out
	shift
	printf 'namePrefix: spring-\nresources: [%s]\n' "$(IFS=,; echo "$*")" >app/kustomization.yaml
	out=$(go tool kustomize build app)
	echo "$what: $(grep '^kind:' <<<"$out" | sed 's/kind: //' | paste -sd ' '); names $(grep -A1 'configMapRef:' <<<"$out" | sed -n 's/ *name: //p')"
}
got=$(try 'without a placeholder' deployment.yaml && try 'with one' deployment.yaml placeholder.yaml)
echo "$got"
want='without a placeholder: Deployment; names result
with one: Deployment; names spring-result'
if [[ $got != "$want" ]]; then
	printf 'changed: this used to be:\n%s\n' "$want" >&2
	exit 1
fi
