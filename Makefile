# `make reproduce` and `make test` do all their own set-up; a second call installs nothing.

CONFIG ?= config/default.yaml
export CONFIG
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Where it runs: profiles/default is this machine, profiles/slurm a cluster.
PROFILE ?= profiles/default
# More options for Snakemake, e.g. make reproduce ARGS="--cores 8"
ARGS   ?=
# A run's name is the config's. A file that gives none or is no plain YAML ends the recipe with a sentence.
RUN     = $$($(BIN)/mindgap run-name "$$CONFIG")
PINS   := requirements.lock pyproject.toml

.PHONY: help setup reproduce report scorecard plan audit rehearse check push pull quick test test-all test-faults test-slurm test-remotes test-numerics test-install test-browser test-docs test-gpu snapshot docs lint format lock clean

help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

setup:  ## make .venv with the exact versions of requirements.lock
	@cat $(PINS) | cmp -s - $(VENV)/installed || $(MAKE) --no-print-directory install

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11; install a newer one and call make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; \
	  else \
	    echo "error: this Python cannot make virtual environments; install it first: sudo apt-get install python3-venv" >&2; exit 1; \
	  fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@cat $(PINS) > $(VENV)/installed

reproduce: setup  ## run everything: make reproduce [CONFIG=config/published.yaml]
	@run=$(RUN) || exit 1; \
	$(BIN)/snakemake --workflow-profile $(PROFILE) --logger mindgap --configfile "$$CONFIG" $(ARGS)
	@$(MAKE) --no-print-directory report

# The HTML report is made anew only where something of the run is newer than it.
report: setup  ## write results/{run}/report.html for a finished run
	@run=$(RUN) || exit 1; page=results/$$run/report.html; \
	[ -e results/$$run/scorecard.json ] || { echo "no report: run $$run has no scorecard yet"; exit 0; }; \
	if [ ! -e $$page ] || [ -n "$$(find results/$$run -newer $$page -type f -print -quit)" ]; then \
	  $(BIN)/snakemake --configfile "$$CONFIG" --report $$page >/dev/null 2>results/$$run/logs/report.log \
	    || { cat results/$$run/logs/report.log >&2; exit 1; }; touch $$page; \
	fi; echo "report: $$page"; echo "start here: results/$$run/index.html"

plan: setup  ## what a run would download, compute and store: make plan [CONFIG=config/paper.yaml] [GPU=A100]
	@$(BIN)/mindgap plan "$$CONFIG" $(if $(GPU),--gpu "$(GPU)") -- $(ARGS)

scorecard: setup  ## one scorecard over all finished runs: results/scorecard.md
	@$(BIN)/mindgap scorecard

snapshot: setup  ## keep what the pages quote of finished runs in docs/snapshot/
	@$(BIN)/mindgap keep-snapshot

docs: setup  ## write README.md and the pages from docs/snapshot/, and the site in site/
	@$(BIN)/mindgap fill-pages && NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict && echo "site/index.html"

# A worker takes whole files (tests/conftest.py).
PYTEST  = $(BIN)/python -m pytest -n 2

quick: setup lint  ## lint, format and unit tests (2 min)
	@$(PYTEST) tests/unit

test: setup lint  ## lint, format, unit, golden and workflow tests (20 min)
	@$(PYTEST)

test-all: test test-install test-docs test-browser test-numerics test-faults test-remotes test-slurm  ## every test there is (90 min, as root)

test-faults: setup  ## 20 kills at random moments, full disks (as root)
	@KILLS=20 $(BIN)/python -m pytest tests/workflow/test_faults.py

test-install: setup  ## the wheel with the core alone in a fresh environment and an empty folder (2 min)
	@$(BIN)/python -m pytest tests/install

test-docs: setup  ## run the command blocks of README and pages in a clean clone (10 min)
	@$(BIN)/python -m pytest tests/docs

test-browser: setup  ## the explorer in Chromium, which it installs where it can (root, Debian; 1 min)
	@command -v chromedriver >/dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core; \
	  else \
	    echo "error: no Chromium; install it first: sudo apt-get install chromium chromium-driver" >&2; exit 1; \
	  fi
	@$(BIN)/python -m pytest tests/browser

# The S3 client and a server to try it against are no part of the lock: only this needs them.
test-remotes: setup  ## push to a local S3, pull in a second clone, run nothing there
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/remotes/requirements.txt
	@$(BIN)/python -m pytest tests/remotes

# No environment is made: a GPU machine has its own torch.
test-gpu:  ## a GPU tried against the CPU and timed, one script (9 min): [PYTHON=...] [ARGS="--device cpu"]
	@$(PYTHON) tests/gpu/run.py $(ARGS)

test-slurm: setup  ## smoke run through a Slurm of this one machine (root, Debian), compared with a local run
	@tests/slurm/run.sh

audit: setup  ## which errors would the claims of a finished run notice? writes results/{run}/audit.csv
	@$(BIN)/mindgap audit "$$CONFIG" -- --workflow-profile $(PROFILE) $(ARGS)

test-numerics: setup  ## unit and golden tests and a smoke run, summed in other orders (20 min)
	@$(BIN)/python -m tests.numerics.run $(ARGS)

rehearse: setup  ## a run on small stand-ins for all its downloads: make rehearse CONFIG=... [ACCOUNTS=1]
	@$(BIN)/mindgap rehearse "$$CONFIG" $(if $(ACCOUNTS),--accounts) -- --workflow-profile $(PROFILE) $(ARGS)

check: setup  ## compare a run's files with its record: make check [CONFIG=...] [ARGS=--partial]
	@$(BIN)/mindgap check "$$CONFIG" $(ARGS)

push: setup  ## record the finished run with DVC and send its files to the remote
	@PATH="$(abspath $(BIN)):$$PATH" dvc repro && $(BIN)/dvc push

pull: setup  ## fetch the files of the committed run: make pull [ONLY=tables]
	@$(BIN)/dvc pull $(if $(filter tables,$(ONLY)),$$($(BIN)/mindgap outs-without pairs embeddings checkpoints))

lint: setup
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check . && $(BIN)/snakefmt --check . 2>/dev/null \
	  || { echo "error: lint or format; 'make format' mends what can be mended" >&2; $(BIN)/ruff check .; exit 1; }

format: setup  ## format code and rules
	@$(BIN)/ruff check --quiet --fix .; $(BIN)/ruff format --quiet .; $(BIN)/snakefmt . 2>/dev/null

# Newest versions that pyproject.toml admits, from a fresh environment. torch is pinned without a
# local suffix, and what its GPU build brings along is left to that build's own pins.
lock:  ## write requirements.lock anew
	$(PYTHON) -m venv --clear $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet torch==2.13.0
	$(VENV)-lock/bin/pip install --quiet '.[workflow,test,docs]' hatchling editables
	{ sed -n '/^#/p' requirements.lock; $(VENV)-lock/bin/pip freeze --exclude mindgap \
	  | grep -viE '^(nvidia-|cuda-|triton)' | sed -E 's/^(torch==[0-9.]+).*/\1/'; } > requirements.tmp
	mv requirements.tmp requirements.lock; rm -rf $(VENV)-lock

clean:  ## remove the environment and caches; results and downloads stay
	rm -rf $(VENV) .pytest_cache .ruff_cache; find . -name __pycache__ -prune -exec rm -rf {} +
