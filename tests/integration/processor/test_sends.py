"""Durable calls: stored before the sender is answered, made until they end, with their effects once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.access.caller import Caller
from core.graph.command import EntityChange
from core.work.processor import forget
from eventstore import EmbeddedServer
from pcloud.errors import Forbidden, PCloudError, Rejected, Unavailable
from pcloud.subject import Ref
from tests.integration.processor.small_core import OWNER, SHELF, Call, Core, start_core
from tests.waiting import until

STORE = {"name": "store", "version": "1.0.0", "actions": [{"name": "watch", "args": {"webhook": "Action!"}}]}
KEEPER = {
    "name": "keeper", "version": "1.0.0",
    "actions": [{"name": "new-object", "args": {"key": "String!", "size": "Int"}, "seconds": 5.0}],
}  # fmt: skip


async def ok(call: Call) -> Any:
    return call.args["key"]


async def test_a_durable_call_is_made_when_its_app_comes_up(core: Core) -> None:
    await core.install(KEEPER)
    id = await core.calls.send(OWNER, "keeper/new-object", {"key": "a.jpg"})
    app = await core.start_app("keeper", new_object=ok)
    (run,) = await core.run_of("DONE")
    assert (run.id, run.kind, run.actor) == (id, "send", "person:owner")
    assert app.calls[0].headers["Pcloud-Caller"] == "person:owner"


async def test_a_durable_call_that_may_not_be_is_refused_at_once(core: Core) -> None:
    await core.install(KEEPER)
    await core.install(STORE)
    with pytest.raises(Forbidden):
        await core.calls.send(Caller("app", "store"), "keeper/new-object", {"key": "a.jpg"})
    with pytest.raises(Rejected, match="key: String! is missing"):
        await core.calls.send(OWNER, "keeper/new-object", {})
    assert (await core.store.js.stream_info("WORK")).state.messages == 0


async def test_the_same_key_is_one_run_also_after_the_queue_has_forgotten_it(core: Core) -> None:
    await core.install(KEEPER)
    app = await core.start_app("keeper", new_object=ok)
    ids = [await core.calls.send(OWNER, "keeper/new-object", {"key": "a.jpg"}, key="a/1") for _ in range(3)]
    await core.run_of("DONE")
    ids.append(await core.calls.send(OWNER, "keeper/new-object", {"key": "a.jpg"}, key="a/1"))
    # What a sender would do without knowledge of the run's record: put the call into the queue again.
    from core.work.call import Job, encode_job

    job = Job(ids[0], "send", "keeper", "new-object", {"key": "a.jpg"}, "person:owner", created=2e9)
    assert await core.store.work.put("keeper", "new-object", f"{ids[0]}-again", encode_job(job), {})
    ids.append(await core.calls.send(OWNER, "keeper/new-object", {"key": "b.jpg"}, key="b/1"))
    await core.run_of("DONE", 2)

    async def queue_is_empty() -> bool:
        return (await core.store.js.stream_info("WORK")).state.messages == 0

    await until(queue_is_empty)
    assert len(set(ids)) == 2
    assert [call.args["key"] for call in app.calls] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("error", [Unavailable, Forbidden])
async def test_a_durable_call_is_tried_again_until_it_succeeds(core: Core, error: type[PCloudError]) -> None:
    async def flaky(call: Call) -> Any:
        if call.headers["Pcloud-Attempt"] != "3":
            raise error("not yet")

    await core.install(KEEPER)
    app = await core.start_app("keeper", new_object=flaky)
    await core.calls.send(OWNER, "keeper/new-object", {"key": "a.jpg"})
    (run,) = await core.run_of("DONE")
    assert run.attempt == len(app.calls) == 3


async def test_one_that_fails_for_good_never_stops_the_next_one(core: Core) -> None:
    async def some(call: Call) -> Any:
        if call.args["key"] == "broken":
            raise Rejected("this is not a picture")

    await core.install(KEEPER)
    await core.start_app("keeper", new_object=some)
    for key in ("broken", "a.jpg", "b.jpg"):
        await core.calls.send(OWNER, "keeper/new-object", {"key": key})
    await core.run_of("DONE", 2)
    (failed,) = await core.run_of("FAILED")
    assert failed.error is not None
    assert failed.error.message == "keeper/new-object: this is not a picture"


async def test_a_capability_can_be_sent_to(core: Core) -> None:
    tokens: list[str] = []

    async def watch(call: Call) -> Any:
        tokens.append(call.args["webhook"])

    await core.install(STORE)
    await core.install(KEEPER, granted=(("call", "store/watch"),))
    await core.start_app("store", watch=watch)
    app = await core.start_app("keeper", new_object=ok)
    await core.calls.call(Caller("app", "keeper"), "store/watch", {}, actions={"webhook": "keeper/new-object"})
    await core.calls.send(Caller("app", "store"), tokens[0], {"key": "a.jpg"}, key="images/a.jpg/etag")
    await core.run_of("DONE")
    assert app.calls[0].headers["Pcloud-Caller"] == "app:store"
    text = b"".join([bytes(state.body) async for states in _once(core.store.runs.follow(0)) for state in states])
    assert tokens[0].removeprefix("capability:").encode() not in text


async def _once(batches: Any) -> Any:
    """Only the first batch."""
    async for batch in batches:
        yield batch
        break
    await batches.aclose()


async def test_effects_happen_once_when_core_dies_between_effect_and_answer(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    """The handler writes, core dies before the answer, and the run is repeated: its write finds the first one."""
    seeds: dict[str, bytes] = {}
    keys: list[str] = []

    def handler(core: Core, *, hang: bool) -> Any:
        async def write(call: Call) -> Any:
            context = core.calls.run(call.headers["Pcloud-Run"], "keeper")
            keys.append(f"{context.id}.{context.generation}")
            change = EntityChange(
                Ref("shelf", "Book", f"book-of-{context.id}"), "ensure", set={"title": call.args["key"]}
            )
            await core.commands.write(
                "app:keeper", [change], key=f"{keys[-1]}.1", cause=context.id, depth=context.depth
            )
            if hang:
                await asyncio.Event().wait()

        return write

    async with start_core(server, tmp_path, seeds) as core:
        await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
        keeper = await core.install(KEEPER)
        await core.start_app("keeper", new_object=handler(core, hang=True))
        id = await core.calls.send(OWNER, "keeper/new-object", {"key": "a.jpg"}, key="a/1")
        await core.run_of("IN_PROGRESS")
        ref = Ref("shelf", "Book", f"book-of-{id}")
        first = await until(lambda: core.store.last_event(ref))
    async with start_core(server, tmp_path, seeds) as core:
        await core.start_app("keeper", new_object=handler(core, hang=False))
        await core.processor.attach(keeper)
        (run,) = await core.run_of("DONE")
        assert run.id == id
        assert await core.store.last_event(ref) == first
        assert len(keys) == 2
        assert len(set(keys)) == 1


async def test_an_app_that_hangs_holds_no_other_app_up(core: Core) -> None:
    async def hang(call: Call) -> Any:
        await asyncio.Event().wait()

    await core.install(KEEPER)
    await core.install({**KEEPER, "name": "other"})
    await core.start_app("keeper", new_object=hang)
    await core.start_app("other", new_object=ok)
    for number in range(20):
        await core.calls.send(OWNER, "keeper/new-object", {"key": f"{number}"})
    await core.calls.send(OWNER, "other/new-object", {"key": "quick"})
    (run,) = await core.run_of("DONE", app="other")
    assert run.args == {"key": "quick"}


async def test_within_a_run_the_same_send_is_the_same_durable_call(core: Core) -> None:
    sent: list[list[str]] = []

    async def forward(call: Call) -> Any:
        token, caller = call.headers["Pcloud-Run"], Caller("app", "store")
        send = core.calls.send
        sent.append([await send(caller, "store/tell", {"text": text}, run_token=token) for text in ("a", "a", "b")])
        if len(sent) == 1:
            raise Unavailable("once more")

    async def tell(call: Call) -> Any:
        return None

    actions = [{"name": "forward"}, {"name": "tell", "args": {"text": "String"}}]
    await core.install({"name": "store", "version": "1.0.0", "actions": actions})
    await core.start_app("store", forward=forward, tell=tell)
    await core.calls.send(OWNER, "store/forward", {})
    await core.run_of("DONE", 4)
    assert sent[0] == sent[1]
    assert len(set(sent[0])) == 3


async def test_calls_that_can_not_be_recorded_keep_no_app_from_being_removed(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any) -> None:
        raise Unavailable("the stream RUNS is full")

    await core.install(KEEPER)
    await core.calls.send(OWNER, "keeper/new-object", {"key": "a.jpg"})
    await core.run_of("NEW")
    monkeypatch.setattr(core.store.runs, "put", full)
    monkeypatch.setattr(forget, "PATIENCE", 0.2)
    await core.processor.detach("keeper")
    assert (await core.store.js.stream_info("WORK")).state.messages == 0
    monkeypatch.undo()
