# Everything is set up by `make setup`; the other targets call it. Needs Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
WORKERS ?= 4
PROVE_WORKERS ?= 3
# Hundreds of processes begin in a run of the self-tests: none but the first compiles what it imports. pip would compile
# all that nobody imports, too.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test style lint docs prove clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[sandbox,dev]'
	touch $@

# The main job, on a sandbox of its own that is gone afterwards.
demo: $(STAMP)
	$(BIN)/python -m pytest --sandbox --time-scale 0.2

# Types are checked beside the self-tests, which mostly wait at first.
test: style
	@said=$$(mktemp); trap 'rm -f '$$said EXIT; $(BIN)/mypy > $$said 2>&1 & types=$$!; \
	$(BIN)/python -m pytest -c selftests/pytest.ini -n $(WORKERS) selftests; held=$$?; \
	wait $$types || { cat $$said; exit 1; }; exit $$held

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: style
	$(BIN)/mypy

# docs/checks.md, settings.md, rbac.yaml and modules.md, and the tables of README.md: from docstrings and tables of the code.
docs: $(STAMP)
	$(BIN)/python -m seatrial docs

# The long proof: all faults at full scale with their times, repetitions, kills. First what counts its seconds alone, then
# what mostly waits on several workers, then the kills in two places. It goes on where it stopped: PROVE_AGAIN=1 begins
# anew, PROVE_SINCE=COMMIT lets results from that commit on stand. Prints the figures and writes them to docs/proof.md.
PROOF = $(BIN)/python -m pytest -c selftests/pytest.ini -m prove
SECONDS = selftests/test_prove_sandbox.py
KILLS = selftests/test_prove_kills.py
prove: $(STAMP)
	@held=0; $(PROOF) -n 0 $(SECONDS) || held=1; \
	$(PROOF) -n $(PROVE_WORKERS) --ignore $(SECONDS) --ignore $(KILLS) selftests || held=1; \
	$(PROOF) -n 2 $(KILLS) || held=1; \
	PYTHONPATH=. $(BIN)/python selftests/prove_table.py && exit $$held

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .seatrial
