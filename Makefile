# Each verb sets up what it needs first, and only what has changed since the last time.
#
#   ARGS              is handed on: make run ARGS="--port 0 -v", make test ARGS="tests/protocol -k ticket"
#   PYTHON            the interpreter to use; otherwise python3 if it is new enough, else the newest found
#   SPICEEMU_INSTALL  1: Debian packages may be installed without asking; 0: never

DEVELOP = @exec sh tools/python.sh tools/develop.py

.PHONY: help run test peers lint fuzz bench
.DEFAULT_GOAL := help

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## serve the demo desktop until Ctrl-C
	$(DEVELOP) run $(ARGS)

test: ## the fast tests on every Python here, then all tests on the default one, against the installed wheel
	$(DEVELOP) test $(ARGS)

peers: ## install the real clients and servers to test with, from Debian's packages
	$(DEVELOP) peers

lint: ## ruff (rules and format) and mypy
	$(DEVELOP) lint

fuzz: ## 100,000 made-up inputs; SEED=N repeats a run
	$(DEVELOP) fuzz $(ARGS)

bench: ## the benchmarks' table
	$(DEVELOP) bench $(ARGS)
