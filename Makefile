# CometMQ: `make help` lists what there is. The gate is `make test`.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

GO      ?= go
BIN     := bin/cometmq
TOOL    := $(GO) tool -modfile=tools/go.mod
FUZZ    ?= 10s
SEEDS   ?= 200
SIM     ?= 50
export CGO_ENABLED ?= 0
# Property tests draw the same cases each time: one that nobody has seen yet says nothing about the change at hand. RAPID_SEED=0 looks for
# others, with RAPID_CHECKS for more of them.
export RAPID_SEED  ?= 20261123
# The tests that start servers take this binary; without it each of them builds its own.
WITH_BIN := COMETMQ_BIN=$(CURDIR)/$(BIN)

# Cheapest first. The tests below test/ that start servers have stages of their own.
STAGES  := fmt-check setup arch lint web-check unit race sim process crash web-e2e conformance peer
UNIT    := . ./cometmqtest ./deploy/... ./cmd/... ./internal/... ./test/docs/... ./test/abuse ./web

.PHONY: help build setup test ci fmt fmt-check lint arch unit race fuzz bench sim process crash crash-table chaos loss-table abuse conformance peer compatibility web web-check web-e2e web-scale e2e compare \
	golden generate docs deviations vuln hooks clean deploy-test image image-test release packages

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN{FS=":.*## "}{printf "  %-14s %s\n", $$1, $$2}'

# Without -trimpath, so that the tests share what it compiles; that is for releases.
build: ## the static binary, bin/cometmq
	$(GO) build -o $(BIN) ./cmd/cometmq

setup: ## what the interop tests need: a JDK and Maven from the package manager, Java's jars by Maven
	@test/peer/setup.sh

test: ## the whole gate, stage by stage, cheapest first; ends at the first red one
	@report=""; all=$$SECONDS; \
	for s in $(STAGES); do \
	  echo "== $$s"; t=$$SECONDS; \
	  $(MAKE) --no-print-directory $$s || { echo "make test: RED in $$s, after $$((SECONDS - all)) s"; exit 1; }; \
	  report+=$$(printf '  %-12s %5d s' $$s $$((SECONDS - t)))$$'\n'; \
	done; \
	echo "make test: green in $$((SECONDS - all)) s"; printf '%s' "$$report"

ci: test ## the same

fmt: ## formats the code
	$(TOOL) golangci-lint fmt

fmt-check: ## fails when a file is not formatted (gofmt; the finer rules are part of lint)
	@out=$$(git ls-files -z '*.go' | xargs -0 ls -d 2>/dev/null | xargs -d '\n' gofmt -l); [ -z "$$out" ] || { echo "not formatted:"; echo "$$out"; exit 1; }

lint: ## golangci-lint, pinned in tools/go.mod; the first run compiles it
	$(TOOL) golangci-lint run

arch: ## import table, file sizes, seams
	$(GO) test ./internal/archtest

unit: ## unit, golden, script and property tests; fuzz targets with their seeds
	$(GO) test -timeout 20m $(UNIT)

# A module of its own: it needs Prometheus, which is large. Not in the gate.
deploy-test: ## dashboard and alert rules against Prometheus' engine and a running server
	cd test/deploy && $(GO) test -count=1 -timeout 10m ./...

race: ## the same under the race detector (it needs a C compiler)
	@if command -v $${CC:-cc} >/dev/null || command -v gcc >/dev/null; then test/race/run.sh $(UNIT); \
	else echo "race: SKIPPED, no C compiler on this machine"; fi

sim: ## whole clusters in one process, virtual time, SIM (50) seeds of faults; SIM=1000 takes some minutes
	$(GO) test -count=1 -timeout $$((20 + $(SIM) / 40))m -v ./test/sim -seeds $(SIM) | grep -v "^=== \|--- PASS"

process: build ## the real binary at its edges: orderly end, second process, 10,000 connections, garbage
	$(WITH_BIN) $(GO) test -count=1 -timeout 20m ./test/process

crash: build ## the real binary under load, killed at random; power cuts on a simulated disk; damaged files
	$(WITH_BIN) $(GO) test -count=1 -timeout 30m ./test/crash -seeds $(SEEDS)

crash-table: build ## runs the crash tests with more kills and writes docs/crash-table.md from what they saw
	$(WITH_BIN) $(GO) test -count=1 -timeout 30m ./test/crash -seeds $(SEEDS) -kills 20 -table $(CURDIR)/docs/crash-table.md

chaos: build ## deployments of real processes put through some accidents, ours only, a short version
	$(WITH_BIN) $(GO) test -count=1 -timeout 10m ./test/chaos

# The rows that match ROWS, for SIDES; figures of the other rows come from KEEP.
ROWS  ?= .
SIDES ?= ours,java
KEEP  ?= $(CURDIR)/build/loss.json
loss-table: build ## puts ours and Java through all accidents and writes docs/loss-table.md; some hours
	@mkdir -p $(dir $(KEEP))
	$(WITH_BIN) $(GO) test -count=1 -timeout 6h -v ./test/chaos -rows '$(ROWS)' -sides '$(SIDES)' -keep $(abspath $(KEEP)) -write $(CURDIR)/docs/loss-table.md | grep -v "^=== "

conformance: build ## one suite against ours and against Java
	$(WITH_BIN) test/conformance/run.sh

peer: build ## unmodified Java and Go clients, and store directories swapped both ways
	$(WITH_BIN) test/peer/run.sh

compatibility: build ## runs the peer tests and writes docs/compatibility.md from their outcome
	$(WITH_BIN) test/peer/run.sh -every-variant -matrix $(CURDIR)/docs/compatibility.md

web: ## builds the console's front end into web/dist, which is committed; needs Node 20
	web/scripts/deps.sh
	cd web && npm run --silent build

web-check: ## front end: types, lint, unit tests, size, and that dist is what the source builds to
	@if web/scripts/ready.sh; then cd web && npm run --silent check; else echo "web-check: SKIPPED, for the reason above"; fi

web-scale: build ## how long lists take with 5,000 topics and 5,000 groups, the first paint, and memory; needs Chromium
	web/scripts/ready.sh chromium && cd web && $(WITH_BIN) node scripts/scale.mjs

web-e2e: build ## journeys through the console in a real browser, Debian's Chromium, which it installs when it is missing
	@if web/scripts/ready.sh chromium; then cd web && $(WITH_BIN) npm run --silent e2e; else echo "web-e2e: SKIPPED, for the reason above"; fi

e2e: process conformance peer ## all that talk to a running server

abuse: ## every request with bad fields, cut frames, forged signatures, slow peers, floods: the long form; prints what it did
	$(GO) test -count=1 -timeout 30m -v ./test/abuse -long | grep -v '^=== '

fuzz: ## each fuzz target for FUZZ (10s)
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	  echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ) -fuzzminimizetime 100x $$p; done; done

bench: ## benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./internal/record ./internal/protocol ./internal/remoting ./internal/storage/... ./internal/broker/...

compare: build ## measures beside Java in one run and writes docs/benchmarks.md; about an hour
	$(WITH_BIN) test/compare/run.sh

golden: ## makes the golden files again with the real Java classes
	test/golden/generate.sh

generate: ## runs the code generators
	$(GO) generate ./internal/protocol ./internal/api/amqpapi/amqp10
	cd tools && $(GO) run ./genproto -dir ../proto apache/rocketmq/v2/definition.proto apache/rocketmq/v2/service.proto

docs: ## writes the parts of docs/ that are made from the code
	$(GO) run ./test/docs/docgen

deviations: ## lists where the code differs from Java on purpose
	@$(GO) run ./test/docs/docgen -deviations

# The image of all architectures in ARCHS; IMAGE is its name and tag.
IMAGE ?= localhost/cometmq:latest
ARCHS ?= amd64 arm64
image: ## container images from scratch, with buildah; build/image/*.oci.tar
	deploy/image/build.sh $(IMAGE) $(ARCHS)

image-test: ## the image for this machine, run for real with podman and runc; needs root
	@command -v buildah >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy buildah podman runc; }
	deploy/image/build.sh $(IMAGE) $$($(GO) env GOARCH)
	deploy/image/test.sh $(IMAGE)

packages: ## deb and rpm for ARCHS, build/packages
	deploy/package/build.sh $(ARCHS)

release: ## all artefacts with checksums and bill of materials, build/release
	deploy/release/build.sh

vuln: ## known weaknesses of what we depend on (asks the Go vulnerability database)
	$(TOOL) govulncheck ./...

hooks: ## a git hook that checks format and imports before a commit
	@printf '#!/bin/sh\nexec make --no-print-directory fmt-check arch\n' >"$$(git rev-parse --git-path hooks)/pre-commit"
	@chmod +x "$$(git rev-parse --git-path hooks)/pre-commit"; echo "pre-commit runs fmt-check and arch"

clean: ## removes what was built
	rm -rf bin build
