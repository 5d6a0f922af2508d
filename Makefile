# Everything starts from a bare checkout: each target makes what it needs. `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
LOCK := --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" --no-config pyproject.toml

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: bootstrap
bootstrap:  ## make .venv with every tool and the wharf command
	@deploy/dev/bootstrap

.PHONY: run
run: bootstrap  ## the controller in the foreground on the sample specs; GPUS=sim: with simulated GPUs
	@exec $(PYTHON) -m deploy.dev.workbench run --docker-host "$(DOCKER_HOST)" --gpus "$(GPUS)"

.PHONY: test
test: bootstrap  ## the whole test suite, on a disposable Engine
	@$(PYTHON) -m pytest

.PHONY: test-full
test-full: bootstrap  ## the tests that take long too, and the large number of generated examples
	@$(PYTHON) -m pytest -m "not gpu and not systemd" --hypothesis-profile=large

.PHONY: test-gpu
test-gpu: bootstrap  ## inventory, utilisation, processes and error codes against a real NVIDIA GPU
	@$(PYTHON) -m pytest -m gpu tests/hardware

.PHONY: test-systemd
test-systemd: bootstrap  ## slices on a real systemd, cgroup v1 and v2, in guests; SETUP=v2-systemd for one; VM=qemu
	@$(PYTHON) -m tests.systemd $(if $(VM),--vm $(VM)) $(if $(SETUP),--setup $(SETUP)) $(TESTS)

.PHONY: check
check: bootstrap  ## format, lint, types, import contracts, generated files current
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTHON) -m controller.cli.generate --check
	$(PYTHON) -m tests.policies --check

.PHONY: format
format: bootstrap  ## format the code and mend what lint can mend
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

.PHONY: demo
demo: bootstrap  ## a scripted, self-ending tour on real containers; GPUS=sim: with a chapter on GPUs
	@$(PYTHON) -m deploy.dev.workbench demo --docker-host "$(DOCKER_HOST)" --gpus "$(GPUS)"

.PHONY: bench
bench: bootstrap  ## performance figures: a table, and JSON next to it
	@$(PYTHON) -m tests.bench

.PHONY: fuzz
fuzz: SECONDS := 300
fuzz: bootstrap  ## broken specs against the loader for SECONDS=300: a table, and JSON next to it
	@$(PYTHON) -m tests.fuzz --seconds "$(SECONDS)"

.PHONY: mutants
mutants: bootstrap  ## seeded bugs against the tests, all or those like NAME=: a table, and JSON next to it
	@$(PYTHON) -m tests.mutants $(NAME)

.PHONY: chaos
chaos: bootstrap  ## faults on a real Engine for MINUTES=10, with SEED=S or another one each time
	@$(PYTHON) -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

.PHONY: sim
sim: bootstrap  ## simulated hosts with faults: STEPS=n (a million), SEED=n (drawn by lot)
	@$(PYTHON) -m tests.simulation --steps $(or $(STEPS),1000000) $(if $(SEED),--seed $(SEED))

.PHONY: generate
generate: bootstrap  ## crds/ and every generated reference page
	@$(PYTHON) -m controller.cli.generate
	@$(PYTHON) -m tests.policies

.PHONY: golden
golden: bootstrap  ## write the golden plans anew; read the difference before you commit it
	@$(PYTHON) -m pytest -q tests/plans --update-golden

.PHONY: lock
lock: bootstrap  ## resolve requirements.lock and requirements-dev.lock anew
	@test -x .dev/uv/bin/uv || $(PYTHON) -m pip install -qq --no-input --target .dev/uv uv
	.dev/uv/bin/uv pip compile $(LOCK) --output-file requirements.lock
	.dev/uv/bin/uv pip compile $(LOCK) --group dev --output-file requirements-dev.lock

.PHONY: clean
clean:  ## remove what the other targets made, the private Engine and its containers included
	@if [ -d .dev ]; then \
		if [ -x $(PYTHON) ]; then $(PYTHON) -m deploy.dev.workbench clean; else python3 -m deploy.dev.workbench clean; fi; fi
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
