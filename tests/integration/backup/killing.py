"""Kills a command of `pcloud` at a chosen point."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.integration.backup.conftest import PASSPHRASE, VARIABLE
from tests.node_process import PCLOUD, ROOT
from tests.waiting import wait_until

__all__ = ["kill_at", "restic_that_waits"]


def restic_that_waits(folder: Path, command: str, after: bool) -> tuple[str, Path]:
    """A folder whose restic stops before or `after` this command, and the file that it makes then."""
    folder.mkdir()
    here, real = folder / "here", shutil.which("restic")
    wait = f"touch {here}; exec sleep 600"
    done = f'{real} "$@" || exit $?; {wait}' if after else wait
    (folder / "restic").write_text(f'#!/bin/sh\nif [ "$1" = {command} ]; then {done}; fi\nexec {real} "$@"\n')
    (folder / "restic").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}", here


def kill_at(arguments: list[object], data: Path, path: str, reached: Callable[[], object]) -> None:
    """Start `pcloud`, and kill it with SIGKILL once that point is reached; what it started must end with it."""
    environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(data), VARIABLE: PASSPHRASE, "PATH": path}
    process = subprocess.Popen(
        [str(PCLOUD), *map(str, arguments)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: reached() or process.poll() is not None, what=f"{arguments[0]} to be at that point")
        assert process.poll() is None, f"it ended with {process.returncode} before"
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(
        lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children),
        what="its children to end",
    )
