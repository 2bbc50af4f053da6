# make quickstart   install, adapt the embedded base to Polish, print where the report is
# make test         install, run the tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE ?= lingraft-store

.PHONY: setup quickstart test check fmt

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

quickstart: setup
	$(BIN)/lingraft run starter --store $(STORE)

# A process a core, each with one thread: more would wait for each other.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
