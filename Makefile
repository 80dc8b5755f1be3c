# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SQL_TEMPLATES = $(shell grep -l '{%' orchestration/sql/*.sql)

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-shop test dev bench bench-latency lint lock clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Tripline needs Python 3.11 (no $(PYTHON) found); name yours with: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@echo "Setting up $(VENV) from requirements.lock (half a minute, once)…"
	@$(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ { found = 1 } found { print } found && !/\\$$/ { exit }' requirements.lock > $(VENV)/uv.lock
	@$(PIP) --require-hashes -r $(VENV)/uv.lock
	@# uv does not read pip's own configuration, which may name a company's mirror.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock \
		|| $(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## the virtual environment, from the lock file

demo: $(STAMP) ## the main job on real input and on a simulated month
	@$(BIN)/tripline demo

test: $(STAMP) lint ## every test
	$(BIN)/pytest -n 2 --dist loadgroup

dev: $(STAMP) ## the Dagster UI on http://127.0.0.1:3000, with events arriving
	@$(BIN)/tripline dev

demo-shop: $(STAMP) ## a shop on http://127.0.0.1:8092/shop/ whose visitor you are, with everything behind it
	@$(BIN)/tripline dev --rate 0 --shop

bench: $(STAMP) ## the measurements
	$(BIN)/python -m benchmarks

bench-latency: $(STAMP) ## from a file drop to a delivered webhook
	$(BIN)/python -m benchmarks.latency

lint: $(STAMP) ## ruff, mypy, sqlfluff, Dagster's definitions, the trigger SQL check
	$(BIN)/ruff check orchestration tests benchmarks
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 --nocolor dbt_project/models tests/dbt $(SQL_TEMPLATES)
	grep -rL --include='*.sql' '{%' orchestration/sql | xargs $(BIN)/sqlfluff lint --processes 2 --nocolor --templater placeholder
	VIRTUAL_ENV=$(CURDIR)/$(VENV) DAGSTER_DISABLE_TELEMETRY=yes $(BIN)/dg check defs
	$(BIN)/tripline check

lock: $(STAMP) ## requirements.lock anew, from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url --no-strip-extras \
		--no-header --no-annotate --quiet --upgrade pyproject.toml -o requirements.lock

clean: ## the virtual environment and what ran
	rm -rf $(VENV) .tripline dbt_project/target dbt_project/logs
