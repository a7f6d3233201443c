# Every target makes the virtual environment it needs first.

PYTHON ?= python3
FLAGS ?=
PYTEST = -m pytest -n 2 --dist=loadfile --no-loadscope-reorder $(FLAGS)
PIP = -m pip install --quiet --disable-pip-version-check

.PHONY: train test test-slow test-all test-lowest lint clean

train: .venv/installed
	.venv/bin/python train.py $(FLAGS)

# Two processes for two cores: with two threads in each they wait for each other.
test: .venv/installed
	TF_NUM_INTRAOP_THREADS=1 .venv/bin/python $(PYTEST) -m "not slow"

test-slow: .venv/installed
	.venv/bin/python $(PYTEST) -m slow

test-all: .venv/installed
	.venv/bin/python $(PYTEST)

# With the lowest versions that pyproject.toml allows. Old versions warn about later changes: that is
# no error here.
test-lowest: .venv-lowest/installed
	.venv-lowest/bin/python $(PYTEST) -m "not slow" -W ignore::DeprecationWarning

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

clean:
	rm -rf .venv .venv-lowest .pytest_cache .ruff_cache

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -r requirements.txt
	touch $@

.venv-lowest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	sed -n 's/^    "\([a-z-]*\)>=\([0-9.]*\).*/\1==\2/p' pyproject.toml > .venv-lowest/lowest.txt
	.venv-lowest/bin/python $(PIP) -c .venv-lowest/lowest.txt ".[test,benchmarks]"
	touch $@
