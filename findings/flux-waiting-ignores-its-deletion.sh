#!/usr/bin/env bash
# A Flux Kustomization that waits for its objects isn't deleted until its timeout is over.
#
# With wait: true, kustomize-controller holds a Kustomization in one reconcile for as long as timeout says, while an object isn't
# healthy, and kubectl delete doesn't end that. Who calls off what he has just applied, by deleting its Kustomization, has it running on until the
# timeout. The feature gate CancelHealthCheckOnNewRevision, which is off by default, ends the wait for a deletion too, which its name doesn't tell.
#
# Seen with kustomize-controller v1.9.6, and kube-apiserver v1.37.2:
#
#   by default: 60 s after the deletion the Deployment is there
#   with CancelHealthCheckOnNewRevision: 60 s after the deletion the Deployment is gone
#
# Needs Go, and openssl. Builds etcd, kube-apiserver, kubectl and kustomize-controller from their modules, which takes a quarter of an hour where
# nothing is cached.
set -euo pipefail
dir=$(mktemp -d)
pids=()
stop() {
	((${#pids[@]})) && kill "${pids[@]}" 2>/dev/null && wait "${pids[@]}" 2>/dev/null
	rm -rf "$dir"
}
trap 'stop || true' EXIT
cd "$dir"
export CGO_ENABLED=0

mkdir kubernetes flux
(cd kubernetes && go mod init finding >/dev/null 2>&1
for module in api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap code-generator \
	component-base component-helpers controller-manager cri-api cri-client cri-streaming csi-translation-lib dynamic-resource-allocation \
	endpointslice externaljwt kms kube-aggregator kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils \
	pod-security-admission sample-apiserver streaming; do
	go mod edit -replace "k8s.io/$module@v0.0.0=k8s.io/$module@v0.37.2"
done
go get -tool k8s.io/kubernetes/cmd/kube-apiserver@v1.37.2 k8s.io/kubernetes/cmd/kubectl@v1.37.2 go.etcd.io/etcd/server/v3@v3.7.0 >get.log 2>&1 || { cat get.log; exit 1; }
version='-X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37'
go build -trimpath -ldflags "-s -w $version" -o .. k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl
go build -trimpath -ldflags "-s -w" -o ../etcd go.etcd.io/etcd/server/v3)

(cd flux && go mod init finding >/dev/null 2>&1
# Those of its own go.mod, which holds for its own builds alone.
go mod edit -replace github.com/opencontainers/go-digest=github.com/opencontainers/go-digest@v1.0.1-0.20220411205349-bde1400a84be \
	-replace gopkg.in/yaml.v3=gopkg.in/yaml.v3@v3.0.1 \
	-replace sigs.k8s.io/kustomize/api=sigs.k8s.io/kustomize/api@v0.21.1 -replace sigs.k8s.io/kustomize/kyaml=sigs.k8s.io/kustomize/kyaml@v0.21.1
go get -tool github.com/fluxcd/kustomize-controller@v1.9.6 >get.log 2>&1 || { cat get.log; exit 1; }
go build -mod=mod -trimpath -ldflags "-s -w" -o .. github.com/fluxcd/kustomize-controller
cat >files.go <<'EOF'
package main

import (
	"net/http"
	"os"
)

func main() { panic(http.ListenAndServe(os.Args[1], http.FileServer(http.Dir(os.Args[2])))) }
EOF
go build -o ../files files.go)
module() { (cd flux && go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p'); }

openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
echo 'token,admin,admin,system:masters' >tokens.csv
client=$((20000 + RANDOM % 10000)) peer=$((30000 + RANDOM % 1000)) secure=$((31000 + RANDOM % 500)) health=$((31500 + RANDOM % 500)) files=$((32000 + RANDOM % 500))
./etcd --data-dir etcd.data --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
	--listen-peer-urls "http://127.0.0.1:$peer" >etcd.log 2>&1 &
pids+=($!)
./kube-apiserver --etcd-servers "http://127.0.0.1:$client" --bind-address 127.0.0.1 --secure-port "$secure" --cert-dir certs \
	--service-account-key-file sa.pub --service-account-signing-key-file sa.key --service-account-issuer https://kubernetes.default.svc \
	--token-auth-file tokens.csv --authorization-mode RBAC --service-cluster-ip-range 10.0.0.0/24 >api.log 2>&1 &
pids+=($!)
cat >kubeconfig <<EOF
{"apiVersion": "v1", "kind": "Config", "current-context": "it", "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
 "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:$secure", "insecure-skip-tls-verify": true}}], "users": [{"name": "it", "user": {"token": "token"}}]}
EOF
export KUBECONFIG=$dir/kubeconfig RUNTIME_NAMESPACE=default
for _ in $(seq 60); do
	./kubectl get --raw /readyz >/dev/null 2>&1 && break
	sleep 1
done
for it in kustomize-controller@v1.9.6 source-controller@v1.9.0; do
	./kubectl apply --server-side -f "$(module "github.com/fluxcd/$it")/config/crd/bases" >/dev/null
done
./kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null

# What source-controller makes of a commit: an archive, and a status that names it.
mkdir served content
cat >content/slow.yaml <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: slow, namespace: default}
spec:
  selector: {matchLabels: {app: slow}}
  template: {metadata: {labels: {app: slow}}, spec: {containers: [{name: slow, image: slow}]}}
EOF
tar -czf served/it.tar.gz -C content slow.yaml
./files "127.0.0.1:$files" served >files.log 2>&1 &
pids+=($!)
digest=$(openssl dgst -sha256 -r served/it.tar.gz | cut -d' ' -f1)
./kubectl apply -f - >/dev/null <<'EOF'
{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": {"name": "it", "namespace": "default"}, "spec": {"url": "https://git.example.com/it.git", "interval": "1h"}}
EOF
./kubectl patch gitrepository it --subresource=status --type=merge -p '{"status": {"observedGeneration": 1,
	"artifact": {"path": "it.tar.gz", "url": "http://127.0.0.1:'"$files"'/it.tar.gz", "revision": "main@sha1:1", "digest": "sha256:'"$digest"'", "lastUpdateTime": "2026-01-01T00:00:00Z", "size": 1},
	"conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}' >/dev/null

# try applies a Deployment that nobody makes ready, deletes its Kustomization while that waits, and looks a minute later.
try() { # WORDS FLAG ...
	local words=$1 there
	shift
	./kustomize-controller --watch-all-namespaces --metrics-addr 0 --health-addr "127.0.0.1:$health" "$@" >"controller.log" 2>&1 &
	controller=$!
	trap 'kill "$controller" 2>/dev/null || true' EXIT
	./kubectl apply -f - >/dev/null <<'EOF'
{"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "it", "namespace": "default"},
 "spec": {"sourceRef": {"kind": "GitRepository", "name": "it"}, "path": "./", "interval": "1h", "prune": true, "wait": true, "timeout": "30m"}}
EOF
	for _ in $(seq 120); do
		[[ $(./kubectl get kustomization it -o jsonpath='{.status.conditions[*].message}') == *'Running health checks'* ]] && break
		sleep 1
	done
	./kubectl get deployment slow >/dev/null
	./kubectl delete kustomization it --wait=false >/dev/null
	sleep 60
	there=$(./kubectl get deployment slow --ignore-not-found -o name)
	echo "$words: 60 s after the deletion the Deployment is $([[ $there ]] && echo there || echo gone)"
	kill "$controller"
	wait "$controller" 2>/dev/null || true
}
got=$(try 'by default')
# A Kustomization of the same name would be the one that is being deleted.
./kubectl patch kustomization it --type=merge -p '{"metadata": {"finalizers": null}}' >/dev/null
./kubectl delete deployment slow >/dev/null
got+=$'\n'$(try 'with CancelHealthCheckOnNewRevision' --feature-gates=CancelHealthCheckOnNewRevision=true)
echo "$got"
want='by default: 60 s after the deletion the Deployment is there
with CancelHealthCheckOnNewRevision: 60 s after the deletion the Deployment is gone'
if [[ $got != "$want" ]]; then
	printf 'changed: this used to be:\n%s\n' "$want" >&2
	exit 1
fi
