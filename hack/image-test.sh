#!/usr/bin/env bash
# Builds the image with buildah, runs it with runc and judges it (test/image). It needs root, and Debian or a
# relative of it for what it installs; no registry, as the images it builds on are made of this machine's Go and busybox.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for package in buildah runc busybox-static ca-certificates; do
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
if ((${#missing[@]})); then
	if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
		echo "image-test: install first, with your system's packages: ${missing[*]}" >&2
		exit 1
	fi
	apt-get -qq update
	DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
fi
if ((EUID != 0)); then
	echo "image-test: building and running an image needs root here: sudo -E env PATH=\"\$PATH\" make image-test" >&2
	exit 1
fi

go mod download # the build in the image is offline: it sees these modules alone
KUBEBUILDER_ASSETS=$(go run ./hack/kube-assets)
export KUBEBUILDER_ASSETS
exec go test -tags image -count 1 -timeout 20m -v ./test/image
