# The developer's commands; `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FIRST_KEY := var/first-key.txt
SECRETS_KEY := var/secrets.key

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast ledger bench lint english format check docs lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Create .venv and install the locked dependencies

$(INSTALLED): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup $(FIRST_KEY) $(SECRETS_KEY) ## Run the service, a worker and a broker on 127.0.0.1:4100; Ctrl-C stops them
	@chmod -R go= var
	@umask 077 && $(BIN)/flask db upgrade
	@$(BIN)/python -c '$(SHOW_FIRST_EVENT)' < $(FIRST_KEY)
	@umask 077; $(LOG_TO_TERMINAL); PATH="$(CURDIR)/$(BIN):$$PATH" honcho start $${NO_COLOR:+--no-colour}

# Printed at each start, because VIGILRY_BIND may have changed. One line, because make passes it as one.
SHOW_FIRST_EVENT := from vigilry_ingest.cli.key_output import first_event; \
  from vigilry_ingest.config.settings import Config; print("\n" + first_event(Config.from_environ().bind, input()) + "\n")

# honcho reads the output of its processes through pipes, so they cannot detect the terminal themselves. Its
# prefix takes 20 columns of each line.
LOG_TO_TERMINAL := if [ -t 1 ]; then exec 3>&1; \
  export VIGILRY_LOG_FORMAT="$${VIGILRY_LOG_FORMAT:-console}" COLUMNS="$$(stty size <&3 | awk '{ print $$2 - 20 }')"; \
  exec 3>&-; [ -n "$$NO_COLOR" ] || export FORCE_COLOR=1; fi

# A key is shown only once, so it is kept here for the next `make run`.
$(FIRST_KEY): | setup
	@mkdir -m 700 -p var
	@umask 077 && $(BIN)/flask db upgrade
	@umask 077 && $(BIN)/flask keys mint demo --environment development --name "make run" > $@.new
	@umask 077 && head -n 1 $@.new > $@ && rm $@.new

# Encrypts the secrets of webhook sources.
$(SECRETS_KEY): | setup
	@mkdir -m 700 -p var
	@umask 077 && $(BIN)/flask secrets new-key > $@.new && mv $@.new $@

test: setup ## Run all tests against real servers
	@$(BIN)/python -m tests

test-fast: setup ## Run the quick tests, without PostgreSQL, in under a minute
	@$(BIN)/pytest -q -n 2 --dist loadgroup --no-loadscope-reorder -m "not alone and not slow" --no-postgresql

ledger: setup ## Break the broker and the workers under load, and count lost and duplicate events
	$(BIN)/python -m benchmarks.ledger

bench: setup ## Compare this service with FastAPI, Express and bare Flask (ten minutes; needs wrk)
	$(BIN)/python -m benchmarks.bench

lint: setup ## Run ruff, mypy --strict, the import contracts and the wording check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .import_linter_cache
	$(BIN)/python tools/check_english.py

english: setup ## Check the wording of code, comments and documentation
	$(BIN)/python tools/check_english.py

check: lint ## The same as lint

format: setup ## Format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## Regenerate docs/openapi.json and docs/asyncapi.json
	$(BIN)/python -m vigilry_ingest.api.specs docs

lock: setup ## Lock the newest versions that setup.cfg allows
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --extra dev \
	  --custom-compile-command "make lock" --output-file requirements.lock setup.cfg
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra postgres --constraint requirements.lock \
	  --custom-compile-command "make lock" --output-file deploy/requirements.lock setup.cfg

clean: ## Remove all generated files, including the events and keys under var/
	rm -rf $(VENV) var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
