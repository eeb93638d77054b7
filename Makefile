# Two commands do everything on a machine with Python 3.11:
#   make generate PROMPT="a teddy bear"     sets up, then makes the object
#   make test                               sets up, then runs the checks and tests
SHELL := bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
PROMPT ?= a teddy bear
PARAMS ?=
# Taken as typed: `value` keeps make from reading a dollar in the prompt, the environment keeps the shell from it.
override PROMPT := $(value PROMPT)
override PARAMS := $(value PARAMS)
export PROMPT PARAMS

VENV := .venv
INSTALLED := $(VENV)/.installed

BLENDER_VENV := .venv-blender
BLENDER := $(BLENDER_VENV)/.installed

PAGE ?= $(shell ls -t data/08_reporting/*/viewer.html data/08_reporting/*/*/viewer.html 2>/dev/null | head -1)

.PHONY: help setup demo generate view test docs blender viz mlflow

help:
	@echo 'make demo [PROMPT="a cactus"]   a first, coarse object in 40 seconds, shown in the browser'
	@echo 'make generate PROMPT="a teddy bear" [PARAMS=seed=3,lora.steps=50]   text to 3D'
	@echo 'make view [PAGE=data/08_reporting/a-cactus/viewer.html]   the newest page, or that one, in the browser'
	@echo 'make test      lint, types and tests'
	@echo 'make blender   Blender as a Python module, in an environment of its own, $(BLENDER_VENV)'
	@echo 'make docs      the documentation as pages, in build/site'
	@echo 'make viz       the pipelines in the browser (Kedro-Viz)'
	@echo 'make mlflow    the recorded runs in the browser'
	@echo 'make setup     the environment alone, in $(VENV)'

setup: $(INSTALLED)

# The stamp is newer than what it was made from: a second call installs nothing.
$(INSTALLED): pyproject.toml requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed, but '$(PYTHON)' is not there; give its path with PYTHON=..." >&2; exit 1; }
	@rm -f $@
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@echo "Compiling the CPU kernels ..."
	@$(VENV)/bin/python -c 'import placid_kedro.splats as splats; splats.compile_kernels()'
	@$(VENV)/bin/python -c 'from pathlib import Path; import placid_kedro.latent_plane as plane; plane.compile_kernels(Path("models/latent_plane"))'
	@touch $@

demo: $(INSTALLED)
	@$(VENV)/bin/kedro run --env draft --pipeline generate --params "prompt=$$PROMPT$${PARAMS:+,$$PARAMS}"
	@$(MAKE) --no-print-directory view

generate: $(INSTALLED)
	@$(VENV)/bin/kedro run --pipeline generate --params "prompt=$$PROMPT$${PARAMS:+,$$PARAMS}"

view:
	@test -f "$(PAGE)" || { echo "There is no page to show; make an object first: make generate PROMPT=\"a teddy bear\"" >&2; exit 1; }
	@echo "$(PAGE)"
	@python3 -m webbrowser "file://$(abspath $(PAGE))" >/dev/null

test: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	$(VENV)/bin/pytest

# bpy is under the GPL and wants an older numpy: it is called as a program and never imported by the package.
blender: $(BLENDER)

$(BLENDER):
	test -x $(BLENDER_VENV)/bin/python || $(PYTHON) -m venv $(BLENDER_VENV)
	$(BLENDER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check bpy==4.5.15
	@touch $@

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo "open build/site/index.html"

viz: $(INSTALLED)
	$(VENV)/bin/kedro viz

mlflow: $(INSTALLED)
	$(VENV)/bin/mlflow ui
