"""The causes of a run, back to its beginning; all failed runs at once; init actions; what an app leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.access.caller import Caller
from core.graph.command import EntityChange
from pcloud.errors import Forbidden, PCloudError, Rejected, Unavailable
from pcloud.subject import Ref
from tests.integration.processor.small_core import OWNER, SHELF, Call, Core
from tests.integration.processor.test_triggers import READS, SHELF_APP, ok, reader
from tests.waiting import until

PHONE = Caller("device", "d1", scopes=frozenset({"manage"}))


async def add_as(core: Core, actor: str, id: str, **more: Any) -> None:
    change = EntityChange(Ref("shelf", "Book", id), "upsert", set={"title": "Emma"})
    await core.commands.write(actor, [change], **more)


async def test_the_chain_leads_from_a_run_back_to_the_phone(core: Core) -> None:
    """A phone's write starts a trigger, whose handler calls an action, which writes what starts the next trigger."""

    async def first(call: Call) -> Any:
        if call.args["book"] == "b1":
            await core.calls.call(Caller("app", "reader"), "writer/write", {}, run_token=call.headers["Pcloud-Run"])

    async def write(call: Call) -> Any:
        context = core.calls.run(call.headers["Pcloud-Run"], "writer")
        await add_as(core, "app:writer", "b2", cause=context.id, depth=context.depth)

    await core.install(SHELF_APP, SHELF)
    await core.install({"name": "writer", "version": "1.0.0", "actions": [{"name": "write"}]})
    await core.install(reader(), granted=(*READS, ("call", "writer/write")))
    await core.commands.write(
        "owner", [EntityChange(Ref("core", "Device", "d1"), "upsert", set={"name": "Pixel", "state": "active"})]
    )
    await core.start_app("writer", write=write)
    await core.start_app("reader", read=first)
    await add_as(core, "device:d1", "b1")
    runs = await core.run_of("DONE", 2)
    (last,) = [run for run in runs if run.entity.endswith("b2")]

    async def told() -> Any:
        chain = (await core.processor.described(last.id))["chain"]
        return chain if chain[-1]["kind"] != "unknown" else None  # the audit log hears of a call a moment later

    chain = await until(told)
    assert [(link["kind"], link["actor"]) for link in chain] == [
        ("run", "app:reader"), ("event", "app:writer"), ("call", "app:reader"), ("run", "app:reader"),
        ("event", "device:d1"), ("device", "device:d1"),
    ]  # fmt: skip
    assert [link["what"] for link in chain] == [
        "reader/read", "shelf/Book/b2 created", "writer/write", "reader/read", "shelf/Book/b1 created", "Pixel",
    ]  # fmt: skip
    times = [link["time"] for link in chain]
    assert all(time for time in times)


async def test_what_is_forgotten_ends_the_chain(core: Core) -> None:
    await core.install(SHELF_APP, SHELF)
    await core.install(reader(), granted=READS)
    await core.start_app("reader", read=ok)
    await add_as(core, "app:writer", "b1", cause="0" * 32, depth=1)
    (run,) = await core.run_of("DONE")
    chain = (await core.processor.described(run.id))["chain"]
    assert [link["kind"] for link in chain] == ["run", "event", "unknown"]


async def test_all_failed_runs_are_retried_or_dismissed_at_once(core: Core) -> None:
    healed = False

    async def heal(call: Call) -> Any:
        if not healed:
            raise Rejected("ill")

    await core.install(SHELF_APP, SHELF)
    await core.install(reader(), granted=READS)
    await core.start_app("reader", read=heal)
    for number in range(7):
        await core.add(f"b{number}", title="Emma")
    await core.run_of("FAILED", 7)
    assert await core.processor.retry_all(app="other") == 0
    assert await core.processor.dismiss_all(trigger="reader/other") == 0
    healed = True
    assert await core.processor.retry_all(trigger="reader/new-books") == 7
    await core.run_of("DONE", 7)
    healed = False
    await core.add("b8", title="Emma")
    await core.run_of("FAILED", 1)
    assert await core.processor.dismiss_all("reader") == 1
    await until(lambda: _none_failed(core))


async def _none_failed(core: Core) -> bool:
    return (await core.runs.counts())["FAILED"] == 0


INIT = {"name": "host", "version": "1.0.0", "actions": [{"name": "open", "args": {"door": "String!"}}]}


async def run_init(core: Core, seconds: float = 10.0, number: int = 0) -> Any:
    return await core.processor.run_init(
        "guest", number, "host/open", {"door": "front"}, installation="monday", seconds=seconds
    )


async def test_an_init_action_is_a_run_that_is_made_once(core: Core) -> None:
    failures = [Unavailable("not yet"), Unavailable("nor now")]

    async def open_(call: Call) -> Any:
        if failures:
            raise failures.pop()

    await core.install(INIT)
    await core.install({"name": "guest", "version": "1.0.0"}, granted=(("call", "host/open"),))
    asked = asyncio.create_task(run_init(core))
    await core.run_of("NEW")  # the app that answers is not there yet
    host = await core.start_app("host", open=open_)
    run = await asked
    assert (run.kind, run.state, run.actor, run.attempt) == ("init", "DONE", "app:guest", 3)
    assert (await run_init(core)).id == run.id
    assert len(host.calls) == 3
    assert (await run_init(core, number=1)).id != run.id


@pytest.mark.parametrize("error", [Rejected("never"), Unavailable("not today")])
async def test_an_init_action_that_fails_is_kept_with_its_error(core: Core, error: PCloudError) -> None:
    ill = True

    async def open_(call: Call) -> Any:
        if ill:
            raise error

    await core.install(INIT)
    await core.install({"name": "guest", "version": "1.0.0"}, granted=(("call", "host/open"),))
    await core.start_app("host", open=open_)
    with pytest.raises(type(error), match=error.message):
        await run_init(core, seconds=1.0)
    (run,) = await core.run_of("FAILED")
    assert run.error is not None and error.message in run.error.message
    ill = False
    await core.processor.retry(run.id)
    await core.run_of("DONE")


async def test_an_init_action_without_a_grant_fails_at_once(core: Core) -> None:
    await core.install(INIT)
    await core.install({"name": "guest", "version": "1.0.0"})
    with pytest.raises(Forbidden):
        await run_init(core)


async def test_an_app_with_endless_runs_is_reported(core: Core) -> None:
    told: list[tuple[str, str]] = []
    core.processor.on_runaway(lambda app, reason: told.append((app, reason)))

    async def touch(call: Call) -> Any:
        context = core.calls.run(call.headers["Pcloud-Run"], "reader")
        change = EntityChange(Ref("shelf", "Book", call.args["book"]), "update", set={"pages": context.depth})
        await core.commands.write("app:reader", [change], cause=context.id, depth=context.depth)

    await core.install(SHELF_APP, SHELF)
    await core.install(reader(on={"event": ["created", "updated"]}), granted=READS)
    await core.start_app("reader", read=touch)
    await core.add("b1", title="Emma")
    await core.run_of("FAILED")
    ((app, reason),) = told
    assert app == "reader"
    assert "looks like a loop" in reason and "`fields`" in reason


async def test_a_removed_app_leaves_no_durable_calls_and_when_forgotten_no_runs(core: Core) -> None:
    async def hang(call: Call) -> Any:
        await asyncio.Event().wait()

    await core.install(SHELF_APP, SHELF)
    manifest = reader()
    manifest["actions"].append({"name": "hang"})
    await core.install(manifest, granted=READS)
    await core.start_app("reader", read=ok, hang=hang)
    await core.add("b1", title="Emma")
    await core.run_of("DONE")
    await core.calls.send(OWNER, "reader/hang", {})
    await core.run_of("IN_PROGRESS")
    await core.processor.detach("reader")
    assert (await core.store.js.stream_info("WORK")).state.messages == 0
    assert (await core.runs.counts("reader"))["DONE"] == 1
    await core.processor.detach("reader", forget=True)

    async def gone() -> Any:
        return sum((await core.runs.counts("reader")).values()) == 0

    await until(gone)
    info = await core.store.js.stream_info("RUNS", subjects_filter="run.reader.>")
    assert set(info.state.subjects or {}) == {"run.reader.forgotten.all"}
