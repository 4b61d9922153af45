"""How long a call may take, if the node stands still meanwhile."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

import core.work.call.dispatch
from core.work.call.answer import NoInstance
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


async def test_time_of_a_standstill_counts_for_no_wait_until_an_app_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    later = 0.0
    monkeypatch.setattr(core.work.call.dispatch, "time", clock := SimpleNamespace(time=time.time))
    clock.monotonic = lambda: time.monotonic() + later
    bus: Any = Bus()
    dispatcher = Dispatcher(bus, DispatchSettings(start_wait=30.0, poll_first=0.001, poll_last=0.001))
    dispatcher.not_ready("app", "it starts")
    call = asyncio.create_task(dispatcher.request(ActionName("app", "act"), b"", {}, seconds=60.0))
    await asyncio.sleep(0)  # it waits
    with dispatcher.stopped():
        later += 60
    with pytest.raises(NoInstance):  # after both calls have looked again
        await dispatcher.request(ActionName("app", "act"), b"", {}, seconds=60.0, start_wait=0.02)
    assert not call.done()
    dispatcher.not_ready("app", "")
    await bus.published.wait()
    call.cancel()
    dispatcher.not_ready("app", "it starts")
    late = asyncio.create_task(dispatcher.request(ActionName("app", "act"), b"", {}, seconds=60.0))
    await asyncio.sleep(0)
    later += 60
    with pytest.raises(NoInstance, match="not ready: it starts"):
        await late
