#!/usr/bin/env bash
# A watch from a resourceVersion that etcd hasn't reached is accepted, and sees nothing of what changes; a list from it is refused.
#
# Where etcd is set back to a backup, whoever watches the API server goes on from a resourceVersion of the future. The
# list says so ("Too large resource version", 504), so a watch could be expected to say so too. It answers 200, and sends no
# event for any change until the numbers are reached again, which takes as many writes as were lost; after its timeout it ends
# as one does in which nothing happened, and can be begun anew from the same number. A client that only watches can't tell this
# from a quiet cluster. One that compares the resourceVersion of a list without one with its own can.
#
# Seen with kube-apiserver v1.37.2 and etcd v3.7.0:
#
#   list from the future: Too large resource version
#   watch from the present: 1 event of a change
#   watch from the future: ended without an error, 0 events of a change
#
# Needs Go, and openssl. Builds etcd, kube-apiserver and kubectl from their modules, which takes minutes where nothing is cached.
set -euo pipefail
dir=$(mktemp -d)
pids=()
stop() {
	((${#pids[@]})) && kill "${pids[@]}" 2>/dev/null && wait "${pids[@]}" 2>/dev/null
	rm -rf "$dir"
}
trap 'stop || true' EXIT
cd "$dir"

go mod init finding >/dev/null 2>&1
for module in api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap code-generator \
	component-base component-helpers controller-manager cri-api cri-client cri-streaming csi-translation-lib dynamic-resource-allocation \
	endpointslice externaljwt kms kube-aggregator kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils \
	pod-security-admission sample-apiserver streaming; do
	go mod edit -replace "k8s.io/$module@v0.0.0=k8s.io/$module@v0.37.2"
done
go get -tool k8s.io/kubernetes/cmd/kube-apiserver@v1.37.2 k8s.io/kubernetes/cmd/kubectl@v1.37.2 go.etcd.io/etcd/server/v3@v3.7.0 >get.log 2>&1 || { cat get.log; exit 1; }
version='-X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37'
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $version" -o . k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o etcd go.etcd.io/etcd/server/v3

openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
echo 'token,admin,admin,system:masters' >tokens.csv
client=$((20000 + RANDOM % 10000)) peer=$((30000 + RANDOM % 1000)) secure=$((31000 + RANDOM % 1000))
./etcd --data-dir etcd.data --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
	--listen-peer-urls "http://127.0.0.1:$peer" >etcd.log 2>&1 &
pids+=($!)
./kube-apiserver --etcd-servers "http://127.0.0.1:$client" --bind-address 127.0.0.1 --secure-port "$secure" --cert-dir certs \
	--service-account-key-file sa.pub --service-account-signing-key-file sa.key --service-account-issuer https://kubernetes.default.svc \
	--token-auth-file tokens.csv --authorization-mode RBAC --service-cluster-ip-range 10.0.0.0/24 >api.log 2>&1 &
pids+=($!)
kubectl() { ./kubectl --server "https://127.0.0.1:$secure" --insecure-skip-tls-verify --token token "$@"; }
for _ in $(seq 60); do
	kubectl get --raw /readyz >/dev/null 2>&1 && break
	sleep 1
done

configmaps=/api/v1/namespaces/default/configmaps
until kubectl create configmap first >/dev/null 2>&1; do sleep 1; done # the namespace comes a moment after readyz
now=$(kubectl get configmap first -o jsonpath='{.metadata.resourceVersion}')
future=$((now + 100000))

list() { # RESOURCEVERSION
	local said
	said=$(kubectl get --raw "$configmaps?resourceVersion=$1&resourceVersionMatch=NotOlderThan" 2>&1 >/dev/null) || true
	grep -o 'Too large resource version' <<<"$said" || echo accepted
}

# watch follows a ConfigMap for ten seconds, in which it is created.
watch() { # NAME RESOURCEVERSION
	local code=0 events
	(sleep 3 && kubectl create configmap "$1" >/dev/null) &
	local made=$!
	events=$(kubectl get --raw "$configmaps?watch=true&timeoutSeconds=10&fieldSelector=metadata.name%3D$1&resourceVersion=$2" 2>&1) || code=$?
	wait "$made"
	((code == 0)) || { echo "exit $code: $events"; return; }
	grep -c '"type":"ADDED"' <<<"$events" || true
}

got="list from the future: $(list "$future")
watch from the present: $(watch second "$now") event of a change
watch from the future: ended without an error, $(watch third "$future") events of a change"
echo "$got"
want='list from the future: Too large resource version
watch from the present: 1 event of a change
watch from the future: ended without an error, 0 events of a change'
if [[ $got != "$want" ]]; then
	printf 'changed: this used to be:\n%s\n' "$want" >&2
	exit 1
fi
