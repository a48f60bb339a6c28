# Liaison: `make` alone prints this list.

.DEFAULT_GOAL := help
.PHONY: help setup run test check faults bench clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what developing and testing need
	deploy/local/install.sh dev

run: ## Run everything on this machine, in the foreground; Ctrl-C stops it
	@deploy/local/install.sh run
	@exec .venv/bin/liaison run

test: ## Run all tests on real servers of their own
	deploy/local/install.sh dev elasticsearch
	.venv/bin/pytest -n 4 --no-loadscope-reorder

check: ## Check format, style, types, repetitions, the direction of imports and the contracts' documents
	deploy/local/install.sh dev
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/pylint contracts eventkit services liaison deploy bench tests
	.venv/bin/lint-imports
	.venv/bin/pytest --collect-only -qq
	.venv/bin/python -m contracts.documents check
	.venv/bin/python -W ignore -m deploy.grafana check

faults: ## Run every fault scenario at full size
	deploy/local/install.sh dev
	.venv/bin/python -m tests.faults

bench: ## Measure, beside the peers
	deploy/local/install.sh dev elasticsearch
	.venv/bin/python -m bench

clean: ## Remove what checks and tests leave behind; keeps .venv and the state of `make run`
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
