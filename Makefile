# Two commands are enough: `make demo` and `make test`. Each works first on a fresh clone.
# Another Python: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.DEFAULT_GOAL := help
.PHONY: help demo test check bench evaluation lint docs examples screens notebooks lock clean

help:
	@echo "make demo    the consultation on the example patient; leaves demo/report.html"
	@echo "make test    the tests"
	@echo "make check   all tests, slow ones too; lint and documentation"
	@echo "make bench   speed and error; leaves benchmarks/latest.json"
	@echo "make evaluation  forecasts against people whose later scores are known; leaves docs/data (half an hour)"
	@echo "make lint    ruff and mypy"
	@echo "make docs    the documentation; leaves site/index.html"
	@echo "make examples the reports in the documentation (a quarter of an hour), and the picture of one; needs chromium"
	@echo "make screens   the pictures of the consultation in a browser; needs chromium"
	@echo "make notebooks runs the notebooks anew and stores what they show"
	@echo "make lock    pins the dependencies anew"
	@echo "make clean   removes what these commands made"

demo: $(VENV)/runtime
	@mkdir -p demo
	$(BIN)/deqi consult examples/gerac_chronic.yaml --report demo/report.html

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 -q -m "not slow"

check: lint docs
	@.ci/packages
	$(BIN)/python -m pytest -n 2 -q

bench: $(VENV)/dev
	$(BIN)/python -m benchmarks.run

evaluation: $(VENV)/dev
	$(BIN)/deqi evaluate tests/data/ashar2022.csv --json docs/data/ashar2022.json
	$(BIN)/deqi evaluate --synthetic 10000 --seed 5 --json docs/data/synthetic.json

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# --no-sandbox: Chromium started by root in a container refuses to run without
examples: $(VENV)/runtime
	$(BIN)/deqi consult examples/gerac_chronic.yaml --report docs/examples/gerac_chronic.html
	$(BIN)/deqi consult examples/older_adult_anticoagulant.yaml --report docs/examples/older_adult_anticoagulant.html
	for design in two_shams sessions factorial; do \
		$(BIN)/deqi trial examples/trials/$$design.yaml --report docs/examples/trial_$$design.html \
			--json docs/data/trial_$$design.json || exit 1; done
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir=$$(mktemp -d) \
		--window-size=1000,1500 --screenshot=docs/img/report.png "file://$(CURDIR)/docs/examples/gerac_chronic.html"

screens: $(VENV)/dev
	@mkdir -p docs/img/web
	DEQI_SCREENS=docs/img/web $(BIN)/python -m pytest -q tests/web/test_walk.py -k all_the_way

notebooks: $(VENV)/dev
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
		docs/notebooks/*.ipynb

lock: $(VENV)/dev
	$(LOCK) --output-file requirements.txt pyproject.toml
	$(LOCK) --all-extras --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml

clean:
	rm -rf $(VENV) demo site dist .pytest_cache .hypothesis .mypy_cache .ruff_cache

# The environment: made once, brought up to date when the pins or the package's metadata change.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "deqi needs Python 3.11 or newer, and '$(PYTHON)' is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "no environment could be made; on Debian and Ubuntu install python3-venv first" >&2; exit 1; }

$(VENV)/runtime: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing what deqi needs into $(VENV) ..."
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/dev: requirements-dev.txt | $(VENV)/runtime
	@echo "Installing what its developers need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@
