"""How long a call may take, if the node stands still meanwhile."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

import core.work.call.dispatch
from core.work.call.dispatch import Dispatcher, DispatchSettings
from core.work.call.target import ActionName
from pcloud.errors import Unavailable


class Bus:
    """A bus on which no handler ever answers. `published`: set at the first call."""

    is_connected, max_payload = True, 1024

    def __init__(self) -> None:
        self.published = asyncio.Event()

    async def subscribe(self, *_: Any, **__: Any) -> Any:
        async def unsubscribe(**_: Any) -> None:
            pass

        return SimpleNamespace(unsubscribe=unsubscribe)

    async def publish(self, *_: Any, **__: Any) -> None:
        self.published.set()


@pytest.mark.parametrize("limit", ["silence", "deadline"])
async def test_time_of_a_standstill_counts_for_no_call(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    later = 0.0
    monkeypatch.setattr(core.work.call.dispatch, "time", clock := SimpleNamespace(time=time.time))
    clock.monotonic = lambda: time.monotonic() + later
    bus: Any = Bus()
    dispatcher = Dispatcher(bus, DispatchSettings(silence=20.0 if limit == "silence" else 3600.0))

    def called(seconds: float) -> asyncio.Task[Any]:
        return asyncio.create_task(dispatcher.request(ActionName("app", "act"), b"", {}, seconds=seconds))

    call = called(20.0 if limit == "deadline" else 3600.0)
    await bus.published.wait()
    with dispatcher.stopped():
        later += 60
    with pytest.raises(Unavailable):
        await called(0.0)  # the calls were looked at
    assert not call.done()
    later += 20
    with pytest.raises(Unavailable, match="within its limit" if limit == "deadline" else "no sign of life"):
        await call
