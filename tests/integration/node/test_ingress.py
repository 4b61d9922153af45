"""Between browser and app: what core adds, what it removes, which requests it refuses, and that it only passes bytes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from pcloud.web import verify_user
from tests.integration.node.front import APP_KEY, TOKEN, FrontDoor


async def told(front: FrontDoor, headers: dict[str, str]) -> dict[str, list[str]]:
    """The headers that reached the app, by name."""
    async with front.request("/x?y=1", app="photos", headers=headers) as answer:
        assert answer.status == 200
        seen: dict[str, list[str]] = {}
        for name, value in (await answer.json())["headers"]:
            seen.setdefault(name, []).append(value)
        return seen


async def test_cores_cookie_never_reaches_an_app(front: FrontDoor) -> None:
    session = front.cookie("photos")
    for cookies in (session, f"a=b; {session}", f"a=b;{session}", f"{session}; a=b"):
        seen = await told(front, {"Cookie": cookies})
        assert front.statements.cookie not in str(seen)


async def test_who_asks_cannot_be_forged_by_the_client(front: FrontDoor) -> None:
    seen = await told(front, {"Pcloud-User": "forged", "Pcloud_User": "forged"})
    assert "forged" not in str(seen)
    assert verify_user(APP_KEY, seen["pcloud-user"][0], "photos").actor == "person:owner"


async def test_the_app_learns_the_address_that_the_browser_used(front: FrontDoor) -> None:
    seen = await told(front, {"X-Forwarded-Host": "forged"})
    assert seen["host"] == seen["x-forwarded-host"] == [front.host("photos")]


@pytest.mark.parametrize(
    "host", ["evil.example", "photos.localhost.evil.example", "a.b.localhost", "16909060\\.localhost"]
)
async def test_a_host_that_is_not_ours_is_refused(front: FrontDoor, host: str) -> None:
    async with front.request("/", headers={"Host": host, "Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 400
        assert "is not an address of this cloud" in (await answer.json())["errors"][0]["message"]


@pytest.mark.parametrize(
    ("app", "path", "host", "status", "told"),
    [
        ("", "/", "evil.example", 400, "use localhost or APP.localhost"),
        ("", "/", "evil.example:abc", 400, "use localhost or APP.localhost"),
        ("", "/", "[::g]", 400, "use localhost or APP.localhost"),
        ("", "/", "photos.localhost:99999", 400, "use localhost or APP.localhost"),
        ("", "/<b>", "", 404, "There is nothing at /&lt;b&gt;"),
        ("nothing", "/", "", 404, "No app with pages called"),
        ("asleep", "/", "", 503, "does not answer yet"),
    ],
)
async def test_browser_is_shown_a_page_about_what_went_wrong(
    front: FrontDoor, app: str, path: str, host: str, status: int, told: str
) -> None:
    headers = {"Accept": "text/html"} | ({"Host": host} if host else {})
    async with front.request(path, app=app, headers=headers) as answer:
        text = await answer.text()
        assert answer.status == status and answer.content_type == "text/html" and told in text
        assert f'href="http://localhost:{front.port}/"' in text
        assert "script" not in text and "default-src 'none'" in answer.headers["Content-Security-Policy"]
    async with front.request(path, app=app, headers={"Accept": "*/*"} | ({"Host": host} if host else {})) as plain:
        assert plain.status == status and plain.content_type == "application/json"


@pytest.mark.parametrize("app", ["", "photos"])
@pytest.mark.parametrize("path", ["/graphql", "/_pcloud/graphql"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://asleep.localhost", "https://photos.localhost"]
)
async def test_a_page_of_another_origin_can_neither_post_nor_open_a_websocket(
    front: FrontDoor, app: str, path: str, origin: str
) -> None:
    async with front.request(path, app=app, method="POST", headers={"Origin": origin}, json={}) as answer:
        assert answer.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await front.websocket(path, app=app, headers={"Origin": origin})
    assert refused.value.status == 403


async def test_a_page_asks_the_graph_on_its_own_origin_through_its_apps_eyes(front: FrontDoor) -> None:
    origin = {"Origin": f"http://{front.host('photos')}"}
    async with front.request("/_pcloud/graphql", app="photos", method="POST", headers=origin, json={}) as answer:
        assert await answer.json() == {"kind": "person", "name": "owner", "through": "photos"}


async def test_the_full_api_is_not_on_an_apps_origin(front: FrontDoor) -> None:
    async with front.request("/graphql", app="photos") as answer:
        assert (await answer.json())["path"] == "/graphql"  # the app's own page, whatever that is
    async with front.request("/_pcloud/other", app="photos") as answer:
        assert answer.status == 404
    async with front.request(
        "/", app="photos", signed_in=False, headers={"Authorization": f"Bearer {TOKEN}"}
    ) as answer:
        assert answer.status == 401


async def test_a_token_says_who_asks(front: FrontDoor) -> None:
    for token, kind in ((TOKEN, "person"), ("device_right", "device")):
        async with front.request("/graphql", signed_in=False, headers={"Authorization": f"Bearer {token}"}) as answer:
            assert (await answer.json())["kind"] == kind
    for wrong in ("Bearer wrong", "Bearer ", "Basic x", "Bearer"):
        async with front.request("/graphql", headers={"Authorization": wrong}) as answer:
            assert (
                answer.status == 401
            )  # also where a session would have done: the request says that it is someone else


async def test_websockets_pass_both_ways(front: FrontDoor) -> None:
    async with front.websocket("/echo", app="photos", headers={"Origin": f"http://{front.host('photos')}"}) as socket:
        await socket.send_str("text")
        assert (await socket.receive()).data == "text"
        await socket.send_bytes(b"bytes")
        assert (await socket.receive()).data == b"bytes"
        await socket.send_str("leave")
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING)


async def test_a_large_upload_is_passed_on_while_it_comes(front: FrontDoor) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 65536
        await asyncio.wait_for(front.first_chunk.wait(), 20)  # would never come if it were gathered first
        for _ in range(255):
            yield b"x" * 65536

    async with front.request("/upload", app="photos", method="POST", data=body()) as answer:
        assert await answer.json() == {"bytes": 2**24}


async def test_a_client_may_ask_first_whether_to_send_its_body(front: FrontDoor) -> None:
    async with front.request("/upload", app="photos", method="POST", data=b"x" * 9, expect100=True) as answer:
        assert await answer.json() == {"bytes": 9}
    async with front.request("/upload", app="photos", method="POST", headers={"Expect": "a-miracle"}) as answer:
        assert answer.status == 417 and answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_large_answer_comes_through_whole(front: FrontDoor) -> None:
    async with front.request("/large", app="photos") as answer:
        assert len(await answer.read()) == 2**24


async def test_an_app_that_is_down_is_one_clear_sentence(front: FrontDoor) -> None:
    for path, app in (("/", "asleep"), ("/dies", "photos")):
        async with front.request(path, app=app) as answer:
            assert answer.status == 503
            (error,) = (await answer.json())["errors"]
            assert error["extensions"]["code"] == "UNAVAILABLE"
            assert f"'{app}' does not answer yet" in error["message"] and f"pcloud app logs {app}" in error["message"]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await front.websocket("/", app="asleep", headers={"Origin": f"http://{front.host('asleep')}"})
    assert refused.value.status == 503


async def test_half_an_answer_does_not_look_like_a_whole_one(front: FrontDoor) -> None:
    with pytest.raises(aiohttp.ClientError):
        async with front.request("/half", app="photos") as answer:
            await answer.read()


async def test_an_app_that_is_not_there_is_named(front: FrontDoor) -> None:
    async with front.request("/", app="missing") as answer:
        assert answer.status == 404 and "missing" in (await answer.json())["errors"][0]["message"]


async def test_the_front_page_lists_apps_as_text(front: FrontDoor) -> None:
    async with front.request("/") as answer:
        assert f'<a href="http://{front.host("photos")}/">Photos &amp; &lt;more&gt;<' in await answer.text()
    async with front.request("/healthz", signed_in=False) as answer:
        assert await answer.json() == {"up": True, "works": True}
