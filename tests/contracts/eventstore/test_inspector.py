"""The inspector reads all of the log and can't change it in any way."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.msg import Msg

from eventstore import EmbeddedServer, EventStore
from eventstore.server.identity import load_identity, save_private
from tests.contracts.eventstore.conftest import Make
from tests.contracts.eventstore.test_isolation import User


@pytest.fixture
async def inspector(server: EmbeddedServer) -> AsyncIterator[User]:
    user = User()
    await user.connect(server.url, user=server.inspector.user, password=server.inspector.password, error_cb=user.note)
    yield user
    await user.close()


async def asked(user: User, endpoint: str, body: bytes = b"") -> dict:
    return msgspec.json.decode((await user.request(f"$JS.API.{endpoint}", body, timeout=5)).data)


async def test_it_asks_for_streams_consumers_and_messages(inspector: User, store: EventStore, make: Make) -> None:
    await store.append(make.tx(make.event("a", name="x")))
    await store.consumer("trigger_photos_t_live", subjects=["graph.photos.Image.*"], start="all")
    assert (await asked(inspector, "STREAM.INFO.GRAPH"))["state"]["messages"] == 1
    names = (await asked(inspector, "STREAM.NAMES"))["streams"]
    assert {"GRAPH", "WORK", "RUNS", "AUDIT"} <= set(names)
    listed = (await asked(inspector, "CONSUMER.LIST.GRAPH"))["consumers"]
    assert "trigger_photos_t_live" in [one["name"] for one in listed]
    found = (await asked(inspector, "STREAM.MSG.GET.GRAPH", b'{"seq":1}'))["message"]
    assert found["subject"] == make.ref("a").subject
    direct = await inspector.request("$JS.API.DIRECT.GET.GRAPH", b'{"seq":1}', timeout=5)
    assert msgspec.json.decode(direct.data)["set"] == {"name": "x"}


async def test_it_hears_what_happens(inspector: User, store: EventStore, make: Make, until) -> None:
    heard: list[str] = []

    async def note(message: Msg) -> None:
        heard.append(message.subject)

    await inspector.subscribe("graph.>", cb=note)
    await inspector.settled()
    await store.append(make.tx(make.event("a", name="x")))

    async def came() -> bool:
        return heard == [make.ref("a").subject]

    await until(came)


WRITES = (
    "graph.photos.Image.a",
    "work.photos.a.b",
    "run.photos.a.b",
    "audit.call",
    "$KV.FORGETTING.x",
    "$JS.API.STREAM.PURGE.GRAPH",
    "$JS.API.STREAM.DELETE.GRAPH",
    "$JS.API.STREAM.UPDATE.GRAPH",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.MSG.DELETE.GRAPH",
    "$JS.API.STREAM.SNAPSHOT.GRAPH",
    "$JS.API.CONSUMER.CREATE.GRAPH",
    "$JS.API.CONSUMER.CREATE.GRAPH.mine",
    "$JS.API.CONSUMER.DURABLE.CREATE.GRAPH.mine",
    "$JS.API.CONSUMER.DELETE.GRAPH.trigger_photos_t_live",
    "$JS.API.CONSUMER.PAUSE.GRAPH.trigger_photos_t_live",
    "$JS.API.CONSUMER.RESET.GRAPH.trigger_photos_t_live",
    "$JS.API.CONSUMER.MSG.NEXT.WORK.work_photos",
    "$JS.ACK.GRAPH.trigger_photos_t_live.1.1.1.1.1",
    "call.photos.a",
    "$SYS.REQ.SERVER.PING",
)


@pytest.mark.parametrize("subject", WRITES)
async def test_it_may_not_publish(inspector: User, store: EventStore, subject: str) -> None:
    assert not await inspector.may_publish(subject)


async def test_an_answer_that_it_redirects_writes_and_purges_nothing(
    inspector: User, store: EventStore, make: Make
) -> None:
    await store.append(make.tx(make.event("a", name="x")))
    for reply in (make.ref("a").subject, make.ref("b").subject, "work.photos.a.b", "$JS.API.STREAM.PURGE.GRAPH"):
        for question in ("$JS.API.STREAM.INFO.GRAPH", "$JS.API.DIRECT.GET.GRAPH", "$JS.API.STREAM.NAMES"):
            await inspector.publish(question, b'{"seq":1}', reply=reply)
    await inspector.settled()
    # Core's own request comes after: by then, all of these have been answered.
    assert (await asked(inspector, "STREAM.INFO.GRAPH"))["state"]["messages"] == 1
    assert await store.last_sequence() == 1
    assert (await asked(inspector, "STREAM.INFO.WORK"))["state"]["messages"] == 0


def test_an_identity_from_before_inspectors_gets_one(tmp_path) -> None:
    path = tmp_path / "server.json"
    old = msgspec.json.decode(msgspec.json.encode(load_identity(path)))
    del old["inspector_password"]
    save_private(path, msgspec.json.encode(old))
    assert load_identity(path).inspector_password
    assert load_identity(path).core_password == old["core_password"]
