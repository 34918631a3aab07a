# One profile (release) for what users run, what tests run and what lints check. `test` builds each crate once, binaries,
# examples and tests together; `run` after it builds some dependencies again, without the features that only tests ask for.

CARGO ?= cargo
ARGS ?=

# Folders with Python tests (test_*.py).
PYTHON_TESTS := .ci grafana/check protocol/examples

# Modules that a macro declares: `cargo fmt` does not find them.
STRATEGIES := daemon/balancing/src/strategy/*.rs daemon/balancing/src/strategy/tests/added/*.rs

.PHONY: help run test lint bench soak fmt

help: ## show this
	@sed -n 's/^\([a-z]*\): .*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## build, then start a whole fleet in ./fastchat-data; Ctrl-C ends it (ARGS="--servers 5" passes flags on)
	$(CARGO) build --release --locked --workspace --bins
	target/release/fastchat-admin up $(ARGS)

test: ## install what the tests need, build, run all of them
	.ci/install
	$(CARGO) build --release --locked --workspace --bins --examples --tests
	set -e; for folder in $(PYTHON_TESTS); do python3 -m unittest discover --start-directory $$folder; done
	daemon/systemd/check.sh target/release
	$(CARGO) test --release --locked --workspace --doc --quiet
	$(CARGO) nextest run --release --locked --workspace --no-fail-fast

lint: ## formatting, clippy (a warning fails), syntax of scripts
	$(CARGO) fmt --all --check
	rustfmt --check --edition 2024 $(STRATEGIES)
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	find . -name '*.py' -not -path './target/*' -not -path './fastchat-data/*' -print0 | xargs -0 python3 -m py_compile
	for script in .ci/install .ci/run daemon/systemd/check.sh; do bash -n $$script || exit 1; done

bench: ## what framing and picks cost, what people feel, how fast a fleet is; writes daemon/BENCHMARKS.md (ARGS="--runs 1 --quick" passes flags on)
	$(CARGO) build --release --locked --workspace --bins
	$(CARGO) bench --locked --package fastchat-wire --bench deframe
	$(CARGO) bench --locked --package fastchat-balancing --bench assigns
	$(CARGO) bench --locked --package fastchat-client --bench people -- $(ARGS)
	$(CARGO) bench --locked --package fastchat-admin --bench fleet -- $(ARGS)

soak: ## kill whoever makes up a fleet at random under load, for 30 minutes (ARGS="--minutes 600 --seed 7" passes flags on)
	$(CARGO) build --release --locked --workspace --bins
	$(CARGO) bench --locked --package fastchat-admin --bench soak -- $(ARGS)

fmt: ## format all Rust code
	$(CARGO) fmt --all
	rustfmt --edition 2024 $(STRATEGIES)
