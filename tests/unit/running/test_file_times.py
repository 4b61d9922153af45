"""What a test run reports about a file that takes too long, and when it fails because of it."""

from __future__ import annotations

import pytest

from tests import running

pytest_plugins = ["pytester"]
QUIET = ("-o", "asyncio_default_fixture_loop_scope=function")

# The time is spent in a child of the worker, like that of a node, and in a fixture that outlives the tests.
BUSY = """
import subprocess, sys, pytest
BURN = "import time\\nwhile time.process_time() < 3: pass"

@pytest.fixture(scope="module")
def server():
    yield
    subprocess.run([sys.executable, "-c", BURN], check=True)

def test_one(server): pass
def test_two(server): pass
"""


@pytest.fixture(params=[0, 2], ids=["alone", "two workers"])
def run(request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "LIMIT", 2.0)
    pytester.makepyfile(test_busy=BUSY, test_quick="def test_one(): pass")

    def run(ci: bool) -> tuple[int, list[str]]:
        monkeypatch.setattr(running, "CI", ci)
        result = pytester.runpytest_inprocess("-p", "tests.running", "-n", str(request.param), *QUIET)
        result.assert_outcomes(passed=3)
        return int(result.ret), [line for line in result.outlines if "processor" in line]

    return run


def test_a_file_above_the_limit_fails_the_run_under_ci(run) -> None:
    code, said = run(ci=True)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert said[0].endswith("test_busy.py"), said
    assert "test_busy.py" in said[-1] and "test_quick" not in said[-1]


def test_a_file_above_the_limit_is_only_reported_elsewhere(run) -> None:
    code, said = run(ci=False)
    assert code == pytest.ExitCode.OK and "test_busy.py" in said[-1]


def test_files_within_the_limit_are_not_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LIMIT", 600)
    assert run(ci=True) == (pytest.ExitCode.OK, [])


def test_waiting_is_no_processor_time() -> None:
    spent = {"waits.py": running.Spent(wall=900, processor=3), "works.py": running.Spent(wall=70, processor=61)}
    assert running.too_long(spent) == ["works.py"]
