"""The rights of an app's own user on the bus: receive its calls, answer core. Nothing else, and nothing of the log."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import nkeys
import pytest
from nats.aio.client import Client

from tests.waiting import PATIENCE

OWN_ANSWERS = "_INBOX.core.photos.0123456789abcdef"


@pytest.fixture
async def users(server):
    """Connections of two apps (with what the server refused them) and of core's dispatcher."""
    seeds = {name: nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER) for name in ("photos", "faces")}
    public = {name: nkeys.from_seed(seed).public_key.decode() for name, seed in seeds.items()}
    await server.set_app_users(public)
    clients = {name: User() for name in (*seeds, "dispatcher")}
    for name, seed in seeds.items():
        await clients[name].connect(server.url, nkeys_seed_str=seed.decode(), error_cb=clients[name].note)
    dispatcher = server.dispatcher
    await clients["dispatcher"].connect(
        server.url, user=dispatcher.user, password=dispatcher.password, error_cb=clients["dispatcher"].note
    )
    yield clients
    for client in clients.values():
        with suppress(Exception):
            await client.close()


class User(Client):
    """A client that records what was refused."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    async def note(self, error: Exception) -> None:
        self.refused.append(str(error))

    async def settled(self) -> None:
        """The server has checked everything that was sent. (The client's first PING may overtake buffered data.)"""
        await self.flush()
        await self.flush()

    async def may_publish(self, subject: str, reply: str = "") -> bool:
        self.refused.clear()
        await self.publish(subject, b"x", reply=reply)
        await self.settled()
        return not self.refused

    async def may_subscribe(self, subject: str, queue: str = "") -> bool:
        self.refused.clear()
        await self.subscribe(subject, queue=queue)
        await self.settled()
        return not self.refused


@pytest.mark.parametrize(
    "subject",
    [
        "graph.photos.Image.a",
        "$JS.API.INFO",
        "$JS.API.STREAM.PURGE.GRAPH",
        "$JS.API.STREAM.MSG.GET.GRAPH",
        "$JS.API.CONSUMER.CREATE.GRAPH",
        "$JS.ACK.GRAPH.c.1.1.1.1.0",
        "$KV.FORGETTING.x",
        "work.photos.act.1",
        "run.photos.act.1",
        "call.photos.act",
        "call.faces.act",
        "_INBOX.core.faces.0123456789abcdef",
        "_INBOX.core.photos",
        "_INBOX.other",
        "$SYS.REQ.SERVER.PING",
        "anything",
    ],
)
async def test_an_app_can_not_publish(users, subject):
    assert not await users["photos"].may_publish(subject)


@pytest.mark.parametrize(
    ("subject", "queue"),
    [
        (">", ""),
        ("graph.>", ""),
        ("call.>", ""),
        ("call.>", "photos"),
        ("call.faces.act", "faces"),
        ("call.faces.>", "photos"),
        ("call.*.act", "photos"),
        ("call.photos.act", ""),
        ("call.photos.act", "faces"),
        ("_INBOX.>", ""),
        ("_INBOX.core.>", ""),
        (OWN_ANSWERS, ""),
        ("$JS.API.>", ""),
        ("$JS.EVENT.>", ""),
        ("$SYS.>", ""),
    ],
)
async def test_an_app_can_not_subscribe(users, subject, queue):
    assert not await users["photos"].may_subscribe(subject, queue)


async def test_an_app_hears_its_calls_and_answers_them(users):
    photos, dispatcher = users["photos"], users["dispatcher"]
    calls = await photos.subscribe("call.photos.act", queue="photos")
    answers = await dispatcher.subscribe("_INBOX.core.>")
    await photos.settled()
    await dispatcher.settled()
    await dispatcher.publish("call.photos.act", b"do", reply=OWN_ANSWERS)
    call = await calls.next_msg(timeout=5)
    assert (call.data, call.reply) == (b"do", OWN_ANSWERS)
    assert await photos.may_publish(call.reply)
    assert (await answers.next_msg(timeout=5)).data == b"x"
    assert not photos.refused and not dispatcher.refused


async def test_core_notices_at_once_that_no_instance_is_there(users):
    dispatcher = users["dispatcher"]
    answers = await dispatcher.subscribe(f"{OWN_ANSWERS}")
    await dispatcher.publish("call.photos.act", b"do", reply=OWN_ANSWERS)
    assert (await answers.next_msg(timeout=5)).headers["Status"] == "503"


async def test_an_app_sees_nothing_of_the_log_even_as_a_reply(users, store, make):
    """With one account for all, a reply subject of the attacker's choice made others do its work."""
    await store.append(make.tx(make.event("a")))
    photos = users["photos"]
    assert await photos.may_publish(OWN_ANSWERS, reply="$JS.API.STREAM.PURGE.GRAPH")
    heard = await users["dispatcher"].subscribe("_INBOX.core.>")
    await users["dispatcher"].publish("call.unknown.act", b"", reply=OWN_ANSWERS)
    await heard.next_msg(timeout=5)
    assert await store.last_sequence() == 1 and await store.last_event(make.ref("a"))


@pytest.mark.parametrize("subject", ["graph.photos.Image.a", "$JS.API.INFO", "_INBOX.core.photos.x", "work.a.b.c"])
async def test_the_dispatcher_publishes_only_calls(users, subject):
    assert not await users["dispatcher"].may_publish(subject)
    assert not await users["dispatcher"].may_subscribe("call.>")


async def test_accounts_share_no_subject(users, store):
    """Core's own account publishes a message with a call's subject, and no app receives it."""
    calls = await users["photos"].subscribe("call.photos.act", queue="photos")
    await users["photos"].settled()
    await store.nats.publish("call.photos.act", b"forged")
    await store.nats.flush()
    await store.nats.flush()
    await users["dispatcher"].publish("call.photos.act", b"true")
    async with asyncio.timeout(PATIENCE):
        assert (await calls.next_msg(timeout=5)).data == b"true"
