# `make search` runs the main job on the embedded demo, `make test` every test that needs no GPU.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DATA   ?= data/demo
RUNS   ?= runs
# Processes that run tests. Tests with Ray come first (see tests/conftest.py) and often wait: hence
# two more than CPUs, and one more where none starts Ray. Compiled files are kept, since each
# process would compile Veer and the tests again.
MORE_WORKERS := 2
test-fast: MORE_WORKERS := 1
PYTEST_WORKERS ?= $(shell expr $$(nproc) + $(MORE_WORKERS))
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses $(PYTEST_WORKERS) \
         --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --durations 25

.PHONY: setup browser search test test-fast lint types check bench chaos clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] < (3, 14) else "Veer needs Python 3.11 to 3.13, found %d.%d; try: make PYTHON=python3.12 ..." % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable '.[demo,dashboard,kaldi,onnx,dev]'
	@touch $@

# The tests of the page drive a browser. If there is none and it cannot be installed, they fail and
# print how to install one.
BROWSERS := chromium chromium-browser google-chrome
INSTALL  := apt-get install -y --no-install-recommends chromium fonts-dejavu-core

browser:
	@if [ -n "$$VEER_CHROMIUM" ]; then exit 0; fi; \
	for name in $(BROWSERS); do if command -v $$name >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo 'no browser for the tests of the page: $(INSTALL)'; \
	    { apt-get update -qq && $(INSTALL) >/dev/null; } || echo 'no browser was installed'; \
	else \
	    echo 'no browser for the tests of the page; to install one: sudo $(INSTALL)'; \
	fi

search: setup
	$(BIN)/veer data demo $(DATA)
	$(BIN)/veer teacher train teacher_demo --corpus $(DATA)/corpus.yaml --out $(RUNS)/demo-teacher
	$(BIN)/veer search demo --corpus $(DATA)/corpus.yaml --teacher $(RUNS)/demo-teacher --run $(RUNS)/demo

test: setup browser
	$(PYTEST) -m 'not gpu'

test-fast: setup
	$(PYTEST) -m 'not gpu and not slow and not cluster and not browser'

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

check: lint types test

# A name may be written with - or _.
BENCHMARKS := $(basename $(notdir $(shell grep -l '^def main' tests/benchmarks/*.py)))

bench: setup
	@test -n '$(NAME)' || { echo 'make bench NAME=name, one of: $(subst _,-,$(BENCHMARKS))'; exit 2; }
	$(BIN)/python -m tests.benchmarks.$(subst -,_,$(NAME)) $(ARGS)

# Kills real searches, takes about 20 minutes; CHAOS='--only driver' runs a part of it.
chaos: setup
	$(BIN)/python -m tests.chaos $(CHAOS)
	$(if $(CHAOS),,VEER_KILLS=20 $(BIN)/python -m pytest -q tests/chaos/test_kills.py -k driver)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
