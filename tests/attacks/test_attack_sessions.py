"""Attacks with ended credentials: a session's cookies on every origin, its open connections, its codes, an old credential."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import nats
import pytest

from core.cli.client import open_client
from tests.browsing import Browsing, closed, open_browsing
from tests.integration.node.front import FrontDoor
from tests.node_process import NodeProcess

GRAPHQL = ("graphql-transport-ws",)
ORIGINS = ("", "console", "random-puppy")
SIGN_OUT = "/_pcloud/signout"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node with an app that has pages."""
    with NodeProcess(tmp_path_factory.mktemp("sessions") / "node") as node:
        node.install("random-puppy")
        yield node


@pytest.fixture
async def browser(house: NodeProcess) -> AsyncIterator[Browsing]:
    """Signed in by a link, and at every origin."""
    async with open_browsing(house.address) as browser:
        await sign_in(house, browser)
        yield browser


async def sign_in(house: NodeProcess, browser: Browsing) -> None:
    await browser.visit(house.json("signin-link", "--json")["link"])
    for app in ORIGINS:
        status, address, _ = await browser.visit(f"http://{browser.host(app)}/")
        assert status == 200 and address.startswith(f"http://{browser.host(app)}/")


async def sessions(browser: Browsing) -> list[dict[str, Any]]:
    return (await console(browser, "{ sessions }"))["data"]["sessions"]


async def console(browser: Browsing, query: str, **variables: Any) -> dict[str, Any]:
    """Return what the console's page gets for an operation."""
    body = {"query": query, "variables": variables}
    status, _, text = await browser.ask("POST", browser.host("console"), "/api/graphql", json=body)
    assert status == 200, text
    return json.loads(text)


async def refused_everywhere(browser: Browsing) -> None:
    for app in ORIGINS:
        assert await browser.status(app) == 401, app
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await browser.websocket(app, "/api/graphql" if app == "console" else "/_pcloud/graphql")


# --- ended -------------------------------------------------------------------------------------------------------------------------


async def test_attack_an_ended_session_is_refused_on_every_origin_at_once(
    house: NodeProcess, browser: Browsing
) -> None:
    """A lost browser, signed out from the console of another one: its cookies, and the connections that it still has open."""
    async with open_browsing(house.address) as lost:
        await sign_in(house, lost)
        sockets = [
            await lost.websocket("", "/graphql", protocols=GRAPHQL),
            await lost.websocket("console", "/api/graphql", protocols=GRAPHQL),
            await lost.websocket("random-puppy", "/_pcloud/graphql", protocols=GRAPHQL),
        ]
        [id] = [one["id"] for one in await sessions(lost) if one["current"]]
        assert await console(browser, "mutation($id: ID!) { endSession(id: $id) }", id=id)
        await refused_everywhere(lost)
        for socket in sockets:
            await closed(socket)
        status, address, _ = await lost.visit(f"http://{lost.host('random-puppy')}/")
        assert status == 200 and "/signin" in address, "and it can't sign in at an app by what it was at core"
    assert await browser.status() == 200, "the others stay"


async def test_attack_a_cookie_copied_before_sign_out_is_refused_after_it(browser: Browsing) -> None:
    for app in ORIGINS:
        thief = browser.stolen()
        assert await thief.status(app) == 200
    status, _, text = await browser.ask("POST", browser.host("random-puppy"), SIGN_OUT)
    assert status == 200 and "You are signed out" in text
    await refused_everywhere(thief)
    await refused_everywhere(browser)


async def test_attack_an_apps_own_websockets_and_streams_end_with_the_session(front: FrontDoor) -> None:
    origin = {"Origin": f"http://{front.host('photos')}"}
    socket = await front.websocket("/echo", app="photos", headers=origin)
    await socket.send_str("one")
    assert (await socket.receive()).data == "one"
    async with front.request("/endless", app="photos") as stream:
        assert await stream.content.readany()
        await front.sessions.end(front.session.id)
        with pytest.raises(aiohttp.ClientPayloadError):
            async with asyncio.timeout(10):
                await stream.read()
    await closed(socket)


async def test_attack_a_session_that_is_over_by_its_time_is_refused(front: FrontDoor) -> None:
    """Whatever the browser thinks of the cookie's age, and although it was not ended by hand."""
    front.sessions._clock = lambda: front.session.expires + 1  # pyright: ignore[reportPrivateUsage]
    for app in ("", "console", "photos"):
        async with front.request("/", app=app) as answer:
            assert answer.status == 401


@pytest.mark.parametrize("app", ["", "console", "photos"])
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://asleep.localhost"}, {},
                                     {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}])  # fmt: skip
async def test_attack_no_other_origins_page_signs_the_owner_out(
    front: FrontDoor, app: str, headers: dict[str, str]
) -> None:
    async with front.request(SIGN_OUT, app=app, method="POST", headers=headers) as answer:
        assert answer.status == 403
    own = {"Origin": f"http://{front.host(app)}"}
    async with front.request(SIGN_OUT, app=app, headers=own) as answer:
        assert answer.status == 405, "no picture or link signs out either"
    assert front.sessions.running(front.session.id)
    async with front.request(SIGN_OUT, app=app, method="POST", headers=own) as answer:
        assert answer.status == 200 and front.sessions.running(front.session.id) is None


# --- codes -------------------------------------------------------------------------------------------------------------------------


async def test_attack_a_link_that_two_browsers_open_together_lets_one_in(house: NodeProcess, browser: Browsing) -> None:
    link = house.json("signin-link", "--json")["link"]
    before = len(await sessions(browser))

    async def open_link(other: Browsing) -> int:
        return (await other.visit(link))[0]

    async with open_browsing(house.address) as one, open_browsing(house.address) as two:
        assert sorted(await asyncio.gather(open_link(one), open_link(two))) == [200, 403]
    assert len(await sessions(browser)) == before + 1


async def test_attack_an_apps_code_is_of_no_use_in_another_browser(house: NodeProcess, browser: Browsing) -> None:
    """For any reader of a log or over a shoulder, even at once and even before the owner's browser has used it."""
    host = browser.host("random-puppy")
    _, headers, _ = await browser.ask("GET", browser.host(), f"/signin?way={'0' * 64}&next={quote(f'http://{host}/')}")
    path = headers["Location"].removeprefix(f"http://{host}")
    assert path.startswith("/_pcloud/signin?code=")
    async with open_browsing(house.address) as thief:
        for cookie in ({}, {f"{name}_way": "x" for name in browser.cookies[host]}):
            thief.cookies[host] = dict(cookie)
            await thief.ask("GET", host, path)
            assert await thief.status("random-puppy") == 401


@pytest.mark.parametrize("app", ["", "console", "photos"])
async def test_attack_a_code_is_no_cookie_and_a_cookie_no_code(front: FrontDoor, app: str) -> None:
    cookie = front.cookie(app).partition("=")[2]
    code = front.link(app).partition("=")[2]
    async with front.request(f"/signin?code={cookie}", signed_in=False) as answer:
        assert answer.status == 403
    for value in (code, front.statements.entry_code(front.host(app), front.session.id, "x")):
        headers = {"Cookie": f"{front.statements.cookie}={value}"}
        async with front.request("/", app=app, signed_in=False, headers=headers) as answer:
            assert answer.status == 401


# --- the credential ----------------------------------------------------------------------------------------------------------------

CHANGE = "mutation($present: String!) { changeCredential(present: $present) }"


async def test_attack_a_changed_credential_leaves_nothing_of_the_old_one(house: NodeProcess, browser: Browsing) -> None:
    old, waiting = house.token, house.json("signin-link", "--json")["link"]
    bearer = {"Authorization": f"Bearer {old}"}
    thief = browser.stolen()
    async with open_browsing(house.address) as program, aiohttp.ClientSession() as client:
        url = f"{house.address}/graphql"
        socket = await client.ws_connect(url, headers=bearer | {"Origin": house.address}, protocols=GRAPHQL)
        await socket.send_json({"type": "connection_init"})
        assert (await socket.receive_json())["type"] == "connection_ack"
        wrong = await console(browser, CHANGE, present="owner_wrong")
        assert wrong["errors"][0]["extensions"]["code"] == "FORBIDDEN" and await browser.status() == 200
        house.token = (await console(browser, CHANGE, present=old))["data"]["changeCredential"]["credential"]
        await refused_everywhere(browser)
        await refused_everywhere(thief)
        await closed(socket)
        for headers, status in ((bearer, 401), ({"Authorization": f"Bearer {house.token}"}, 200)):
            async with client.post(url, headers=headers, json={"query": "{ revision }"}) as answer:
                assert answer.status == status
        assert (await program.visit(waiting))[0] == 403, "a link that was printed before"
        assert (await program.ask("POST", program.host(), "/signin", data={"token": old}))[0] == 403
        assert (await program.ask("POST", program.host(), "/signin", data={"token": house.token}))[0] == 303


async def test_attack_a_lost_credential_is_of_no_use_after_its_reset(house: NodeProcess, browser: Browsing) -> None:
    old = house.token
    house.token = house.json("owner", "reset", "--json")["credential"]
    assert house.token != old
    await refused_everywhere(browser)
    async with open_browsing(house.address) as thief:
        bearer = {"Authorization": f"Bearer {old}"}
        status, _, _ = await thief.ask("POST", thief.host(), "/graphql", bearer, json={"query": "{ revision }"})
        assert status == 401


@pytest.mark.parametrize("query", ["{ sessions }", "mutation { endSessions }", 'mutation { endSession(id: "x") }',
                                   'mutation { changeCredential(present: "x") }'])  # fmt: skip
async def test_attack_an_apps_page_neither_sees_nor_ends_sessions(browser: Browsing, query: str) -> None:
    host = browser.host("random-puppy")
    _, _, text = await browser.ask("POST", host, "/_pcloud/graphql", json={"query": query})
    assert "Cannot query field" in text
    body = {"query": query}
    assert "Cannot query field" in (await browser.ask("POST", browser.host(), "/graphql/random-puppy", json=body))[2]
    assert await browser.status() == 200


# --- what the log holds ------------------------------------------------------------------------------------------------------------


async def test_attack_nothing_in_the_log_signs_anybody_in(house: NodeProcess, browser: Browsing) -> None:
    """For a reader of every event, such as a backup's thief: no cookie, code or credential is in it, and no id is accepted as one."""
    link = house.json("signin-link", "--json")["link"]
    secrets = [
        house.token,
        link.partition("code=")[2],
        *(value for jar in browser.cookies.values() for value in jar.values()),
    ]
    assert len(secrets) > 4
    events = await read_all(house.data)
    assert "Session" in events
    parts = {part for secret in secrets for part in (secret, secret.rpartition(".")[2])}
    assert not [part for part in parts if part in events]
    async with open_browsing(house.address) as thief:
        for name in (name for name in browser.cookies[browser.host()] if not name.endswith("_way")):
            for one in await sessions(browser):
                thief.cookies[thief.host()] = {name: one["id"]}
                assert await thief.status() == 401


async def read_all(data: Path) -> str:
    """Every message of the log as text, headers and all."""
    async with open_client(data) as client:
        given = await client.ask("GET", "/nats")
    bus = await nats.connect(given["NATS_URL"], user=given["NATS_USER"], password=given["NATS_PASSWORD"])
    try:
        stream = bus.jetstream()
        last = (await stream.stream_info("GRAPH")).state.last_seq
        found = [await stream.get_msg("GRAPH", seq) for seq in range(1, last + 1)]
    finally:
        await bus.close()
    return "".join(f"{one.subject} {one.headers} {(one.data or b'').decode()}" for one in found)
