"""The order and pace of sends while many of them fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from object_store.delivery import Delivery, arguments, key
from object_store.ledger import Bucket, Ledger, Notification
from object_store.metadata import Created

from pcloud.errors import Rejected

from .conftest import PATIENCE

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400).filter(
    lambda k: len(k.encode()) <= 1024
)


def notification(key: str) -> Notification:
    return Notification("capability:abc", "b" * 63, key, "e" * 40, 1, 1_700_000_000)


@given(keys, keys)
def test_every_key_makes_a_valid_idempotency_key_of_its_own(one: str, other: str) -> None:
    assert len(key(notification(one))) <= 1024
    assert (key(notification(one)) == key(notification(other))) == (one == other)


@given(keys)
def test_a_key_is_sent_unchanged(one: str) -> None:
    assert arguments(notification(one))["key"] == one


class Flusher:
    async def durable(self) -> None: ...


async def test_a_thousand_failing_objects_hold_up_no_other() -> None:
    tries: list[str] = []
    told = asyncio.Event()

    async def send(target: str, arguments: Mapping[str, Any], key: str) -> None:
        tries.append(arguments["key"])
        if arguments["key"] == "good":
            told.set()
        else:
            raise Rejected("no")

    with Ledger(Path(":memory:")) as ledger:
        ledger.add_bucket(Bucket("images", "app:photos", "capability:abc"))
        ledger.record([Created("images", f"bad-{number}", "e", 1, 1, 10) for number in range(1000)])
        delivery = Delivery(ledger, Flusher(), send)  # type: ignore[arg-type]
        running = asyncio.create_task(delivery.run())
        async with asyncio.timeout(PATIENCE):
            while len(tries) < 1000:
                await asyncio.sleep(0.01)
            ledger._db.execute("UPDATE object SET due = 1")  # all of them are due again
            before = len(tries)
            ledger.record([Created("images", "good", "e", 1, 1, 11)])
            delivery.wake()
            await told.wait()
        assert len(tries) - before < 20
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_buckets_share_what_is_sent_at_once() -> None:
    sent: list[str] = []
    everything = asyncio.Event()

    async def send(target: str, arguments: Mapping[str, Any], key: str) -> None:
        sent.append(arguments["bucket"])
        await everything.wait()

    with Ledger(Path(":memory:")) as ledger:
        for bucket in ("a-large", "b-small"):
            ledger.add_bucket(Bucket(bucket, "app:photos", "capability:abc"))
        ledger.record([Created("a-large", f"{number}", "e", 1, 1, 10) for number in range(500)])
        ledger.record([Created("b-small", f"{number}", "e", 1, 1, 10) for number in range(5)])
        running = asyncio.create_task(Delivery(ledger, Flusher(), send).run())  # type: ignore[arg-type]
        async with asyncio.timeout(PATIENCE):
            while sent.count("b-small") < 5:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
