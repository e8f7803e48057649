# Two commands: `make up` sets everything up and runs the platform; `make test` sets everything up
# and runs the tests. `make help` lists the rest.
export PYTHON ?= python3
unexport PYTHONDONTWRITEBYTECODE  # with it each process compiles all that it imports: 3 s a start
VENV := .venv
BIN := $(VENV)/bin
BUILD := build/firmware
export JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
GENERATOR := $(if $(shell command -v ninja),Ninja,Unix Makefiles)
FIRMWARE := $(shell find firmware -name '*.cpp' -o -name '*.hpp' -o -name CMakeLists.txt)

.DEFAULT_GOAL := help

.PHONY: help lock up test check check-python check-firmware containers oracle bench load chaos soak mutants demo pictures sbom setup bootstrap page firmware clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

up: setup ## set everything up, run the platform, watch a made-up night in 8 minutes: make up SPEED=1
	$(BIN)/noctis up --speed $(or $(SPEED),60)

demo: setup ## replay one made-up night end to end and compare it with its stages
	$(BIN)/noctis demo

# Two files of tests side by side; those that start whole platforms come last, and wait longer.
test: setup ## set everything up and run all tests, C++ and Python
	ctest --test-dir $(BUILD) --parallel $(JOBS) --output-on-failure --timeout 600
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore tests/acceptance
	$(BIN)/pytest tests/acceptance --numprocesses 2 --dist loadfile --no-loadscope-reorder

lock: $(VENV)/.installed ## renew both requirements*.lock from pyproject.toml; the image has the fewer
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --quiet --group dev --universal \
	  --extra embedded --extra frames --extra parquet --extra report --extra serve \
	  --extra train --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --group image --universal \
	  --extra parquet --extra serve --extra train --constraints requirements.lock \
	  --generate-hashes --no-emit-index-url --no-header -o requirements-image.lock

check: check-python check-firmware ## all that can be checked without running the platform

check-python: setup ## lint, types, layers, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy firmware/rv32/check.py firmware/rv32/golden.py
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_features.py --check
	$(BIN)/python scripts/generate_vectors.py --check
	$(BIN)/python scripts/generate_metrics.py --check
	$(BIN)/python scripts/generate_dashboards.py --check
	$(BIN)/python -m scripts.generate_openapi --check
	$(BIN)/python -m scripts.generate_asyncapi --check
	$(BIN)/python -m scripts.generate_cli --check

check-firmware: setup ## the firmware: format, clang-tidy, sanitizers, fuzzing, a 32-bit target
	@scripts/bootstrap check
	@firmware/check

containers: setup ## each service as compose starts it, in namespaces, without Docker (root)
	NOCTIS_TEST_CONTAINERS=1 $(BIN)/pytest -s tests/acceptance/test_containers.py

oracle: ## hold the figures of random nights against YASA, in an environment of its own
	$(PYTHON) -m venv build/oracle
	build/oracle/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r tests/oracle/requirements.txt
	build/oracle/bin/python -m tests.oracle.sleep_figures --count 5000 --keep 300

bench: setup ## measure: latency beside the bare broker, ingest beside its raw limits
	@mkdir -p build/bench
	$(BIN)/python -m bench.latency --json build/bench/latency.json
	$(BIN)/python -m bench.ingest --json > build/bench/ingest.json

load: setup ## the promises under load, some 5 minutes: make load DEVICES=500 RATE=50 MINUTES=10
	$(BIN)/python -m tests.load --devices $(or $(DEVICES),200) --rate $(or $(RATE),20) \
	  --minutes $(or $(MINUTES),3)

chaos: setup ## hurt a platform of real processes: make chaos FAULTS=1000; goes on where it was ended
	$(BIN)/python -m tests.chaos.campaign --faults $(or $(FAULTS),1000) $(CHAOS)

soak: setup ## the same for so long: make soak HOURS=8
	$(BIN)/python -m tests.chaos.campaign --folder build/soak --hours $(or $(HOURS),8) $(CHAOS)

mutants: setup ## break the platform's rules one by one, and see that chaos notices each
	$(BIN)/python -m tests.chaos.mutants

pictures: setup ## make every picture of the documentation anew: docs/pictures
	@scripts/bootstrap check
	$(BIN)/python -m scripts.pictures

sbom: ## write what the image installs, with hashes, as CycloneDX: build/noctis.cdx.json
	$(PYTHON) -m venv build/sbom
	build/sbom/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	build/sbom/bin/cyclonedx-py requirements requirements-image.lock --output-format JSON \
	  --output-file build/noctis.cdx.json

setup: bootstrap $(VENV)/.installed firmware page ## everything that the other targets need

bootstrap:
	@scripts/bootstrap

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

page: bootstrap
	@scripts/page

firmware: $(BIN)/noctis-device ## build the firmware for this machine: noctis-device

$(BIN)/noctis-device: $(FIRMWARE) $(VENV)/.installed
	cmake -S firmware -B $(BUILD) -G "$(GENERATOR)" -DCMAKE_BUILD_TYPE=Release \
	  -DCMAKE_INSTALL_PREFIX=$(abspath $(VENV)) -DCMAKE_INSTALL_MESSAGE=NEVER >/dev/null
	cmake --build $(BUILD) --parallel $(JOBS)
	cmake --install $(BUILD) >/dev/null
	@touch $@

clean: ## remove what was built (var/, the platform's data, stays)
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
