"""Replays: paused, resumed, cancelled, replaced; and what the owner sees of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.access.caller import Caller
from eventstore import EmbeddedServer
from pcloud.errors import Conflict, NotFound
from tests.integration.processor.small_core import SHELF, Call, Core, Installed, start_core
from tests.integration.processor.test_triggers import READS, SHELF_APP, ok, reader
from tests.waiting import until

KEY = "reader/new-books"


class Gate:
    """A handler that lets a set number of replayed events pass."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(0)
        self.passed: list[str] = []

    async def __call__(self, call: Call) -> Any:
        if "Pcloud-Replay" in call.headers:
            await self.places.acquire()
            self.passed.append(call.args["book"])

    def let(self, count: int) -> None:
        for _ in range(count):
            self.places.release()


async def half_done(core: Core, books: int = 10, **trigger: Any) -> Gate:
    """A first history of which half is done; one event at a time."""
    gate = Gate()
    await core.install(SHELF_APP, SHELF)
    for number in range(books):
        await core.add(f"old{number}", title="Emma")
    await core.install(reader(concurrency=1, **trigger), granted=READS)
    await core.start_app("reader", read=gate)
    gate.let(books // 2)
    await core.run_of("DONE", books // 2)
    return gate


async def shown(core: Core) -> dict[str, Any]:
    (trigger,) = await core.processor.triggers("reader")
    return trigger


async def test_the_owner_sees_how_far_a_replay_is(core: Core) -> None:
    gate = await half_done(core)
    await core.add("new", title="Emma")
    await core.run_of("DONE", 6)

    async def half() -> Any:
        trigger = await shown(core)
        return trigger["remaining"] == 5 and trigger

    trigger = await until(half)
    assert (trigger["state"], trigger["paused"], trigger["generation"], trigger["only"]) == ("RUNNING", False, 0, None)
    assert (trigger["events"], trigger["done"], trigger["failed"]) == (10, 5, 0)
    assert trigger["since"] <= trigger["position"] < trigger["until"]
    gate.let(5)

    async def over() -> Any:
        trigger = await shown(core)
        return trigger["state"] == "DONE" and trigger["done"] == 10 and trigger

    trigger = await until(over)
    assert (trigger["remaining"], trigger["position"]) == (0, trigger["until"])


async def test_a_halted_replay_does_nothing_until_it_is_resumed_also_over_a_restart(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    seeds: dict[str, bytes] = {}
    async with start_core(server, tmp_path, seeds) as core:
        await half_done(core)
        assert (await core.processor.pause_replay(KEY))["state"] == "PAUSED"
        assert (await core.processor.pause_replay(KEY))["paused"]
        await core.add("new", title="Emma")
        await core.run_of("DONE", 6)
    async with start_core(server, tmp_path, seeds) as core:
        app = await core.start_app("reader", read=ok)
        for name, found in core.directory.records.apps.items():
            await core.processor.attach(Installed(name, found.manifest))
        await core.add("newer", title="Emma")
        await until(lambda: any(call.args["book"] == "newer" for call in app.calls))
        assert not any("Pcloud-Replay" in call.headers for call in app.calls)
        assert (await shown(core))["state"] == "PAUSED"
        assert (await core.processor.resume_replay(KEY))["state"] == "RUNNING"
        await core.run_of("DONE", 12)
        assert {call.args["book"] for call in app.calls} >= {f"old{number}" for number in range(5, 10)}


async def test_a_replay_that_was_given_up_stays_so_and_another_one_can_begin(core: Core) -> None:
    gate = await half_done(core)
    assert (await core.processor.cancel_replay(KEY))["state"] == "CANCELLED"
    for command in (
        core.processor.cancel_replay,
        core.processor.pause_replay,
        core.processor.resume_replay,
    ):
        with pytest.raises(Conflict, match="no replay under way"):
            await command(KEY)
    await core.add("new", title="Emma")
    await core.run_of("DONE", 6)
    assert len(gate.passed) == 5
    await core.processor.replay(KEY)
    gate.let(20)
    await core.run_of("DONE", 11)


async def test_a_replay_is_only_replaced_by_one_that_covers_it(core: Core) -> None:
    gate = await half_done(core)
    (first, *_) = [run.sequence for run in reversed(await core.run_of("DONE", 5))]
    for wanted in ({"start": str(first + 1)}, {"id": "old9"}):
        with pytest.raises(Conflict, match="has a replay under way"):
            await core.processor.replay(KEY, **wanted)
    answer = await core.processor.replay(KEY)
    assert (answer["events"], answer["generation"]) == (10, 1)
    gate.let(20)

    async def again() -> Any:
        return [run.generation for run in await core.run_of("DONE", 10)] == [1] * 10

    await until(again)


async def test_a_replay_of_nothing_is_over_at_once(core: Core) -> None:
    await core.install(SHELF_APP, SHELF)
    await core.install(reader(), granted=READS)
    await core.start_app("reader", read=ok)
    assert (await core.processor.replay(KEY))["events"] == 0

    async def over() -> Any:
        trigger = await shown(core)
        return trigger["state"] == "DONE" and trigger

    assert (await until(over))["events"] == 0
    with pytest.raises(NotFound):
        await core.processor.pause_replay("reader/other")


async def test_a_durable_call_made_in_a_replay_says_so(core: Core) -> None:
    async def forward(call: Call) -> Any:
        token = call.headers["Pcloud-Run"]
        context = core.calls.run(token, "reader")
        caller = Caller("app", "reader", run=context)
        await core.calls.send(caller, "reader/keep", {"book": call.args["book"]}, run_token=token)

    await core.install(SHELF_APP, SHELF)
    await core.add("old", title="Emma")
    manifest = reader()
    manifest["actions"].append({"name": "keep", "args": {"book": "ID"}})
    await core.install(manifest, granted=READS)
    app = await core.start_app("reader", read=forward, keep=ok)
    await core.run_of("DONE", 2)
    assert [call.headers.get("Pcloud-Replay") for call in app.calls] == ["true", "true"]
