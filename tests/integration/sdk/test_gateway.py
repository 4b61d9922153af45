"""An app's requests to core, through a stand-in for its gateway on a real unix socket."""

from __future__ import annotations

import asyncio
import time

import pytest

from pcloud.app import App
from pcloud.context import CallContext, Seen, entered
from pcloud.errors import Conflict, Forbidden, NotFound, Unavailable
from pcloud.gateway import Gateway
from pcloud.graph import Graph


@pytest.fixture
async def graph(gateway):
    async with Gateway(f"unix://{gateway.socket}", patience=5.0) as opened:
        yield Graph(opened)


def in_a_run(**more) -> None:
    entered(CallContext(id="c", action="a", caller="owner", run="token", **more))


async def test_an_error_keeps_its_code(graph: Graph, gateway) -> None:
    gateway.answer({"data": None, "errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}]})
    with pytest.raises(Forbidden, match="no"):
        await graph.query("{ secrets }")


async def test_a_lost_connection_is_tried_again_with_the_same_key(graph: Graph, gateway) -> None:
    gateway.cut()
    gateway.answer({"data": {"ok": 1}})
    assert await graph.mutate("mutation { a }") == {"ok": 1}
    first, second = (headers["Idempotency-Key"] for _, headers, _ in gateway.asked)
    assert first == second
    gateway.answer({"data": {"ok": 2}})
    await graph.mutate("mutation { a }")
    assert gateway.asked[2][1]["Idempotency-Key"] != first


async def test_writes_of_a_run_carry_its_token_and_their_number(graph: Graph, gateway) -> None:
    in_a_run()
    gateway.cut()
    for _ in range(4):
        gateway.answer({"data": {}})
    await graph.mutate("mutation { a }")
    await graph.query("{ a }")
    await asyncio.create_task(graph.mutate("mutation { b }"))
    await graph.mutate("mutation { b }", key="mine")
    told = [(headers.get("Pcloud-Run"), headers.get("Pcloud-Ordinal"), headers.get("Idempotency-Key"))
            for _, headers, _ in gateway.asked]  # fmt: skip
    assert told == [
        ("token", "1", None),
        ("token", "1", None),
        ("token", None, None),
        ("token", "2", None),
        ("token", "3", "mine"),
    ]


async def test_each_request_carries_the_newest_revision_that_was_answered(graph: Graph, gateway) -> None:
    gateway.answer({"data": {}, "extensions": {"revision": "e.12"}})
    gateway.answer({"data": {}}, revision="e.7")  # of an older view: nothing goes back
    gateway.answer({"data": {}})
    for _ in range(3):
        await graph.query("{ a }")
    assert [headers.get("Pcloud-Revision") for _, headers, _ in gateway.asked] == [None, "e.12", "e.12"]


async def test_a_calls_revision_stays_with_the_call(graph: Graph, gateway) -> None:
    async def handler(revision: str) -> None:
        in_a_run(seen=Seen(revision))
        gateway.answer({"data": {}})
        await graph.query("{ a }")

    await asyncio.create_task(handler("e.5"))
    await asyncio.create_task(handler("e.3"))
    assert [headers["Pcloud-Revision"] for _, headers, _ in gateway.asked] == ["e.5", "e.3"]


async def test_a_core_that_is_not_there_is_unavailable_after_a_while(tmp_path) -> None:
    async with Gateway(f"unix://{tmp_path}/nothing.sock", patience=0.2) as gateway:
        with pytest.raises(Unavailable, match="is the node running"):
            await Graph(gateway).query("{ a }")


async def test_calls_and_sends_reach_their_target(app: App, gateway) -> None:
    gateway.answer({"result": {"url": "http://s3"}, "revision": "e.4"})
    gateway.answer({"id": "run1", "revision": "e.4"}, status=202)
    async with app.gateway:
        answer = await app.call("role:object-storage/get-object", bucket="images", key="a.jpg")
        run = await app.send("capability:tok", {"bucket": "images", "key": "a.jpg"}, key="images/a.jpg")
    assert (answer, run) == ({"url": "http://s3"}, "run1")
    (path, headers, body), (path2, _, body2) = gateway.asked
    assert (path, body) == ("/call/role:object-storage/get-object", {"args": {"bucket": "images", "key": "a.jpg"}})
    assert float(headers["Pcloud-Timeout"]) == 60
    assert path2 == "/send/capability:tok"
    assert body2 == {"args": {"bucket": "images", "key": "a.jpg"}, "key": "images/a.jpg"}


async def test_a_call_takes_no_longer_than_its_callers_deadline(app: App, gateway) -> None:
    async def with_deadline(deadline: float) -> None:
        in_a_run(deadline=deadline)
        gateway.answer({"result": 1})
        await app.call("photos/look")

    async with app.gateway:
        await asyncio.create_task(with_deadline(time.time() + 7))
        await asyncio.create_task(with_deadline(time.time() + 90_000))
        with pytest.raises(Unavailable, match="no time left to call photos/look: the deadline of a has passed"):
            await asyncio.create_task(with_deadline(time.time() - 1))
    limits = [float(headers["Pcloud-Timeout"]) for _, headers, _ in gateway.asked]
    assert 6 < limits[0] <= 7
    assert limits[1] == 3600


async def test_a_call_that_was_cut_off_is_not_repeated(app: App, gateway) -> None:
    gateway.cut()
    async with app.gateway:
        with pytest.raises(Unavailable, match="whether PCloud carried it out is unknown"):
            await app.call("photos/delete-all")
    assert len(gateway.asked) == 1


async def test_the_error_of_a_called_action_comes_through(app: App, gateway) -> None:
    gateway.answer({"error": {"code": "NOT_FOUND", "message": "no such bucket"}}, status=404)
    async with app.gateway:
        with pytest.raises(NotFound, match="no such bucket"):
            await app.call("role:object-storage/usage")


async def test_a_send_outside_of_runs_has_a_key_and_in_a_run_the_runs(app: App, gateway) -> None:
    async def in_run() -> None:
        in_a_run()
        gateway.answer({"id": "b"}, status=202)
        await app.send("photos/look")

    async with app.gateway:
        gateway.cut()
        gateway.answer({"id": "a"}, status=202)
        await app.send("photos/look")
        await asyncio.create_task(in_run())
    first, again, run = gateway.asked
    assert first[2]["key"] == again[2]["key"] != ""
    assert "key" not in run[2]
    assert run[1]["Pcloud-Run"] == "token"  # of which core makes the key, with the arguments


def event(number: int) -> dict:
    return {"kind": "created", "id": f"i{number}", "revision": f"e.{number}", "actor": "owner", "changed": ["mime"],
            "node": {"mime": "image/png"}}  # fmt: skip


async def test_events_go_on_behind_the_last_one_after_a_lost_connection(app: App, gateway) -> None:
    gateway.events = [event(number) for number in range(3, 13)]
    gateway.per_connection = 4
    got = list[str]()
    async with app.gateway:
        async for one in app.events("image-importer/Image", after="e.4", node="mime"):
            got.append(one.id)
            assert one.node == {"mime": "image/png"}
            if len(got) == 8:
                break
    assert got == [f"i{number}" for number in range(5, 13)]
    assert [payload["variables"]["after"] for payload in gateway.subscribed] == ["e.4", "e.8"]
    assert "node { mime }" in gateway.subscribed[0]["query"]


async def test_events_from_now_on_begin_at_todays_revision(app: App, gateway) -> None:
    gateway.events = [event(number) for number in range(3, 7)]
    gateway.answer({"data": {"__typename": "Query"}}, revision="e.5")
    async with app.gateway:
        async for one in app.events("image-importer/Image"):
            assert one.id == "i6"
            break


async def test_a_refused_subscription_is_not_tried_for_ever(app: App, gateway, monkeypatch) -> None:
    async def refuse(request):
        from aiohttp import web

        ws = web.WebSocketResponse(protocols=("graphql-transport-ws",))
        await ws.prepare(request)
        await ws.receive()
        await ws.send_json({"type": "connection_ack"})
        await ws.receive()
        error = {"message": "already gone", "extensions": {"code": "CONFLICT"}}
        await ws.send_json({"id": "1", "type": "error", "payload": [error]})
        await ws.receive()
        return ws

    monkeypatch.setattr(gateway, "stream", refuse)
    async with app.gateway:
        with pytest.raises(Conflict, match="already gone"):
            async for _ in app.events("image-importer/Image", after="old.1"):
                pass
