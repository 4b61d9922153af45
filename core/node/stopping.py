"""A stop before the node is up: while it waits for the clock or a silent server, or installs an app's packages."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["ends_at_sigterm"]

log = logging.getLogger("pcloud.node")


@contextmanager
def ends_at_sigterm() -> Generator[None]:
    """Within the block, SIGTERM cancels this task once, so that everything it has opened is closed in order, and the block ends
    without an error. A node that is up handles the signal itself from then on: see `Node.run_until_stopped`."""
    task, stopped = asyncio.current_task(), False
    assert task is not None

    def stop() -> None:
        nonlocal stopped
        if not stopped:  # a second signal must not cancel the closing
            stopped = True
            log.info("stopping before the start is complete")
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not stopped:
            raise
        task.uncancel()
