# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Variables: TESTFLAGS, FUZZTIME, KILLS, SEED, SET.

SHELL     := bash
GO        ?= go
TESTFLAGS ?=
FUZZTIME  ?=
KILLS     ?= 1000
SEED      ?=
SET       ?=
CRASHLOG  := $(shell mktemp -u)
LINT      := bin/golangci-lint-$(firstword $(shell cksum tools/go.sum))

# Packages whose goroutines matter most; the command, the house's own checks
# and the models gain nothing from the race detector.
RACE = $$($(GO) list ./... | grep -vE '/cmd/|/internal/layers|/internal/model|/examples/')

.DEFAULT_GOAL := help
.PHONY: help fmt fmt-check lint vet test race fuzz crash interop arm64 bench cover budget generate-check dist ci ci-rest

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

fmt: ## format every Go file
	gofmt -s -w $$(git ls-files -co --exclude-standard '*.go')

fmt-check: ## fail if a Go file is not formatted
	@out=$$(gofmt -s -l $$(git ls-files -co --exclude-standard '*.go')); \
	[ -z "$$out" ] || { printf 'not formatted, run make fmt:\n%s\n' "$$out"; exit 1; }
	@echo "fmt: every Go file is formatted"

lint: $(LINT) ## run golangci-lint, pinned in tools/go.mod, on both modules
	$(LINT) run ./...
	cd bench && ../$(LINT) run --config ../.golangci.yml ./...

$(LINT):
	cd tools && nice $(GO) build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

vet: ## go vet for every platform that must build
	.ci/vet

test: ## every test, in random order (under 6 minutes on 2 cores)
	$(GO) test -shuffle=on -timeout=6m $(TESTFLAGS) ./...

race: ## the core packages under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout=10m $(TESTFLAGS) $(RACE)

fuzz: ## each fuzz target for FUZZTIME (10m, 100000x); without it a minute among them all
	FUZZTIME=$(FUZZTIME) .ci/fuzz

crash: ## KILLS (1000) SIGKILLs a transport, half on each side, and 100 random calls for each; SEED=n repeats a run
	PARLEY_KILLS=$$(($(KILLS) / 2)) PARLEY_CALLS=$$(($(KILLS) * 100)) PARLEY_SEED=$(SEED) $(GO) test -count=1 -timeout=120m -run '^TestSuite.*/Kill|Kill|Crash|^TestStorm' -v ./... >$(CRASHLOG) 2>&1; \
	code=$$?; grep -E '^( {4})?--- |^(ok|FAIL|panic)|PARLEY_SEED' $(CRASHLOG) | grep -v 'no tests to run'; rm -f $(CRASHLOG); exit $$code

interop: ## net/http, net/rpc and grpc-go over every transport
	.ci/interop

arm64: ## the core packages compiled for arm64, under qemu-user (SET=primitives: the quick ones)
	.ci/arm64 $(SET)

bench: ## Parley beside its peers, between processes (a few minutes)
	cd bench && $(GO) run ./connect && $(GO) run ./shm && $(GO) run ./rpc && $(GO) run ./locks

cover: ## coverage of the whole module into coverage.out
	$(GO) test -coverpkg=./... -coverprofile=coverage.out ./...
	@$(GO) tool cover -func=coverage.out | tail -n 1

budget: ## sizes: files, functions, dependencies, binary
	$(GO) test -count=1 -run 'TestSizes|TestHouse/dependencies' -v ./internal/layers
	@if [ -d cmd/parley ]; then mkdir -p bin && CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/parley ./cmd/parley && ls -l bin/parley | awk '{printf "bin/parley, stripped: %.1f MiB\n", $$5/1048576}'; fi

generate-check: ## fail if generated files or go.mod are out of date
	.ci/generate-check

dist: ## release archives with third-party notices, in dist/
	.ci/dist

ci: test ci-rest ## what must pass before a merge (under 25 minutes from cold)

ci-rest: fmt-check lint vet race generate-check
	$(MAKE) --no-print-directory fuzz
	$(MAKE) --no-print-directory crash KILLS=50
	$(MAKE) --no-print-directory arm64 SET=primitives
