# Everything is built by Go alone, from versions and hashes that stand in go.mod and go.sum files.

GO            ?= go
KUBECTL       ?= kubectl
DOCKER        ?= docker
VERSION       ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)
IMG           ?= ghcr.io/pull-access/pull-access-operator:$(VERSION)
PLATFORMS     ?= linux/amd64,linux/arm64
FUZZTIME      ?= 30s
# By itself Go spends up to a minute on making each input that it likes smaller.
FUZZFLAGS      = -fuzztime $(FUZZTIME) -fuzzminimizetime 20x
BENCH         ?= .
BENCH_ARGS    ?= all
RUNS          ?= 300
# The race detector needs a C compiler; Go says 0 here where there is none.
RACE          ?= $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)

# Every program uses the same build flags as Kubernetes, so that Go compiles each shared package only once. Go compiles
# a fifth faster without inlining and without debugger data. The image and the benchmark use Go's default optimizations.
FLAGS          = -trimpath -gcflags='all=-l -dwarf=false'
BUILD          = CGO_ENABLED=0 $(GO) build $(FLAGS) -ldflags "$(LDFLAGS)"
RUN            = CGO_ENABLED=0 $(GO) run $(FLAGS)

CONTROLLER_GEN = $(GO) tool -modfile=hack/tools/go.mod controller-gen
GOVULNCHECK    = $(GO) tool -modfile=hack/tools/go.mod govulncheck
GOLANGCI       = $(GO) tool -modfile=$(CURDIR)/hack/tools/golangci/go.mod golangci-lint
LDFLAGS        = -s -w -X main.version=$(VERSION)
# Command lines that exist: each folder of cmd is one.
COMMANDS       = $(notdir $(patsubst %/,%,$(wildcard cmd/*/)))
# The tests that need the real node: all of the files that say so. The others of their packages are make test's.
NODE_TESTS     = $(shell grep -ls '^//go:build.*node' hack/*/*_test.go | xargs grep -ho '^func Test[A-Za-z]*' | sed 's/^func //' | paste -sd '|' -)

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help generate fmt tidy lint lint-selftest test test-unit test-node test-faults demo bench bench-go bench-cluster fuzz verify build image \
	install uninstall deploy undeploy vuln cluster-binaries node-binaries clean

help: ## Say what can be made (this list).
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

generate: ## Write what is generated: deepcopy functions, CRDs, the operator's RBAC.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=pull-access-operator paths=./controllers/... paths=./cmd/... output:rbac:artifacts:config=config/rbac

fmt: ## Format all Go files.
	$(GOLANGCI) fmt

tidy: ## Tidy the module files that people edit.
	$(GO) mod tidy
	$(GO) -C hack/node mod tidy
	$(GO) -C hack/terraform mod tidy

lint: lint-selftest ## Check the code against STYLE's rules, and the rules against planted violations.
	$(GOLANGCI) run ./...
	cd hack/node && $(GOLANGCI) run ./...
	cd hack/terraform && $(GOLANGCI) run ./...

lint-selftest:
	$(GO) test -tags lint ./hack/lint/

test: cluster-binaries ## Run all tests, on a real API server and without root.
	$(GO) test $(RACE) -tags cluster -timeout 30m ./...
	CGO_ENABLED=0 $(GO) -C hack/node test $(FLAGS) ./...
	# Go's cache does not see files outside a module: config/gcp is one.
	$(GO) -C hack/terraform test -count=1 ./...
	@for program in gcloud kubectl; do command -v $$program >/dev/null || \
		echo "NOT TESTED: $$program is not on the PATH, so the commands that are shown for it were not run." >&2; done

test-unit: ## Run the tests that need no cluster.
	$(GO) test $(RACE) ./...

test-node: ## Run the tests of the real node: containerd and kubelet (Linux, root).
	@test "$$(uname -s) $$(id -u)" = "Linux 0" || { echo "test-node needs Linux and root: it runs containerd and kubelet" >&2; exit 1; }
	hack/node/install.sh
	$(MAKE) node-binaries
	$(GO) test -tags cluster,node -timeout 20m -run '^($(NODE_TESTS))$$' ./hack/cluster ./hack/e2e

test-faults: cluster-binaries ## Kill the operator at every write under every fault of the cloud and the API server (FAULTS=none: of the cloud), then RUNS random runs.
	@# Go shows what a test prints only for the package of the folder that it is called in.
	$(GO) -C hack/e2e test $(RACE) -tags cluster,faults -count=1 -timeout 90m -run '^TestFaults$$'
	$(GO) -C hack/e2e test $(RACE) -tags cluster,faults -count=1 -timeout 90m -run '^TestRandomRuns$$' -args -rapid.checks=$(RUNS)

demo: cluster-binaries ## Watch a real ImagePullBackOff being healed (DEMO_KEEP=1 leaves it running).
	$(BUILD) -o bin/ $(addprefix ./cmd/,$(COMMANDS)) ./hack/demo
	@bin/demo

bench: bench-go bench-cluster ## Measure everything: parts of the operator, then all of it on a local cluster (half an hour).

bench-go: ## Run the benchmarks of Go functions; BENCH=regexp chooses.
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./internal/...

bench-cluster: cluster-binaries ## Measure the operator on a local cluster; BENCH_ARGS='storm -storm 1000' chooses (bin/bench -h).
	$(BUILD) -o bin/bench ./hack/bench
	@bin/bench $(BENCH_ARGS)

fuzz: ## Fuzz what reads outside text, FUZZTIME=30s each.
	$(GO) test -run '^$$' -fuzz '^FuzzRoundTrip$$' $(FUZZFLAGS) ./api/v1alpha1
	$(GO) test -run '^$$' -fuzz '^FuzzParse$$' $(FUZZFLAGS) ./internal/imageref
	$(GO) test -run '^$$' -fuzz '^FuzzClassify$$' $(FUZZFLAGS) ./internal/pullfailure
	$(GO) test -run '^$$' -fuzz '^FuzzImageName$$' $(FUZZFLAGS) ./internal/pullfailure
	$(GO) test -run '^$$' -fuzz '^FuzzAnonymous$$' $(FUZZFLAGS) ./internal/pullfailure
	$(GO) test -run '^$$' -fuzz '^FuzzFromEvent$$' $(FUZZFLAGS) ./internal/pullfailure
	$(GO) test -run '^$$' -fuzz '^FuzzSanitize$$' $(FUZZFLAGS) ./internal/pullfailure
	$(GO) test -run '^$$' -fuzz '^FuzzEdit$$' $(FUZZFLAGS) ./internal/iampolicy
	$(GO) test -run '^$$' -fuzz '^FuzzVerify$$' $(FUZZFLAGS) ./internal/iampolicy
	$(GO) test -run '^$$' -fuzz '^FuzzClean$$' $(FUZZFLAGS) ./internal/gcp

verify: generate tidy fmt lint ## Generate, tidy, format, lint; fail if that changed the tree.
	@changed=$$(git status --porcelain) && test -z "$$changed" || { echo "$$changed"; echo "The tree differs from its commit: commit what make verify changed." >&2; exit 1; }

build: ## Build the command lines into bin/.
	$(BUILD) -o bin/ $(addprefix ./cmd/,$(COMMANDS))

image: ## Build the image for PLATFORMS under the name IMG (PUSH=1 pushes it).
	$(DOCKER) buildx build --platform $(PLATFORMS) --build-arg VERSION=$(VERSION) --tag $(IMG) $(if $(PUSH),--push) .

install: ## Put the CRDs on the cluster of the current context.
	$(KUBECTL) apply --server-side -k config/crd

uninstall: ## Take the CRDs away, and with them all policies and grants; a running operator revokes first.
	$(KUBECTL) delete --ignore-not-found -k config/crd

deploy: ## Put CRDs, RBAC and the operator on the cluster, as image IMG.
	$(KUBECTL) apply --server-side -k config/default
	$(KUBECTL) --namespace pull-access-system set image deployment/pull-access-operator manager=$(IMG)

undeploy: uninstall ## Take everything away, the operator last.
	$(KUBECTL) delete --ignore-not-found -k config/default

vuln: ## Look for known vulnerabilities in what the operator calls.
	$(GOVULNCHECK) ./...

cluster-binaries: ## Build Kubernetes for the tests (minutes at first, then nothing).
	$(RUN) ./hack/cluster/build

node-binaries: ## Build the real node for the tests (minutes at first, then nothing).
	$(RUN) ./hack/cluster/build -set node

clean: ## Remove what was built here.
	rm -rf bin .cache
