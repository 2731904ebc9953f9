# One verb, one thing. All of them need only Python 3.11 or newer and the package index: what is
# missing is installed into .venv, and installed again only when pyproject.toml has changed.

PYTHON ?= python3
PYTHON_IN_VENV := .venv/bin/python
PIP_INSTALL := $(PYTHON_IN_VENV) -m pip install --quiet --disable-pip-version-check --editable

.PHONY: help demo demo-ui test test-newest test-oldest test-python test-ml test-remote check coverage bench bench-peers bench-remote torture torture-remote docs docs-check build \
	test-wheel release-check clean

help:
	@echo "make demo      run examples/drive/app.py: a flow and two works that share a drive"
	@echo "make demo-ui   run examples/ui/app.py with its page in the browser; Ctrl-C ends it"
	@echo "make test      run the tests"
	@echo "make test-newest  run the tests that use other packages with the newest version of each"
	@echo "make test-oldest  the same with the lowest version that pyproject.toml allows"
	@echo "make test-python  run the tests with another Python: make test-python PYTHON=python3.14"
	@echo "make test-ml   run the tests with scikit-learn, joblib, torch, Lightning, Gradio, Streamlit and Panel (1.6 GB or more)"
	@echo "make test-remote  run the tests of apps on several machines with a real Ray cluster on this one (0.3 GB)"
	@echo "make check     look at format, style and types"
	@echo "make coverage  run the tests and print the lines that none of them reaches, works included"
	@echo "make bench     measure against the limits of this machine (RELEASE=1 also writes benchmarks/RESULTS.md)"
	@echo "make bench-peers  install the peers that make bench then measures, too (1.2 GB)"
	@echo "make bench-remote  measure works on a Ray cluster and drives on an object store, both on this machine (0.5 GB)"
	@echo "make torture   run the long kill and race tests; LIGHTNING_LITE_TORTURE_SECONDS=3600 lets one app run for an hour"
	@echo "make torture-remote  run calls for five minutes while a node of a real Ray cluster dies and comes back; the variable counts here, too"
	@echo "make docs      build the pages of docs/ into docs/_build/html"
	@echo "make docs-check  build them, and look with Chromium for what is wider than a window"
	@echo "make build     build the wheel and the source distribution, into dist"
	@echo "make test-wheel  install the wheel into an empty environment, and run the first app of the README there"
	@echo "make release-check  look whether this commit can be released: tree, version, changelog, links, wheel"
	@echo "make clean     remove all that these verbs made"

# In an empty folder, because the example writes into the one where it stands.
demo: .venv/installed
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cd "$$folder" && \
	"$(CURDIR)/$(PYTHON_IN_VENV)" "$(CURDIR)/examples/drive/app.py"

# Ctrl-C is how the app ends, so its exit code is no error. Without the second trap, it ends the shell before the first.
demo-ui: .venv/installed-ui
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && trap : INT && cd "$$folder" && \
	{ "$(CURDIR)/.venv/bin/lightning-lite" run --ui "$(CURDIR)/examples/ui/app.py" || test $$? -eq 130; }

# A disk waits for each folder that a test removes, so the folders of tests are in memory, where a system has such a place
# with 4 GB. The other verbs leave them on the disk, so that both are tested.
IN_MEMORY := if test -w /dev/shm && test "$$(df -Pk /dev/shm | awk 'NR == 2 {print $$4}')" -gt 4000000; then \
	export PYTEST_DEBUG_TEMPROOT="$${PYTEST_DEBUG_TEMPROOT:-/dev/shm}"; fi

# Twice as many as processors, because tests wait for processes and disks almost half of the time.
IN_PARALLEL := --dist worksteal --numprocesses $$(( 2 * $$(getconf _NPROCESSORS_ONLN) ))

test: .venv/installed-test browser
	@$(IN_MEMORY); $(PYTHON_IN_VENV) -m pytest --quiet -m "not torture" $(IN_PARALLEL)

# A browser is no package of Python, and only root could install it: the tests of the page are skipped without one.
.PHONY: browser
browser:
	@for name in "$$LIGHTNING_LITE_TEST_BROWSER" chromium chromium-browser google-chrome chromium-headless-shell; do \
	command -v "$$name" >/dev/null && exit; done; \
	echo "no browser, so the tests of the page are skipped; on Debian: apt-get install chromium" >&2

# Both build their environment each time, because the newest version of today is not that of last week.
test-newest:
	@$(PYTHON) -m venv --clear .venv-newest
	@.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@.venv-newest/bin/python -m pytest --quiet -m "dependencies and not torture" $(IN_PARALLEL)

test-oldest:
	@$(PYTHON) -m venv --clear .venv-oldest
	@.venv-oldest/bin/python tools/lowest_versions.py > .venv-oldest/constraints.txt
	@.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test]" \
	--constraint .venv-oldest/constraints.txt
	@.venv-oldest/bin/python -m pytest --quiet -m "dependencies and not torture" $(IN_PARALLEL)

# One environment per version, which stays: the second run installs nothing.
test-python:
	@venv=.venv-python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])') && \
	$(PYTHON) -m venv "$$venv" && \
	"$$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[test]" && \
	"$$venv/bin/python" -m pytest --quiet -m "not torture" $(IN_PARALLEL)

# 1.6 GB with a build of torch for the CPU. For Linux, PyPI has one with CUDA, some GB more; the tests use the CPU only.
# One version of torch, so that pip does not replace a build that is there by another one.
test-ml:
	@$(PYTHON) -m venv .venv-ml
	@.venv-ml/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test-ml]"
	@.venv-ml/bin/python -m pytest --quiet tests/ml

# One after the other: each cluster has processes for some hundred MB, and all of them share the processors. All listen on
# loopback only, and report nothing to the makers of Ray.
test-remote:
	@$(PYTHON) -m venv .venv-remote
	@.venv-remote/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test,ray,s3]"
	@RAY_USAGE_STATS_ENABLED=0 .venv-remote/bin/python -m pytest --quiet -m "not torture" tests/remote

# In parallel, because the tests wait for processes and disks most of the time. A test that hangs shows the stack of
# each thread after 19 minutes, and fails after 20.
torture: .venv/installed-test
	@$(PYTHON_IN_VENV) -m pytest --quiet -m torture --numprocesses auto --dist worksteal --timeout 1200 \
	-o faulthandler_timeout=1140 --durations 20

torture-remote:
	@$(PYTHON) -m venv .venv-remote
	@.venv-remote/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test,ray,s3]"
	@RAY_USAGE_STATS_ENABLED=0 .venv-remote/bin/python -m pytest --quiet -m torture --capture no -o faulthandler_timeout=0 tests/remote

# mypy also reads the modules that tests share, and they import the packages of [test].
check: .venv/installed-check .venv/installed-test
	@$(PYTHON_IN_VENV) -m ruff format --check --output-format concise .
	@$(PYTHON_IN_VENV) -m ruff check --output-format concise .
	@$(PYTHON_IN_VENV) -m mypy
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(PYTHON_IN_VENV) -m pyright
	@$(PYTHON_IN_VENV) tools/plain_english.py --limit 0.3

# Works are measured, too: coverage starts in each interpreter of its environment, by a .pth file, so it has its own.
coverage:
	@$(PYTHON) -m venv .venv-coverage
	@.venv-coverage/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[coverage]"
	@.venv-coverage/bin/python -m coverage erase
	@.venv-coverage/bin/python -m coverage run -m pytest --quiet -m "not torture" $(IN_PARALLEL); \
	tested=$$?; .venv-coverage/bin/python -m coverage combine --quiet && \
	.venv-coverage/bin/python -m coverage report --skip-covered && exit $$tested

bench: .venv/installed-bench
	@$(PYTHON_IN_VENV) -m benchmarks $(if $(RELEASE),--release) $(NAMES)

bench-peers: .venv-peers/installed

# The rows R exist only where their packages are: Ray, and moto as the store.
bench-remote:
	@$(PYTHON) -m venv .venv-remote
	@.venv-remote/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test,ray,bench]"
	@.venv-remote/bin/python -m benchmarks $(or $(NAMES),R1 R1r R2 R3)

docs: .venv/installed-docs
	@$(PYTHON_IN_VENV) -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html
	@echo "docs/_build/html/index.html"

docs-check: docs
	@$(PYTHON_IN_VENV) tools/site_overflow.py

# The wheel is built from the source distribution, so that is whole.
build: .venv/installed-release
	@rm -rf dist
	@$(PYTHON_IN_VENV) -m build --quiet --outdir dist .
	@$(PYTHON_IN_VENV) -m twine --no-color check --strict dist/*

# The tool stands in tools/, so that Python does not find the package of the checkout.
test-wheel: build
	@$(PYTHON) -m venv --clear .venv-wheel
	@.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	@.venv-wheel/bin/lightning-lite --version
	@.venv-wheel/bin/python tools/first_app.py

release-check: test-wheel
	@$(PYTHON_IN_VENV) -m build --quiet --wheel --outdir dist/from-checkout .
	@cmp dist/*.whl dist/from-checkout/*.whl
	@rm -r dist/from-checkout
	@$(PYTHON_IN_VENV) tools/release_check.py

clean:
	@rm -rf .venv .venv-* build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .coverage .coverage.*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PYTHON_IN_VENV):
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	{ echo "lightning_lite needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	{ rm -rf .venv; echo "no venv in $(PYTHON); on Debian: apt-get install python3-venv" >&2; exit 1; }

.venv/installed: pyproject.toml | $(PYTHON_IN_VENV)
	@echo "installing into .venv ..." >&2
	@$(PIP_INSTALL) .
	@touch $@

.venv-peers/installed: benchmarks/peers/requirements.txt
	@echo "installing into .venv-peers ..." >&2
	@$(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/installed-%: pyproject.toml | $(PYTHON_IN_VENV)
	@echo "installing into .venv, with [$*] ..." >&2
	@$(PIP_INSTALL) ".[$*]"
	@touch $@
