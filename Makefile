# Stafett: `make help` explains the targets.
SHELL := /bin/bash
PYTHON := .venv/bin/python
export FORCE ?= 0
export EXIT ?= 0
export OBS ?= 0
export RUNTIME ?= local
TEST_WORKERS ?= 2

RUNNER = $(if $(filter docker,$(RUNTIME)),deploy.containers,deploy.local)
FOLDER = $(if $(filter docker,$(RUNTIME)),.run-docker,.run)
PORTS_NOW = $(or $(STAFETT_PORT_BASE),$(shell cat $(FOLDER)/port_base 2>/dev/null || echo 18000))
NEEDS_SETUP = [ -x $(PYTHON) ] || { echo "Run make setup first." >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests up down ps logs clean token demo test check bench contracts texts screenshots manifests

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Ports start at STAFETT_PORT_BASE (now $(PORTS_NOW)). Everything that runs keeps its data in $(FOLDER)/."
	@echo "  RUNTIME=docker make up, down, demo, test ...: the same in containers (docker-compose.yml, testcontainers)."

setup: ## Install what is needed (Debian packages as root, Python packages in .venv); leaves no service running
	@deploy/local/setup.sh

up: setup ## Start PostgreSQL, RabbitMQ, OpenLDAP, Samba AD (not with STAFETT_AD=0) and all services; safe to repeat; OBS=1 adds Prometheus
	@$(PYTHON) -m $(RUNNER) up

down: ## Stop all of it; the data stays
	@[ ! -x $(PYTHON) ] || $(PYTHON) -m $(RUNNER) down

ps: ## Show what runs and whether it is ready
	@$(NEEDS_SETUP)
	@$(PYTHON) -m $(RUNNER) ps

logs: ## Follow the logs; of one program: make logs SERVICE=accounts
	@$(NEEDS_SETUP)
	@$(PYTHON) -m $(RUNNER) logs $(SERVICE)

clean: ## Stop all and delete its data (asks; FORCE=1 does not)
	@[ ! -x $(PYTHON) ] || $(PYTHON) -m $(RUNNER) clean

token: ## Print a token with all scopes: make token ORG=alvsund
	@$(NEEDS_SETUP)
	@[ -n "$(ORG)" ] || { echo "For which organisation? make token ORG=alvsund" >&2; exit 2; }
	@$(PYTHON) -m deploy.local.issuer --organisation "$(ORG)" --save

demo: setup ## The main job: a municipality of 1,000 people and one HR day; EXIT=1 takes it down afterwards
	@$(PYTHON) -m deploy.demo

setup-tests:
	@deploy/local/setup.sh tests

test: setup-tests ## Run all tests on real servers, which they start and stop themselves (TEST_WORKERS=2 at a time)
	@$(PYTHON) -m pytest tests --ignore=tests/benchmarks -q -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

check: setup ## Style, types, layers, generated files; takes seconds
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@$(PYTHON) -m contracts.generate --check
	@$(PYTHON) -m deploy.asyncapi --check
	@$(PYTHON) -m deploy.containers.manifests --check

bench: setup ## Measure speed, each figure beside a floor of bare clients
	@# each file has a process and servers of its own: none weighs on another's memory, or finds what another left
	@failed=0; for file in tests/benchmarks/test_*.py; do $(PYTHON) -m pytest $$file -q -s || failed=1; done; exit $$failed

texts: ## Compile the portal's catalogues of texts; tells which messages have no Swedish text
	@$(NEEDS_SETUP)
	@$(PYTHON) -m deploy.texts

screenshots: setup-tests ## Pictures of every page, both languages, light and dark, into screenshots/
	@$(PYTHON) -m pytest tests/e2e/portal/test_screenshots.py -q --screenshots screenshots

manifests: setup ## Render the Kubernetes manifests (needs kubectl)
	@$(PYTHON) -m deploy.containers.manifests

contracts: setup ## Generate the JSON Schemas and the AsyncAPI document
	@$(PYTHON) -m contracts.generate
	@$(PYTHON) -m deploy.asyncapi
