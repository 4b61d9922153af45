"""Addresses and keys end with their right: at once, even if a part is away meanwhile, and no others end with them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError
from object_store.ledger import Credential, Ledger
from object_store.names import PROBE
from object_store.rights import UNKNOWN
from object_store.store import Store

from pcloud.errors import Forbidden, NotFound, Unavailable

from .conftest import PATIENCE, Core, Recorder, client, in_thread, running
from .test_s3_clients import status

DEVICE = "device:" + "0" * 32


async def addresses(store: Store, caller: str, bucket: str = "images") -> tuple[str, str]:
    """Addresses to put the object `a`, and to get it."""
    put = (await store.put_object(caller, bucket, "a"))["url"]
    assert await in_thread(status, put, "PUT", b"x") == 200
    get = (await store.get_object(caller, bucket, "a"))["url"]
    assert await in_thread(status, get) == 200
    return put, get


def uses(store: Store, issued: dict[str, str]) -> Callable[[str], Any]:
    """S3's answer to a request with a key, such as `put_object`: '' or the code of the error."""
    s3 = client(store, issued["access_key"], issued["secret_key"])
    bucket = {"Bucket": issued["bucket"]}

    async def use(name: str, **arguments: Any) -> str:
        try:
            await in_thread(getattr(s3, name), **bucket, **arguments)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return ""

    return use


async def test_an_address_ends_with_its_action_and_no_other_with_it(store: Store, core: Core) -> None:
    await store.create_bucket("app:photos", "images")
    put, get = await addresses(store, "app:photos")
    others = (await store.get_object("app:other", "images", "a"))["url"]
    issued = await store.issue_credentials("app:photos", "k", "images", write=True)
    core.withdraw("app:photos", "put-object")
    await store.keys.check()
    assert await in_thread(status, put, "PUT", b"x") == 403
    assert await in_thread(status, get) == await in_thread(status, others) == 200
    core.withdraw("app:photos", "get-object", "issue-credentials")
    await store.keys.check()
    assert await in_thread(status, get) == 403 and await in_thread(status, others) == 200
    assert await uses(store, issued)("list_objects_v2") == "InvalidAccessKeyId"
    with pytest.raises(Forbidden):  # from a call in progress
        await store.get_object("app:photos", "images", "a")


async def test_a_right_that_is_given_again_revives_no_old_address(store: Store, core: Core) -> None:
    await store.create_bucket("app:photos", "images")
    _, get = await addresses(store, "app:photos")
    core.give_again("app:photos", "get-object")
    await store.keys.check()
    assert await in_thread(status, get) == 403
    await addresses(store, "app:photos")


async def test_what_ended_while_the_store_was_down_never_works_again(tmp_path: Path, recorder: Recorder) -> None:
    core, said = Core(), set[int]()
    async with running(tmp_path, recorder, core) as store:
        await store.create_bucket("app:photos", "images")
        _, get = await addresses(store, "app:photos")
    core.withdraw("app:photos", "get-object")
    watching = asyncio.create_task(watch(get, said))
    async with running(tmp_path, recorder, core) as store:
        async with asyncio.timeout(PATIENCE):
            while len(store.keys._ledger.ended()) or not said:  # until it is gone from weed, too
                await asyncio.sleep(0.01)
        watching.cancel()
    assert said == {403}


async def test_what_ends_while_weed_is_away_never_works_again(store: Store, core: Core) -> None:
    await store.create_bucket("app:photos", "images")
    _, get = await addresses(store, "app:photos")
    core.withdraw("app:photos", "get-object")
    said = set[int]()
    assert store.server.process
    store.server.process.kill()
    await store.server.process.wait()
    watching = asyncio.create_task(watch(get, said))
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await store.keys.check()
                break
            except Unavailable:  # core reports it again, too
                continue
    watching.cancel()
    assert said <= {403, 503} and await in_thread(status, get) == 403  # 503: weed took long to start


async def watch(url: str, said: set[int]) -> None:
    """Ask repeatedly without a pause."""
    while True:
        try:
            said.add(await in_thread(status, url))
        except OSError:
            await asyncio.sleep(0)


async def test_an_unfinished_key_is_swept_away(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    ledger = store.keys._ledger
    ledger.begin_credential(
        Credential("PCDEAD", "x-DEAD", "images", "", True, "", "app:photos", {"get-object": 0}, "s")
    )
    assert ledger.signing("app:photos", "get-object", "images") is None
    await store.keys.sweep()
    assert ledger.credential("PCDEAD") is None
    await addresses(store, "app:photos")


async def test_an_address_lives_an_hour_at_most(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    for seconds, lives in ((60, 60), (3600, 3600), (3601, 3600), (604_800, 3600)):
        for action in (store.get_object, store.put_object):
            url = (await action("app:photos", "images", "a", seconds))["url"]
            assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(lives)]


async def test_a_signing_key_reaches_only_its_bucket_and_action(store: Store) -> None:
    for bucket in ("images", "others"):
        await store.create_bucket("app:photos", bucket)
        await addresses(store, "app:photos", bucket)
    for action, other in (("get-object", "put_object"), ("put-object", "get_object")):
        key = store.keys._ledger.signing("app:photos", action, "images")
        assert key
        body = {"Body": b"x"} if other == "put_object" else {}
        pair = {"access_key": key.access_key, "secret_key": key.secret}
        assert await uses(store, {**pair, "bucket": "images"})(other, Key="a", **body) == "AccessDenied"
        assert await uses(store, {**pair, "bucket": "others"})("list_objects_v2") == "AccessDenied"
        with pytest.raises(NotFound):
            await store.revoke_credentials("person:owner", key.access_key)


async def test_a_device_that_may_upload_neither_deletes_nor_stays_longer(store: Store, core: Core) -> None:
    await store.create_bucket("app:photos", "images")
    with pytest.raises(Forbidden):
        await store.issue_credentials("app:photos", "phone", "images", holder=DEVICE)
    core.withdraw(DEVICE, "delete-object", "get-object", "list-objects", "issue-credentials", "export")
    await store.keys.check()
    issued = await store.issue_credentials("person:owner", "phone", "images", write=True, delete=False, holder=DEVICE)
    use = uses(store, issued)
    assert not await use("put_object", Key="a", Body=b"x")
    assert not await use("get_object", Key="a") and not await use("list_objects_v2")
    assert await use("delete_object", Key="a") == "AccessDenied"
    await use("delete_objects", Delete={"Objects": [{"Key": "a"}]})
    assert not await use("get_object", Key="a")
    with pytest.raises(Forbidden):
        await store.issue_credentials("person:owner", "phone", "images", write=True, holder=DEVICE)
    core.withdraw(DEVICE, "put-object")
    await store.keys.check()
    assert await use("list_objects_v2") == "InvalidAccessKeyId"
    assert store.keys._ledger.credential(issued["access_key"]) is None


async def test_a_device_that_loses_a_scope_loses_the_key_that_had_it(store: Store, core: Core) -> None:
    await store.create_bucket("app:photos", "images")
    issued = await store.issue_credentials("person:owner", "phone", "images", write=True, holder=DEVICE)
    use = uses(store, issued)
    assert not await use("delete_object", Key="a")
    core.withdraw(DEVICE, "delete-object")
    await store.keys.check()
    assert await use("put_object", Key="a", Body=b"x") == "InvalidAccessKeyId"


async def test_forgetting_a_caller_deletes_its_buckets_and_all_their_keys(store: Store) -> None:
    for app in ("photos", "other"):
        await store.create_bucket(f"app:{app}", app, "capability:abc")
        await addresses(store, f"app:{app}", app)
    others = (await store.get_object("app:other", "photos", "a"))["url"]
    device = uses(store, await store.issue_credentials("person:owner", "phone", "photos", write=True, holder=DEVICE))
    for _ in range(2):
        await store.forget_caller("app:photos")
    assert await in_thread(status, others) == 403
    assert await device("put_object", Key="a", Body=b"x") == "InvalidAccessKeyId"
    with pytest.raises(NotFound):
        await store.list_objects("app:other", "photos")
    assert {b["Name"] for b in (await in_thread(client(store).list_buckets))["Buckets"]} == {"other", PROBE}
    assert not store.keys._ledger.waiting("photos", 10)
    await store.create_bucket("app:other", "photos")
    assert (await store.list_objects("app:other", "photos"))["objects"] == []
    assert (await store.usage("app:other", "other"))["buckets"] == [{"bucket": "other", "objects": 1, "bytes": 1}]


async def test_an_address_of_an_earlier_version_does_not_outlive_the_upgrade(
    tmp_path: Path, recorder: Recorder
) -> None:
    async with running(tmp_path, recorder) as store:
        await store.create_bucket("app:photos", "images")
        await addresses(store, "app:photos")
        url = store._s3.presign("GET", "images", "a", 604_800)  # as all were signed
        assert await in_thread(status, url) == 200
    async with running(tmp_path, recorder):
        assert await in_thread(status, url) == 403


async def test_many_keys_end_within_seconds(store: Store, core: Core) -> None:
    await store.create_bucket("app:photos", "images")
    for _ in range(30):
        await store.issue_credentials("app:photos", "k", "images")
    core.withdraw("app:photos", "issue-credentials")
    began = time.monotonic()
    await store.keys.check()
    assert time.monotonic() - began < 5 and not store.keys._ledger.ended()  # one after the other they would take 30


EARLIER = """
CREATE TABLE credential (access_key TEXT PRIMARY KEY, user TEXT NOT NULL, bucket TEXT NOT NULL, prefix TEXT NOT NULL,
    write INTEGER NOT NULL, issuer TEXT NOT NULL) STRICT;
INSERT INTO credential VALUES ('PC1', 'device-0123456789abcdef0123456789abcdef-ABCDEFG2', 'images', '', 1, 'owner');
INSERT INTO credential VALUES ('PC2', 'device-mine-ABCDEFG2', 'images', '', 1, 'owner');
INSERT INTO credential VALUES ('PC3', 'device-0123456789abcdef0123456789abcdef-ABCDEFG2', 'images', '', 1, 'app:photos');
"""


def test_keys_of_an_earlier_version_get_their_holders(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger") as db:
        db.executescript(EARLIER)
    for _ in range(2):
        with Ledger(tmp_path / "ledger") as ledger:
            found = {key.access_key: (key.holder, dict(key.rights)) for key in ledger.credentials()}
            assert found == {
                "PC1": ("device:0123456789abcdef0123456789abcdef", {"put-object": UNKNOWN, "delete-object": UNKNOWN}),
                "PC2": ("person:owner", {"issue-credentials": UNKNOWN}),
                "PC3": ("app:photos", {"issue-credentials": UNKNOWN}),
            }
