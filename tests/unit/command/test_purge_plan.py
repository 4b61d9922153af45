"""For any log, and any position of a reader when events were purged: its fold equals the fold without the purge."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph.command.purge_plan import PurgePlan, Tellers, plan_purge
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref
from projections.graph.model import ModelGraph
from tests.contracts.projections.shelf import BUILTIN, EPOCH, Log
from tests.unit.projections.logs import logs


class Purged:
    """A log with forgotten entities, and a reader that stops anywhere and continues later."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.gone: set[int] = set()
        self.slow: list[StoredEvent] = []

    def left(self, after: int = 0) -> list[StoredEvent]:
        return [event for event in self.log.events if event.sequence > after and event.sequence not in self.gone]

    def read(self, last: int) -> None:
        at = self.slow[-1].sequence if self.slow else 0
        self.slow += [event for event in self.left(at) if event.sequence <= last]

    async def forget(self, ref: Ref) -> None:
        while (plan := await self.plan(ref)).event is not None:
            assert plan.event.change.purged
            self.log.write((str(ref), Kind.FORGOTTEN, plan.event.change))
        mine = [event.sequence for event in self.left() if event.ref == ref]
        self.gone.update(sequence for sequence in mine if sequence < plan.below)

    async def plan(self, ref: Ref) -> PurgePlan:
        graph = await folded(self.log.events)
        events = [event for event in self.left() if event.ref == ref]
        return await plan_purge(ref, events, Tellers(graph), {ref})


async def folded(events: list[StoredEvent]) -> ModelGraph:
    graph = ModelGraph(BUILTIN)
    await graph.apply(EPOCH, events)
    return graph


@settings(max_examples=150)
@given(st.data())
def test_a_purged_log_folds_to_the_same(data: st.DataObject) -> None:
    log = data.draw(logs())

    async def run() -> None:
        purged = Purged(log)
        for _ in range(data.draw(st.integers(1, 3))):
            refs = sorted({event.ref for event in log.events if event.ref.app != "core"})
            if not refs:
                return
            await purged.forget(data.draw(st.sampled_from(refs)))
            purged.read(data.draw(st.integers(0, log.events[-1].sequence)))
            more = data.draw(logs(most=4))
            for members in transactions_of(more):
                log.write(*members)
            purged.read(data.draw(st.integers(0, log.events[-1].sequence)))
        purged.read(log.events[-1].sequence)
        whole = await (await folded(log.events)).dump()
        assert await (await folded(purged.left())).dump() == whole
        assert await (await folded(purged.slow)).dump() == whole

    asyncio.run(run())


def transactions_of(log: Log) -> list[list[tuple[str, Kind, Any]]]:
    found: dict[str, list[tuple[str, Kind, Any]]] = {}
    for event in log.events:
        found.setdefault(event.tx, []).append((str(event.ref), event.kind, event.change))
    return list(found.values())
