# Every command of this project. `make demo` and `make test` set themselves up.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo simulate test check bench nightly mutate prove clean lock reference attacks gas

demo: $(VENV)/.node ## A real federated job with twelve nodes on this machine
	@$(BIN)/scatter demo

simulate: $(VENV)/.sim ## The evaluation of the paper: five scenarios, figures 3 to 9
	@$(BIN)/scatter simulate --out figures

test: $(VENV)/.dev ## Every test but those of `make nightly`
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: $(VENV)/.dev ## Style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## The figures, each beside its peer
	@$(BIN)/python -m benchmarks

nightly: $(VENV)/.dev ## What is too long for `make test`
	@$(BIN)/python -m pytest -q -m nightly -o timeout=3600

mutate: $(VENV)/.dev ## Puts faults into the contracts, one at a time: does a test notice each?
	@$(BIN)/python -m mutation $(MUTATE)

MUTATE := --sample 620

prove: $(VENV)/.prove ## A second engine: a million random calls by forge, and what halmos proves
	@$(BIN)/python -m proofs

# pip alone cannot install libp2p beside a fastecdsa that has wheels (docs/decisions/0002), so the
# pinned list is installed as it stands, without resolving.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Scatter needs Python 3.11, 3.12 or 3.13; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.node: requirements/node.txt pyproject.toml $(wildcard contracts/*) | $(VENV)/bin/python
	@echo "Installing Scatter into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements/node.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --no-deps -e .
	@touch $@

$(VENV)/.sim: requirements/sim.txt $(VENV)/.node
	@echo "Installing what draws pictures into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements/sim.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.node
	@echo "Installing the development tools into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

# In folders of their own: halmos is AGPL, a tool and no part of Scatter (docs/decisions/0015).
$(VENV)/.prove: proofs/package.json requirements/halmos.txt $(VENV)/.node
	@command -v npm >/dev/null || { echo "forge and solc come with npm; install npm and node 18 or newer."; exit 1; }
	@echo "Installing forge, solc and halmos into $(VENV)/prove ..."
	@mkdir -p $(VENV)/prove
	@cp proofs/package.json $(VENV)/prove
	@npm install --silent --no-audit --no-fund --prefix $(VENV)/prove
	@$(BIN)/python -m venv $(VENV)/prove/halmos
	@$(VENV)/prove/halmos/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/halmos.txt
	@touch $@

gas: $(VENV)/.dev ## Writes the tables of gas in docs/contracts.md anew; needs anvil
	@$(BIN)/python -m tools.gas_page

attacks: $(VENV)/.dev ## Writes the table of docs/attacks.md anew
	@$(BIN)/python -m tools.attack_page

reference: $(VENV)/.dev ## Writes docs/cli-reference.md anew
	@$(BIN)/python -m tools.cli_reference

lock: ## Pins every dependency anew
	uv pip compile -q pyproject.toml --extra dev --extra postgres --extra sim $(LOCK) -o requirements/dev.txt
	uv pip compile -q pyproject.toml -c requirements/dev.txt $(LOCK) -o requirements/node.txt
	echo matplotlib | uv pip compile -q - -c requirements/dev.txt $(LOCK) -o requirements/sim.txt
	echo halmos==0.3.3 | uv pip compile -q - $(LOCK) -o requirements/halmos.txt

LOCK := --universal --python-version 3.11 --override requirements/overrides.txt --generate-hashes \
        --no-emit-index-url --no-annotate --prerelease=if-necessary-or-explicit \
        --custom-compile-command "make lock"

clean: ## Removes what the other commands made
	rm -rf $(VENV) proofs/build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .mutation.jsonl demo-out figures dist
