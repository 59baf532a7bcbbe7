# Each word brings what it needs: a fresh clone and python3 are enough.
PYTHON ?= python3
RUN = .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help dev check test nightly sim mutants demo localnet coverage bench year lock format

help: ## show these words
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

dev: ## make .venv and name what a developer may want to install
	@$(PYTHON) tools/bootstrap.py --goal test

check: ## format, lint, types, imports, unit tests (about a minute)
	@$(PYTHON) tools/bootstrap.py --goal dev
	@$(RUN) tools/run_tests.py check

test: ## check, then brokers, tokens, browsers, whole programs
	@$(PYTHON) tools/bootstrap.py --goal test
	@$(RUN) tools/run_tests.py test

nightly: ## test, with the long volumes
	@$(PYTHON) tools/bootstrap.py --goal test
	@WHARF_VOLUME=nightly $(RUN) tools/run_tests.py test

sim: ## gateways, links, power and liars under seeds: make sim SEEDS=50, make sim SEED=7
	@$(PYTHON) tools/bootstrap.py --goal dev
	@PYTHONHASHSEED=0 $(RUN) -m tests.simulator $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),3)) --jobs 2 --verbose $(ARGS)

mutants: ## break the code in named ways; each must be seen by its test (ARGS=--score=60: of ledger, by rule)
	@$(PYTHON) tools/bootstrap.py --goal dev
	@$(RUN) tools/mutants.py $(ARGS)

demo: ## two gateways, a node, a trip of some hours in two minutes, and a proof
	@$(PYTHON) tools/bootstrap.py --goal demo
	@.venv/bin/wharf demo $(ARGS)

localnet: ## four organisations with a validator each, on loopback, until Ctrl-C
	@$(PYTHON) tools/bootstrap.py --goal dev
	@.venv/bin/wharf chain localnet --home .localnet $(ARGS)

coverage: ## branches that the unit tests reach
	@$(PYTHON) tools/bootstrap.py --goal dev
	@.venv/bin/pytest -q --cov --cov-report=term:skip-covered tests/unit

bench: ## measure speed and size beside peers (docs/performance.md; about ten minutes)
	@$(PYTHON) tools/bootstrap.py --goal dev
	@$(RUN) -m tools.bench $(ARGS)

year: ## simulate a year of fifty sensors: size, start time, time to prove (about a quarter of an hour)
	@$(PYTHON) tools/bootstrap.py --goal dev
	@$(RUN) tools/year.py $(ARGS)

format: ## let ruff write the format
	@$(PYTHON) tools/bootstrap.py --goal dev
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lock: ## pin what pyproject.toml asks for
	@$(PYTHON) tools/bootstrap.py --goal dev
	@$(RUN) tools/lock.py $(ARGS)
