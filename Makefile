# Everything starts here: `make demo` and `make test` make their own virtual environment first.
#   make demo        train a pair on the smallest family where exploring pays, and show it
#   make test        lint, types, quick tests
#   make lint        lint and types only
#   make docs        the documentation site, in site/ (warnings are errors)
#   make install     only the virtual environment, in .venv
#   make mutants     mutate the algorithm and see whether the tests notice (half an hour; docs/testing.md)
#   make clean       remove the virtual environment and caches (never runs/)
# Another Python: make PYTHON=/path/to/python3.12 test; more tests side by side (a file each): make JOBS=8 test

# The first of these that is recent enough; plain python3 when none is, so that the message below names its version.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# torch goes in first and alone: asked for together with the rest, pip may look at other versions of it, gigabytes each.
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: demo test lint docs install mutants clean help

help:
	@sed -n '2,8s/^# *//p' Makefile

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("This project needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Install a newer one, or name it: make PYTHON=/path/to/python3.11 ..." % v[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo 'Could not make $(VENV): on Debian and Ubuntu install the package python3-venv first.' >&2; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet '$(TORCH)'
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev,docs]'
	@touch $@

demo: $(STAMP)
	$(BIN)/dream demo

test: lint
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/mypy

mutants: $(STAMP)
	$(BIN)/python -m benchmarks.mutants --jobs $(JOBS)

# Material for MkDocs prints a notice about another program's next version; the variable is its switch for that.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
