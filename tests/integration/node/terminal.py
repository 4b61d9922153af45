"""Runs a program in a terminal of its own, for programs that behave differently in one."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence

__all__ = ["shown_in_a_terminal"]


def shown_in_a_terminal(
    words: Sequence[str], *, until: str, environment: Mapping[str, str], seconds: float = 20
) -> str:
    """Return the program's output until `until` has come or it has ended; then end it."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        words, stdin=terminal, stdout=terminal, stderr=terminal, env=dict(environment), start_new_session=True
    )
    os.close(terminal)
    shown = ""
    deadline = time.monotonic() + seconds
    try:
        while until not in shown and time.monotonic() < deadline:
            if not select.select([controller], [], [], 0.1)[0]:
                continue
            try:
                shown += os.read(controller, 65536).decode(errors="replace")
            except OSError:  # it has ended
                break
    finally:
        process.kill()
        process.wait()
        os.close(controller)
    return shown
