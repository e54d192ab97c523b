# make demo   sets up and schedules real (or embedded) graphs on a fleet
# make test   sets up and runs every test
# make test-quick  runs the tests that take less than a second each
# make check  what continuous integration runs: lint, format, types, import contract, tests
# make bench  prints the figures of docs/results/performance.md
# make soak   plays random scenarios for SOAK_STEPS steps, everything checked after each (docs/reference/reliability.md)

PYTHON ?= python3
SOAK_STEPS ?= 10000000
GYMNASIUMS := 1.1.1 1.2.2  # the oldest that is supported, and that of RLlib; the newest is installed
GYMNASIUM_TESTS := tests/envs tests/contracts/test_env_contract.py tests/agents/test_vec_env.py
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup setup-dev demo test test-quick test-gymnasium test-no-jit check lint types imports bench soak clean

setup: $(VENV)/.setup
setup-dev: $(VENV)/.setup-dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.setup: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --constraint constraints.txt
	touch $@

$(VENV)/.setup-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	touch $@ $(VENV)/.setup

demo: setup
	$(BIN)/gnnsched demo

test: setup-dev
	$(BIN)/python -m pytest -n 2
	$(MAKE) --no-print-directory test-no-jit test-gymnasium

test-quick: setup-dev
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-gymnasium: setup-dev
	for version in $(GYMNASIUMS); do \
	  $(BIN)/python -m pip install --quiet --no-deps --upgrade --target .cache/gymnasium-$$version gymnasium==$$version && \
	  PYTHONPATH=.cache/gymnasium-$$version $(BIN)/python -m pytest -n 2 -m 'not slow' $(GYMNASIUM_TESTS) || exit 1; \
	done

test-no-jit: setup-dev
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 -m kernels -W ignore:overflow:RuntimeWarning

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy

imports: setup-dev
	$(BIN)/lint-imports

check: lint types imports test

bench: setup-dev
	$(BIN)/python -m benchmarks.cycles
	$(BIN)/python -m benchmarks.envs

soak: setup-dev
	$(BIN)/python -m tests.soak.run --steps $(SOAK_STEPS)

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
