# Two commands for people: `make demo` and `make test`. Both set up what the machine lacks.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# Debian packages by name, and what each is for.
PACKAGES := \
	build-essential \
	curl \
	cmake \
	pkg-config \
	libopus-dev \
	sip-tester \
	baresip-core \
	linphone-cli \
	ffmpeg \
	multimon-ng \
	coturn \
	kamailio \
	kamailio-tls-modules \
	dnsmasq-base \
	iproute2 \
	python3-venv \
	python3-dev \
	debootstrap \
	faketime \
	chromium \
	chromium-driver \
	fonts-noto-color-emoji \
	valgrind \
	tcpdump
# build-essential, cmake: the C parts of the cryptography; pkg-config, libopus-dev: Opus;
# sip-tester (SIPp), baresip-core, linphone-cli: independent phones; ffmpeg: codecs by others, to judge ours;
# multimon-ng: hears keys among the sound; coturn: an independent TURN server; kamailio, kamailio-tls-modules: a SIP
# registrar and proxy by others, over TLS too; dnsmasq-base: SRV records; iproute2: networks for tests;
# python3-venv: Telethon and ntgcalls, independent Telegram users; python3-dev: PESQ, which scores speech, is built;
# debootstrap: a clean Debian, to install the package in; faketime: a clock that is wrong;
# chromium, chromium-driver: a browser that people use, to judge the operator's page; fonts-noto-color-emoji: the four emoji
# of a call, drawn as on people's devices; valgrind: counts the instructions of a packet;
# tcpdump: when messages pass, by the kernel's clock.

# A vendor's client of JavaScript; node may be there by other means, which bring npm and suffer no package of that name.
NODE_PACKAGES := nodejs npm

VENV := target/venv
TOOLS := $(CURDIR)/target/tools
REQUIREMENTS := tests/requirements.txt
NODE := target/node
NODE_LOCK := tests/node/package.json tests/node/package-lock.json

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 14

.PHONY: setup
setup: packages $(VENV)/.complete $(NODE)/.complete ## install what is missing: Debian packages (as root), Python and node ones under target/
	@command -v cargo >/dev/null || { \
		echo "Rust is missing: install rustup (https://rustup.rs), it reads rust-toolchain.toml by itself" >&2; exit 1; }

.PHONY: packages
packages:
	@if ! command -v dpkg-query >/dev/null; then \
		echo "not a Debian: install by your own means what these packages hold: $(PACKAGES) $(NODE_PACKAGES)"; exit 0; \
	fi; \
	missing=(); \
	for package in $(PACKAGES); do \
		[[ "$$(dpkg-query -W -f='$${db:Status-Status}' "$$package" 2>/dev/null)" == installed ]] || missing+=("$$package"); \
	done; \
	command -v node >/dev/null && command -v npm >/dev/null || missing+=($(NODE_PACKAGES)); \
	if (( $${#missing[@]} == 0 )); then exit 0; fi; \
	if (( $$(id -u) != 0 )); then \
		echo "packages are missing; run this and start again:" >&2; \
		echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $${missing[*]}" >&2; \
		exit 1; \
	fi; \
	echo "installing $${missing[*]}"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -q; \
	apt-get install -q -y --no-install-recommends "$${missing[@]}"

# The file is there only when every package of the list is.
$(VENV)/.complete: $(REQUIREMENTS) | packages
	@rm -rf $(VENV)
	@mkdir -p target
	/usr/bin/python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $(REQUIREMENTS)
	@touch $@

$(NODE)/.complete: $(NODE_LOCK) | packages
	@rm -rf $(NODE)
	@mkdir -p $(NODE)
	@cp $(NODE_LOCK) $(NODE)
	cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# What is built for speed tells nobody where it was built, so that the same sources make the same bytes everywhere.
CARGO_FOLDER := $(or $(CARGO_HOME),$(HOME)/.cargo)
PLACES := $(CARGO_FOLDER)=/cargo $(CURDIR)=/tgtrunk $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR)=/tgtrunk/target)
SAME_BYTES := RUSTFLAGS="$(PLACES:%=--remap-path-prefix=%)" CFLAGS="$(PLACES:%=-ffile-prefix-map=%)"
BUILT_FOR_SPEED := $(or $(CARGO_TARGET_DIR),target)/release

# Everything at once, tests too: parts alone would choose other features of what they share, and build it again.
.PHONY: build
build: packages ## build every program and every test
	cargo build --locked --workspace --all-targets

.PHONY: demo
demo: setup build ## a call each way on this machine, measured, and a keypad (DEMO_EXIT=1 ends it, PEERS=independent takes foreign phones)
	TGTRUNK_GATEWAY=$(CURDIR)/target/debug/tgtrunk-gateway target/debug/demo

.PHONY: check
check: packages ## format, lints, documentation, dependencies
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	@PATH="$(TOOLS)/bin:$$PATH"; if cargo deny --version >/dev/null 2>&1; then packaging/audit; else \
		echo "cargo-deny is not installed: LICENCES, SOURCES AND ADVISORIES of dependencies are not checked (make audit)" >&2; \
	fi

# Those that wait run side by side, those that measure alone: tests/suites.toml. What compiles only to be read has the
# processors when they leave them idle.
.PHONY: test
test: setup build test-package ## everything CI runs (SUITES="chat tidy" runs those tests alone, SANDBOX=1 has services inside of what their units ask for)
	TGTRUNK_GATEWAY=$(CURDIR)/target/debug/tgtrunk-gateway target/debug/suites \
		--beside='$(MAKE) --no-print-directory check' $(SUITES)

# What serves benchmarks alone: whoever lacks it gets the others' figures.
BENCH_PACKAGES := rtpengine-daemon openssl
.PHONY: bench-packages
bench-packages: packages
	@command -v rtpengine >/dev/null && command -v openssl >/dev/null && exit 0; \
	if (( $$(id -u) != 0 )) || ! command -v dpkg-query >/dev/null; then \
		echo "one of rtpengine and openssl is not installed: ITS FIGURES WILL BE LEFT OUT (sudo apt-get install -y --no-install-recommends $(BENCH_PACKAGES))" >&2; \
		exit 0; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -q; \
	apt-get install -q -y --no-install-recommends $(BENCH_PACKAGES)

# What the generator does for a packet is not to be more than what relays do.
OPTIMIZED := --config profile.dev.package.tgtrunk-tests.opt-level=2
# Figures are those of the program that people install, and of a floor that is built alike. Each part writes its own section of
# the report: PARTS="cm transcode" measures those alone.
BENCH_PROGRAMS := RUST_LOG=info TGTRUNK_GATEWAY=$(CURDIR)/target/release/tgtrunk-gateway TGTRUNK_FLOOR=$(CURDIR)/target/release/tgtrunk-floor
.PHONY: bench
bench: setup bench-packages build ## what packets, transcoding, set-ups, idleness and allocations cost beside the barest relay, rtpengine and ntgcalls (target/bench/report.html; BENCH=full takes longer, PARTS="cm setup" measures those alone), transcoding beside libopus alone (fails above 1.15 times), messages, how soon keypad and keys come
	$(SAME_BYTES) cargo build --locked --release -p tgtrunk-gateway -p tgtrunk-floor
	cargo build --locked --workspace --bin bench $(OPTIMIZED)
	$(BENCH_PROGRAMS) target/debug/bench target/bench $(PARTS)
	$(SAME_BYTES) cargo bench --locked -p tgtrunk-media --bench transcoding
	$(SAME_BYTES) cargo bench --locked -p tgtrunk-client --bench messages
	TGTRUNK_GATEWAY=$(CURDIR)/target/debug/tgtrunk-gateway target/debug/keypad_bench

# Counted, not timed: the same on a busy machine. Where it changes by more than 2 %, the commit says why.
.PHONY: instructions
instructions: setup build ## instructions for each packet of the gateway beside the floor's, as tests/floor/instructions.ratio says
	$(SAME_BYTES) cargo build --locked --release -p tgtrunk-gateway -p tgtrunk-floor
	$(BENCH_PROGRAMS) target/debug/bench target/bench instructions

# Rows by name, with another amount where one is given (TORTURE="T3=20000 T7", TORTURE=short); SEED=n throws again what a run
# threw. The log is a user's: millions of lines are for nobody.
TORTURE ?=
.PHONY: torture
torture: setup build ## what breaks gateways, thrown at this one, each row as often as docs/torture.md wants (TORTURE="T3=20000 T7", SEED=n): target/torture/report.json
	RUST_LOG=info TGTRUNK_GATEWAY=$(CURDIR)/target/debug/tgtrunk-gateway target/debug/torture target/torture $(TORTURE)

# The same for what takes hours: HOURS is how long T22 talks.
SOAK ?=
.PHONY: soak
soak: setup build ## what a gateway has to live through: ten times the calls, kills, silence, far ends that go, no room, a week of calls (HOURS=n, SOAK="T10=6 T17=1000 T22w", SEED=n): target/torture/report.json, soak.html, week.html
	@mkdir -p target/torture
	RUST_LOG=info HOURS=$(HOURS) TGTRUNK_REPORTS=$(CURDIR)/target/torture TGTRUNK_GATEWAY=$(CURDIR)/target/debug/tgtrunk-gateway target/debug/torture target/torture soak $(SOAK)

# All 28 in one run of at most 150 minutes, with amounts that fit in; what it came to is kept, and the page of it made.
ORDEAL_FUZZ_S ?= 30
ORDEAL_SUITES := calls kills records strangers troubles
.PHONY: ordeal
ordeal: setup build packages $(TOOLS)/bin/cargo-fuzz $(TOOLS)/bin/cargo-deny $(TOOLS)/bin/cargo-cyclonedx ## all 28 rows of docs/torture.md in one run, by which docs/torture.json and that page are made anew
	@rm -rf target/torture && mkdir -p target/torture
	@failed=0; torture() { RUST_LOG=info TGTRUNK_REPORTS=$(CURDIR)/target/torture \
		TGTRUNK_GATEWAY=$(CURDIR)/target/debug/tgtrunk-gateway target/debug/torture target/torture "$$@" || failed=1; }; \
	torture here; \
	torture told T4 $(ORDEAL_FUZZ_S) "seconds of each target" "make -s fuzz FUZZ_S=$(ORDEAL_FUZZ_S)"; \
	torture told T24 1 "lock file" "make -s audit" "make -s sbom"; \
	torture told T23,T25 $(words $(ORDEAL_SUITES)) "test programs with services inside of their units" \
		"env -u RUST_LOG SANDBOX=1 target/debug/suites $(ORDEAL_SUITES)"; \
	sed 's#$(CURDIR)/##g; s#$(HOME)/#~/#g' target/torture/report.json >docs/torture.json; \
	WRITE_TABLES=1 cargo test --quiet --locked --workspace --test tidy torture || failed=1; \
	exit $$failed

# Fuzzer's runtime and targets live outside the workspace. What they took is added to tests/fuzz/taken.toml.
FUZZ_S ?= 600
.PHONY: fuzz
fuzz: packages $(TOOLS)/bin/cargo-fuzz ## every fuzz target for FUZZ_S seconds (600; TARGETS="sdp stun" runs those alone)
	python3 tests/fuzz/fuzz.py $(FUZZ_S) $(TARGETS)

$(TOOLS)/bin/cargo-fuzz:
	cargo install --quiet --root $(TOOLS) --version '^0.13' cargo-fuzz

# Of the toolchain's llvm-tools, or of a Debian's that is not older than 18.
.PHONY: coverage
coverage: packages ## how much of each parser the fuzzers' corpora reach
	python3 tests/fuzz/fuzz.py coverage

# Supply chain: what comes in, what is known against it, and whether the same sources make the same bytes.
.PHONY: audit
audit: $(TOOLS)/bin/cargo-deny ## licences, sources and advisories of dependencies (ADVISORIES=FOLDER: a copy of their database)
	@PATH="$(TOOLS)/bin:$$PATH" ADVISORIES="$(ADVISORIES)" packaging/audit

$(TOOLS)/bin/cargo-deny:
	cargo install --quiet --root $(TOOLS) --version '~0.18' --locked cargo-deny

.PHONY: sbom
sbom: $(TOOLS)/bin/cargo-cyclonedx ## what is in the programs, as CycloneDX: target/sbom
	@mkdir -p target/sbom
	@PATH="$(TOOLS)/bin:$$PATH" SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) cargo cyclonedx -q --format json \
		--spec-version 1.5 --override-filename tgtrunk.cdx
	@for program in gateway client bot; do mv $$program/tgtrunk.cdx.json target/sbom/tgtrunk-$$program.cdx.json; done
	@find . -path ./target -prune -o -name tgtrunk.cdx.json -exec rm {} +
	@ls target/sbom

$(TOOLS)/bin/cargo-cyclonedx:
	cargo install --quiet --root $(TOOLS) --version '~0.5' --locked cargo-cyclonedx

# What people install is built for speed.
PROGRAMS := -p tgtrunk-gateway -p tgtrunk-client -p tgtrunk-bot

$(TOOLS)/bin/cargo-deb:
	cargo install --quiet --root $(TOOLS) --version '~3.8' --no-default-features --debug cargo-deb

# The package that is installed in a clean Debian by the tests: of the programs that are there already.
.PHONY: test-package
test-package: build $(TOOLS)/bin/cargo-deb
	PATH="$(TOOLS)/bin:$$PATH" cargo deb --quiet --no-build --strip --fast --profile dev -p tgtrunk-gateway

.PHONY: deb
deb: packages $(TOOLS)/bin/cargo-deb ## the Debian package, target/debian/tgtrunk_*.deb
	$(SAME_BYTES) cargo build --locked --release $(PROGRAMS)
	packaging/paths $(addprefix $(BUILT_FOR_SPEED)/tgtrunk-,gateway client bot)
	PATH="$(TOOLS)/bin:$$PATH" SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} \
		cargo deb --quiet --no-build --strip -p tgtrunk-gateway

.PHONY: reproducible
reproducible: packages ## the package made once more, in another folder: the same byte by byte?
	packaging/reproducible target/reproducible

.PHONY: tarball
tarball: packages ## a folder that runs anywhere without installing, target/tgtrunk-*.tar.gz
	$(SAME_BYTES) cargo build --locked --release $(PROGRAMS)
	packaging/tarball/make target/release target/tgtrunk-$$(uname -m).tar.gz

.PHONY: clean
clean: ## remove everything that was built
	rm -rf target
