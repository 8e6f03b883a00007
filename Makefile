# make demo | test | lint | bench-pipeline | bench-model | clean
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The demo's knobs, each an option of `ouzel demo`: make demo EVENTS=20000 RATE=500 DATA="one.txt two.txt" JSON=out.json
EVENTS ?=
DATA ?=
RATE ?=
JSON ?=
BROKER ?=
KAFKA_HOME ?=
DEMO := $(if $(EVENTS),--events $(EVENTS)) $(foreach file,$(DATA),--data $(file)) $(if $(RATE),--rate $(RATE)) \
  $(if $(JSON),--json $(JSON)) $(if $(BROKER),--broker $(BROKER),$(if $(KAFKA_HOME),--kafka-home $(KAFKA_HOME)))

.PHONY: setup demo test lint bench-pipeline bench-model clean
.DEFAULT_GOAL := demo

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Ouzel needs Python 3.11; set PYTHON to one")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
	  $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[demo,dev]'
	@touch $@

demo: setup
	@$(BIN)/ouzel demo $(DEMO)

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-pipeline: setup
	@test -f tests/bench/pipeline.py || { echo "there is no tests/bench/pipeline.py yet"; exit 1; }
	$(BIN)/python tests/bench/pipeline.py

bench-model: setup
	@test -f tests/bench/model.py || { echo "there is no tests/bench/model.py yet"; exit 1; }
	$(BIN)/python tests/bench/model.py

clean:
	rm -rf $(VENV) .ouzel build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
