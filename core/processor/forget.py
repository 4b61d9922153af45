"""What an app, or a forgotten entity, leaves behind among the durable calls and runs, taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from core.processor.failed import DISMISSED_TTL
from pcloud.errors import Unavailable
from pcloud.subject import Ref
from projections.runs.log import FORGOTTEN
from projections.runs.view import RunsView

__all__ = ["forget_entities", "forget_runs", "purge_work"]


async def purge_work(store: Any, app: str) -> None:
    """Drop the durable calls that wait for the app, with its place among them; raises `Unavailable`. Again, it does
    nothing."""
    try:
        await asyncio.shield(store.js.purge_stream("WORK", subject=f"work.{app}.>"))
        with suppress(NotFoundError):
            await asyncio.shield(store.js.delete_consumer("WORK", f"work_{app}"))
    except NatsError as error:
        raise Unavailable(f"the durable calls of {app} can't be dropped: {error!r}") from error


async def forget_runs(store: Any, runs: RunsView, app: str, triggers: Sequence[str]) -> None:
    """Take every record of runs of the app's actions away, and of other apps' that its triggers called; the views hear
    of it by a mark in RUNS. Raises `Unavailable`."""
    try:
        await asyncio.shield(store.js.purge_stream("RUNS", subject=f"run.{app}.>"))
    except NatsError as error:
        raise Unavailable(f"the record of the runs of {app} can't be purged: {error!r}") from error
    action, id = FORGOTTEN
    await store.runs.put(app, action, id, b"", DISMISSED_TTL)
    for trigger in triggers:
        after: str | None = None
        while True:
            page = await runs.list(trigger=trigger, first=1000, after=after)
            others = [run for run in page.runs if run.app != app]
            await asyncio.gather(*(store.runs.put(run.app, run.action, run.id, b"", DISMISSED_TTL) for run in others))
            if (after := page.after) is None:
                break


async def forget_entities(store: Any, runs: RunsView, refs: Sequence[Ref]) -> None:
    """Take every record of runs that these entities' events began away: they hold arguments. Raises `Unavailable`."""
    for run in await runs.about([str(ref) for ref in refs]):
        await store.runs.put(run.app, run.action, run.id, b"", DISMISSED_TTL)
