# make demo   sets up and schedules real (or embedded) graphs on a fleet
# make test   sets up and runs every test but the longest
# make test-long  runs those: what takes a quarter of a minute, mostly for what quicker tests see too
# make test-quick  runs the tests that take less than a second each
# make check  what continuous integration runs: lint, format, types, import contract, tests
# make learn  trains every example with five seeds and draws the curves of docs/results/learning.md (hours)
# make bench  prints the figures of docs/results/performance.md
# make docs   builds the documentation site into out/site; a warning, a dead link or a missing public name ends it
# make pictures   draws the animations of docs/environments
# make notebooks  runs the notebooks of docs/tutorials and writes their pages
# make fuzz   damages FLIPS files of every kind that the project reads (docs/reference/reliability.md)
# make soak   plays random scenarios for SOAK_STEPS steps, everything checked after each (docs/reference/reliability.md)

PYTHON ?= python3
SOAK_STEPS ?= 10000000
FLIPS ?= 10000
LEARN_GRAPHS ?= $(wildcard ../shared/graphs/ENZYMES.npz ../shared/graphs/IMDB-BINARY.npz ../shared/graphs/MUTAG.npz \
  ../shared/graphs/PROTEINS.npz)
GYMNASIUM := 1.1.1  # the oldest that is supported; the newest is installed, and RLlib's beside the adapters
GYMNASIUM_TESTS := tests/envs/test_vector.py tests/envs/test_conventions.py tests/contracts/test_env_contract.py tests/agents/test_vec_env.py
ADAPTER_TESTS := tests/agents/test_libraries.py tests/agents/test_adapters_doc.py tests/commands/test_examples.py
VENV := .venv
BIN := $(VENV)/bin
ADAPTERS := .venv-adapters
OLDEST := .cache/gymnasium
PACKAGES := import sysconfig; print(sysconfig.get_path("purelib"))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup setup-dev setup-docs demo test test-long test-quick test-gymnasium test-adapters test-no-jit prepared check check-version lint types \
  imports bench docs pictures notebooks learn fuzz soak clean

setup: $(VENV)/.setup
setup-dev: $(VENV)/.setup-dev
setup-docs: $(VENV)/.setup-docs

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.setup: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --constraint constraints.txt
	touch $@

$(VENV)/.setup-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	touch $@ $(VENV)/.setup

$(VENV)/.setup-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]' --constraint constraints.txt
	touch $@ $(VENV)/.setup

$(VENV)/.setup-notebooks: $(VENV)/.setup-dev
	$(BIN)/python -m pip install --quiet --editable '.[notebooks]' --constraint constraints.txt
	touch $@

# RLlib asks for an older gymnasium: a second environment, which finds the rest in the first
$(ADAPTERS)/.setup: $(VENV)/.setup-dev
	$(PYTHON) -m venv --clear $(ADAPTERS)
	echo "import site; site.addsitedir('$$($(BIN)/python -c '$(PACKAGES)')')" > \
	  $$($(ADAPTERS)/bin/python -c '$(PACKAGES)')/0first.pth  # read before the package's own
	$(ADAPTERS)/bin/python -m pip install --quiet --editable '.[adapters]' --constraint constraints.txt
	touch $@

demo: setup
	$(BIN)/gnnsched demo

test: setup-dev
	$(BIN)/python -m pytest -n 3 --dist loadgroup -m 'not long'  # one more than cores: some wait for clusters, devices
	$(MAKE) --no-print-directory -j1 test-no-jit test-gymnasium test-adapters

test-long: $(ADAPTERS)/.setup
	$(BIN)/python -m pytest -n 2 -m long
	$(ADAPTERS)/bin/python -m pytest -n 2 -m 'adapters and long' $(ADAPTER_TESTS)

test-quick: setup-dev
	$(BIN)/python -m pytest -n 2 -m 'not slow'

$(OLDEST)/.setup: Makefile $(VENV)/.setup-dev
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(OLDEST) gymnasium==$(GYMNASIUM)
	touch $@

test-gymnasium: $(OLDEST)/.setup
	PYTHONPATH=$(OLDEST) $(BIN)/python -m pytest -n 2 -m 'not slow' $(GYMNASIUM_TESTS)

test-adapters: $(ADAPTERS)/.setup
	$(ADAPTERS)/bin/python -m pytest -n 2 -m 'adapters or not slow' tests/contracts/test_env_contract.py
	$(ADAPTERS)/bin/python -m pytest -n 2 -m 'adapters and not long' $(ADAPTER_TESTS)

test-no-jit: setup-dev
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 -m kernels -W ignore:overflow:RuntimeWarning

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases scripts/studies benchmarks

imports: setup-dev
	$(BIN)/lint-imports

# what the later parts of test need; beside its first part, make -j2 check prepared is sooner done
prepared: $(OLDEST)/.setup $(ADAPTERS)/.setup

check: lint types imports test

bench: setup-dev
	$(BIN)/python -m benchmarks.cycles
	$(BIN)/python -m benchmarks.envs
	$(BIN)/python -m benchmarks.deciding

learn: setup-dev
	$(BIN)/python scripts/studies/learning.py --graphs $(LEARN_GRAPHS) --processes 2 --picture out/learning/learning.png

docs: $(VENV)/.setup-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# pages with what their cells print and draw (on a cold cache, also that kernels are compiled: run it again); NOTEBOOKS="first_episode" runs one
NOTEBOOKS ?= $(patsubst docs/tutorials/notebooks/%.py,%,$(wildcard docs/tutorials/notebooks/*.py))
notebooks: $(VENV)/.setup-notebooks
	mkdir -p out/notebooks
	set -e; for name in $(NOTEBOOKS); do \
	  $(BIN)/jupytext --quiet --to ipynb --output out/notebooks/$$name.ipynb docs/tutorials/notebooks/$$name.py; \
	  rm -rf docs/tutorials/$${name}_files; \
	  PYTHONWARNINGS=ignore:IProgress $(BIN)/python -m nbconvert --log-level WARN --execute --CoalesceStreamsPreprocessor.enabled=True \
	    --to markdown --output-dir docs/tutorials out/notebooks/$$name.ipynb; done

PLAYED := --load 0.95 --jobs 80 --seed 4 --gif-every 4
pictures: setup-dev
	$(BIN)/gnnsched schedule --policy assignment $(PLAYED) --gif docs/environments/queue_good.gif
	$(BIN)/gnnsched schedule --policy fifo $(PLAYED) --gif docs/environments/queue_bad.gif
	$(BIN)/gnnsched schedule --env dispatch --policy predictor_greedy $(PLAYED) --gif docs/environments/dispatch_good.gif
	$(BIN)/gnnsched schedule --env dispatch --policy round_robin $(PLAYED) --gif docs/environments/dispatch_bad.gif

# a release is of one version: `make check-version VERSION=0.1.0`
check-version:
	grep -qx '__version__ = "$(VERSION)"' gnnsched_env/version.py
	grep -qx 'version: $(VERSION)' CITATION.cff
	grep -q '^## $(VERSION) (20' CHANGELOG.md

soak: setup-dev
	$(BIN)/python -m tests.soak.run --steps $(SOAK_STEPS)

fuzz: setup-dev
	$(BIN)/python -m tests.fuzz.run --flips $(FLIPS)

clean:
	rm -rf $(VENV) $(ADAPTERS) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
