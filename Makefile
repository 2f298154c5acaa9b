# Needs Go, git and make. All else is pinned in hack/tools and hack/controlplane and built by Go where it is first used.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What make image builds, and make deploy and make build-installer install.
IMG ?= dafty-operator:latest
# What builds it: docker, podman or buildah.
IMAGE_BUILDER ?= docker
PLATFORMS     ?= linux/amd64,linux/arm64

# Stamped into the binary and the image; from git where there is one.
VERSION           ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT            ?= $(shell git rev-parse HEAD 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
# GNU's date, else BSD's.
CREATED            = $(shell date -u -d '@$(SOURCE_DATE_EPOCH)' +%FT%TZ 2>/dev/null || date -u -r '$(SOURCE_DATE_EPOCH)' +%FT%TZ)
LDFLAGS            = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# All that an image depends on beside the files: for the same values the same image. A release sets GO_IMAGE, BASE_IMAGE
# and SOURCE; the Dockerfile's own are used where they are empty.
IMAGE_ARGS = $(foreach arg,VERSION COMMIT SOURCE_DATE_EPOCH CREATED SOURCE GO_IMAGE BASE_IMAGE,$(if $($(arg)),--build-arg '$(arg)=$($(arg))'))

# The race detector needs a C compiler; Go turns cgo off where there is none.
RACE ?= $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

CONTROLLER_GEN = go tool -modfile=hack/tools/go.mod controller-gen
HELM           = go tool -modfile=hack/tools/helm/go.mod helm
HELM3          = go tool -modfile=hack/tools/helm3/go.mod helm
KUSTOMIZE      = go tool -modfile=hack/tools/go.mod kustomize
ACTIONLINT     = go tool -modfile=hack/tools/actionlint/go.mod actionlint
# golangci-lint with the linter for Kubernetes APIs in it.
GOLANGCI_LINT  = go tool -modfile=hack/tools/golangci-lint/go.mod golangci-lint-kube-api-linter
# The user's own; else the one that the tests use.
KUBECTL       ?= $$(command -v kubectl || echo "$$(go run ./hack/kube-assets)/kubectl")

# The Go that all builds of a version are made with, so that they are the same.
TOOLCHAIN = $(shell sed -n 's/^toolchain //p' go.mod)
comma    := ,

# What has nothing concurrent in it, or starts processes that the race detector doesn't see into: it makes their tests some
# ten times as slow, and finds nothing. Where new packages are missing here, they are tested with it. The slowest come first.
UNRACED = ./config ./charts ./config/prometheus ./test/process ./test/soak ./docs ./internal/asset ./internal/lifecycle ./api/... ./config/argocd ./test/argocd ./test/flux ./test/helm

# Those with it that take longest.
LONG_RACED = ./internal/controller ./internal/account ./hack/demo ./internal/test/kubetest

# A test that waits for the first build of the control plane, or for many others on a small machine, isn't stuck.
TEST_TIMEOUT ?= 30m

##@ Try it

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' \
		'/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run the operator with a real control plane and a simulated Dafty: no cluster, no key.
	@go build -buildvcs=false -o bin/demo ./hack/demo
	@exec bin/demo # not by go run, which dies of a SIGTERM and passes none on

.PHONY: simulator
simulator: ## Run the simulated Dafty alone.
	@go run ./hack/daftysim

.PHONY: kube-assets
kube-assets: ## Print the folder of etcd, kube-apiserver, kube-controller-manager, kubectl; build them if missing.
	@go run ./hack/kube-assets

##@ Develop

.PHONY: build
build: ## Build bin/manager.
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/manager .

.PHONY: test
test: ## Run all tests, against a real control plane. SKIP leaves out tests of the simulation.
	$(if $(RACE),,@echo "no C compiler: tests run without the race detector")
	@KUBEBUILDER_ASSETS="$$(go run ./hack/kube-assets)"; export KUBEBUILDER_ASSETS; \
		$(MAKE) --no-print-directory --keep-going --jobs=2 test-raced test-unraced test-simulation

# The long ones first, so that none of them is left alone with the machine in the end.
.PHONY: test-raced test-unraced test-simulation
test-raced:
	go test $(RACE) -timeout $(TEST_TIMEOUT) $(LONG_RACED) \
		$$(go list ./... | grep -vxF "$$(go list $(LONG_RACED) $(UNRACED) ./test/simulation)")
test-unraced:
	go test -timeout $(TEST_TIMEOUT) $(UNRACED)

# The histories, and two leaders, are played under the race detector; all else goes the same ways, and is played without.
RACED_SIMULATION = ^(Test(Asset|Account)?Histories|TestTwoLeaders)$$
test-simulation:
	go test $(RACE) -timeout $(TEST_TIMEOUT) -run '$(RACED_SIMULATION)' ./test/simulation
	go test -timeout $(TEST_TIMEOUT) -skip '$(RACED_SIMULATION)$(if $(SKIP),|$(SKIP))' ./test/simulation

.PHONY: simulate
simulate: ## Play N histories from SEED on, nearly half as many with DaftyAssets and DaftyAccounts each, and all crash points; SEED alone prints one history's trace, with ASSETS=1 or ACCOUNTS=1 of those.
	SIMULATE_SEED=$(SEED) SIMULATE_N=$(N) go test ./test/simulation -run '^Test$(if $(N),(Histories|(Asset|Account)?CrashPoints),$(if $(ASSETS),Asset)$(if $(ACCOUNTS),Account)Histories)$$' -count 1 -timeout 0 -v
	$(if $(N),SIMULATE_SEED=$(SEED) SIMULATE_N=$$(($(N) * 9 / 20)) go test ./test/simulation -run '^Test(Asset|Account)Histories$$' -count 1 -timeout 0 -v)

.PHONY: soak
soak: ## Kill the built operator at random moments, FOR 5m or longer; SEED repeats a schedule.
	@KUBEBUILDER_ASSETS="$$(go run ./hack/kube-assets)"; export KUBEBUILDER_ASSETS; set -x; \
		SOAK_SEED=$(or $(SEED),$(shell date +%s)) SOAK_FOR=$(or $(FOR),5m) go test ./test/soak -count 1 -timeout 0 -v

.PHONY: e2e-argocd
e2e-argocd: ## Run the operator under a real Argo CD, built at first use; needs redis-server. RUN=guide and RUN=traps are its halves. E2E_LOGS is a folder to keep logs in.
	cd hack/argocd && CGO_ENABLED=0 GOWORK=off GOTOOLCHAIN=auto go test -count 1 -trimpath ./... # built as Argo CD is
	@KUBEBUILDER_ASSETS="$$(go run ./hack/kube-assets)"; export KUBEBUILDER_ASSETS; set -x; \
		go test -tags e2e ./test/argocd -count 1 -timeout $(TEST_TIMEOUT) -v $(if $(RUN),-run 'TestArgoCD/beside_one_another/$(RUN)')

.PHONY: e2e-flux
e2e-flux: ## Run the operator under Flux's own controllers, built at first use. E2E_LOGS is a folder to keep logs in.
	cd hack/flux && CGO_ENABLED=0 GOWORK=off go test -count 1 -trimpath ./... # built as the controllers are
	@KUBEBUILDER_ASSETS="$$(go run ./hack/kube-assets)"; export KUBEBUILDER_ASSETS; set -x; \
		go test -tags e2e ./test/flux -count 1 -timeout $(TEST_TIMEOUT) -v

.PHONY: e2e-helm
e2e-helm: ## Run charts with DaftyAssets and DaftyJobs by Helm 4 and 3, and the operator's own. E2E_LOGS is a folder to keep logs in.
	@$(HELM) version && $(HELM3) version
	@KUBEBUILDER_ASSETS="$$(go run ./hack/kube-assets)"; export KUBEBUILDER_ASSETS; set -x; \
		go test -tags e2e ./test/helm -count 1 -timeout $(TEST_TIMEOUT) -v

.PHONY: check-contract
check-contract: ## Tell what in Dafty's published OpenAPI file differs from ours, in what the operator uses. DAFTY_URL is another address.
	go run ./hack/check-contract

.PHONY: bench
bench: ## Measure speed and memory. RUN chooses scenarios, COMPARE is an earlier run's JSON, FLAGS are any others.
	@go build -buildvcs=false -o bin/bench ./hack/bench
	@exec bin/bench $(if $(RUN),-run '$(RUN)') $(if $(COMPARE),-compare '$(COMPARE)') $(FLAGS)

.PHONY: lint
lint: ## Check the code with golangci-lint, the workflows with actionlint, the chart with helm, and that go.mod is tidy.
	$(GOLANGCI_LINT) config verify
	$(GOLANGCI_LINT) run
	$(ACTIONLINT) # the scripts in them too, where shellcheck is installed
	$(HELM) lint --strict --quiet charts/dafty-operator
	go mod tidy -diff

.PHONY: fmt
fmt: ## Format the code and mend what golangci-lint can mend.
	$(GOLANGCI_LINT) fmt
	$(GOLANGCI_LINT) run --fix

.PHONY: generate
generate: ## Generate deep copies and Dafty's client.
	$(CONTROLLER_GEN) object paths=./api/...
	go generate ./...

.PHONY: manifests
manifests: ## Generate the CRDs, their JSON schemas and the operator's ClusterRole.
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=manager-role paths=./internal/controller/... output:rbac:artifacts:config=config/rbac/manager
	go run ./hack/schemas

# The chart's own copies: Helm reads nothing outside of its folder.
CHART_FILES = charts/dafty-operator/files

.PHONY: chart
chart: ## Copy the CRDs, the rules, the alerts and such from config into the Helm chart.
	rm -rf $(CHART_FILES)
	mkdir -p $(CHART_FILES)/crd $(CHART_FILES)/rbac
	cp config/crd/bases/*.yaml $(CHART_FILES)/crd
	cp config/rbac/*_role.yaml config/rbac/manager/role.yaml $(CHART_FILES)/rbac
	cp config/network-policy/network_policy.yaml config/admission-policy/admission_policy.yaml config/prometheus/{monitor,alerts}.yaml config/grafana/dashboard.json $(CHART_FILES)

.PHONY: docs
docs: ## Generate docs/reference.md from the API's types and the CRDs, and the tables of other pages from what they tell of.
	go run ./hack/reference
	UPDATE_DOCS=1 go test -count 1 . ./charts ./internal/asset ./internal/controller ./internal/lifecycle ./internal/metrics ./test/simulation \
		-run '^(TestFlags|TestChartReadmeHasEveryValue|TestLifecyclePage|TestPage|TestMutations|TestStages|TestAccountStages|TestObjectsOfActions)$$'

.PHONY: check-generated
check-generated: ## Fail if a generated file isn't what generating it makes.
	@hack/check-generated.sh

.PHONY: clean
clean: ## Remove what was built here; caches stay.
	rm -rf bin dist

##@ Release

.PHONY: image
image: ## Build the image IMG for this machine. FLAGS are the builder's own.
	$(IMAGE_BUILDER) build $(IMAGE_ARGS) $(FLAGS) -t '$(IMG)' .

.PHONY: image-push
image-push: ## Build IMG for all PLATFORMS with SBOM and provenance, push it, and write its digest to dist/image-digest.
	@mkdir -p dist
	docker buildx build $(IMAGE_ARGS) --platform '$(PLATFORMS)' --pull --sbom=true --provenance=mode=max \
		--output type=image,push=true,rewrite-timestamp=true --metadata-file dist/image.json $(FLAGS) -t '$(IMG)' .
	@sed -n 's/^.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*$$/\1/p' dist/image.json >dist/image-digest
	@[[ -s dist/image-digest ]] || { echo "no digest in dist/image.json" >&2; exit 1; }

.PHONY: image-test
image-test: ## Build the image with buildah on Debian, compare two builds, and run it: as root, and no registry is needed.
	@hack/image-test.sh

.PHONY: binaries
binaries: ## Build the programs that are in the image, bit for bit, into dist, with the Go of the Dockerfile.
	@mkdir -p dist && rm -f dist/manager-*
	for platform in $(subst $(comma), ,$(PLATFORMS)); do \
		GOTOOLCHAIN=$(TOOLCHAIN) CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} \
			GOFLAGS= GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT= \
			go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o "dist/manager-$${platform/\//-}" .; \
	done

# Links out of the chart's folder lead nowhere in a package: there they go to where the alerts' runbooks are too.
.PHONY: release-chart
release-chart: ## Package the chart of release VERSION into dist. IMG is its image, NAME@DIGEST.
	@[[ '$(IMG)' == *@sha256:* ]] || { echo "release-chart: IMG=$(IMG) names no digest" >&2; exit 1; }
	rm -rf dist/chart && mkdir -p dist/chart && cp -R charts/dafty-operator dist/chart
	img='$(IMG)'; sed "/^image:/,/^[^ ]/{s|^  repository:.*|  repository: $${img%@*}|; s|^  digest:.*|  digest: $${img#*@}|;}" \
		charts/dafty-operator/values.yaml >dist/chart/dafty-operator/values.yaml
	sed 's|](\.\./\.\./|](https://dafty.ai/dafty-operator/|g' charts/dafty-operator/README.md >dist/chart/dafty-operator/README.md
	$(HELM) package dist/chart/dafty-operator --version '$(VERSION:v%=%)' --app-version '$(VERSION)' --destination dist

.PHONY: release-files
release-files: binaries build-installer release-chart ## Write the files of release VERSION into dist. IMG is its image, NAME@DIGEST.
	cd dist && sha256sum manager-linux-* install.yaml 'dafty-operator-$(VERSION:v%=%).tgz' >checksums.txt

##@ Install on the current cluster

.PHONY: install
install: ## Install the CRDs.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: ## Delete the CRDs, and with them every object of these: while the operator runs, what runs at Dafty is cancelled.
	$(KUBECTL) delete crd --ignore-not-found --timeout=10m daftyassets.dafty.ai daftyjobs.dafty.ai
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found --timeout=10m -f -

.PHONY: deploy
deploy: build-installer ## Install the CRDs and the operator. IMG is its image.
	$(KUBECTL) apply --server-side -f dist/install.yaml

.PHONY: undeploy
undeploy: build-installer ## Delete the operator and the CRDs, what they hold first, so that running jobs are cancelled.
	$(KUBECTL) delete crd --ignore-not-found --timeout=10m daftyassets.dafty.ai daftyjobs.dafty.ai
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found --timeout=10m -f -
	$(KUBECTL) delete --ignore-not-found --timeout=10m -f dist/install.yaml

.PHONY: build-installer
build-installer: ## Write dist/install.yaml. IMG is the operator's image.
	@mkdir -p dist/kustomize
	@printf '%s\n' 'apiVersion: kustomize.config.k8s.io/v1beta1' 'kind: Kustomization' \
		'resources: [../../config/default]' >dist/kustomize/kustomization.yaml
	@cd dist/kustomize && go tool -modfile=../../hack/tools/go.mod kustomize edit set image dafty-operator='$(IMG)'
	$(KUSTOMIZE) build dist/kustomize >dist/install.yaml
