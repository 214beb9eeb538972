# chainrule: two commands do all the set-up.
#
#   make demo    makes .venv, installs chainrule, trains a net on handwritten digits
#   make test    makes .venv with the development tools, runs every check
#
#   make bench   measures chainrule beside PyTorch, JAX, scikit-learn and onnxruntime, in a
#                .venv-bench of its own (make bench QUICK=1: the main ones, under a minute)
#
#   make parity  adds PyTorch to .venv, so that make test compares with it too
#   make golden  writes PyTorch's values anew into tests/golden
#   make clean   removes .venv and what the tools left
#
# Needs Python 3.11 or newer. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip install --quiet
# What is set for another environment must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX

.PHONY: help demo test bench parity golden clean

help:
	@sed -n '3,13s/^# \{0,1\}//p' Makefile

demo: .venv/.demo
	$(BIN)/chainrule train

test: .venv/.dev
	@echo '== ruff'                                && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo '== mypy --strict'                       && $(BIN)/mypy
	@echo '== import-linter: the floors'           && $(BIN)/lint-imports --no-logo
	@echo '== pytest, with doctests'               && $(BIN)/python -m pytest -q
	@echo '== the wheel, installed alone'          && $(BIN)/python tools/check_wheel.py
	@$(BIN)/python tools/closing_line.py

bench: .venv-bench/.made
	.venv-bench/bin/python -m benchmarks $(if $(QUICK),--quick)

parity: .venv/.parity

golden: .venv/.parity
	$(BIN)/python tests/golden/make_golden.py

# Each stamp says that its packages are in .venv; a change of pyproject.toml installs them anew.
.venv/.made:
	@command -v '$(PYTHON)' > /dev/null || \
	    { echo 'No $(PYTHON) here. chainrule needs Python 3.11 or newer: make demo PYTHON=...'; exit 1; }
	@echo '== making .venv'
	@'$(PYTHON)' tools/make_venv.py .venv
	@touch $@

.venv/.demo: .venv/.made pyproject.toml
	@echo '== installing chainrule into .venv'
	@$(PIP) --editable '.[cli]'
	@touch $@

.venv/.dev: .venv/.made pyproject.toml
	@echo '== installing chainrule and the development tools into .venv'
	@$(PIP) --editable '.[dev]'
	@touch $@ .venv/.demo

.venv/.parity: .venv/.dev
	@echo '== installing PyTorch into .venv'
	@$(PIP) --editable '.[parity]'
	@touch $@

.venv-bench/.made: pyproject.toml
	@echo '== making .venv-bench, with PyTorch, JAX, scikit-learn and onnxruntime: this takes minutes'
	@test -x .venv-bench/bin/python || '$(PYTHON)' tools/make_venv.py .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --editable '.[bench]'
	@touch $@

clean:
	rm -rf .venv .venv-bench dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
