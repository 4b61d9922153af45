"""The backlog: work that has no run yet is counted, wherever it waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.work.processor import backlog
from core.work.processor.backlog import Waiting
from pcloud.errors import Unavailable
from tests.integration.processor.small_core import OWNER, Call, Core
from tests.waiting import PATIENCE, until

STORE = {
    "name": "store", "version": "1.0.0", "provides": ["object-storage"],
    "actions": [{"name": "waiting", "internal": True}],
}  # fmt: skip
WRITER = {"name": "writer", "version": "1.0.0", "actions": [{"name": "keep", "args": {"number": "Int"}}]}


@pytest.fixture(autouse=True)
def asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And with the tests' patience: a busy machine's answer is late, not unknown."""
    monkeypatch.setattr(backlog, "EVERY", 0.0)
    monkeypatch.setattr(backlog, "PATIENCE", PATIENCE)


async def waiting(core: Core) -> Waiting:
    return await core.processor.backlog.waiting()


async def test_objects_in_the_storage_and_calls_in_the_queue_wait(core: Core) -> None:
    async def count(call: Call) -> Any:
        buckets = [("images", "app:importer", 1243), ("raw", "app:importer", 7), ("mine", "person:owner", 2)]
        return {"buckets": [{"bucket": name, "owner": owner, "objects": n} for name, owner, n in buckets]}

    await core.install(STORE)
    await core.start_app("store", waiting=count)
    await core.install(WRITER)
    await until(lambda: queue_of(core, "writer"), what="its queue")
    await core.processor.suspend("writer")
    for number in range(5):
        await core.calls.send(OWNER, "writer/keep", {"number": number}, key=str(number))
    await until(lambda: calls_wait(core, 5), what="the stored calls")
    found = await waiting(core)
    assert found.told() == {"calls": 5, "objects": 1252}
    assert found.told("importer") == {"calls": 0, "objects": 1250}
    assert found.told("writer") == {"calls": 5, "objects": 0}


async def queue_of(core: Core, app: str) -> bool:
    return app in (await waiting(core)).calls


async def calls_wait(core: Core, count: int) -> bool:
    return (await waiting(core)).calls.get("writer") == count


async def test_what_can_not_be_counted_is_unknown_not_zero(core: Core) -> None:
    assert (await waiting(core)).told() == {"calls": 0, "objects": 0}  # there is no storage
    await core.install(STORE)
    assert (await waiting(core)).told() == {"calls": 0, "objects": None}  # it does not run

    async def refuse(call: Call) -> Any:
        raise Unavailable("starting")

    app = await core.start_app("store", waiting=refuse)
    assert (await waiting(core)).told() == {"calls": 0, "objects": None}

    async def nonsense(call: Call) -> Any:
        return {"buckets": 7}

    await app.die()
    core.apps.clear()
    await core.start_app("store", waiting=nonsense)
    assert (await waiting(core)).told() == {"calls": 0, "objects": None}


async def test_many_askers_are_one_question_which_is_not_audited(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "EVERY", 60.0)

    async def count(call: Call) -> Any:
        return {"buckets": []}

    await core.install(STORE)
    app = await core.start_app("store", waiting=count)
    before = (await core.store.js.stream_info("AUDIT")).state.messages
    await asyncio.gather(*(waiting(core) for _ in range(50)))
    assert len(app.calls) == 1
    assert (await core.store.js.stream_info("AUDIT")).state.messages == before
