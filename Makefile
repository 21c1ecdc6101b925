# Drover. Bare `make` lists the targets.

GO      ?= go
BIN     := bin/drover
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
# One static binary: no C library at run time, so it runs on any Linux and in an empty image.
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

.DEFAULT_GOAL := help
.PHONY: help build demo dev test test-unit torture sim mutants test-cluster test-hosts test-zfs test-guest test-vm hosts zfs-hosts bench scale soak fuzz lint

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
	$(GO) test -race -timeout 20m $$($(GO) list ./... | grep -v -e '/drover/test/\(bench\|cluster\|hosts\|sim\|vm\)' -e /volume/torture)

SEEDS ?= 3000
sim: ## break a simulated cluster in SEEDS (3000) ways, on fake time, and hold it against the promises
	$(GO) test -count=1 -timeout 24h ./test/sim -run 'TestSim$$|TestReplay' -sim.seeds $(SEEDS) -v

mutants: SEEDS = 300
mutants: ## plant 30 bugs, one after the other, and see what catches each: ONLY=name for one, SEEDS (300) of the simulator
	$(GO) run ./test/mutants -seeds $(SEEDS) -only "$(ONLY)"

TORTURE ?= 1m
torture: ## move volumes with everything in them for TORTURE (1m) between all backends; rsync judges
	$(GO) test -c -o bin/torture.test ./volume/torture
	cd volume/torture && ../../bin/torture.test -test.timeout 24h -torture.for $(TORTURE)

test-cluster: build ## whole clusters of real processes on 127.0.0.0/8, with faults: no root
	DROVER_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 30m ./test/cluster/...

test-hosts: build ## hosts in network namespaces, each with a Docker engine and btrfs (needs root)
	DROVER_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 45m ./test/hosts/...

test-zfs: test-guest test-vm ## virtual hosts with real OpenZFS and Docker, in emulation (needs root)

# What needs ZFS in the kernel and nothing else runs in a guest.
GUEST := CGO_ENABLED=0 $(GO) test -count=1 -timeout 40m -exec "$(GO) run github.com/drover/drover/test/vm/run"
test-guest: ## the part of test-zfs that is volumes alone, in one guest
	$(GUEST) ./volume/zfs
	$(GUEST) ./volume/torture -run 'TestTorture$$|TestWhatIsKept/.*/zfs' -torture.for 20s

test-vm: build ## the part of test-zfs that is whole hosts
	DROVER_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 40m ./test/vm/...

hosts: build ## three hosts in network namespaces to play with (needs root)
	$(GO) run ./test/hosts/play

zfs-hosts: build ## three virtual hosts with ZFS to play with (needs root)
	$(GO) run ./test/vm/play

bench: build ## measure beside peers; prints a table and leaves bench.json
	DROVER_BINARY=$(CURDIR)/$(BIN) $(GO) run ./test/bench

AGENTS ?= 10000
scale: build ## measure the control service with AGENTS (10000) simulated agents and ten times as many volumes
	$(GO) run ./test/scale -binary $(BIN) -agents $(AGENTS)

SOAK ?= 10m
soak: build ## move a database for SOAK (10m) while processes are killed at random
	DROVER_BINARY=$(CURDIR)/$(BIN) DROVER_SOAK=$(SOAK) $(GO) test -count=1 -timeout 24h -run TestSoak ./test/cluster/...

FUZZ ?= 20s
fuzz: ## run every fuzz target for FUZZ (20s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | while read -r f; do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$f"); do \
	    echo "== $$name in $$(dirname "$$f")"; \
	    $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZ) -fuzzminimizetime 1x "$$(dirname "$$f")" || exit 1; \
	  done; done

lint: ## gofmt, vet and go mod tidy, and golangci-lint where it is installed
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt: the files above want formatting"; exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: its rules were not checked"; fi
