# CometMQ: `make help` lists what there is. The gate is `make test`.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
BIN     := bin/cometmq
TOOL    := $(GO) tool -modfile=tools/go.mod
PKGS    := ./...
FUZZ    ?= 10s
SEEDS   ?= 200
export CGO_ENABLED ?= 0

.PHONY: help build setup test ci fmt fmt-check lint arch unit race golden fuzz bench e2e sim crash conformance peer compare generate docs deviations hooks clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN{FS=":.*## "}{printf "  %-14s %s\n", $$1, $$2}'

build: ## the static binary, bin/cometmq
	$(GO) build -trimpath -o $(BIN) ./cmd/cometmq

setup: ## what the interop tests need: a JDK and Maven from the package manager, Java's jars by Maven
	@test/peer/setup.sh

test: setup fmt-check lint arch race crash conformance peer ## the whole gate, cheapest first
	@echo "make test: green"

ci: test ## the same

fmt: ## formats the code
	$(TOOL) golangci-lint fmt

fmt-check: ## fails when a file is not formatted
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not formatted:"; echo "$$out"; exit 1; }

lint: ## go vet and golangci-lint (pinned in tools/go.mod)
	$(GO) vet $(PKGS)
	$(TOOL) golangci-lint run

arch: ## import table, file sizes, seams
	$(GO) test ./internal/archtest

unit: ## unit, golden and property tests
	$(GO) test $(PKGS)

race: ## the same under the race detector
	CGO_ENABLED=1 $(GO) test -race $(PKGS)

golden: ## makes the golden files again with the real Java classes
	test/golden/generate.sh

fuzz: ## each fuzz target for FUZZ (10s)
	@for p in $$($(GO) list $(PKGS)); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	  echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ) $$p; done; done

bench: ## benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./internal/record ./internal/protocol ./internal/remoting ./internal/storage/... ./internal/broker/...

crash: build ## the real binary under load, killed at random; power cuts on a simulated disk
	$(GO) test -count=1 -timeout 15m ./test/crash -seeds $(SEEDS)

sim: ## a whole cluster in one process: in-memory network and disk, virtual clock, seeded faults
	$(GO) test -count=1 ./test/sim -seeds 1000

conformance: build ## one suite against ours and against Java
	test/conformance/run.sh

peer: build ## unmodified Java and Go clients, and store directories swapped both ways
	test/peer/run.sh

e2e: conformance peer ## both of them

compare: build ## measures beside Java in one run and writes docs/benchmarks.md
	test/compare/run.sh

generate: ## runs the code generators
	$(GO) generate ./internal/protocol

docs: ## writes the parts of docs/ that are made from the code
	$(GO) run ./test/docs/docgen

deviations: ## lists where the code differs from Java on purpose, and why
	@$(GO) run ./test/docs/docgen -deviations

hooks: ## a git hook that formats and vets before a commit
	@printf '#!/bin/sh\nexec make fmt-check arch\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit

clean: ## removes what was built
	rm -rf bin build
