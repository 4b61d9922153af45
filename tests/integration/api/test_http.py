"""The API as clients reach it: HTTP, graphql-transport-ws, GraphiQL, platform commands, limits."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from ariadne import MutationType, QueryType

from core.access.caller import Caller
from core.graph.api import ApiLimits, PlatformFields
from core.graph.api.page import graphiql
from pcloud.errors import Forbidden
from tests.integration.api.conftest import ADD, IMPORTER, Cloud, grant, open_cloud

APP = "image-importer"


mutation, query = MutationType(), QueryType()


@mutation.field("callAction")
async def call_action(_: Any, info: Any, app: str, action: str, args: Any = None) -> Any:
    if action == "break":
        raise RuntimeError("the secret of the machine room")
    if action == "refuse":
        raise Forbidden("not granted: ask the owner")
    return {"said": args, "by": info.context.caller.actor, "inner": [{"n": 1}, {"n": 2}]}


@query.field("whoAmI")
async def who_am_i(_: Any, info: Any) -> str:
    return info.context.caller.actor


CALL = """
type Mutation { callAction(app: String!, action: String!, args: JSON): Called }
type Called { said: JSON by: String! inner: [Inner!]! }
type Inner { n: Int! }
"""
PLATFORM = [
    PlatformFields(CALL, (mutation,)),
    PlatformFields("type Query { whoAmI: String! }", (query,), visible=lambda caller: True),
]


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    limits = ApiLimits(body=100_000, subscriptions=3, connections=4, answer=400_000)
    async with open_cloud(tmp_path, PLATFORM, limits) as opened:
        await opened.install(APP, IMPORTER)
        yield opened


@pytest.fixture
async def url(cloud: Cloud) -> AsyncIterator[str]:
    """`/graphql` is the owner, `/graphql/APP` an app."""

    async def handle(request: web.Request) -> web.StreamResponse:
        app = request.match_info.get("app")
        return await cloud.api.http(request, Caller("app", app) if app else Caller("person", "owner"))

    application = web.Application()
    application.router.add_route("*", "/graphql", handle)
    application.router.add_route("*", "/graphql/{app}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/graphql"
    await cloud.api.close()
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


# --- HTTP ------------------------------------------------------------------------------------------------------------------


async def test_a_post_is_answered_with_its_revision(http: ClientSession, url: str) -> None:
    async with http.post(url, json={"query": "{ revision whoAmI }"}) as response:
        body = await response.json()
        assert response.status == 200
        assert body["data"] == {"revision": response.headers["Pcloud-Revision"], "whoAmI": "person:owner"}
        assert body["extensions"] == {"revision": response.headers["Pcloud-Revision"]}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"query": "{ revision }"}', "text/plain", 415),
        (b"query={revision}", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"query": 3}', "application/json", 400),
        (b'{"query": "{ revision }", "variables": []}', "application/json", 200),
        (b'{"query": "{ revision }", "variables": "x"}', "application/json", 400),
        (b'{"query": "{ revision"}', "application/json", 400),
        (b'{"query": "{ nothing }"}', "application/json", 400),
        (b'{"query": "query A { revision } query B { revision }"}', "application/json", 400),
        (b'{"query": "query A { revision }", "operationName": "C"}', "application/json", 400),
        (b'{"query": "subscription { imageImporter_ImageEvents { id } }"}', "application/json", 400),
        (b'{"query": "query($n: Int!) { queryImageImporter_Image(first: $n) { id } }"}', "application/json", 400),
        (b'{"query": "' + b" " * 100_000 + b'"}', "application/json", 413),
    ],
)
async def test_bad_requests_get_an_error_code(
    http: ClientSession, url: str, body: bytes, kind: str, status: int
) -> None:
    async with http.post(url, data=body, headers={"Content-Type": kind}) as response:
        answer = await response.json()
        assert response.status == status
        if status != 200:
            assert answer["errors"][0]["extensions"]["code"] == "REJECTED" and "data" not in answer


async def test_other_methods_are_refused(http: ClientSession, url: str) -> None:
    for method in ("PUT", "DELETE", "GET"):
        async with http.request(method, url) as response:
            assert response.status == 405


async def test_graphiql_is_served_or_says_how_to_build_it(http: ClientSession, tmp_path: Path) -> None:
    folder = tmp_path / "dist"

    async def page(request: web.Request) -> web.StreamResponse:
        return graphiql(request, folder)

    application = web.Application()
    application.router.add_get("/graphql", page)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/graphql"
    async with http.get(url) as response:
        assert response.status == 503 and "npm run build" in await response.text()
    folder.mkdir()
    (folder / "index.html").write_text("<p>page")
    (folder / "index-a.js").write_text("1")
    (tmp_path / "secret.js").write_text("secret")
    async with http.get(url) as response:
        assert (
            await response.text() == "<p>page" and "default-src 'self'" in response.headers["Content-Security-Policy"]
        )
    async with http.get(url, params={"asset": "index-a.js"}) as response:
        assert await response.text() == "1" and response.content_type == "text/javascript"
    for name in ("../secret.js", "..%2Fsecret.js", "/etc/passwd", "index.html", "nothing.js"):
        async with http.get(url, params={"asset": name}) as response:
            assert response.status == 404
    await runner.cleanup()


# --- platform commands -------------------------------------------------------------------------------------------------------


async def test_a_platform_command_answers_what_was_selected(cloud: Cloud) -> None:
    query = (
        'mutation($a: JSON) { x: callAction(app: "a", action: "b", args: $a) { said who: by inner { n } __typename } }'
    )
    assert await cloud.ask(query, {"a": {"deep": [1]}}) == {
        "x": {"said": {"deep": [1]}, "who": "person:owner", "inner": [{"n": 1}, {"n": 2}], "__typename": "Called"}
    }
    assert (await cloud.fails(query, by=APP)).code == "REJECTED", "it is not visible to apps"
    assert await cloud.ask("{ whoAmI }", by=APP) == {"whoAmI": "app:image-importer"}


async def test_errors_have_codes_and_no_secrets(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    query = 'mutation($a: String!) { callAction(app: "a", action: $a) { by } }'
    failed = await cloud.fails(query, {"a": "refuse"})
    assert failed.errors == [
        {"message": "not granted: ask the owner", "path": ["callAction"], "extensions": {"code": "FORBIDDEN"}}
    ]
    failed = await cloud.fails(query, {"a": "break"})
    assert failed.code == "INTERNAL" and "machine room" not in json.dumps(failed.errors)
    reference = failed.message.split()[-1]
    assert any(reference in record.getMessage() and record.exc_info for record in caplog.records)


async def test_a_command_does_not_stand_in_a_graph_transaction(cloud: Cloud) -> None:
    before = await cloud.last()
    query = (
        'mutation { addImageImporter_Album(input: [{name: "a"}]) { count } callAction(app: "a", action: "b") { by } }'
    )
    assert (await cloud.fails(query)).code == "REJECTED"
    assert await cloud.last() == before


# --- limits ------------------------------------------------------------------------------------------------------------------


def nested(levels: int) -> str:
    inner = "id"
    for _ in range(levels):
        inner = f"albums {{ images {{ {inner} }} }}"
    return f"{{ queryImage {{ {inner} }} }}"


def bomb() -> str:
    fragments = [
        f"fragment F{n} on Image {{ a{n}: albums {{ images {{ ...F{n + 1} }} }} b{n}: albums {{ images {{ ...F{n + 1} }} }} }}"
        for n in range(20)
    ]
    return "{ queryImage { ...F0 } } fragment F20 on Image { id } " + " ".join(fragments)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        (nested(7), "deep"),
        (bomb(), "deep"),
        ("{ " + " ".join(f"a{n}: revision" for n in range(101)) + " }", "root"),
        ("{ queryImage { " + " ".join(f"a{n}: id" for n in range(101)) + " } }", "aliases"),
        ("{ queryImage { " + "id " * 2001 + " } }", "fields"),
        ("{ queryImage(first: 1000) { albums(first: 1000) { id } } }", "50000"),
        ("{ queryImage { albums { images { id } } } }", "50000"),
        ("{ queryImage(first: 1001) { id } }", "1000"),
        ("{ queryImage(first: -1) { id } }", "first"),
        ("{ queryImage(offset: -1) { id } }", "offset"),
        (" ".join(f"query Q{n} {{ revision }}" for n in range(21)), "operations"),
        ("{ revision " + "# \n" * 10 + "} " + "# x\n" * 21_000, "oken"),
        ("{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }", "ntrospection"),
        ('{ queryImage(filter: ' + "{not: " * 9 + "{}" + "}" * 9 + ") { id } }", "nested"),
        ("{ queryImage(filter: {or: [" + "{width: {eq: 1}}," * 201 + "]}) { id } }", "clauses"),
        ('{ queryImage(filter: {title: {regexp: "("}}) { id } }', "RE2"),
        ('{ search(text: "' + "x" * 1001 + '") { total } }', "characters"),
    ],
)  # fmt: skip
async def test_what_costs_too_much_is_refused(cloud: Cloud, query: str, word: str) -> None:
    failed = await cloud.fails(query, by=APP, operation="Q0" if "Q0" in query else None)
    assert failed.code == "REJECTED"
    assert word in failed.message


async def test_cyclic_fragments_are_refused(cloud: Cloud) -> None:
    failed = await cloud.fails("{ queryImage { ...A } } fragment A on Image { albums { images { ...A } } }", by=APP)
    assert failed.code == "REJECTED" and "itself" in failed.message


async def test_graphiqls_own_introspection_passes(cloud: Cloud) -> None:
    from graphql import build_client_schema, get_introspection_query

    answer = await cloud.ask(get_introspection_query(input_value_deprecation=True))
    schema = build_client_schema(answer)
    assert schema.mutation_type is not None and "callAction" in schema.mutation_type.fields


# --- websockets -----------------------------------------------------------------------------------------------------------------


class Client:
    """Speaks graphql-transport-ws."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self._ids = itertools.count(1)

    async def send(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        return await self.socket.receive_json(timeout=20)

    async def begin(self) -> Client:
        await self.send(type="connection_init")
        assert (await self.receive())["type"] == "connection_ack"
        return self

    async def subscribe(self, query: str, **variables: Any) -> str:
        id = str(next(self._ids))
        await self.send(type="subscribe", id=id, payload={"query": query, "variables": variables})
        return id

    async def closed(self) -> int | None:
        message = await self.socket.receive(timeout=20)
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING)
        return self.socket.close_code


async def connect(http: ClientSession, url: str) -> Client:
    return Client(await http.ws_connect(url, protocols=("graphql-transport-ws",)))


EVENTS = "subscription($a: String) { imageEvents(after: $a) { kind id revision actor changed node { title } } }"


async def test_events_arrive_in_order_and_resume_without_a_gap(
    cloud: Cloud, http: ClientSession, url: str, image: Any
) -> None:
    client = await (await connect(http, f"{url}/{APP}")).begin()
    start = (await cloud.ask("{ revision }"))["revision"]
    await client.subscribe(EVENTS, a=start)
    await cloud.ask(ADD, {"input": [image(1)]}, by=APP)
    await cloud.ask('mutation { addAlbum(input: [{name: "no image"}]) { count } }', by=APP)
    await cloud.ask('mutation { updateImage(input: {filter: {}, set: {title: "new"}}) { count } }', by=APP)
    first = (await client.receive())["payload"]["data"]["imageEvents"]
    second = (await client.receive())["payload"]["data"]["imageEvents"]
    assert (first["kind"], first["actor"], first["node"]["title"] in ("picture 1", "new")) == (
        "created",
        "app:image-importer",
        True,
    )
    assert set(first["changed"]) >= {"place", "sha256", "title", "hidden"}
    assert (second["kind"], second["changed"], second["node"]) == ("updated", ["title"], {"title": "new"})
    await cloud.ask("mutation { deleteImage(filter: {}) { count } }", by=APP)
    third = (await client.receive())["payload"]["data"]["imageEvents"]
    assert (third["kind"], third["node"]) == ("deleted", None)
    await client.socket.close()
    again = await (await connect(http, f"{url}/{APP}")).begin()
    await again.subscribe(EVENTS, a=first["revision"])
    resumed = [(await again.receive())["payload"]["data"]["imageEvents"]["revision"] for _ in range(2)]
    assert resumed == [second["revision"], third["revision"]]
    await again.socket.close()


async def test_a_subscription_begins_with_what_is_new(cloud: Cloud, http: ClientSession, url: str, image: Any) -> None:
    await cloud.ask(ADD, {"input": [image(1)]}, by=APP)
    client = await (await connect(http, f"{url}/{APP}")).begin()
    await client.subscribe("subscription { imageEvents { changed } }")
    await client.send(type="ping")
    assert (await client.receive())["type"] == "pong"
    await cloud.ask(ADD, {"input": [image(2)]}, by=APP)
    assert (await client.receive())["type"] == "next"
    await client.socket.close()


async def test_events_that_are_too_much_for_one_answer_come_in_several(
    cloud: Cloud, http: ClientSession, url: str, image: Any
) -> None:
    start = (await cloud.ask("{ revision }"))["revision"]
    for first in range(0, 80, 10):
        images = [image(number) | {"title": f"{number} {'x' * 6000}"} for number in range(first, first + 10)]
        await cloud.ask(ADD, {"input": images}, by=APP)
    client = await (await connect(http, f"{url}/{APP}")).begin()
    await client.subscribe(EVENTS, a=start)
    events = [(await client.receive())["payload"]["data"]["imageEvents"] for _ in range(80)]
    assert [event["node"]["title"].split()[0] for event in events] == [str(number) for number in range(80)]
    await client.socket.close()


async def test_hidden_changes_are_no_events_and_a_lost_grant_ends_the_stream(
    cloud: Cloud, http: ClientSession, url: str, image: Any
) -> None:
    await cloud.install("viewer", "", [grant("viewer", "read", "image-importer/Image")])
    await cloud.install(
        "rater",
        'extend type Image @from(app: "image-importer") { stars: Int }',
        [grant("rater", "extend", "image-importer/Image")],
    )
    client = await (await connect(http, f"{url}/viewer")).begin()
    start = (await cloud.ask("{ revision }"))["revision"]
    await client.subscribe(EVENTS, a=start)
    await cloud.ask(ADD, {"input": [image(1)]}, by=APP)
    await cloud.ask("mutation { updateImage(input: {filter: {}, set: {stars: 5}}) { count } }", by="rater")
    await cloud.ask('mutation { updateImage(input: {filter: {}, set: {title: "t"}}) { count } }', by=APP)
    kinds = [(await client.receive())["payload"]["data"]["imageEvents"]["changed"] for _ in range(2)]
    assert "place" in kinds[0] and kinds[1] == ["title"]
    await cloud.install("viewer", "", [grant("viewer", "read", "image-importer/Image", state="rejected")])
    await cloud.ask('mutation { updateImage(input: {filter: {}, set: {title: "u"}}) { count } }', by=APP)
    message = await client.receive()
    assert message["type"] == "error" and message["payload"][0]["extensions"]["code"] == "REJECTED"
    await client.socket.close()


async def test_queries_and_mutations_run_over_a_socket_too(http: ClientSession, url: str) -> None:
    client = await (await connect(http, url)).begin()
    id = await client.subscribe("{ whoAmI }")
    answer = await client.receive()
    assert (answer["type"], answer["id"], answer["payload"]["data"]) == ("next", id, {"whoAmI": "person:owner"})
    assert (await client.receive()) == {"type": "complete", "id": id}
    for wrong in ("{ nothing }", "{ revision", "subscription { nothing }", "query A { revision } query B { revision }"):
        id = await client.subscribe(wrong)
        refused = await client.receive()
        assert (refused["type"], refused["id"]) == ("error", id) and refused["payload"][0]["extensions"]["code"]
    await client.send(type="subscribe", id="x", payload={"query": 3})
    assert (await client.receive())["type"] == "error"
    await client.socket.close()


async def test_the_protocols_rules_are_kept(http: ClientSession, url: str) -> None:
    async def code(*messages: dict[str, Any] | str) -> int | None:
        client = await connect(http, url)
        for message in messages:
            await client.socket.send_str(message if isinstance(message, str) else json.dumps(message))
        while not client.socket.closed and (await client.socket.receive(timeout=20)).type is WSMsgType.TEXT:
            pass
        return client.socket.close_code

    init = {"type": "connection_init"}
    events = {"type": "subscribe", "id": "1", "payload": {"query": "subscription { imageImporter_ImageEvents { id } }"}}
    assert await code(events) == 4401
    assert await code(init, init) == 4429
    assert await code(init, events, events) == 4409
    assert await code("rubbish") == 4400
    assert await code(init, {"type": "what"}) == 4400
    assert await code(init, {"type": "subscribe", "id": "1"}) == 4400
    other = await http.ws_connect(url)
    assert (await other.receive(timeout=20)).type is WSMsgType.CLOSE and other.close_code == 4406


async def test_operations_and_connections_are_bounded(cloud: Cloud, http: ClientSession, url: str) -> None:
    client = await (await connect(http, f"{url}/{APP}")).begin()
    ids = [await client.subscribe("subscription { imageEvents { id } }") for _ in range(4)]
    message = await client.receive()
    assert (message["type"], message["id"]) == ("error", ids[3])
    await client.send(type="complete", id=ids[0])
    await client.subscribe("{ whoAmI }")
    assert (await client.receive())["type"] == "next"
    more = [await connect(http, f"{url}/{APP}") for _ in range(3)]
    async with http.get(url, headers={"Upgrade": "websocket", "Connection": "Upgrade"}) as response:
        assert response.status == 503
    await cloud.api.disconnect(lambda caller: caller.name == APP)
    assert await asyncio.wait_for(more[0].closed(), 20) == 1001
    for one in (client, *more):
        await one.socket.close()
