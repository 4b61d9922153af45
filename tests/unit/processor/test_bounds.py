"""Which events a replay covers, and which causes a chain accepts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from core.work.processor.chain import Chains
from core.work.processor.trigger_loop import Side, TriggerLoop


class Delivery:
    def __init__(self, sequence: int, id: str, acknowledged: list[int]) -> None:
        self.event = SimpleNamespace(sequence=sequence, ref=SimpleNamespace(id=id))
        self._acknowledged = acknowledged

    async def ack(self) -> None:
        self._acknowledged.append(self.event.sequence)


@pytest.mark.parametrize(
    ("until", "only", "taken", "passed"), [(7, "", [5, 6, 7], []), (7, "b", [6], [5, 7]), (4, "", [], [])]
)
async def test_replay_covers_only_its_range_and_its_entity(
    until: int, only: str, taken: list[int], passed: list[int]
) -> None:
    """Later events belong to the live consumer, and would run twice."""
    held: list[int] = []
    acknowledged: list[int] = []

    async def pull(batch: int) -> AsyncIterator[Delivery]:
        for sequence, id in ((5, "a"), (6, "b"), (7, "a"), (8, "b"), (9, "b")):
            yield Delivery(sequence, id, acknowledged)

    async def take(sequence: int, *_: Any) -> None:
        held.append(sequence)

    executor = SimpleNamespace(settings=SimpleNamespace(held=8, ack_wait=30.0))
    compiled = SimpleNamespace(app="notes", concurrency=4, matches=lambda event, seen: True)
    side = Side(SimpleNamespace(pull=pull), None, until=until, only=only)  # type: ignore[arg-type]
    loop = TriggerLoop(
        SimpleNamespace(executor=executor, sight=SimpleNamespace(demand=lambda compiled: None)), compiled, side
    )  # type: ignore[arg-type]
    loop._held = SimpleNamespace(take=take)  # type: ignore[assignment]
    await loop._pull_until(until)
    assert (held, acknowledged) == (taken, passed)


@pytest.mark.parametrize(("tx", "ends"), [("tx1", "device"), ("tx2", "unknown")])
async def test_another_event_at_a_lost_events_sequence_is_not_a_cause(tx: str, ends: str) -> None:
    """A restored log may hold another event at that sequence."""
    event = SimpleNamespace(
        sequence=7,
        tx=tx,
        ref="notes/Note/n",
        actor="device:d1",
        through="",
        time=1.0,
        cause="",
        kind=SimpleNamespace(value="created"),
    )

    async def read(first: int, last: int) -> AsyncIterator[Any]:
        yield event

    run = SimpleNamespace(
        kind="trigger",
        id="r",
        app="notes",
        action="look",
        actor="app:notes",
        through="",
        created=2.0,
        state="DONE",
        sequence=7,
        cause="tx1",
    )
    chains = Chains(SimpleNamespace(read=read), SimpleNamespace(records=SimpleNamespace(devices={})), None, None)  # type: ignore[arg-type]
    assert (await chains.chain(run))[-1]["kind"] == ends  # type: ignore[arg-type]
