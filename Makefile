# Needs Python 3.11 or newer and make; everything else is installed into .venv from the lock.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: leaderboard test slow lint docs lock clean

leaderboard: .venv/done  ## tune and compare all learners; on simulated companies if there is no data
	$(BIN)/python -m models.train

test: .venv/done  ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

slow: .venv/done  ## run the tests that take a minute or more each, half an hour in all
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

lint: .venv/done  ## style, types, and generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m reports --check

docs: .venv/done  ## write the generated docs anew
	$(BIN)/python -m reports

lock: .venv/done  ## pin the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file requirements.lock

clean:  ## remove the virtual environment
	rm -rf .venv

.venv/done: requirements.lock
	@$(PYTHON) -c "import sys; sys.exit('Python 3.11 or newer is needed: make PYTHON=python3.12' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@touch $@
