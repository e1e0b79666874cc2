# Every verb of the project; `make` alone lists them.

PYTHON ?= python3
PROFILE ?=
JOBS ?= 1
SCHEDULER ?=
NAME ?=
SEEDS ?= 5
PORT ?= 8000
BIN := .venv/bin
STAMP := .venv/stamp
LIGHT := .venv-serve
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Text between programs is UTF-8, whatever the locale.
export PYTHONUTF8 := 1

# An environment whose Python is gone (moved, upgraded) counts as not made.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(STAMP))
$(shell $(LIGHT)/bin/python -c '' 2>/dev/null || rm -f $(LIGHT)/stamp)

.DEFAULT_GOAL := help
.PHONY: help git python setup demo repro check repeat ablation report test test-faults bench lint format docs readme record release size clean

help:  ## List the verbs
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1|\2/p' Makefile | column -t -s '|'

setup: $(STAMP)  ## Make .venv and install everything, at exact versions

# DVC reads Git, and so do the profiles and the tests: what is missing is said before the download.
git:
	@says=$$(git rev-parse --verify HEAD 2>&1 >/dev/null) || { \
	  echo "This folder must be a Git repository with a commit. Of a ZIP download, this makes one:" \
	       "git init && git add -A && git commit -m downloaded (Git says: $$says)"; exit 1; }

python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python must be 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
	         "name another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "Python must have its venv module; $(PYTHON) has none;" \
	         "on Debian and Ubuntu 'apt install python3-venv' brings it"; exit 1; }

# The stamp is written last, so that a set-up that broke half-way is made again.
$(STAMP): requirements.txt requirements-serve.txt constraints.txt | git python
	@echo "Installing into .venv; it takes some minutes and 3 GB"
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt --editable '.[serve]' --constraint constraints.txt
	$(BIN)/python tools/plots_page.py
	touch $@

# An environment of its own, without TensorFlow and DVC.
demo: $(LIGHT)/stamp  ## Show a page that predicts photographs with the package's model; PORT=8000
	@PYTHONPATH=src $(LIGHT)/bin/python -m lesions.app serve --port $(PORT)

$(LIGHT)/stamp: requirements-serve.txt constraints.txt pyproject.toml | python
	@echo "Installing into $(LIGHT); it takes half a minute and 350 MB"
	rm -rf $(LIGHT)
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/bin/pip install --quiet --editable '.[serve]' --constraint constraints.txt
	touch $@

# What runs several stages at once: as many as JOBS says, or a Dask cluster.
WHERE = $(or $(SCHEDULER),$(filter-out 1,$(JOBS)))

repro: $(STAMP)  ## Run what params.yaml affects; PROFILE=paper takes it first, JOBS=2 runs two at once
	@$(BIN)/python -m lesions.pipeline.locks
	@$(BIN)/python tools/profiles.py use $(PROFILE)
	$(BIN)/$(if $(WHERE),python -m lesions.pipeline.parallel $(WHERE),dvc repro)
	@cat plots/comparison/comparison.md
	@$(BIN)/python tools/profiles.py moved

check: $(STAMP)  ## Check params.yaml, or PROFILE=paper, and the folders that it names, in seconds
	@$(BIN)/python tools/profiles.py check $(PROFILE)

repeat: $(STAMP)  ## Run the study SEEDS=5 times (repeat.by: fold: in so many folds); PROFILE=folds takes it first
	@$(BIN)/python -m lesions.pipeline.locks
	@$(BIN)/python tools/profiles.py use $(PROFILE)
	@$(BIN)/python tools/repeat.py $(SEEDS)

ablation: $(STAMP)  ## Hold each model against one with several seeds; PROFILE=ablation takes that first
	@$(BIN)/python -m lesions.pipeline.locks
	@$(BIN)/python tools/profiles.py use $(PROFILE)
	@$(BIN)/python tools/ablation.py

report: $(STAMP)  ## Make plots/report.html, the whole study on one page
	@$(BIN)/python -m lesions.pipeline.locks
	$(BIN)/dvc repro report

test: $(STAMP)  ## Run the tests, all but the slow ones
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

test-faults: $(STAMP)  ## Run the slow tests: kills, a full disk, hostile environments
	$(BIN)/pytest -n 2 --dist loadfile -m slow

bench: $(STAMP)  ## Measure speed and memory against the usual notebook, side by side
	$(BIN)/python benchmarks/overhead.py --times 3
	$(BIN)/python benchmarks/resize.py
	$(BIN)/python benchmarks/balance.py --pixels 32 64 128 --pairs 1
	$(BIN)/python benchmarks/cnn.py
	$(BIN)/python benchmarks/frozen.py
	$(BIN)/python benchmarks/edit.py --images 1000 --edits 1
	$(BIN)/python benchmarks/growth.py 1000 3000

lint: $(STAMP)  ## Check style, format and who imports what
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: $(STAMP)  ## Fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## Build the documentation as site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Open site/index.html"

readme: $(STAMP)  ## Fill the README's and docs' tables and graph from what they quote
	@$(BIN)/python tools/readme.py

record: $(STAMP)  ## Copy settings and results to results/NAME, which the README quotes
	@$(BIN)/python tools/profiles.py record "$(NAME)"

release: $(STAMP)  ## Put the exported model NAME into the package, with its card
	@$(BIN)/python tools/release.py "$(NAME)"

size:  ## Count the lines of the pipeline, the README and the code
	@wc -l dvc.yaml README.md
	@find src stages tools -name '*.py' -exec cat {} + | wc -l | sed 's/$$/ src, stages and tools/'

clean:  ## Remove both .venv and what the tools made; data, cache and half-done trainings stay
	rm -rf .venv $(LIGHT) build src/lesions.egg-info .pytest_cache .ruff_cache .import_linter_cache dvc_plots site
	find . -name __pycache__ -prune -exec rm -rf {} +
