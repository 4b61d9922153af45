"""What is private in FastStream: an update that changes it fails here with a plain message."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import nats
from faststream.nats import NatsBroker
from faststream.security import SASLPlaintext

from pcloud.faststream_private import drain
from tests.waiting import until

CHANGED = f"FastStream {version('faststream')} has changed: see pcloud/faststream_private.py about subscription"


async def test_after_a_drain_nothing_more_is_received(bus: Any) -> None:
    user, received = bus.server.core, list[str]()
    broker = NatsBroker(
        bus.server.url, security=SASLPlaintext(user.user, user.password), logger=None, apply_types=False
    )

    @broker.subscriber("puppies.>", no_reply=True)
    async def receive(message: bytes) -> None:
        received.append(message.decode())

    await broker.start()
    [subscriber] = broker.subscribers
    assert hasattr(getattr(subscriber, "subscription", None), "drain"), CHANGED
    async with await nats.connect(bus.server.url, user=user.user, password=user.password) as client:
        await until(lambda: _published(client, "first", received), what=f"the first message: {CHANGED}")
        await drain(broker)
        await drain(broker)
        before = len(received)
        await client.publish("puppies.bark", b"late")
        await client.flush()
        await (await broker.connect()).flush()
    await broker.stop()  # it finds nothing to end: a second `unsubscribe` would fail
    assert received == ["first"] * before, CHANGED


async def _published(client: Any, text: str, received: list[str]) -> bool:
    await client.publish("puppies.bark", text.encode())
    await client.flush()
    return bool(received)
