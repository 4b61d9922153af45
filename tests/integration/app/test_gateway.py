"""An app's gateway: the socket identifies the caller, requests are passed on, and errors have the form that the SDK reads."""

from __future__ import annotations

import aiohttp
import pytest

from core.access.caller import OWNER
from core.apps.process.gateway import AppGateway, socket_path
from core.front.ingress.visits import Visits
from pcloud.errors import Forbidden, Rejected
from tests.integration.app.platform import Recorder

VISITS = Visits()


@pytest.fixture
async def door(tmp_path):
    recorder = Recorder(tmp_path / "journal")
    tell = lambda reason, serves: recorder.not_ready("tiny", reason + " (serves)" * serves)  # noqa: E731
    async with (
        AppGateway("tiny", tmp_path / "tiny.sock", recorder, recorder, VISITS, tell),
        aiohttp.ClientSession("http://pcloud", connector=aiohttp.UnixConnector(str(tmp_path / "tiny.sock"))) as client,
    ):
        yield client, recorder


async def test_a_call_is_handed_on_with_run_and_revision(door):
    client, recorder = door
    headers = {"Pcloud-Run": "token", "Pcloud-Revision": "e.7", "Pcloud-Timeout": "5"}
    async with client.post(
        "/call/role:object-storage/get-object", json={"args": {"key": "a"}}, headers=headers
    ) as answer:
        assert answer.status == 200
        body = await answer.json()
    assert body["revision"] == "e.1"
    assert body["result"] == {"args": {"key": "a"}, "run_token": "token", "revision": "e.7", "timeout": 5.0}
    assert recorder.noted() == ["call app:tiny role:object-storage/get-object {'key': 'a'}"]


async def test_what_is_sent_is_accepted_with_its_run(door):
    client, recorder = door
    async with client.post("/send/capability:abc", json={"args": {}, "key": "k"}) as answer:
        assert answer.status == 202 and (await answer.json())["id"] == "run1"
    assert recorder.noted() == ["send app:tiny capability:abc {} k"]


async def test_an_app_says_whether_it_is_ready(door):
    client, recorder = door
    for reason in ("no camera", "x" * 10_000, ""):
        async with client.post("/readiness", json={"reason": reason}) as answer:
            assert (answer.status, await answer.json()) == (200, {})
    async with client.post("/readiness", json={"reason": "no flash", "serves": True}) as answer:
        assert answer.status == 200
    told = ["tiny is not ready: no camera", f"tiny is not ready: {'x' * 500}", "tiny is ready"]
    assert recorder.noted() == [*told, "tiny is not ready: no flash (serves)"]
    for body in ({}, {"reason": 3}, {"reason": "a", "serves": 1}, {"reason": "a", "app": "other"}):
        async with client.post("/readiness", json=body) as answer:
            assert answer.status == 400 and (await answer.json())["error"]["code"] == "REJECTED"


async def test_graphql_is_asked_as_that_app_and_within_its_own_open_run(door):
    client, _ = door
    async with client.post("/graphql", data="{}", headers={"Pcloud-Run": "tiny-token"}) as answer:
        assert await answer.json() == {"actor": "app:tiny", "through": "", "run": "run1", "body": "{}"}
    async with client.post("/graphql", data="{}", headers={"Pcloud-Run": "other-token"}) as answer:
        assert answer.status == 403 and (await answer.json())["error"]["code"] == "FORBIDDEN"


async def test_what_is_asked_for_a_visitor_is_the_visitors_through_the_app(door):
    client, recorder = door
    with VISITS.open("tiny", b"key", OWNER) as visitor:
        headers = {"Pcloud-User": visitor}
        async with client.post("/graphql", data="{}", headers=headers) as answer:
            assert await answer.json() == {"actor": "person:owner", "through": "tiny", "run": "", "body": "{}"}
        for path in ("/call/a/b", "/send/a/b"):
            async with client.post(path, json={}, headers=headers) as answer:
                assert answer.status < 300
        async with client.post("/call/a/b", json={}, headers={**headers, "Pcloud-Run": "tiny-token"}) as answer:
            assert answer.status == 400 and "not both" in (await answer.json())["error"]["message"]
    for path in ("/graphql", "/call/a/b", "/send/a/b"):
        async with client.post(path, json={}, headers=headers) as answer:
            assert answer.status == 403
    assert [line.split()[:2] for line in recorder.noted()] == [["call", "person:owner"], ["send", "person:owner"]]


async def test_a_refusal_comes_with_code_and_message(door):
    client, recorder = door
    recorder.errors = [Forbidden("no grant")]
    async with client.post("/call/a/b", json={}) as answer:
        assert answer.status == 403 and await answer.json() == {"error": {"code": "FORBIDDEN", "message": "no grant"}}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"arguments": {}}', b'{"args": []}', b"\xff", b"[" * 100_000])
async def test_a_malformed_body_is_refused(door, body):
    client, _ = door
    async with client.post("/call/a/b", data=body) as answer:
        assert answer.status == 400 and (await answer.json())["error"]["code"] == "REJECTED"


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", "99999"])
async def test_an_invalid_timeout_is_refused(door, seconds):
    client, _ = door
    async with client.post("/call/a/b", json={}, headers={"Pcloud-Timeout": seconds}) as answer:
        assert answer.status == 400


async def test_an_error_of_ours_gives_nothing_away(door):
    client, recorder = door
    recorder.errors = [RuntimeError("secret")]
    async with client.post("/call/a/b", json={}) as answer:
        assert answer.status == 500 and "secret" not in await answer.text()


async def test_other_paths_are_not_there(door):
    client, _ = door
    async with client.get("/call/a/b") as answer:
        assert answer.status == 405
    async with client.post("/") as answer:
        assert answer.status == 404 and (await answer.json())["error"]["code"] == "NOT_FOUND"


async def test_a_socket_left_by_a_killed_node_is_replaced_and_closed_to_others(tmp_path):
    recorder = Recorder(tmp_path / "journal")
    path = tmp_path / "tiny.sock"
    path.touch()
    async with AppGateway("tiny", path, recorder, recorder, VISITS):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_a_path_that_no_socket_can_have_is_refused(tmp_path):
    with pytest.raises(Rejected, match="use a shorter data folder"):
        socket_path(tmp_path / ("x" * 100), "tiny")
