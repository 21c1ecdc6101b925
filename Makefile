# Drover. Bare `make` lists the targets.

GO      ?= go
BIN     := bin/drover
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
# One static binary: no C library at run time, so it runs on any Linux and in an empty image.
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

.DEFAULT_GOAL := help
.PHONY: help build demo dev test test-unit test-cluster test-hosts test-zfs hosts zfs-hosts bench soak fuzz lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/drover
	$(BUILD) -o $(BIN) ./cmd/drover

demo: build ## move a database under load between three nodes of this machine, then a report
	$(BIN) demo

dev: build ## run a cluster on this machine until Ctrl-C
	$(BIN) dev

test: ## every tier of tests that this machine can run; says at the end which ran
	./test/run

test-unit: ## unit and property tests: no root, no network, race detector on
	$(GO) test -race $$($(GO) list ./... | grep -v /test/)

test-cluster: build ## whole clusters of real processes on 127.0.0.0/8, with faults: no root
	DROVER_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 20m ./test/cluster/...

test-hosts: build ## hosts in network namespaces, each with a Docker engine and btrfs (needs root)
	DROVER_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 30m ./test/hosts/...

# The volumes' own tests run in a guest, as can whatever else needs ZFS in the kernel.
test-zfs: build ## virtual hosts with real OpenZFS and Docker, in emulation (needs root)
	CGO_ENABLED=0 $(GO) test -count=1 -timeout 20m -exec "$(GO) run github.com/drover/drover/test/vm/run" ./volume/zfs
	DROVER_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 30m ./test/vm/...

hosts: build ## three hosts in network namespaces to play with (needs root)
	$(GO) run ./test/hosts/play

zfs-hosts: build ## three virtual hosts with ZFS to play with (needs root)
	$(GO) run ./test/vm/play

bench: build ## measure beside peers; prints a table and leaves bench.json
	DROVER_BINARY=$(CURDIR)/$(BIN) $(GO) run ./test/bench

SOAK ?= 10m
soak: build ## move a database for SOAK (10m) while processes are killed at random
	DROVER_BINARY=$(CURDIR)/$(BIN) DROVER_SOAK=$(SOAK) $(GO) test -count=1 -timeout 24h -run TestSoak ./test/cluster/...

FUZZ ?= 20s
fuzz: ## run every fuzz target for FUZZ (20s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | while read -r f; do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$f"); do \
	    echo "== $$name in $$(dirname "$$f")"; \
	    $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZ) "$$(dirname "$$f")" || exit 1; \
	  done; done

lint: ## gofmt and vet, and golangci-lint where it is installed
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt: the files above want formatting"; exit 1; }
	$(GO) vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: its rules were not checked"; fi
