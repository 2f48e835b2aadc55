# Every target does its own set-up: environment, pinned packages, extension. `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Without compiling: of the largest packages little is ever imported, and Python compiles that then.
PIP    := $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile -c constraints.txt
WORKERS ?= $(shell nproc)
STAMPS := $(VENV)/.stamps

NATIVE_SOURCES := $(wildcard CMakeLists.txt cmake/* csrc/*/* csrc/*/*/* tests/native/emulator/*)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help environment build test pytest test-sanitize lint lint-types lint-documentation format demo benchmark-ci \
  bench bench-kernels docs check-cuda check-sass test-gpu clean FORCE

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What the compiler needs comes first: it works while the large packages are fetched and unpacked.
$(STAMPS)/tools: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@$(PIP) cmake ninja pybind11 scikit_build_core setuptools
	@touch $@

# torch first and exactly: whatever else is installed must accept it.
$(STAMPS)/environment: $(STAMPS)/tools
	@echo "installing the pinned packages into $(VENV)"
	@$(PIP) "$$(grep '^torch==' constraints.txt)"
	@$(PIP) -r constraints.txt
	@touch $@

# An editable installation finds the modules that were there when it was made: a new name makes another.
$(STAMPS)/modules: $(STAMPS)/tools FORCE
	@find fusion_kernels python -name '*.py' | sort >$@.new
	@cmp -s $@.new $@ || cp $@.new $@
FORCE:

# Editable and without build isolation: ninja rebuilds only what changed.
$(STAMPS)/extension: $(STAMPS)/tools $(STAMPS)/modules $(NATIVE_SOURCES)
	@echo "building the extension"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) --no-deps --no-build-isolation -C cmake.define.FK_WERROR=ON \
	  -C cmake.define.FK_CUDA=EMULATED -e .
	@touch $@

environment: $(STAMPS)/environment  ## create .venv with the pinned packages
build:  ## build the extension into .venv
	@$(MAKE) --silent --no-print-directory --jobs=2 $(STAMPS)/environment $(STAMPS)/extension

test: lint pytest  ## lint, then run every test

# Most tests run side by side. Those marked `alone` follow by themselves, whether or not the others passed.
pytest: build  ## run the tests alone; WORKERS=1 makes them follow one another
	@failed=0; \
	$(BIN)/python -m pytest -m 'not suite and not alone' --numprocesses $(WORKERS) --dist worksteal || failed=1; \
	$(BIN)/python -m pytest -m 'not suite and alone' $$(grep -rlw alone tests --include='test_*.py') || failed=1; \
	exit $$failed

# The engine is compiled again, without Python, once for each of the sanitizers that exclude one another.
test-sanitize: environment  ## native tests under ASan, UBSan and TSan, then a minute of fuzzed headers
	@$(PIP) 'atheris==3.0.0 ; python_version >= "3.11"' 'atheris==2.3.0 ; python_version < "3.11"'
	@mkdir -p build
	@for sanitizer in asan tsan; do \
	  built=build/sanitize-$$sanitizer && echo "building and running the native tests: $$sanitizer" && \
	  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cmake -S . -B $$built -G Ninja -DFK_NATIVE_TESTS=ON -DFK_CUDA=OFF -DFK_WERROR=ON \
	    -DFK_SANITIZER=$$sanitizer >$$built.log && $(BIN)/cmake --build $$built >>$$built.log \
	    || { cat $$built.log; exit 1; }; \
	  $(BIN)/ctest --test-dir $$built --output-on-failure -j "$$(nproc)" || exit 1; \
	done
	@echo "fuzzing headers and indexes for 60 seconds"
	@$(BIN)/python -m tests.fuzz_headers build/fuzz -max_total_time=60 >build/fuzz.log 2>&1 \
	  && tail -1 build/fuzz.log || { tail -40 build/fuzz.log; exit 1; }

# The slow two side by side, what each prints in one piece.
lint: build  ## ruff, mypy --strict, clang-format, documentation with warnings as errors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@git ls-files -z 'csrc/*.hpp' 'csrc/*.cpp' 'csrc/*.cuh' 'csrc/*.cu' 'csrc/*.h' 'tests/native/*' \
	  | xargs -0 -r $(BIN)/clang-format --dry-run --Werror
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint-types lint-documentation

lint-types: $(STAMPS)/environment $(STAMPS)/extension
	@$(BIN)/mypy fusion_kernels python/fusion_stack

lint-documentation: $(STAMPS)/environment $(STAMPS)/extension
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site

format: environment  ## format Python and C++ in place
	@$(BIN)/ruff check --fix --quiet . && $(BIN)/ruff format --quiet .
	@git ls-files -z 'csrc/*.hpp' 'csrc/*.cpp' 'csrc/*.cuh' 'csrc/*.cu' 'csrc/*.h' 'tests/native/*' | xargs -0 -r $(BIN)/clang-format -i

demo: build  ## fine-tune a real model on four real tasks, merge, evaluate, print the table
	@$(BIN)/fusion-stack-suite run --profile ci --output build/demo

benchmark-ci: build  ## the same as a test: the gaps between methods that must be there are there
	@$(BIN)/python -m pytest -m suite tests/stack

bench-kernels: build  ## measure kernels against a copy and torch: table, JSON, picture; KERNELS="--help" has options
	@$(BIN)/python benchmarks/bench_kernels.py $(KERNELS)

bench: bench-kernels  ## and whole merges against mergekit (if installed) and the disk's floor; BENCH="--help"
	@$(BIN)/python benchmarks/bench_merge.py $(BENCH)
	@$(BIN)/python benchmarks/bench_limits.py
	@$(BIN)/python benchmarks/report.py

docs: build  ## build the documentation into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir build/site
	@echo "build/site/index.html"

# With that machine's own Python and packages, and no network. STAGES="build suite", OUT=DIR and REHEARSE=1 are heeded.
test-gpu:  ## build for this machine's GPU, test, sanitize, measure; a report for each stage in build/gpu-report
	@$(PYTHON) -m tests.gpu $(STAGES) $(if $(REHEARSE),--backend EMULATED)

check-cuda: environment  ## compile the GPU kernels for sm_90, when nvcc is there
	@if command -v nvcc >/dev/null; then \
	  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cmake -S . -B build/check-cuda -G Ninja -DFK_CUDA=ON -DFK_NATIVE_TESTS=ON \
	    >/dev/null && $(BIN)/cmake --build build/check-cuda --target fk_device; \
	else \
	  echo "check-cuda did nothing: nvcc is not on PATH"; \
	fi

check-sass: check-cuda  ## read the machine code of the GPU kernels: wide loads, no spills, no contraction
	@if command -v nvcc >/dev/null; then \
	  $(PIP) nvidia-cuda-cuobjdump==13.5.37 nvidia-cuda-nvdisasm==13.5.37 && $(BIN)/python benchmarks/check_sass.py; \
	fi

clean:  ## remove what was built; .venv stays
	@rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache $(STAMPS)/extension
