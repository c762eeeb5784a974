# SPDX-License-Identifier: MIT OR Apache-2.0
#
#   make demo    installs what is missing, builds, shows the balancer at work, cleans up
#   make test    the same for all tests
#   make help    lists the rest

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# What Debian 12 must have to build and to run: DPDK and a compiler, then what the lab uses.
PACKAGES := libdpdk-dev libclang-dev pkg-config gcc make libc6-dev \
	iproute2 iputils-ping iputils-tracepath traceroute tcpdump ethtool procps \
	curl netcat-openbsd socat util-linux python3 mount mandoc ipvsadm keepalived kmod strace \
	valgrind
# What benchmarks use beside: testpmd, the floor of what a packet costs.
BENCH_PACKAGES := dpdk-dev
DAEMON := -p dpvs -p ipvsadm -p dpip -p dpvs-ipvs

.PHONY: help setup setup-dev setup-bench build man demo lab test test-unit bench bench-quick \
	bench-growth bench-generate bench-stages bench-flood bench-listing instructions \
	instructions-accept lint fmt fuzz-smoke \
	clean-lab

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' Makefile

# Installs those of $(1) that are missing.
define install
	@missing=(); \
	for package in $(1); do \
		[ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] \
			|| missing+=("$$package"); \
	done; \
	if [ $${#missing[@]} -gt 0 ]; then \
		echo "installing: $${missing[*]}"; \
		[ "$$(id -u)" = 0 ] || { echo "that needs root: make $@"; exit 1; }; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -q; \
		apt-get install -qy --no-install-recommends "$${missing[@]}"; \
	fi
endef

setup: ## Installs the Debian packages that are missing (root)
	$(call install,$(PACKAGES))
	@command -v cargo >/dev/null || { echo "cargo is missing: see https://rustup.rs"; exit 1; }

setup-dev: setup ## Installs the tools of developers that are missing (minutes)
	@for tool in cargo-nextest cargo-deny cargo-fuzz; do \
		command -v $$tool >/dev/null || cargo install --locked $$tool; \
	done

setup-bench: setup ## Installs what benchmarks need beside (root)
	$(call install,$(BENCH_PACKAGES))

build: setup ## Builds dpvs, dpip, ipvsadm and libdpvs_ipvs.so in target/release
	cargo build --release $(DAEMON)

man: setup ## Writes manual pages and shell completions to target/man and target/completions
	cargo run --release --quiet -p manual

demo: build ## Shows it at work in network namespaces (root)
	@scripts/demo.sh

lab: build ## Opens a shell in a lab with dpvs running (root)
	@scripts/lab.sh shell

# The programs first: the lab runs them. They are built as the tests are, so nothing is built twice.
test: setup ## Runs all tests; those in network namespaces need root
	cargo build --profile test $(DAEMON)
	cargo test --workspace --doc --quiet
	@if command -v cargo-nextest >/dev/null; then \
		echo "cargo nextest run --workspace"; \
		cargo nextest run --workspace; \
	else \
		echo "cargo-nextest is missing (make setup-dev installs it): using cargo test"; \
		cargo test --workspace --exclude dpvs-tests --lib --bins --tests --quiet; \
		cargo test -p dpvs-tests -- --test-threads 3; \
	fi

test-unit: ## Runs the tests that need neither root nor libdpdk
	cargo test

bench: setup-bench build ## Measures what docs/performance.md tells, and writes it (15 to 25 minutes)
	cargo build --release --quiet --locked -p dpvs-bench --features generate --bins
	target/release/report

bench-quick: setup-bench build ## Measures the same for a look, less and less well
	cargo build --release --quiet --locked -p dpvs-bench --features generate --bins
	target/release/report --quick

bench-stages: setup ## Measures the stages of the packet path one by one
	cargo bench -p dpvs-bench

bench-growth: setup ## Prints how costs grow with flows, services, servers, connections
	cargo run --release --quiet --locked -p dpvs-bench --bin growth

bench-generate: setup-bench build ## Prints new connections a second between two processes (root)
	cargo run --release --quiet --locked -p dpvs-bench --features generate --bin generate

bench-flood: build ## Prints what a flood of ICMP does to a transfer (root)
	DPVS_BIN_DIR=$(CURDIR)/target/release cargo run --release -q -p dpvs-tests --bin bench_flood

bench-listing: build ## Prints how long large listings take (root)
	DPVS_BIN_DIR=$(CURDIR)/target/release cargo run --release -q -p dpvs-tests --bin bench_listing

instructions: setup ## Fails where the packet path takes more instructions than accepted
	cargo run --release --quiet --locked -p dpvs-bench --bin instructions

instructions-accept: setup ## Takes the instructions that the packet path takes as accepted
	cargo run --release --quiet --locked -p dpvs-bench --bin instructions -- --accept

lint: setup ## Checks format, lints, documentation, licences and the sources' tidiness
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	@if command -v cargo-deny >/dev/null; then \
		cargo deny --log-level error check bans licenses sources; \
		said=$$(cargo deny --log-level error check advisories 2>&1) || { \
			grep -q "failed to fetch advisory database" <<<"$$said" || { echo "$$said"; exit 1; }; \
			echo "SKIPPED: advisories, their database cannot be fetched"; \
		}; \
	else \
		echo "SKIPPED: cargo-deny is missing (make setup-dev installs it)"; \
	fi
	cargo test -p dpvs-tests --test tidy --quiet

fmt: ## Formats the sources
	cargo fmt --all

fuzz-smoke: setup ## Runs each fuzz target for a minute
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: make setup-dev"; exit 1; }; \
	cargo +nightly --version >/dev/null || { echo "the fuzzer needs a nightly compiler"; exit 1; }
	@for target in $$(cargo fuzz list); do \
		echo "fuzz $$target"; \
		cargo +nightly fuzz run "$$target" -- -max_total_time=$${SECONDS_EACH:-60} -print_final_stats=1 -verbosity=0; \
	done

clean-lab: ## Removes labs that a killed test or demo left behind (root)
	@scripts/lab.sh clean
