# Everything starts here: `make run`, `make test`. scripts/setup makes .venv on first use and returns at once afterwards.
# PYTHON=python3.12 chooses the interpreter; ARGS="-k calendar" is passed on by test, soak and bench.
PYTHON ?= python3
# Where it is set, each of the many processes here would compile all it imports again, for seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run setup test soak lint bench screenshots lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run:  ## set up and start everything with the demo province (HOTLINE_HOST, HOTLINE_PORT)
	@$(PYTHON) scripts/setup
	@exec .venv/bin/python main.py run --demo

setup:  ## install only, with the tools for tests and checks
	@$(PYTHON) scripts/setup --dev

test: setup  ## every test but the long ones, in two processes; CI=true turns a skip into a failure; ARGS="-n0 -k calendar" takes some in one
	@PYTHONPATH=tests/plugins exec .venv/bin/python -m pytest -p no_skips -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: setup  ## the long tests: kills, each event three times, five hundred at once, pages in English, the demo at other hours
	@PYTHONPATH=tests/plugins exec .venv/bin/python -m pytest -p no_skips -m soak $(ARGS)

lint: setup  ## style, types, layers, lock files
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@! grep -Hn '://' requirements*.txt

bench: setup  ## the intake benchmark, as ratios in one run
	@exec .venv/bin/python -m bench.intake $(ARGS)

screenshots: setup  ## pictures of every page into docs/img (needs Debian's chromium); ARGS="queue board" takes some
	@exec .venv/bin/python scripts/screenshots.py $(ARGS)

lock:  ## pin requirements*.in again; ARGS=--upgrade takes newer versions
	@export UV_CUSTOM_COMPILE_COMMAND="make lock" && \
	compile="$(PYTHON) scripts/setup --uv pip compile --quiet --universal --generate-hashes --python-version 3.11" && \
	$$compile $(ARGS) requirements.in -o requirements.txt && \
	$$compile $(ARGS) --constraint requirements.txt requirements-dev.in -o requirements-dev.txt
	@! grep -Hn '://' requirements*.txt

clean:  ## remove what set-up and tools made, never data/
	@rm -rf .venv .tools .cache .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
