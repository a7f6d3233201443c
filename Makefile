# `make train` and `make test` make their own virtual environment first.

PYTHON ?= python3
FLAGS ?=

.PHONY: train test lint clean

train: .venv/installed
	.venv/bin/python train.py $(FLAGS)

test: .venv/installed
	.venv/bin/python -m pytest -n 2 --dist=loadfile $(FLAGS)

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

clean:
	rm -rf .venv .pytest_cache .ruff_cache

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@
