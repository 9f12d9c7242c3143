# Everything is made in .venv/, from lock files with hashes; stamps in it remember what is done.
SHELL := /bin/sh
PYTHONS = python3.14 python3.13 python3.12 python3.11 python3
RUN := .venv/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --no-input -q install --no-deps
LOCK := .cache/lock/bin/uv pip compile -q pyproject.toml --extra llamacpp --group build --python-version 3.11 --universal --generate-hashes --no-header

export PIP_CACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pip

.PHONY: help demo test bench lock clean

help:
	@echo "make demo    a minute's tour on a real model; the first run downloads about 150 MB"
	@echo "make test    linters, type checker and all tests"
	@echo "make bench   the measurements that README shows"
	@echo "make lock    renew the lock files"
	@echo "make clean   remove everything that was made here"

demo: .venv/.run
	@$(RUN) -m fusiond demo

test: .venv/.dev
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(RUN) -m pytest

bench: .venv/.dev
	$(RUN) -m bench

clean:
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find fusiond tests bench -name __pycache__ -prune -exec rm -rf {} +

# The newest Python that runs, is new enough and can make an environment. A name that is found need not run (version managers leave such names).
.venv/.made:
	@rm -rf .venv; fit=; for python in $(PYTHONS); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  fit=$$python; "$$python" -m venv .venv >/dev/null 2>&1 && touch $@ && exit 0; \
	done; rm -rf .venv; \
	if [ -z "$$fit" ]; then echo "fusiond needs Python 3.11 or newer, and none of these is: $(PYTHONS)" >&2; \
	else echo "Python's venv module is missing ($$fit -m venv .venv failed). On Debian and Ubuntu: apt install $$fit-venv" >&2; fi; exit 1

.venv/.run: .venv/.made requirements.lock requirements-model.lock pyproject.toml
	@echo "Installing the libraries, the engine and a small language model into .venv (about 150 MB, once)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --require-hashes -r requirements-model.lock
	@$(PIP) --no-build-isolation --editable .
	@$(RUN) -m compileall -q fusiond
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	@echo "Installing the linters, the type checker and the test tools into .venv"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# requirements-model.lock names one wheel, taken for the model file in it and without its dependencies; it is renewed by hand.
lock: .venv/.made
	@[ -x .cache/lock/bin/uv ] || { $(RUN) -m venv .cache/lock && .cache/lock/bin/python -m pip --disable-pip-version-check -q install uv; }
	$(LOCK) --upgrade -o requirements.lock
	$(LOCK) --upgrade --group dev -c requirements.lock -o requirements-dev.lock
