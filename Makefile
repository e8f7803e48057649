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

.PHONY: help lock up test check check-python check-firmware oracle bench load demo setup bootstrap firmware clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

up: setup ## set everything up and run the platform with a virtual device (Ctrl-C ends it)
	$(BIN)/noctis up

demo: setup ## replay one made-up night end to end and compare it with its stages
	$(BIN)/noctis demo

# Files of tests side by side, and then, one by one, those that each want the machine to themselves.
test: setup ## set everything up and run all tests, C++ and Python
	ctest --test-dir $(BUILD) --parallel $(JOBS) --output-on-failure --timeout 600
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore tests/acceptance
	$(BIN)/pytest tests/acceptance

lock: $(VENV)/.installed ## renew requirements.lock from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --quiet --group dev --universal \
	  --extra embedded --extra parquet --extra serve --extra train \
	  --generate-hashes --no-emit-index-url --no-header -o requirements.lock

check: check-python check-firmware ## all that can be checked without running the platform

check-python: setup ## lint, types, layers, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy firmware/rv32/check.py firmware/rv32/golden.py
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_features.py --check
	$(BIN)/python scripts/generate_vectors.py --check

check-firmware: setup ## the firmware: format, clang-tidy, sanitizers, fuzzing, a 32-bit target
	@scripts/bootstrap check
	@firmware/check

oracle: ## hold the figures of random nights against YASA, in an environment of its own
	$(PYTHON) -m venv build/oracle
	build/oracle/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r tests/oracle/requirements.txt
	build/oracle/bin/python -m tests.oracle.sleep_figures --count 5000 --keep 300

bench: setup ## measure: latency beside the bare broker, ingest beside its raw limits
	@mkdir -p build/bench
	$(BIN)/python -m bench.latency --json build/bench/latency.json
	$(BIN)/python -m bench.ingest --json > build/bench/ingest.json

load: setup ## the latency at more devices: make load DEVICES=1000
	$(BIN)/python -m bench.latency --devices $(or $(DEVICES),500) --json build/bench/load.json

setup: bootstrap $(VENV)/.installed firmware ## everything that the other targets need

bootstrap:
	@scripts/bootstrap

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

firmware: $(BIN)/noctis-device ## build the firmware for this machine: noctis-device

$(BIN)/noctis-device: $(FIRMWARE) $(VENV)/.installed
	cmake -S firmware -B $(BUILD) -G "$(GENERATOR)" -DCMAKE_BUILD_TYPE=Release \
	  -DCMAKE_INSTALL_PREFIX=$(abspath $(VENV)) -DCMAKE_INSTALL_MESSAGE=NEVER >/dev/null
	cmake --build $(BUILD) --parallel $(JOBS)
	cmake --install $(BUILD) >/dev/null
	@touch $@

clean: ## remove what was built (var/, the platform's data, stays)
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
