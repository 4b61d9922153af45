"""Apps whose runs cause each other without end."""

from __future__ import annotations

import asyncio
from typing import Any

from core.access.audit import Audit
from core.work.processor.runaway import Runaways
from pcloud.errors import Conflict


async def test_runaway_app_is_paused_once_and_the_owner_notified() -> None:
    records: list[Any] = []
    paused: list[tuple[str, str]] = []
    gate, second = asyncio.Event(), asyncio.Event()

    async def write(record: Any) -> None:
        records.append(record)

    async def pause(app: str, reason: str) -> None:
        paused.append((app, reason))
        await gate.wait()
        if len(paused) == 2:
            second.set()
            raise Conflict("it is being removed")

    async with Audit.open(write) as audit, Runaways.open(pause, audit) as runaways:
        runaways("circle", "a loop")
        runaways("circle", "a loop")
        gate.set()
        while runaways._pausing:
            await asyncio.sleep(0)
        assert paused == [("circle", "a loop")]
        runaways("circle", "again")
        await second.wait()
    assert [(record["kind"], record["actor"], record["target"]) for record in records] == [
        ("limit", "app:circle", "depth")
    ] * 3
