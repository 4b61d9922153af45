"""How the tests run, as a pytest plugin: a file to a worker, nothing skipped under CI, and no file above a minute.

A file's time is measured twice. Wall-clock time is what a person waits for; it doubles on a busy machine, so the run only reports it.
Processor time, of the worker and every process below it, hardly depends on what else the machine does, so under CI it is a limit.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hypothesis
import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

__all__ = ["ByFile", "FileTimes", "leave_out", "too_long"]

LIMIT = 60.0  # seconds, of either kind
JAVA = "java"
_left_out = 0.0
CI = os.environ.get("CI") == "true"
# Containers often have Python compile everything again each time it starts; a node takes twice as long then, and tests start many.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


class ByFile(LoadScopeScheduling):
    """A file's tests run in one process, in order, as they share what they set up; all of Neo4j's in the one that has the server."""

    def _split_scope(self, nodeid: str) -> str:
        return "neo4j" if "neo4j" in nodeid else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    config.option.loadscopereorder = False  # the order of `testpaths` is meant
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three on two cores, at most four: a test waits for its servers a third of the time, which another one can use."""
    cores = len(os.sched_getaffinity(0))
    return min(4, cores + cores // 2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Under CI a skipped test is a failed one: what can't run there is not tested."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


@dataclass(slots=True)
class Spent:
    """Seconds of both kinds."""

    wall: float = 0.0
    processor: float = 0.0


class FileTimes:
    """What each file took, in this process. The controller of several workers adds up theirs."""

    def __init__(self) -> None:
        self.files = defaultdict[str, Spent](Spent)
        self._began: tuple[float, float] | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[object]:
        began = self._began or (time.monotonic(), processor_seconds())
        done = yield
        if item.get_closest_marker("long"):
            self._began = None
        elif nextitem is not None and nextitem.path == item.path:
            self._began = began
        else:  # the file's own fixtures are torn down by now, and the servers of the whole run may be
            spent = self.files[item.nodeid.partition("::")[0]]
            spent.wall += time.monotonic() - began[0]
            spent.processor += max(0.0, processor_seconds() - began[1])
            self._began = None
        return done

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for file, (wall, processor) in getattr(node, "workeroutput", {}).get("file_times", {}).items():
            self.files[file].wall += wall
            self.files[file].processor += processor

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["file_times"] = {file: (spent.wall, spent.processor) for file, spent in self.files.items()}
        elif CI and session.exitstatus == pytest.ExitCode.OK and too_long(self.files):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        above = {file: spent for file, spent in self.files.items() if max(spent.wall, spent.processor) > LIMIT}
        if not above:
            return
        terminalreporter.section("files above a minute")
        for file, spent in sorted(above.items(), key=lambda one: -one[1].wall):
            terminalreporter.write_line(f"{spent.wall:6.0f} s, {spent.processor:4.0f} s of a processor  {file}")
        if files := too_long(above):
            said = f"Above {LIMIT:.0f} s of processor time: {', '.join(files)}. Split the file, or mark what is a soak `long`."
            terminalreporter.write_line(said, red=CI, yellow=not CI)


def too_long(files: dict[str, Spent]) -> list[str]:
    """The files that took more processor time than one may."""
    return sorted(file for file, spent in files.items() if spent.processor > LIMIT)


def processor_seconds() -> float:
    """Of this process and all below it, with those of their children that have ended; without Neo4j's server, which many files share
    and whose compiler takes most of what it takes."""
    me = psutil.Process()
    total = -_left_out
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.Error):  # it ended just now; its parent counts it
            if process.name() != JAVA:
                total += sum(process.cpu_times()[:4])  # user, system, and both of the children that have ended
    return total


def leave_out(pid: int) -> None:
    """Call this before a server that is not counted ends, as its parent counts it from then on."""
    global _left_out
    with suppress(psutil.Error):
        _left_out += sum(psutil.Process(pid).cpu_times()[:2])


def pytest_configure(config: pytest.Config) -> None:
    # A property's limits are numbers of examples, never times: a busy machine is not a counterexample. Without the phase `explain`,
    # which traces every line, a counterexample is found in seconds.
    slow = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large]
    phases = [phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain]
    hypothesis.settings.register_profile(
        "pcloud", deadline=None, suppress_health_check=slow, phases=phases, print_blob=True
    )
    hypothesis.settings.load_profile("pcloud")
    config.pluginmanager.register(FileTimes(), "file_times")
