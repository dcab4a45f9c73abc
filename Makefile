# Every target does its own set-up: a virtual environment, then the pinned packages.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
PHOTOS ?=
DATA   ?= $(wildcard ../shared/data)
BIN    := $(VENV)/bin
# The vLLM server's own environment (its torch is not ours) and the tiny model that it serves.
VLLM_VENV  ?= .venv-vllm
VLLM_MODEL ?= build/tiny-vl
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo test test-slow test-vllm test-clients lint bench bench-scale bench-world screenshots serve studio clean
.DELETE_ON_ERROR:

demo: $(VENV)/.core
	$(BIN)/graticule demo $(if $(PHOTOS),--photos '$(PHOTOS)')

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m 'not slow and not clients' -n auto --dist worksteal --hypothesis-profile steady

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest

# 50 photos through the model recipes against a real vLLM server on the CPU: some ten minutes.
test-vllm: $(VENV)/.dev
	$(BIN)/python -m tests.vllm --venv '$(VLLM_VENV)' --model '$(VLLM_MODEL)' $(VLLM_ARGS)

# Clients that nobody here wrote: LangGraph's SDKs, OpenAI's, MCP's, schemathesis, a browser. Some come
# from npm; what cannot be had is skipped with its reason.
test-clients: $(VENV)/.dev
	$(BIN)/python -m pytest tests/clients -m clients

# Pictures of the page for docs/, taken by Chromium.
screenshots: $(VENV)/.dev
	$(BIN)/python -m tests.screenshots --out docs

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m evaluation.bench $(if $(DATA),--data '$(DATA)')

# Galleries of ten thousand to a million vectors, each engine in a process of its own: hours.
bench-scale: $(VENV)/.dev
	$(BIN)/python -m evaluation.bench_scale --out docs/scale.json
	$(BIN)/python -m evaluation.scale_report docs/scale.json --page docs/scale.md --plot docs/scale.png

# Families on rendered planets, then every recipe on rendered worlds (the latter ten minutes of two
# cores); both go on where they stopped.
bench-world: $(VENV)/.dev
	$(BIN)/python -m evaluation.bench_world
	$(BIN)/python -m evaluation.bench_recipes

# The page and all other faces on http://127.0.0.1:8800.
serve: $(VENV)/.server
	$(BIN)/graticule serve

# The LangGraph development server and Studio around the state machine alone; runs wait for a model
# most of the time, so several go on at once.
studio: $(VENV)/.core
	$(PIP) install -c constraints.txt 'langgraph-cli[inmem]'
	$(BIN)/langgraph dev --no-browser --no-reload --n-jobs-per-worker 16

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; set PYTHON=") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing the core packages (about a minute) ..."
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing torch, the core, the extras and the development packages (some minutes) ..."
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints.txt -e '.[dev,encoders,providers,train,server,sources,aerial,scale,evaluation,postgres,telemetry,clients]'
	@touch $@ $(VENV)/.core

$(VENV)/.server: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing the core and the server (about a minute) ..."
	$(PIP) install -c constraints.txt -e '.[server]'
	@touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) .venv-vllm .venv-clients build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
