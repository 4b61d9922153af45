"""GraphQL bombs through the real API: each is refused with a clear error, and meanwhile others are served."""
# ruff: noqa: E501, UP031 - queries are easier to read on one line, and their braces not doubled

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from core.access.caller import Caller
from core.graph.api import ApiLimits
from tests.integration.api.conftest import Cloud, Failed, open_cloud

TYPES = 100
LONGEST_PAUSE = 3.0  # seconds of this process that others may wait while a bomb is refused; other load of the machine does not count


def schema() -> str:
    """Many types in a ring, so that queries can nest, and one that takes text."""
    ring = "\n".join(
        f"type T{n} {{ name: String @search(by: [term, regexp, exact]) n{n}: Int @search(by: [int]) f: Float @search(by: [float]) "
        f"next: T{(n + 1) % TYPES} many: [T{(n + 2) % TYPES}!] }}"
        for n in range(TYPES)
    )
    return (
        ring
        + "\ntype Doc { key: String! @id text: String @search(by: [term, regexp]) big: Int64 at: DateTime items: [String!] }"
    )


@pytest.fixture(scope="module")
def loop() -> Any:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def cloud(loop: asyncio.AbstractEventLoop, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("bombs")

    @contextlib.asynccontextmanager
    async def ready() -> AsyncIterator[Cloud]:
        async with open_cloud(folder, limits=ApiLimits(body_seconds=1.0, introspection_seconds=5.0)) as opened:
            await opened.install("bomber", schema())
            await opened.install("other", "type Note { text: String }")
            await opened.ask(
                'mutation { addDoc(input: [{key: "a", text: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaab"}]) { count } }',
                by="bomber",
            )
            yield opened

    opened = ready()
    yield loop.run_until_complete(opened.__aenter__())
    loop.run_until_complete(opened.__aexit__(None, None, None))


class Meanwhile:
    """Sends requests as another app all the while, and records the longest time that it had to wait."""

    def __init__(self, cloud: Cloud):
        self._cloud, self.longest, self.answers = cloud, 0.0, 0

    async def __aenter__(self) -> Meanwhile:
        self._task = asyncio.create_task(self._ask())
        while not self.answers:
            await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        had = self.answers
        while self.answers == had and not self._task.done():
            await asyncio.sleep(0.001)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _ask(self) -> None:
        while True:
            began = time.process_time()
            await self._cloud.ask("{ queryNote { id } }", by="other")
            self.longest, self.answers = max(self.longest, time.process_time() - began), self.answers + 1
            await asyncio.sleep(0.005)


def nested(inner: str, depth: int) -> str:
    return "next { " * depth + inner + " }" * depth


BOMBS: dict[str, Callable[[], tuple[str, Any]]] = {
    "depth": lambda: ("{ queryT0 { %s } }" % nested("id", 40), None),
    "depth by fragments": lambda: ("{ queryT0 { ...F0 } } " + " ".join(f"fragment F{n} on T{n} {{ next {{ ...F{n + 1} }} }}" for n in range(40)) + " fragment F40 on T40 { id }", None),
    "depth of braces": lambda: ("{ queryT0 " + "{ ... " * 3000 + "{ id }" + "}" * 3000 + "}", None),
    "depth without end": lambda: ("{" * 15_000, None),
    "width": lambda: ("{ queryT0 { %s } }" % ("id " * 1_900), None),
    "width in an unused fragment": lambda: ("{ revision } fragment F on T0 { %s }" % ("id " * 9_000), None),
    "width at each level": lambda: ("{ queryT0 { %s } }" % ("next { next { id id id } } " * 300), None),
    "size by cost": lambda: ("{ queryT0(first: 1000) { many(first: 1000) { many(first: 1000) { id } } } }", None),
    "page": lambda: ("{ queryT0(first: 1000000000) { id } }", None),
    "offset": lambda: ("{ queryT0(offset: 2147483647) { id } }", None),
    "negative page": lambda: ("{ queryT0(first: -1) { id } }", None),
    "aliases": lambda: ("{ queryT0 { %s } }" % " ".join(f"a{n}: id" for n in range(500)), None),
    "aliases of roots": lambda: ("{ %s }" % " ".join(f"a{n}: queryT0 {{ id }}" for n in range(90)), None),
    "aliases of an aggregate": lambda: ("{ %s }" % " ".join(f"a{n}: aggregateT0 {{ group(by: name) {{ count }} }}" for n in range(200)), None),
    "fragment cycle": lambda: ("{ queryT0 { ...A } } fragment A on T0 { ...B } fragment B on T0 { ...A }", None),
    "fragments that double": lambda: ("{ queryT0 { ...F0 } } " + " ".join(f"fragment F{n} on T0 {{ ...F{n + 1} ...F{n + 1} ...F{n + 1} }}" for n in range(60)) + " fragment F60 on T0 { id }", None),
    "many fragments": lambda: ("{ revision } " + " ".join(f"fragment F{n} on T0 {{ id }}" for n in range(2_000)), None),
    "many operations": lambda: (" ".join(f"query Q{n} {{ revision }}" for n in range(500)), None),
    "directives": lambda: ("{ revision %s }" % ("@skip(if: false) " * 2_000), None),
    "unknown directives": lambda: ("{ revision %s }" % " ".join(f"@x{n}(a: {n})" for n in range(2_000)), None),
    "variable definitions": lambda: ("query(%s) { revision }" % " ".join(f"$v{n}: Int" for n in range(4_000)), None),
    "arguments": lambda: ("{ queryT0(%s) { id } }" % " ".join(f"first: {n}" for n in range(4_000)), None),
    "tokens": lambda: ("{ revision %s }" % ("," * 1_000 + "a " * 100_000), None),
    "unknown names": lambda: ("{ %s }" % " ".join(f"queryTypeWithALongName{n} {{ id }}" for n in range(49)), None),
    "a very long name": lambda: ("{ %s }" % ("q" * 500_000), None),
    "list in a list": lambda: ("{ queryT0(filter: %s%s) { id } }" % ("[" * 2_000, "]" * 2_000), None),
    "filter in a filter": lambda: ("query($f: T0Filter) { queryT0(filter: $f) { id } }", {"f": deep_filter(400)}),
    "filter in a filter, as deep as JSON goes": lambda: ("query($f: T0Filter) { queryT0(filter: $f) { id } }", {"f": deep_filter(30)}),
    "JSON in JSON": lambda: ("mutation($i: [AddDocInput!]!) { addDoc(input: $i) { count } }", {"i": deep_list(900)}),
    "JSON in a search": lambda: ('query($r: [SearchRangeFilter!]) { search(text: "", filter: {ranges: $r}) { total } }', {"r": [{"field": "n0", "low": deep_list(400)}]}),
    "many values": lambda: ("query($f: T0Filter) { queryT0(filter: $f) { id } }", {"f": {"id": [str(n) for n in range(300_000)]}}),
    "many clauses": lambda: ("query($f: T0Filter) { queryT0(filter: $f) { id } }", {"f": {"or": [{"n0": {"eq": n}} for n in range(900)]}}),
    "many nodes": lambda: ("mutation($i: [AddDocInput!]!) { addDoc(input: $i) { count } }", {"i": [{"key": f"k{n}"} for n in range(2_000)]}),
    "nodes in nodes": lambda: ("mutation($i: [AddT0Input!]!) { addT0(input: $i) { count } }", {"i": [deep_node(20)]}),
    "a long list": lambda: ("mutation($i: [AddDocInput!]!) { addDoc(input: $i) { count } }", {"i": [{"key": "l", "items": ["x"] * 20_000}]}),
    "a huge number in the text": lambda: ("{ queryT0(first: %s) { id } }" % ("9" * 15_000), None),
    "a huge float in the text": lambda: ("{ queryT0(filter: {f: {eq: 1e9999}}) { id } }", None),
    "a huge number": lambda: ("query($n: Int) { queryT0(first: $n) { id } }", {"n": 10**30}),
    "a huge Int64": lambda: ("mutation($b: Int64) { addDoc(input: [{key: \"b\", big: $b}]) { count } }", {"b": "9" * 5_000}),
    "not a number": lambda: ("query($n: Float) { queryT0(filter: {f: {eq: $n}}) { id } }", {"n": "NaN"}),
    "a time before time": lambda: ('mutation { addDoc(input: [{key: "t", at: "0000-00-00T99:99:99Z"}]) { count } }', None),
    "half a character": lambda: ('{ getDoc(key: "\\uD800") { id } }', None),
    "a pattern that doubles": lambda: ('{ queryDoc(filter: {text: {regexp: "((a{100}){100}){100}"}}) { id } }', None),
    "a long pattern": lambda: ('{ queryDoc(filter: {text: {regexp: "%s"}}) { id } }' % ("(a|b)*" * 200), None),
    "no pattern": lambda: ('{ queryDoc(filter: {text: {regexp: "("}}) { id } }', None),
    "a long search": lambda: ('{ search(text: "%s") { total } }' % ("a " * 5_000), None),
    "many words": lambda: ('{ search(text: "%s") { total } }' % " ".join(f"w{n}" for n in range(200)), None),
    "a deep search": lambda: ('{ search(text: "", offset: 999999, first: 1000) { total } }', None),
    "a long history": lambda: ('{ nodeHistory(type: "Doc", id: "x", first: 1000000) { kind } }', None),
    "introspection in itself": lambda: ("{ __schema { types { %s } } }" % ("fields { type { " * 11 + "name" + " } }" * 11), None),
    "introspection many times": lambda: ("{ %s }" % " ".join(f"a{n}: __schema {{ types {{ name fields {{ name args {{ name type {{ name }} }} }} inputFields {{ name }} }} }}" for n in range(49)), None),
    "introspection in width": lambda: ("{ __schema { types { fields { args { %s } } } } }" % " ".join(f"a{n}: name" for n in range(450)), None),
    "a name of an operation": lambda: ("{ revision }", ["no", "object"]),
}  # fmt: skip


def deep_filter(depth: int) -> Any:
    return {"and": [deep_filter(depth - 1)]} if depth else {}


def deep_list(depth: int) -> Any:
    made: Any = 1
    for _ in range(depth):
        made = [made]
    return made


def deep_node(depth: int, number: int = 0) -> Any:
    return {"name": "x"} | ({"next": deep_node(depth - 1, number + 1)} if depth else {})


@pytest.mark.parametrize("name", BOMBS)
def test_attack_a_bomb_is_refused_with_a_clear_error_while_others_are_served(
    loop: asyncio.AbstractEventLoop, cloud: Cloud, name: str
) -> None:
    query, variables = BOMBS[name]()

    async def throw() -> None:
        async with Meanwhile(cloud) as others:
            body = {"query": query, "variables": variables}
            status, raw, _ = await cloud.api.execute(Caller("app", "bomber"), body, {})
        answer = json.loads(raw)
        assert answer.get("errors"), f"{name} was answered: {raw[:300]!r}"
        for error in answer["errors"]:
            assert error["extensions"]["code"] in ("REJECTED", "NOT_FOUND"), error
            assert error["message"] and len(error["message"]) <= 1_000 and error["message"] != "Validation aborted."
        assert len(raw) < 100_000 and status in (200, 400)
        assert others.longest < LONGEST_PAUSE, f"others waited {others.longest:.1f} s"

    loop.run_until_complete(throw())


ALLOWED = {
    "a doubling pattern that RE2 takes in linear time": '{ queryDoc(filter: {text: {regexp: "(a*)*(a*)*(a|aa)+$"}}) { id } }',
    "a NUL": 'mutation { addDoc(input: [{key: "n", text: "a\\u0000b"}], upsert: true) { count } }',
    "all of Unicode's oddities": 'mutation { addDoc(input: [{key: "u\\u202e\\u200d\\ufeff\U0001f468\u200d\U0001f469", text: "\u0300\u0300"}], upsert: true) { count } }',
    "the whole schema": "{ __schema { types { name kind fields { name args { name type { name ofType { name } } } } inputFields { name } enumValues { name } } } }",
    "a list of a thousand ids": "{ queryDoc(filter: {id: [%s]}) { id } }" % ",".join(f'"{n}"' for n in range(1_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_attack_what_is_odd_but_allowed_is_answered_while_others_are_served(
    loop: asyncio.AbstractEventLoop, cloud: Cloud, name: str
) -> None:
    async def ask() -> None:
        async with Meanwhile(cloud) as others:
            await cloud.ask(ALLOWED[name], by="bomber")
        assert others.longest < LONGEST_PAUSE

    loop.run_until_complete(ask())


def test_attack_introspection_that_takes_too_long_ends(loop: asyncio.AbstractEventLoop, cloud: Cloud) -> None:
    """As wide as allowed: beyond its seconds it is refused, and others are served all the while."""
    inner = " ".join(f"a{n}: fields {{ name args {{ name defaultValue type {{ name }} }} }}" for n in range(70))
    query = f"{{ __schema {{ types {{ {inner} }} }} }}"

    async def ask() -> float:
        began = time.process_time()
        async with Meanwhile(cloud) as others:
            with contextlib.suppress(Failed):
                await cloud.ask(query, by="bomber")
        assert others.longest < LONGEST_PAUSE
        return time.process_time() - began

    assert loop.run_until_complete(ask()) < 30


# --- over real sockets -----------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def served(cloud: Cloud, by: Caller) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    application = web.Application(client_max_size=2**40)

    async def graphql(request: web.Request) -> web.StreamResponse:
        return await cloud.api.http(request, by)

    application.router.add_route("*", "/graphql", graphql)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/graphql", session
    finally:
        await runner.cleanup()


BODIES = {
    "a batch": (400, b'[{"query":"{ revision }"},{"query":"{ revision }"}]'),
    "a number": (400, b"1"),
    "nothing": (400, b""),
    "half of it": (400, b'{"query": "{ rev'),
    "no text": (400, b"\xff\xfe{}"),
    "half a character": (400, b'{"query": "{ revision }", "variables": {"a": "\\ud800"}}'),
    "as deep as it goes": (
        400,
        b'{"query": "{ revision }", "variables": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ),
    "deep but balanced": (400, b'{"query": "{ revision }", "variables": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}"),
    "too much": (413, b'{"query": "' + b" " * (5 * 2**20) + b'"}'),
    "a query that is not text": (400, b'{"query": {"a": 1}}'),
    "keys without end": (
        200,
        b'{"query": "{ revision }", "x": {' + b",".join(b'"%d": 1' % n for n in range(50_000)) + b"}}",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_attack_a_malformed_request_body_is_refused(loop: asyncio.AbstractEventLoop, cloud: Cloud, name: str) -> None:
    status, body = BODIES[name]

    async def post() -> None:
        async with served(cloud, Caller("app", "bomber")) as (url, session):
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                told = await answer.json()
                assert answer.status == status, told
                assert status == 200 or told["errors"][0]["extensions"]["code"] == "REJECTED"
            async with session.post(url, json={"query": "{ revision }"}) as after:
                assert after.status == 200

    loop.run_until_complete(post())


def test_attack_a_body_that_trickles_in_ends(loop: asyncio.AbstractEventLoop, cloud: Cloud) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield b'{"query": "'
        await asyncio.Event().wait()

    async def post() -> None:
        async with served(cloud, Caller("app", "bomber")) as (url, session):
            headers = {"Content-Type": "application/json", "Connection": "close"}
            with contextlib.suppress(aiohttp.ClientError):
                async with asyncio.timeout(20), session.post(url, data=trickle(), headers=headers) as answer:
                    assert answer.status == 408

    loop.run_until_complete(post())


@contextlib.asynccontextmanager
async def socket(
    url: str, session: aiohttp.ClientSession, *, init: bool = True
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with session.ws_connect(url, protocols=["graphql-transport-ws"]) as opened:
        if init:
            await opened.send_json({"type": "connection_init"})
            assert (await opened.receive_json())["type"] == "connection_ack"
        yield opened


def test_attack_a_flood_of_subscriptions_is_refused_one_by_one_and_others_are_served(
    loop: asyncio.AbstractEventLoop, cloud: Cloud
) -> None:
    async def flood() -> None:
        async with (
            served(cloud, Caller("app", "bomber")) as (url, session),
            socket(url, session) as one,
            Meanwhile(cloud) as others,
        ):
            for number in range(500):
                payload = {"query": "subscription { docEvents { id } }"}
                await one.send_json({"type": "subscribe", "id": str(number), "payload": payload})
            refused = [await one.receive_json(timeout=30) for _ in range(500 - ApiLimits().subscriptions)]
            assert all(
                told["type"] == "error" and "more than 32 operations" in told["payload"][0]["message"]
                for told in refused
            )
            assert len(cloud.api._connections) == 1
        assert others.longest < LONGEST_PAUSE

    loop.run_until_complete(flood())


def test_attack_a_flood_by_a_client_that_reads_nothing_fills_no_memory(
    loop: asyncio.AbstractEventLoop, cloud: Cloud
) -> None:
    """Its refusals wait for it to read, and until then no more of its messages are read."""

    async def flood() -> None:
        async with served(cloud, Caller("app", "bomber")) as (url, session), socket(url, session) as one:
            payload = {"query": "subscription { docEvents { id } }"}

            async def send() -> None:
                for number in range(1_000_000):
                    await one.send_json({"type": "subscribe", "id": f"{number}{'x' * 100}", "payload": payload})

            sending = asyncio.create_task(send())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await sending
            (connection,) = cloud.api._connections
            assert len(connection._running) <= ApiLimits().subscriptions
            sending.cancel()

    loop.run_until_complete(flood())


def test_attack_one_caller_cannot_hold_all_connections(loop: asyncio.AbstractEventLoop, cloud: Cloud) -> None:
    async def flood() -> None:
        async with (
            served(cloud, Caller("app", "bomber")) as (url, session),
            served(cloud, Caller("person", "owner")) as (owner, again),
            contextlib.AsyncExitStack() as opened,
        ):
            for _ in range(ApiLimits().caller_connections):
                await opened.enter_async_context(socket(url, session))
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url, protocols=["graphql-transport-ws"])
            assert refused.value.status == 503
            async with socket(owner, again):
                pass

    loop.run_until_complete(flood())


def test_attack_a_half_open_websocket_is_closed(
    loop: asyncio.AbstractEventLoop, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.graph.api.websocket.INIT_SECONDS", 0.3)

    async def wait() -> None:
        async with served(cloud, Caller("app", "bomber")) as (url, session):
            async with socket(url, session, init=False) as one:
                await one.receive(timeout=10)
                assert one.close_code == 4408
            async with socket(url, session, init=False) as one:
                await one.send_json({"type": "ping"})  # keeps nothing open without connection_init
                messages = [await one.receive(timeout=10), await one.receive(timeout=10)]
                assert (
                    messages[-1].type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED) and one.close_code == 4408
                )

    loop.run_until_complete(wait())


MESSAGES = ["", "{", "1", "[]", '{"type": 1}', '{"type": "subscribe"}', '{"type": "subscribe", "id": 1, "payload": {}}', '{"type": "connection_init"}',
            '{"type": "subscribe", "id": "", "payload": {}}', '{"type": "nothing"}', '{"type": "subscribe", "id": "' + "x" * 200 + '", "payload": {}}',
            '{"type": ' + "[" * 5_000]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES)
def test_attack_a_malformed_message_closes_the_socket_with_a_reason(
    loop: asyncio.AbstractEventLoop, cloud: Cloud, message: str
) -> None:
    async def send() -> None:
        async with served(cloud, Caller("app", "bomber")) as (url, session), socket(url, session) as one:
            await one.send_str(message)
            await one.receive(timeout=10)
            assert one.close_code in (4400, 4429)

    loop.run_until_complete(send())


def test_attack_a_message_beyond_the_bound_closes_the_socket(loop: asyncio.AbstractEventLoop, cloud: Cloud) -> None:
    async def send() -> None:
        async with served(cloud, Caller("app", "bomber")) as (url, session), socket(url, session) as one:
            with contextlib.suppress(ConnectionError):  # it may be closed before all is sent
                await one.send_str("x" * (10 * 2**20))
            with contextlib.suppress(ConnectionError):
                await one.receive(timeout=10)
            assert one.closed and one.close_code in (1006, 1009)

    loop.run_until_complete(send())
