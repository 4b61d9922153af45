"""A long stretch of the log is read by a separate process; if that fails, nothing is missing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from bench.rebuild_log import write_log
from eventstore import ConnectionSettings, ServerSettings, open_server, open_store, store
from pcloud.event import StoredEvent

COUNT = 5_000


@pytest.mark.parametrize("what", ["works", "is killed", "does not start"])
async def test_a_long_stretch_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    async with (
        open_server(ServerSettings(tmp_path / "nats")) as server,
        open_store(ConnectionSettings(server.url, server.core)) as opened,
    ):
        last = await write_log(opened, COUNT)
        expected = [event async for event in opened.read(1, last)]
        monkeypatch.setattr(store, "WORTH_IT", 100)
        if what == "does not start":
            monkeypatch.setattr("sys.executable", "/bin/false")
        found: list[StoredEvent] = []
        helpers = 0
        async for events in opened.read_batches(1, last):
            found += events
            for child in psutil.Process().children():
                if "eventstore.reading_process" in child.cmdline():
                    helpers += 1
                    if what == "is killed":
                        os.kill(child.pid, signal.SIGKILL)
        assert found == expected
        assert bool(helpers) == (what != "does not start")
        left = [child.pid for child in psutil.Process().children() if "eventstore.reading_process" in child.cmdline()]
        assert left == []
