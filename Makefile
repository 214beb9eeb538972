# chainrule: two commands do all the set-up.
#
#   make demo   make .venv, install, train on handwritten digits
#   make test   make .venv with the development tools, run every check
#
# Needs Python 3.11 or newer, make and git. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
BIN    := .venv/bin
# An activated environment elsewhere must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help demo test lint parity golden clean

help:
	@sed -n '3,6s/^# \{0,1\}//p' Makefile
	@echo '  make parity adds PyTorch, so that make test compares with it'
	@echo '  make clean  removes .venv and what the tools left'

demo: .venv/.demo
	$(BIN)/chainrule train

test: .venv/.dev
	@echo '== ruff'                                && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo '== mypy --strict'                       && $(BIN)/mypy
	@echo '== import-linter: the floors'           && $(BIN)/lint-imports --no-logo
	@echo '== pytest, with doctests'               && $(BIN)/python -m pytest -q
	@echo '== the wheel, installed alone'          && $(BIN)/python tools/check_wheel.py
	@$(BIN)/python tools/closing_line.py

parity: .venv/.dev
	$(BIN)/python -m pip install --quiet 'torch==2.13.0'

golden: parity
	$(BIN)/python tests/golden/make_golden.py

.venv/.made:
	@$(PYTHON) tools/make_venv.py .venv
	@touch .venv/.made

.venv/.demo: .venv/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[cli]'
	@touch .venv/.demo

.venv/.dev: .venv/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch .venv/.dev .venv/.demo

clean:
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
