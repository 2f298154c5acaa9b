#!/usr/bin/env bash
# kubectl apply --force on an object with a finalizer deletes it, and creates nothing in its place.
#
# Where a change is refused, as that of an immutable field, --force answers by deleting the object and creating it anew. It waits
# for the deletion for as long as --timeout says, whose default of 0 here means no time at all rather than no bound (for
# kubectl delete, 0 means a bound taken from the object). An object with a finalizer isn't gone by then: kubectl
# says "context deadline exceeded", and the deletion, which can't be taken back, goes on. Once the finalizer is off, nothing is left.
# With --timeout=60s the same command waits, and creates the object.
#
# Seen with kubectl and kube-apiserver v1.37.2:
#
#   --force: exit 1, context deadline exceeded; afterwards: deleted, and not there
#   --force --timeout=60s: exit 0; afterwards: created anew with the change
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

manifest() { # PROMPT
	cat <<EOF
apiVersion: v1
kind: ConfigMap
metadata: {name: hero, finalizers: [example.com/cleanup]}
immutable: true
data: {prompt: "$1"}
EOF
}

# try changes the object by force, while its finalizer is taken off 3 s later, as a controller does once it has cleaned up.
try() { # FLAG ...
	manifest first | kubectl apply -f - >/dev/null
	(sleep 3 && kubectl patch configmap hero --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null) &
	local off=$! code=0 said there
	said=$(manifest second | kubectl apply "$@" -f - 2>&1) || code=$?
	wait "$off"
	there=$(kubectl get configmap hero --ignore-not-found -o jsonpath='{.data.prompt}')
	case $there in
	second) there='created anew with the change' ;;
	first) there='as it was' ;;
	'') there='deleted, and not there' ;;
	esac
	said=$(grep -o 'context deadline exceeded' <<<"$said" || true)
	echo "$*: exit $code${said:+, $said}; afterwards: $there"
}

got=$(try --force && try --force --timeout=60s)
echo "$got"
want='--force: exit 1, context deadline exceeded; afterwards: deleted, and not there
--force --timeout=60s: exit 0; afterwards: created anew with the change'
if [[ $got != "$want" ]]; then
	printf 'changed: this used to be:\n%s\n' "$want" >&2
	exit 1
fi
