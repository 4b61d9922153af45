"""`pcloud` in processes that are forked off one that has imported it all: what a command does is the same, in a tenth of the time.

Tests of the program itself, of how it starts and what it says to a terminal, run the installed script.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from core.cli import main

__all__ = ["FORKS", "run_command"]

ROOT = Path(__file__).parent.parent
SECONDS = 300.0
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__, "core.node.bootstrap", "core.cli.commands", "typer._adapters"])


def run_command(
    arguments: tuple[str, ...], environment: Mapping[str, str], *, seconds: float = SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run `pcloud ARGUMENTS`; the result is that of `subprocess.run`. `seconds`: the longest that it may take."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = FORKS.Process(target=_command, args=(arguments, dict(environment), out, err))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["pcloud", *arguments], seconds)
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())


def _command(arguments: tuple[str, ...], environment: dict[str, str], out: Path, err: Path) -> None:
    for number, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["pcloud", *arguments]
    main()
