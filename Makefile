# `make demo` and `make tests` are all there is to know; both install what they need, once.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
INSTALLED := $(VENV)/installed
RECORDINGS := outputs/recordings/bassoon
AUDIO ?= $(RECORDINGS)
NAME ?= bassoon
WORD ?= $(if $(filter $(RECORDINGS),$(AUDIO)),oboe)
FIGURE_2 := $(if $(AUDIOCRAFT_TI_CONCEPTS),outputs/systems,docs/systems)
TABLE_1 := $(if $(AUDIOCRAFT_TI_CONCEPTS),outputs/systems/table_1,outputs/table_1)

.PHONY: install demo base ablation amount systems cluster tests lint constraints clean
install: $(INSTALLED)

# uv, since only it can override audiocraft's pins. Where it is not at hand, pip brings it into the environment. Without
# bytecode, which it leaves to whoever imports, the first import of all this takes half a minute.
$(INSTALLED): setup.py requirements/overrides.txt requirements/constraints.txt
	@command -v uv >/dev/null && uv venv -q --allow-existing --python $(PYTHON) $(VENV) \
		|| { $(PYTHON) -m venv $(VENV) && $(RUN)/python -m pip install -q uv; }
	PATH="$(CURDIR)/$(RUN):$$PATH" uv pip install --compile-bytecode --python $(RUN)/python \
		--override requirements/overrides.txt --constraint requirements/constraints.txt --editable '.[dev]'
	@touch $@

# make demo AUDIO=my/clips NAME=amen WORD='drum beat' learns from recordings of your own; the word is one for comparison.
demo: $(INSTALLED)
	@test "$(AUDIO)" != $(RECORDINGS) || $(RUN)/python -m audiocraft_ti.tiny.recordings $(AUDIO) bassoon
	@echo "Learning <$(NAME)> from $(AUDIO); it takes some ten seconds to get going."
	@$(RUN)/dora run solver=musicgen/ti_tiny datasource.folder="$(AUDIO)" concept.name="$(NAME)" \
		$(if $(WORD),concept.class_word="$(WORD)")

# The tiny base's weights, from nothing; they are in the repository, so nobody needs to.
base: $(INSTALLED)
	$(RUN)/python -m audiocraft_ti.tiny.make

# What each of the paper's choices is worth: runs what is not done yet, and writes docs/RESULTS.md and a page with sound,
# docs/ablation/index.html.
ablation: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN)/python -m audiocraft_ti.grids.local ti.ablation
	OMP_NUM_THREADS=1 $(RUN)/python -m audiocraft_ti.grids.local ti.plain
	$(RUN)/python -m benchmarks.ablation --out docs/RESULTS.md
	$(RUN)/python -m benchmarks.grid_report ti.ablation docs/ablation

# How many recordings, vectors and updates are enough, which learning rate is best, and whether runs as long as the
# paper's say the same as short ones: likewise, and docs/TRAINING.md, after `make ablation`.
amount: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN)/python -m audiocraft_ti.grids.local ti.amount
	OMP_NUM_THREADS=1 $(RUN)/python -m audiocraft_ti.grids.local ti.learning_rate
	OMP_NUM_THREADS=1 $(RUN)/python -m audiocraft_ti.grids.local ti.full_length
	$(RUN)/python -m benchmarks.amount --out docs/TRAINING.md

# The paper's systems on the tiny bases: likewise, docs/SYSTEMS.md, figure 2 in docs/systems/index.html, and the study of
# table 1 in outputs/table_1, which `audiocraft-ti study serve` asks people with. With AUDIOCRAFT_TI_CONCEPTS=recordings
# the real ones, on that folder of concepts: figure 2 in outputs/systems/index.html, the study in outputs/systems/table_1.
systems: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN)/python -m audiocraft_ti.grids.local ti.systems
ifndef AUDIOCRAFT_TI_CONCEPTS
	$(RUN)/python -m benchmarks.comparison --out docs/SYSTEMS.md
endif
	$(RUN)/python -m benchmarks.grid_report ti.systems $(FIGURE_2)
	test -d $(TABLE_1) || $(RUN)/python -m benchmarks.table_1 $(TABLE_1)

# A Slurm of this machine alone, to try grids on: docs/GRIDS.md. `cluster/one_node.sh stop` ends it.
cluster:
	cluster/one_node.sh start

# Two files of tests at a time, each on one core: models this small are no faster on more.
tests: $(INSTALLED) lint
	OMP_NUM_THREADS=1 $(RUN)/pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(RUN)/flake8 audiocraft_ti tests benchmarks setup.py
	$(RUN)/mypy

# The exact versions to install, of all that setup.py and the overrides ask for.
constraints: $(INSTALLED)
	PATH="$(CURDIR)/$(RUN):$$PATH" uv pip compile setup.py --extra dev --universal --python-version 3.10 \
		--no-python-downloads --override requirements/overrides.txt --quiet \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--upgrade --output-file requirements/constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info
