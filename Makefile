# Two commands: `make demo` shows the main job, `make test` proves the project. Each does its whole
# set-up in a fresh checkout; `make check` is what continuous integration runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := $(shell $(PYTHON) -c "import os; print(min(os.cpu_count() or 1, 4))")
# One process more than cores, as tests often wait for a command or an engine that starts.
WORKERS := $(shell expr $(CORES) + 1)
# Each file's tests in one process: they share what it makes once. tests/conftest.py orders the files.
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --numprocesses

# Tests start hundreds of processes: what they import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast test-all check pytest lint format types docs faithful imported editor break-models \
	bench clean

demo: $(VENV)/ready
	$(BIN)/archspec build vgg16
	$(BIN)/archspec fit lenet5

test: check

# Without any engine, browser or editor, and with a tenth of the random examples and, in tests that try
# each of them, of the families: for every save.
# Little is waited for, and each process imports and collects all tests: as many as there are cores.
test-fast: $(VENV)/dev
	ARCHSPEC_EXAMPLES=0.1 $(PYTEST) $(CORES) -m "not keras and not client and not slow"

# Also what takes minutes, such as networks of 150 layers at full size, and what others have as well,
# such as a family whose kinds of steps are all in others; and four times as many random examples.
# For a release.
test-all: $(VENV)/dev lint types
	ARCHSPEC_EXAMPLES=4 $(PYTEST) $(WORKERS) -m "slow or not slow"

check: lint types pytest

pytest: $(VENV)/dev
	$(PYTEST) $(WORKERS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pages and the schema that are made from the classes, and those that show what commands print.
docs: $(VENV)/dev
	$(BIN)/python -m archspec.spec.bundled
	$(BIN)/python -m archspec.schema_from_classes > archspec/spec/schema.json
	$(BIN)/python tests/layer_sources.py
	$(BIN)/python -m archspec.reference > docs/reference.md
	$(BIN)/python -m archspec.families > docs/families.md
	$(BIN)/python tests/python_page.py > docs/python.md
	$(BIN)/python tests/pages.py README.md docs/costs.md docs/counting.md docs/figures.md docs/lecture.md

# The table of docs/faithful.md.
faithful: $(VENV)/dev
	$(BIN)/python tests/faithful.py

# The networks of keras.applications through a file and a spec: a table of lines and differences.
imported: $(VENV)/dev
	$(BIN)/python tests/imported.py

# CodeMirror as one file for the page of `archspec serve`: see editors/page/README.md.
editor:
	folder=$$(mktemp -d) && cp editors/page/*.js* $$folder && cd $$folder && npm ci --ignore-scripts \
		&& npm run build -- --outfile=$(CURDIR)/archspec/serve/static/codemirror.js && rm -r $$folder

# A million model files with something changed at random: a night. FILES=1000 tries fewer.
break-models: $(VENV)/dev
	$(BIN)/python tests/break_models.py $(or $(FILES),1000000) --seed $(or $(SEED),$(shell date +%F))

bench: $(VENV)/dev
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/page.py
	$(BIN)/python benchmarks/models.py
	$(BIN)/python benchmarks/importing.py
	$(BIN)/python benchmarks/training.py

$(VENV)/ready: pyproject.toml constraints.txt
	@echo "installing archspec with TensorFlow and Keras into $(VENV): 2 GB, a minute or two"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[tensorflow]'
	touch $@

$(VENV)/dev: $(VENV)/ready
	@echo "installing what the tests need into $(VENV): JAX, ONNX and more, 1 GB"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[tensorflow,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
