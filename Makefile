# `make demo` and `make test` do everything on a fresh machine that has Python 3.11 or 3.12.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2

.PHONY: install demo test lint clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "Python 3.11 or 3.12 is needed: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,lint,onnx]'
	touch $(STAMP)

demo: install
	$(BIN)/bench grid demo launcher.max_parallel=$(JOBS)
	$(BIN)/bench report runs/demo/results output=runs/demo/leaderboard
	@echo
	@sed -n 1,40p runs/demo/leaderboard/leaderboard.md
	@echo "The page: runs/demo/leaderboard/index.html"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

clean:
	rm -rf runs build dist *.egg-info
