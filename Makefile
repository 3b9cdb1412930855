# Every target starts from a clean clone with python3 (3.11 or newer, with venv) and make.
PYTHON ?= python3
STUDY ?= studies/guided-import/study.yaml
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
SUM = $(shell cat $(1) 2>/dev/null | cksum | tr " " "-")
READY := $(VENV)/ready-$(call SUM,requirements.lock pyproject.toml)
TEST := $(VENV)/test-$(call SUM,requirements-test.lock requirements-spark.lock)
BENCH := $(VENV)/bench-$(call SUM,requirements-bench.lock)
# A lock is whole: pip installs what it names and resolves nothing, and `pip check` proves it.
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INSTALL := install --no-deps --require-hashes --no-build-isolation
COMPILE := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links $(ARGS)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup report test lab workshop lint check bench calibrate lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 14

setup: $(READY) ## make .venv with what a report and JupyterLab need (other targets call this)

report: $(READY) ## publish the reports of the bundled study (another one: STUDY=path/to/study.yaml)
	@$(BIN)/workbench report --all $(STUDY) $(ARGS)

test: $(TEST) ## run every test
	$(BIN)/python -m pytest --nbval-lax -p no:cacheprovider templates notebooks
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
	  --cov --cov-report=term --cov-fail-under=$(if $(ARGS),0,90) $(ARGS)

lab: $(READY) ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/tour.ipynb $(ARGS)

workshop: $(READY) ## open the indicator workshop as a page with sliders, without code
	JUPYTER_PATH=notebooks $(BIN)/voila --template=workshop $(ARGS) notebooks/indicator_workshop.ipynb

lint: $(TEST) ## style, types, and which package may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint test ## run all that CI runs: style, types, every test

bench: $(TEST) $(BENCH) ## time the flow query and lagged association against their peers
	@reached=0; \
	  $(BIN)/python benchmarks/flow.py $(ARGS) || reached=1; \
	  $(BIN)/python benchmarks/lags.py || reached=1; \
	  exit $$reached

calibrate: $(READY) ## hold the error rates of every analysis against their promises (a look: ARGS=--quick)
	$(BIN)/python benchmarks/calibration.py $(ARGS)

lock: ## pin the newest versions that pyproject.toml allows: ARGS=--upgrade
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && \
	  .venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	$(COMPILE) pyproject.toml --extra lab --extra postgres --group build --output-file requirements.lock
	$(COMPILE) --group test --constraints requirements.lock --output-file requirements-test.lock
	$(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['spark'], sep='\n')" \
	  | $(COMPILE) - --constraints requirements.lock --constraints requirements-test.lock \
	    --output-file requirements-spark.lock
	$(COMPILE) --group bench --constraints requirements.lock --constraints requirements-test.lock \
	  --output-file requirements-bench.lock

clean: ## remove all that the other targets made
	rm -rf .venv .venv-lock build dist reports .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY):
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "$(PYTHON) is too old; name a Python of 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	@echo "Setting up $(VENV) (once; takes a minute or two)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) $(INSTALL) -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@rm -f $(VENV)/ready-*
	@touch $@

$(TEST): | $(READY)
	@echo "Adding what the tests need to $(VENV) (once; takes a minute or two)" >&2
	@$(PIP) $(INSTALL) -r requirements-test.lock -r requirements-spark.lock
	@$(PIP) check
	@rm -f $(VENV)/test-*
	@touch $@

$(BENCH): | $(TEST)
	@echo "Adding the peers to $(VENV) (once)" >&2
	@$(PIP) $(INSTALL) -r requirements-bench.lock
	@$(PIP) check
	@rm -f $(VENV)/bench-*
	@touch $@
