# The front door: `make demo`, `make test`, `make check`, `make bench`.
# Each works on a fresh clone with Python 3.11 or newer and pip: the first run makes its own .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
ARGS   ?=
HOURS  ?= 110

.DEFAULT_GOAL := help
.PHONY: help demo test check bench faults docs readme lock clean

help:
	@echo "make demo              record a simulated venue, watch it, audit it   (ARGS='--for 20s')"
	@echo "make test              checks and tests                               (ARGS='-k tape')"
	@echo "make check             lint, types, floors, docs"
	@echo "make bench             our speed beside a peer or the machine's limit (ONLY=name)"
	@echo "make faults            faults of a real PostgreSQL, for us and for a peer: docs/FAULTS.md (STOP=600)"
	@echo "make simulate          the recorder on a simulated machine that fails  (HOURS=2000)"
	@echo "make mutants           hand-made mutants, each hunted with seeds       (ARGS='--only no_fsync')"
	@echo "make docs              write the parts of docs/ that are read off the code"
	@echo "make lock              resolve the requirements again"

$(VENV)/made:
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here: install Python 3.11 or newer, or say make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 15) else "everytick needs Python 3.11 to 3.14, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: requirements/run.lock pyproject.toml $(VENV)/made
	@echo "installing everytick into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/run.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: requirements/dev.lock pyproject.toml $(VENV)/made
	@echo "installing everytick and its test tools into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/run

demo: $(VENV)/run
	@$(BIN)/everytick demo $(ARGS)

test: check
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/dev
	@$(BIN)/ruff check src tests bench
	@$(BIN)/ruff format --check -q src tests bench
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(VENV)/dev
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

# Without STOP every fault (a quarter of an hour); with it that long an outage alone.
faults: $(VENV)/dev
	@$(BIN)/python -m bench.faults --write $(if $(STOP),--only stop --stop $(STOP) --rate 1000) $(ARGS)

simulate: $(VENV)/run
	@$(BIN)/everytick simulate --seeds 1..$(HOURS) --hours 1 $(ARGS)

mutants: $(VENV)/dev
	@$(BIN)/python -m tests.mutants $(ARGS)

docs: $(VENV)/dev
	@$(BIN)/python -m tests.generated

readme: $(VENV)/dev
	@$(BIN)/python -m tests.front_page

lock: $(VENV)/dev
	@sh requirements/lock.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/.venv*
