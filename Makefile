# Everything a newcomer needs. `make demo` and `make test` set up what they need by themselves, in .venv and .squall.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The images' packages: fewer than here, and the same versions.
IMAGE_LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--constraint requirements.lock
export DATA

.DEFAULT_GOAL := help
.PHONY: help setup compiled demo test lint format bench lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) compiled ## make the virtual environment in .venv

$(READY): requirements.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Squall needs Python 3.11 or later. Debian: apt-get install python3 python3-venv. macOS: brew install python@3.11. Then, if needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python cannot make virtual environments. Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): the first time this downloads PyTorch, some 3 GB on Linux x86-64"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

compiled: $(READY) ## compile the monitor's inner loop, where there is a C compiler
	@$(BIN)/squall compile --quiet || echo "Going on in plain Python: the same answers, at two thirds of the speed." >&2

demo: $(READY) ## see it work, on invented companies; DATA=file.csv uses your own messages
	@$(BIN)/squall demo $(if $(DATA),--data "$$DATA")

test: $(READY) compiled ## run all tests, on a real broker
	@$(BIN)/python -m pytest $(ARGS)

lint: $(READY) ## style, types, the four floors, and known vulnerabilities of what is locked
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run 'make format'" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m deploy.audit

format: $(READY) ## put the code into shape
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

bench: $(READY) compiled ## measure speed on this machine
	@$(BIN)/squall bench classifier
	@$(BIN)/squall bench ingest
	@$(BIN)/squall bench entities
	@$(BIN)/squall bench pipeline

lock: $(READY) ## pin the newest allowed versions, with hashes and without registry addresses
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--extra dev pyproject.toml --output-file requirements.lock
	@$(IMAGE_LOCK) deploy/docker/build.in --output-file deploy/docker/build.lock
	@$(IMAGE_LOCK) deploy/docker/mlflow.in --output-file deploy/docker/mlflow.lock
	@$(IMAGE_LOCK) pyproject.toml --output-file deploy/docker/cuda.lock
	@$(IMAGE_LOCK) pyproject.toml --extra onnx --extra openvino --excludes deploy/docker/not-on-cpu.txt \
		--no-emit-package torch --output-file deploy/docker/cpu.lock
	@$(IMAGE_LOCK) pyproject.toml --extra labels --extra launch --extra lora --extra tracking --extra tune \
		--output-file deploy/docker/training.lock

clean: ## stop the local broker and remove what was made here
	@test ! -x $(BIN)/squall || $(BIN)/squall broker stop || true
	@rm -rf $(VENV) .squall .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
