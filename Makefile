# `make demo` sets everything up and runs the main job; `make test` sets everything up and passes the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

DEMO = $(if $(EVENTS),--events $(EVENTS)) $(if $(RATE),--rate $(RATE)) $(if $(JSON),--json "$(JSON)") \
       $(if $(filter no,$(BROWSER)),--no-browser) \
       $(if $(BROKER),--broker $(BROKER),$(if $(KAFKA_HOME),--kafka-home "$(KAFKA_HOME)")) \
       $(foreach file,$(DATA),--data "$(file)")

.PHONY: setup demo watch dashboards rules test lint bench-pipeline bench-model bench-telemetry bench-serving faults bad-input soak clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Ouzel needs Python 3.11: make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	  $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

demo: $(READY)
	@$(BIN)/ouzel demo $(DEMO)

watch: $(READY)
	@$(BIN)/python -m deploy.watch $(DEMO)

dashboards: $(READY)
	$(BIN)/python -m deploy.grafana

rules: $(READY)
	$(BIN)/python -m deploy.kubernetes.rules

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-pipeline: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m bench.pipeline

bench-serving: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m bench.serving

bench-model: $(READY)
	OMP_NUM_THREADS=1 PYTHONPATH=tests:. $(BIN)/python -m bench.model

bench-telemetry: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m bench.telemetry

faults: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m faults.run

soak: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m faults.soak

bad-input: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m faults.bad_input

clean:
	rm -rf $(VENV) build dist .ouzel
