"""Real processes: their environment, their output, and that nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from core.apps.process.leftover_processes import end_leftovers
from core.apps.process.log import AppLog
from core.apps.process.supervisor import ProcessState, Start, Supervisor
from core.apps.settings import Supervision
from eventstore.server.ended import wait_ended
from pcloud.errors import Unavailable
from tests.waiting import until

FAST = Supervision(stop=2.0, back_off=0.01, longest_back_off=0.05, healthy=60.0, settle=0.05, start=10.0)


@pytest.fixture
async def supervise(tmp_path: Path):
    started: list[Supervisor] = []

    def start(script: str, settings: Supervision = FAST, **environment: str) -> Supervisor:
        command = (sys.executable, "-c", textwrap.dedent(script))
        log = AppLog(tmp_path / "app.log", limit=settings.log_bytes, longest=settings.log_line)
        prepare = lambda: Start(command, {"PATH": os.environ["PATH"], **environment}, tmp_path)  # noqa: E731
        supervisor = Supervisor("tiny", prepare, log, settings, lambda: None)
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in started:
        await supervisor.stop()


def said(folder: Path) -> str:
    return (folder / "app.log").read_text()


async def test_output_is_captured_with_its_time(supervise, tmp_path):
    supervisor = supervise(
        "import sys, time; print('to out', flush=True); print('to err', file=sys.stderr, flush=True); time.sleep(60)"
    )
    await supervisor.settled()
    await until(lambda: "to err" in said(tmp_path))
    line = said(tmp_path).splitlines()[0]
    assert line[10] == "T" and line.split()[0].endswith("Z") and line.endswith("to out")


async def test_only_what_was_given_is_in_the_environment(supervise, tmp_path):
    supervisor = supervise("import os, time; print(sorted(os.environ), flush=True); time.sleep(60)", PCLOUD_APP="tiny")
    await supervisor.settled()
    await until(lambda: "PCLOUD_APP" in said(tmp_path))
    assert set(eval(said(tmp_path).split(" ", 1)[1])) <= {"PATH", "PCLOUD_APP", "LC_CTYPE", "PWD"}


async def test_a_process_that_ends_is_started_again_and_a_loop_is_called_failed(supervise, tmp_path):
    supervisor = supervise("import sys; print('again', flush=True); sys.exit(3)")
    await until(lambda: supervisor.state is ProcessState.FAILED)
    assert supervisor.starts >= 5 and supervisor.reason == "it ended with exit code 3"
    more = supervisor.starts + 2
    await until(lambda: supervisor.starts >= more)
    assert said(tmp_path).count("again") >= 5


async def test_a_killed_process_is_started_again(supervise):
    supervisor = supervise("import time; time.sleep(60)")
    await supervisor.settled()
    first = supervisor.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.starts == 2 and supervisor.state is ProcessState.RUNNING)
    assert supervisor.pid != first and supervisor.failures == 1


async def test_a_process_that_never_stays_up_is_reported_with_its_last_words(supervise):
    # Long enough for Python to start and fail on a busy machine; it fails often enough long before `start`.
    quick = Supervision(back_off=0.01, longest_back_off=0.05, settle=5.0, start=60.0, stop=1.0)
    supervisor = supervise("raise SystemExit('no camera found')", quick)
    with pytest.raises(Unavailable, match=r"does not stay up.*no camera found"):
        await supervisor.settled()


async def test_a_missing_command_is_reported(supervise, tmp_path):
    log = AppLog(tmp_path / "other.log", limit=10_000, longest=1000)
    start = lambda: Start(("no-such-program",), {"PATH": "/usr/bin"}, tmp_path)  # noqa: E731
    supervisor = Supervisor("tiny", start, log, FAST, lambda: None)
    supervisor.start()
    await until(lambda: "'no-such-program' can't be started: No such file" in (tmp_path / "other.log").read_text())
    await supervisor.stop()


async def test_stopping_ends_the_whole_group_even_one_that_does_not_listen(supervise, tmp_path):
    script = """
        import os, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
        print("child", child.pid, flush=True)
        time.sleep(60)
    """
    supervisor = supervise(script, Supervision(stop=0.3, settle=0.05))
    await until(lambda: "child" in said(tmp_path))
    child, parent = int(said(tmp_path).split()[-1]), supervisor.pid
    await supervisor.stop()
    for pid in (child, parent):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert supervisor.state is ProcessState.STOPPED


async def test_stopping_lets_a_process_finish_what_it_does(supervise, tmp_path):
    script = """
        import os, signal, sys, time
        def finish(*_):
            os.write(1, b"finished\\n")  # not by print, in which the signal may have come
            sys.exit(0)
        signal.signal(signal.SIGTERM, finish)
        print("ready", flush=True)
        time.sleep(60)
    """
    supervisor = supervise(script)
    await until(lambda: "ready" in said(tmp_path))
    await supervisor.stop()
    assert "finished" in said(tmp_path)


async def test_a_flood_of_output_keeps_to_its_bound(supervise, tmp_path):
    bounds = Supervision(
        back_off=0.01, longest_back_off=0.05, settle=0.05, log_bytes=20_000, log_line=500, log_lines=9999, stop=1.0
    )
    supervise(
        "print('x' * 3000)\nfor n in range(5000): print(n, 'y' * 100)\nprint('the end', flush=True)\nimport time; time.sleep(60)",
        bounds,
    )
    await until(lambda: "the end" in said(tmp_path))
    sizes = [file.stat().st_size for file in tmp_path.glob("app.log*")]
    assert len(sizes) == 2 and max(sizes) <= 20_000


CORE = """
import asyncio, os, sys
from pathlib import Path
from core.apps.process.log import AppLog
from core.apps.process.supervisor import Start, Supervisor
from core.apps.settings import Supervision

async def main(folder):
    script = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
    environment = {"PATH": os.environ["PATH"], "PCLOUD_DATA": str(folder / "tiny" / "data")}
    start = lambda: Start((sys.executable, "-c", script), environment, folder)
    supervisor = Supervisor("tiny", start, AppLog(folder / "log", limit=9999, longest=99), Supervision(settle=0.3), lambda: None)
    supervisor.start()
    await supervisor.settled()
    print(supervisor.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_when_core_is_killed_its_apps_die_and_their_children_are_swept_up(tmp_path):
    core = subprocess.Popen([sys.executable, "-c", CORE, str(tmp_path)], stdout=subprocess.PIPE)
    app = psutil.Process(int(core.stdout.readline()))
    children = app.children()
    while not children:
        time.sleep(0.01)
        children = app.children()
    core.kill()
    core.wait()
    core.stdout.close()
    assert wait_ended([app], 20) == []
    assert [child.is_running() for child in children] == [True]
    assert end_leftovers(tmp_path) == 1
    assert wait_ended(children, 1) == []
    assert end_leftovers(tmp_path) == 0
