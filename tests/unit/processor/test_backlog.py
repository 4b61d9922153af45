"""The backlog asks once for many askers, also while the object store does not answer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from core.work.processor.backlog import PATIENCE, Backlog
from pcloud.errors import Unavailable
from tests.clock import Clock


async def test_many_askers_are_one_question_if_no_answer_comes() -> None:
    clock, asked = Clock(), 0

    async def count_calls(stream: str, *, patience: float) -> list[Any]:
        return []

    async def no_answer(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        clock.now += PATIENCE
        raise Unavailable("the app does not answer")

    store: Any = SimpleNamespace(report_consumers=count_calls)
    calls: Any = SimpleNamespace(
        authorization=SimpleNamespace(resolve=lambda *_: "store"), invoker=SimpleNamespace(invoke=no_answer)
    )
    backlog = Backlog(store, calls, clock)
    found = await asyncio.gather(*(backlog.waiting() for _ in range(20)))
    assert asked == 1 and {one.unknown for one in found} == {("objects",)}
