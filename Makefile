# make demo and make test do all set-up themselves, on a fresh Debian or Ubuntu machine too.

VENV ?= .venv
# The first Python that the ROS wheels are made for.
FIND_PYTHON = for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done
PYTHON ?= $(shell $(FIND_PYTHON))
DETECTOR_PYTHON ?= $(shell for python in python3.12 python3.11 python3.10 $(PYTHON); do \
	$$python -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$python && break; done)
# Further options of pip install, such as another source for a small torch without CUDA.
PIP_FLAGS ?=
DEMO_FLAGS ?=
TEST_FLAGS ?=
# How many tests run at once. Tests that start a whole graph come one by one whatever this says.
TEST_WORKERS ?= 2
BENCH_FLAGS ?=

BIN := $(VENV)/bin
# What the installed package is made of; the Python code itself is used from the checkout.
INPUTS := pyproject.toml setup.py CMakeLists.txt package.xml requirements/constraints.txt \
	$(wildcard msg/*.msg launch/*.py config/*)
# The constraints hold for the packages that build the messages, too.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_BUILD_CONSTRAINT=requirements/constraints.txt \
	$(BIN)/python -m pip install --constraint requirements/constraints.txt $(PIP_FLAGS)
PYTEST = $(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadgroup
# Where there is a display, the OpenCV that can open a window takes the place of the headless one. Asked at every demo: a
# machine that was set up without a display may have one later. Where that one cannot be loaded, it is tried only once.
HEADLESS = import cv2, re, sys; sys.exit(not re.search(r"GUI:\s+NONE", cv2.getBuildInformation()))
WINDOW = @if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && [ ! -e $(VENV)/.headless ] && $(BIN)/python -c '$(HEADLESS)'; then \
	$(PIP) --force-reinstall --no-deps opencv-python && $(BIN)/python -c 'import cv2' \
	|| { touch $(VENV)/.headless && $(PIP) --force-reinstall --no-deps opencv-python-headless; }; fi

.PHONY: help demo test test-fast test-avx2 lint resolve bench setup setup-test setup-capture clean

help:  ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

demo: setup  ## watch the avatar speak through the live ROS 2 graph; writes demo.mp4
	$(WINDOW)
	$(BIN)/lsp demo $(DEMO_FLAGS)

test: setup-test lint  ## lint and the whole test suite
	$(PYTEST) $(TEST_FLAGS)

test-fast: setup-test  ## the tests that start no process and take less than two seconds each
	$(PYTEST) -m 'not ros and not slow' $(TEST_FLAGS)

# OpenVINO's kernels differ by instruction set, and what holds on one may hold by luck.
test-avx2: setup-test  ## the tests of the renderer and the compiled networks, as on a CPU without AVX-512 and VNNI
	ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) test/test_openvino_graph.py test/rendering/test_eight_bits.py \
		test/rendering/test_engines.py test/rendering/test_stage.py $(TEST_FLAGS)

lint: setup-test  ## ruff, the type checker and the spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell $$(git ls-files 2>/dev/null)

# The versions in requirements/constraints.txt must exist for each Python that pyproject.toml promises. Where no index
# can be reached this is said, and no failure: nothing was found out.
resolve: setup-test  ## look up whether every promised Python can install the versions that were tested
	$(BIN)/python tools/resolve.py

bench: setup  ## the benchmark: tables of every stage and engine (lsp bench --help for more)
	$(BIN)/lsp bench $(BENCH_FLAGS)

setup: $(VENV)/.ready  ## the environment that the avatar runs in
setup-test: $(VENV)/.ready-test  ## the same with what training and the tests need

$(VENV)/.ready: $(INPUTS) | $(BIN)/python
	$(PIP) --editable .
	$(WINDOW)
	touch $@

$(VENV)/.ready-test: $(INPUTS) | $(BIN)/python
	$(PIP) --editable '.[train,test,lint]'
	$(WINDOW)
	touch $@ $(VENV)/.ready

setup-capture: $(VENV)/.ready-test $(VENV)/capture/.ready  ## the same with the face detector of `lsp create`

# The detector's packages fit no newer Python, nor beside ours: they have an environment within the environment.
$(VENV)/capture/.ready: requirements/capture.txt | $(BIN)/python
	@test -n '$(DETECTOR_PYTHON)' || { echo 'the face detector needs Python 3.10 to 3.12' >&2; exit 1; }
	$(DETECTOR_PYTHON) -m venv --clear $(VENV)/capture
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/capture/bin/python -m pip install --no-deps $(PIP_FLAGS) -r $<
	touch $@

# An environment that no longer runs (moved, or its Python is gone) is made anew.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(VENV)/.ready $(VENV)/.ready-test)
.PHONY: environment
environment:
	@sh tools/system_packages.sh $(PYTHON)
	@python='$(PYTHON)'; test -n "$$python" || python=$$($(FIND_PYTHON)); \
	test -n "$$python" || { echo 'lsp_ros needs Python 3.10 to 3.13, and this system has another' >&2; exit 1; }; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $$python -m venv --clear $(VENV)
$(BIN)/python: | environment

clean:  ## remove what was built, the environment too
	rm -rf build install log dist *.egg-info $(VENV)
