"""A weed that stores nothing: what is said, and when it is started again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from object_store import health as health_module
from object_store.health import Health

from pcloud.errors import Unavailable

from .conftest import PATIENCE


class Stuck:
    """Stands for weed: `full` is what the room says; it stores again once it was started again."""

    def __init__(self) -> None:
        self.ready, self.only_reads, self.starts = asyncio.Event(), False, 0
        self.on_ready: Any = None
        self.full, self.probes, self.probed = "", 0, asyncio.Event()
        self.ready.set()

    async def stores(self) -> None:
        self.probes += 1
        self.probed.set()
        if not self.starts:
            raise Unavailable("no space left on device")

    async def answers(self) -> bool:
        return True

    def start_again(self) -> None:
        self.starts += 1

    @property
    def problem(self) -> str:
        return self.full


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(health_module, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(health_module, "_STUCK_SECONDS", (0.05, 0.1))


@pytest.mark.parametrize("full", ["", "the disk is full"])
async def test_weed_that_stores_nothing_is_started_again_once_there_is_room(full: str) -> None:
    weed, told = Stuck(), asyncio.Queue[tuple[str, bool]]()
    weed.full = full
    health = Health(weed, weed, weed)  # type: ignore[arg-type]
    health.tell = lambda reason, serves: told.put_nowait((reason, serves))
    health.suspect()
    loop = asyncio.create_task(health.run())
    try:
        async with asyncio.timeout(PATIENCE):
            assert (await told.get())[1]
            while weed.probes < 20 and full:
                weed.probed.clear()
                await weed.probed.wait()
            assert not (full and weed.starts)
            weed.full = ""
            while weed.starts != 1 or weed.only_reads:
                await asyncio.sleep(0.01)
            while (await told.get()) != ("", True):
                pass
    finally:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
    assert weed.starts == 1
