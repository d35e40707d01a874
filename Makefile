# make demo and make test are self-contained: each makes .venv with what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# torch crawls when threads outnumber cores: one process takes both, or each of two test workers takes one.
export OMP_NUM_THREADS ?= 2

.PHONY: setup demo check test bench docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "umeta needs Python 3.11 or newer; this is $$($(PYTHON) --version)"; exit 1; }
	@echo "making $(VENV): torch (CPU build) and the rest, about 2 GB, two to five minutes"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: setup
	@$(BIN)/umeta demo

check: setup
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	@test -n "$$UMETA_DATA" || echo "UMETA_DATA is unset: tests on the real data sets are not run"
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

bench: setup
	for name in tasks clustering maml step serving; do $(BIN)/umeta bench $$name; done

docs: setup
	$(BIN)/python docs/tables.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
