# daycast: `make help` lists the targets. All of them work from a path with spaces.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --constraint constraints.txt
.DEFAULT_GOAL := help

.PHONY: help demo test check format lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' Makefile | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(VENV)/.package ## set everything up and run the whole job on the simulated sample
	$(PY) -m daycast run

test: $(VENV)/.tools ## set up what is missing and run the test suite
	# Apart, since measuring coverage makes all code half as slow again, and it is of core alone.
	$(PY) -m pytest tests/core -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=95
	$(PY) -m pytest --ignore=tests/core -n 2 --dist loadgroup

check: $(VENV)/.tools ## lint, format, types, layers: what pre-commit and CI run
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	PYTHONPATH=src $(VENV)/bin/lint-imports

format: $(VENV)/.tools ## mend what ruff can mend
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lock: $(VENV)/.tools ## renew constraints.txt from pyproject.toml
	$(PY) -m piptools compile --quiet --all-extras --strip-extras --upgrade --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --no-emit-options --output-file constraints.txt pyproject.toml
	# A local build label such as +cpu is this machine's choice, not the user's.
	sed -i -E 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' constraints.txt

clean: ## remove the environment, all embedded state and what tools left behind; data versions stay
	rm -rf $(VENV) .daycast build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "daycast needs Python 3.11 or newer, found $$($(PYTHON) --version): make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.package: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing daycast and what it needs into $(VENV): some minutes, once"
	$(PIP) --editable .
	@touch $@

$(VENV)/.tools: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing daycast with its development tools into $(VENV): some minutes, once"
	$(PIP) --editable '.[dev,kubernetes,server]'
	@touch $@ $(VENV)/.package
