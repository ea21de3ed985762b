# `make help` is the manual. A fresh machine needs Python 3.11 or newer, make and git; everything else is fetched.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready-for-pullsizer

# The runtime has an environment of its own: torch alone is ten times what the operator needs.
RUNTIME_VENV ?= .venv-runtime
RUNTIME_PY := $(RUNTIME_VENV)/bin/python
RUNTIME_READY := $(RUNTIME_VENV)/.ready-for-the-runtime

# The one place where the image is set is deploy/base/kustomization.yaml.
VERSION := $(shell sed -n 's/^ *newTag: //p' deploy/base/kustomization.yaml)
IMAGE ?= pullsizer:$(VERSION)
RUNTIME_IMAGE ?= pullsizer-classifier:$(VERSION)

.PHONY: help
help: ## Show this
	@echo "Pullsizer $(VERSION): what make can do here. Each target does its own set-up."
	@echo
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2} \
	  /^#\|/ {printf "  %-14s %s\n", "", substr($$0, 4)}' $(MAKEFILE_LIST)
	@echo
	@echo "Settings: PYTHON=python3.12 to name an interpreter; VENV=.venv; ARGS=... for pytest, the demo and the benchmark;"
	@echo "IMAGE=$(IMAGE). More on tests and their cache in CONTRIBUTING.md."

##@ See it

.PHONY: demo
demo: setup setup-runtime ## A real Kubernetes with KServe and Pullsizer on this machine, and what they do there
#| The first run takes half an hour, see README. KEEP=1 leaves all of it running; `make cluster-down` ends it.
	KEEP=$(KEEP) RUNTIME_PY=$(abspath $(RUNTIME_PY)) $(PY) -m tests.demo $(ARGS)

.PHONY: models
models: setup-runtime ## The two classifiers that the demo serves, trained on this machine: three minutes, once
	$(RUNTIME_PY) -m tests.models minilm vit

.PHONY: cluster cluster-down
cluster: setup ## The same Kubernetes with KServe, in the background, for trying things
	$(PY) -m tests.controlplane up
cluster-down: setup ## End it
	$(PY) -m tests.controlplane down

##@ Work on it

.PHONY: setup
setup: $(READY) ## A virtual environment in .venv with all that is needed (other targets see to it)

.PHONY: test
test: ## All checks, then all tests. The first run builds a Kubernetes from source: 20 minutes, once
#| Later ones take about five. ARGS="-k policy" runs some of the tests.
	@$(MAKE) --no-print-directory setup
	@$(MAKE) --no-print-directory -j3 check programs setup-runtime
	$(PY) -m pytest $(ARGS)
	@$(MAKE) --no-print-directory runtime

.PHONY: runtime setup-runtime
runtime: setup-runtime ## Checks and tests of the classifier runtime, in an environment of its own (.venv-runtime)
	$(RUNTIME_VENV)/bin/mypy --config-file tests/runtime/mypy.ini
	$(RUNTIME_PY) -m pytest tests/runtime $(ARGS) || [ $$? -eq 5 ]  # 5: ARGS choose none of these
setup-runtime: $(RUNTIME_READY)

.PHONY: unit
unit: setup ## The tests that need no cluster: seconds
	$(PY) -m pytest $(wildcard tests/unit tests/golden) $(ARGS)

.PHONY: golden-update
golden-update: setup ## Write what comes of the golden cases now; read it in `git diff tests/golden`
	$(PY) -m tests.golden

.PHONY: check
check: setup ## Lint, format, types, import rules, manifests
	@if [ -e operator/__init__.py ]; then \
	  echo "operator/__init__.py must not exist: a root package of that name breaks Python's own module operator" >&2; \
	  exit 1; \
	fi
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m tests.deploy.render --check
	$(PY) -m tests.deploy.chart --check
	$(PY) -m pytest -q tests/deploy/test_manifests.py

.PHONY: bench-webhook
bench-webhook: setup ## The webhook's latency and throughput, beside KServe's own
	$(PY) -m tests.bench.webhook $(ARGS)

.PHONY: bench-scale
bench-scale: setup ## One controller and 10,000 services with a model each: time, memory, calls and writes (ten minutes)
	$(PY) -m tests.bench.scale $(ARGS)

.PHONY: bench-runtime
bench-runtime: setup-runtime ## The runtime beside KServe's server and other peers, with the same model (25 minutes)
#| ARGS="--peers kserve,infinity-onnx --model minilm --cells c1,c64" does less; --soak asks 100,000 times
	$(RUNTIME_PY) -m tests.runtime.bench $(ARGS)

.PHONY: bench-gpu
bench-gpu: setup-runtime ## BERT-base on this machine's GPU: texts a second and share of its peak, beside plain transformers
	$(RUNTIME_PY) -m tests.runtime.bench.gpu $(ARGS)

##@ Ship it

# One of these, whichever works here, builds an image: `$(call build,arguments)`.
define build
@for tool in docker podman buildah; do \
  $$tool version >/dev/null 2>&1 || continue; \
  echo "$$tool build $(1) ."; \
  exec $$tool build $(1) .; \
done; \
echo "None of docker, podman and buildah works here; install or start one to build the image." >&2; exit 1
endef

.PHONY: image
image: ## Build the operator's image with docker, podman or buildah, whichever works here
#| IMAGE=registry.example.com/pullsizer:0.1.0 names it.
	$(call build,--file Dockerfile.operator --tag $(IMAGE))

.PHONY: runtime-image runtime-image-torch runtime-image-openvino
runtime-image: runtime-image-openvino runtime-image-torch ## The same for the runtime: two images, of which …-openvino has no torch
#| RUNTIME_IMAGE=registry.example.com/pullsizer-classifier:0.1.0 names them; runtime-image-torch builds one.
runtime-image-torch:
	$(call build,--file Dockerfile.runtime --target torch --tag $(RUNTIME_IMAGE))
runtime-image-openvino:
	$(call build,--file Dockerfile.runtime --target openvino --tag $(RUNTIME_IMAGE)-openvino)

.PHONY: install-yaml
install-yaml: setup ## Render deploy/base to deploy/install.yaml
	$(PY) -m tests.deploy.render

.PHONY: docs
docs: setup ## Write the tables of docs/sizing.md from the code
	$(PY) -m tests.deploy.sizing_page

.PHONY: chart
chart: setup ## Write what deploy/chart has from deploy/base and from the policy
	$(PY) -m tests.deploy.chart

.PHONY: proto
proto: setup-runtime ## Write the runtime's gRPC messages from its inference.proto
	cd runtime && $(abspath $(RUNTIME_PY)) -m grpc_tools.protoc -I. --python_out=. --pyi_out=. \
	  classifier_runtime/protocols/inference.proto

.PHONY: lock
lock: ## Write constraints.txt anew, with the newest versions that go together
	@rm -rf .venv-lock && $(call python) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade pip
	.venv-lock/bin/python -m pip install --quiet --editable '.[operator,dev]'
	@{ sed -n '/^#/p' constraints.txt; \
	   .venv-lock/bin/python -m pip freeze --exclude-editable --exclude pullsizer; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt && rm -rf .venv-lock && git diff --stat constraints.txt

.PHONY: clean
clean: ## Remove .venv and what checks and builds leave here (not the cache of built programs)
	rm -rf .venv .venv-runtime .venv-lock dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .bench
	find operator tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What follows is not for people.

# Beside the checks, as building takes one core for minutes. A failure is pytest's to tell, test by test.
.PHONY: programs
programs: setup
	@[ -n "$$PULLSIZER_TEST_KUBECONFIG" ] || $(PY) -m tests.controlplane build || true

# The first interpreter that is new enough; PYTHON, where given, is the only one asked.
define python
$$(for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$candidate" && break; \
done || echo no-python)
endef

$(READY): pyproject.toml constraints.txt
	@python=$(call python); \
	if [ "$$python" = no-python ]; then \
	  echo "Pullsizer needs Python 3.11 or newer, and $(or $(PYTHON),this machine's python3) is none." >&2; \
	  echo "Install one, or name one: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	[ -x $(PY) ] || "$$python" -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[operator,dev]' --constraint constraints.txt
	@touch $@

$(RUNTIME_READY): pyproject.toml constraints-runtime.txt $(READY)
	@[ -x $(RUNTIME_PY) ] || $(PY) -m venv $(RUNTIME_VENV)
	@echo "installing torch and the runtime's clients, once: three gigabytes, a few minutes"
	$(RUNTIME_PY) -m pip install --quiet --disable-pip-version-check --editable '.[runtime-dev,dev]' \
	  --constraint constraints-runtime.txt
	@touch $@
