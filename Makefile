# Everything that a developer types. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FIRST_KEY := var/first-key.txt

.DEFAULT_GOAL := help
.PHONY: help setup run test ledger bench bench-groups lint format check docs lock clean

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv and install the locked versions into it

$(INSTALLED): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup $(FIRST_KEY) ## Run all of it here, on 127.0.0.1:4100; Ctrl-C stops it
	@$(BIN)/flask db upgrade
	@$(BIN)/python -c '$(SHOW_FIRST_EVENT)' < $(FIRST_KEY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" honcho start

# Anew at each start, as VIGILRY_BIND may have changed. One line, because make passes it on as one.
SHOW_FIRST_EVENT := from vigilry_ingest.cli.key_output import first_event; \
  from vigilry_ingest.config.settings import Config; print("\n" + first_event(Config.from_environ().bind, input()) + "\n")

# The key is shown once and kept by nobody else, so a developer's own stands here for the next `make run`.
$(FIRST_KEY): | setup
	@mkdir -p var
	@$(BIN)/flask db upgrade
	@umask 077 && $(BIN)/flask keys mint demo --environment development --name "made by make run" > $@.new
	@umask 077 && head -n 1 $@.new > $@ && rm $@.new

test: setup ## Run all tests, against real servers
	$(BIN)/pytest

ledger: setup ## Break the broker and the workers under load, and count what is lost or doubled
	$(BIN)/python -m benchmarks.ledger

bench: setup ## Measure this service beside FastAPI, Express and bare Flask (ten minutes; needs wrk)
	$(BIN)/python -m benchmarks.bench

bench-groups: setup ## Measure group commit against one round trip each, under each worker class
	$(BIN)/python -m benchmarks.group_commit

lint: setup ## Look for faults without running anything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .import_linter_cache

check: lint ## The same as lint: ruff, mypy --strict, and the import contracts

format: setup ## Lay the code out anew
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## Write docs/openapi.json and docs/asyncapi.json anew
	$(BIN)/python -m vigilry_ingest.api.specs docs

lock: setup ## Choose the newest versions that setup.cfg allows, and write them to requirements.lock
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --extra dev \
	  --custom-compile-command "make lock" --output-file requirements.lock setup.cfg
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra postgres --constraint requirements.lock \
	  --custom-compile-command "make lock" --output-file deploy/requirements.lock setup.cfg

clean: ## Remove what was made here, your events and keys under var/ too
	rm -rf $(VENV) var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
