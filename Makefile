# Everything a newcomer or a contributor types; each target first makes what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check fast torch slow bench docs clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The first Python that will do; `make setup PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	2>/dev/null && echo $$python && break; done)

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: $(INSTALLED) ## make .venv and install Argot in it with all that its tests need

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make setup needs Python 3.11 to 3.14 with the venv module" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED) ## adapt a small LLM, index, search and measure; STEPS=500 trains longer
	$(BIN)/python -m argot.cli.main demo $(if $(STEPS),--steps $(STEPS))

test: check fast torch slow ## all that CI runs

check: $(INSTALLED) ## format, lint, types, import contracts, docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	MYPYPATH=benchmarks $(BIN)/mypy --strict benchmarks
	$(BIN)/lint-imports

# pytest's 5 means that a tier has no tests here, which is no failure.
tier = $(BIN)/pytest --durations=5 $(1) || test $$? -eq 5

fast: $(INSTALLED) ## the tests that need no model: under a minute
	$(call tier)

torch: $(INSTALLED) ## the tests with tiny random models
	$(call tier,-m "torch and not slow and not model and not gpu and not server")

slow: $(INSTALLED) ## the tests with several processes, or with a new environment
	$(call tier,-m "slow and not model and not gpu and not server")

# The demo leaves this model; COLLECTIONS are folders in BEIR's layout, for the five-row table.
MODEL ?= demo/models/smollm2-135m
bench: $(INSTALLED) ## measure with MODEL: speed, and the five rows on COLLECTIONS, as JSON lines
	$(BIN)/python benchmarks/encode_throughput.py $(MODEL)
	$(BIN)/python benchmarks/search_latency.py
	$(if $(COLLECTIONS),$(BIN)/python benchmarks/five_rows.py $(MODEL) $(COLLECTIONS))

docs: $(INSTALLED) ## write docs/reference again from the code
	$(BIN)/python docs/reference/generate.py

clean: ## remove all that these targets made, the environment too
	rm -rf $(VENV) build dist demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		.hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
