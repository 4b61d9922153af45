# PCloud's tasks. Everything happens in .venv and .setup beside this file; nothing is installed elsewhere but Debian packages for the tests.

set positional-arguments

python := justfile_directory() / ".venv/bin/python"
export PATH := justfile_directory() / ".venv/bin" + ":" + justfile_directory() / ".setup/bin" + ":" + env("PATH")

# List the tasks
default:
    @just --list --unsorted

# Everything that running PCloud from this folder needs
setup:
    @test -x {{python}} || python3 -m venv .venv
    @test -x .venv/bin/uv || {{python}} -m pip install --quiet uv
    @uv pip sync --quiet --python {{python}} --require-hashes requirements.lock
    @uv pip install --quiet --python {{python}} --no-deps --no-build-isolation --editable .
    @{{python}} infra/fetch_files.py
    @{{python}} infra/build_web.py

# The main job on a throw-away folder: photographs in, faces, search and a gallery out
demo *ARGS: setup
    @pcloud demo "$@"

# Run the tests, a file to a worker; arguments go to pytest, such as `just test -k gallery`, or `just test -n 0 --pdb`
test *ARGS: setup
    @{{python}} infra/set_up_tests.py
    @{{python}} -m pytest -n logical "$@"

# Run the tests with those that take longer than a minute, for an hour or so
test-all *ARGS: setup
    @{{python}} infra/set_up_tests.py
    @{{python}} -m pytest -n logical -m "" "$@"

# Lint, types, import rules, documentation
check: setup
    ruff check .
    ruff format --check .
    pyright
    lint-imports
    {{python}} infra/check_words.py
    NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# Measure speed and memory; `--json` for one JSON object
bench *ARGS: setup
    @{{python}} -m bench "$@"

# Run a node under load for `--minutes 20` while its parts are stopped, starved and killed; `--json` for one line; as root
soak *ARGS: setup
    @{{python}} -m tests.soak "$@"

# Pin all dependencies again, the apps' too
lock:
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --group dev pyproject.toml apps/*/pyproject.toml --no-emit-package pcloud-sdk -o requirements.lock
    for app in apps/*/pyproject.toml bench/apps/*/pyproject.toml; do (cd $(dirname $app) && uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-package pcloud-sdk --no-emit-package nkeys pyproject.toml -o requirements.lock); done
    pcloud app lock core/cli/templates/app
