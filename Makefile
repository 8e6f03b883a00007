# `make demo` sets everything up and runs the main job; `make test` sets everything up and passes the tests;
# `make check` is what to run before every commit: lint, and (`make quick`) every test that needs nothing beside Python.

# The newest interpreter that CI tests, and the untested 3.14 only where there is no other. Each is tried:
# pyenv puts a python3.13 on the PATH that refuses to run unless that version is active.
CANDIDATES := python3.13 python3.12 python3.11 python3.14 python3
SUPPORTED := import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 15) else 1)
PYTHON ?= $(shell for found in $(CANDIDATES); do $$found -c '$(SUPPORTED)' 2> /dev/null && echo $$found && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/tools

# The tests start hundreds of Python processes. Without bytecode files each compiles all of Ouzel first.
unexport PYTHONDONTWRITEBYTECODE

DEMO = $(if $(EVENTS),--events $(EVENTS)) $(if $(RATE),--rate $(RATE)) $(if $(JSON),--json "$(JSON)") \
       $(if $(filter no,$(BROWSER)),--no-browser) \
       $(if $(BROKER),--broker $(BROKER),$(if $(KAFKA_HOME),--kafka-home "$(KAFKA_HOME)")) \
       $(foreach file,$(DATA),--data "$(file)")

.PHONY: setup demo watch dashboards rules metrics settings schemas tools requirements licences audit dist test check quick lint bench-pipeline bench-model bench-telemetry bench-serving bench-intake bench faults bad-input soak soak-edge clean

setup: $(READY)

$(READY): pyproject.toml $(wildcard requirements/*)
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' || \
	  { echo "Ouzel needs Python 3.11, 3.12 or 3.13; choose one with: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	sh requirements/install.sh $(BIN)/python runtime build dev
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check || { echo "remove $(VENV) if it has packages from before, and run make again" >&2; exit 1; }
	$(BIN)/ouzel warmup
	touch $@

demo: $(READY)
	@$(BIN)/ouzel demo $(DEMO)

watch: $(READY)
	@$(BIN)/python -m deploy.watch $(DEMO)

dashboards: $(READY)
	$(BIN)/python -m deploy.grafana

metrics: $(READY)
	$(BIN)/python -m serving.metrics_reference

settings: $(READY)
	$(BIN)/python -m serving.settings_reference

schemas: $(READY)
	$(BIN)/python -m streams.events.schemas

rules: $(READY)
	$(BIN)/python -m deploy.kubernetes.rules

# Tools that check and pack the whole. They would slow the tests down in the same environment.
tools: $(TOOLS)/.ready

$(TOOLS)/.ready: requirements/tools.txt $(READY)
	test -x $(TOOLS)/bin/python || $(BIN)/python -m venv $(TOOLS)
	sh requirements/install.sh $(TOOLS)/bin/python tools
	touch $@

requirements: tools
	$(TOOLS)/bin/python -m deploy.supply_chain.lock

licences: $(READY)
	$(BIN)/python -m deploy.supply_chain.licences

audit: tools
	$(TOOLS)/bin/python -m deploy.supply_chain.audit

dist: tools
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/python -m deploy.supply_chain.licences > dist/licences.txt
	$(TOOLS)/bin/python -m deploy.supply_chain.sbom dist
	cd dist && sha256sum * > SHA256SUMS

PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal

test: $(READY) tools
	$(PYTEST) --durations 25

check: lint quick

quick: $(READY)
	$(PYTEST) -m "not (broker or browser or prometheus or data or slow)"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m bench.end_to_end.run

bench-pipeline: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m bench.pipeline

bench-intake: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m bench.intake

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

soak-edge: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m faults.edge

bad-input: $(READY)
	PYTHONPATH=tests:. $(BIN)/python -m faults.bad_input

clean:
	rm -rf $(VENV) build dist .ouzel
