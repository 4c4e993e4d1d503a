# `make demo` and `make test` do all the set-up themselves; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup lock demo test test-slow test-all fuzz lint format docs bench wheel ci clean

BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 8 --dist worksteal # a process a core, each with one thread
ARGS :=
SECONDS := 600
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: .venv/.installed ## Make .venv with the locked dependencies, and install the system libraries

# --no-deps: the lock is complete. torch brings its own dependencies, which differ between its builds.
.venv/.installed: pyproject.toml constraints.txt requirements.lock
	@.ci/python .venv
	@echo "installing the locked dependencies into .venv; the first time this takes some minutes"
	@$(BIN)/pip install -qq --require-hashes --no-deps --requirement requirements.lock
	@$(BIN)/pip install -qq --constraint constraints.txt torch torchvision
	@$(BIN)/pip install -qq --no-deps --no-build-isolation --editable .
	@.ci/system report
	@touch $@

lock: ## Lock the dependencies of pyproject.toml; ARGS=--upgrade for the newest versions
	@.ci/python .venv
	@$(BIN)/python .ci/lock $(ARGS)

demo: setup ## Audit EfficientNet-Lite0 on photographs, and write reports/demo
	@$(BIN)/auditor demo $(ARGS) || test $$? -eq 1 # a verdict is no failure of the demo

test: setup ## Run the tests that are quick; ARGS="-k words" for a part
	@.ci/system tests
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: setup ## Run the tests that take more than a few seconds each
	@.ci/system tests
	$(PYTEST) -m slow $(ARGS)

test-all: setup ## Run all tests at once
	@.ci/system tests
	$(PYTEST) $(ARGS)

fuzz: setup ## Feed mutated files to every reader for SECONDS=600; ARGS="--target image" for one
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.hardening.fuzz --seconds $(SECONDS) $(ARGS)

lint: setup ## Check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy -p auditor
	$(BIN)/lint-imports

format: setup ## Put the code in shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup ## Build the documentation into docs/_build/html, warnings as errors
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -E -W -n --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

bench: setup ## Measure against the bare forward pass
	$(BIN)/python -m benchmarks $(ARGS)

wheel: setup ## Build dist/auditor-*.whl and its bill of materials
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation
	$(BIN)/python .ci/bill-of-materials dist/auditor-*.whl

ci: ## What the continuous integration runs
	.ci/run

clean: ## Remove what was built, but not .venv and reports
	rm -rf dist build docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
