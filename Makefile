# One word each: demo, up, test, lint, bench. Every target does all of its own set-up; see CONTRIBUTING.md.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes
HTTP_PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help demo up test coverage test-long lint format bench screenshots wheel lock clean

help:
	@echo "make demo         a first look: four weeks of made-up history and live traffic, no API key needed"
	@echo "make up           the product, empty: first page leads from a key to your first call"
	@echo "make test         everything that is checked before a change lands"
	@echo "make coverage     the same tests, and the lines that none of them runs"
	@echo "make test-long    the long tier: the whole trace replayed while processes are killed"
	@echo "make lint         formatting, lint, types, import contracts"
	@echo "make bench        the benchmarks behind bench/RESULTS.md"
	@echo "make screenshots  every page into docs/images (with make demo running)"

demo: $(VENV)/.server node_modules/.ready
	@VITALS_HOME=$${VITALS_HOME:-var/demo} exec $(PY) manage.py up --demo --port $(HTTP_PORT)

up: $(VENV)/.server node_modules/.ready
	@exec $(PY) manage.py up --port $(HTTP_PORT)

# Lint is one of the parts.
test: $(VENV)/.dev node_modules/.ready
	$(PY) tests/browser.py
	$(PY) -m tests.side_by_side -m "not long"

# Measuring which lines were run makes the tests a third slower.
coverage: $(VENV)/.dev node_modules/.ready
	$(PY) tests/browser.py
	$(PY) -m tests.side_by_side --cov --cov-report= -m "not long"

test-long: $(VENV)/.dev node_modules/.ready
	$(PY) -m pytest -m long

lint: $(VENV)/.dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy .
	$(VENV)/bin/lint-imports
	@DATABASE_URL=postgres://nobody@localhost/none SECRET_KEY=lint $(PY) manage.py makemigrations --check --dry-run

format: $(VENV)/.dev
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: $(VENV)/.dev node_modules/.ready
	$(PY) -m bench

screenshots: $(VENV)/.dev
	@$(PY) -m tests.screenshots http://127.0.0.1:$(HTTP_PORT) demo "$$(cat $${VITALS_HOME:-var/demo}/demo-login)"

wheel: $(VENV)/.dev
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) node_modules static-built var dist

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "LLM Vitals needs Python 3.11 or newer; none was found on the PATH."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.server: requirements.lock | $(VENV)/bin/python
	@echo "Installing what the server needs (once, about a minute)"
	@$(INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/bin/python
	@echo "Installing what the tests need (once, about a minute)"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@ $(VENV)/.server

# A quarter of the download for the browser, where npm is at hand; without it the chart library comes from its wheel.
node_modules/.ready: package-lock.json
	@mkdir -p node_modules
	@if command -v npm >/dev/null; then \
		npm ci --ignore-scripts --no-audit --no-fund --silent || echo "npm did not answer; using the larger chart bundle"; fi
	@mkdir -p node_modules && touch $@

# Pins with hashes and without the address of any index. Needs uv.
lock:
	@lock="uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml" && \
	$$lock --extra server -o requirements.lock >/dev/null && $$lock --extra dev -o requirements-dev.lock >/dev/null
