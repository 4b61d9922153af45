"""How much an app may write into the graph in all."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.quota import GraphQuota, QuotaRefusals
from core.access.quota.graph_quota import EVENT
from pcloud.errors import Unavailable

MIB = 2**20


class Log:
    """What is written, and how much is allowed."""

    def __init__(self, **allowed: int) -> None:
        self.written: Counter[str] = Counter()
        self.allowed = allowed
        self.told: list[tuple[str, str, str]] = []
        refusals = QuotaRefusals(lambda *what: self.told.append(what))
        self.quota = GraphQuota(self.written.__getitem__, lambda app: self.allowed.get(app, 0), refusals)

    async def write(self, actor: str, size: int, *, removes: bool = False) -> None:
        with self.quota.writing(actor, 1, size, removes=removes):
            await asyncio.sleep(0)
            self.written[actor.removeprefix("app:")] += size + EVENT


async def test_app_beyond_its_graph_quota_is_refused_with_advice() -> None:
    log = Log(noisy=MIB, quiet=MIB)
    await log.write("app:noisy", MIB - EVENT)
    with pytest.raises(
        Unavailable, match=r"noisy has written 1.0 MiB .* its quota is 1 MiB .*pcloud app limits noisy --graph"
    ):
        await log.write("app:noisy", 1)
    assert [told[:2] for told in log.told] == [("noisy", "graph")]
    assert "pcloud app limits noisy" in log.quota.problem("noisy") and not log.quota.problem("quiet")
    for actor in ("app:quiet", "app:core", "owner", "device:1", "person:1"):
        await log.write(actor, MIB // 2)


async def test_deleting_is_allowed_beyond_the_quota() -> None:
    log = Log(noisy=MIB)
    await log.write("app:noisy", MIB - EVENT)
    await log.write("app:noisy", 0, removes=True)
    assert log.written["noisy"] > MIB


async def test_more_room_holds_at_the_next_write() -> None:
    log = Log(noisy=MIB)
    with pytest.raises(Unavailable):
        await log.write("app:noisy", 2 * MIB)
    log.allowed["noisy"] = 4 * MIB
    assert not log.quota.problem("noisy")
    await log.write("app:noisy", 2 * MIB)
    log.allowed["noisy"] = 0
    await log.write("app:noisy", 100 * MIB)


@given(st.lists(st.integers(1, MIB), max_size=30))
def test_concurrent_writes_share_the_remaining_quota(sizes: list[int]) -> None:
    async def all_at_once() -> Log:
        log = Log(noisy=4 * MIB)
        await asyncio.gather(*(log.write("app:noisy", size) for size in sizes), return_exceptions=True)
        await log.write("app:other", 1)
        return log

    assert asyncio.run(all_at_once()).written["noisy"] <= 4 * MIB
