"""Who owns a bucket, what credentials can reach, and that revoked credentials stop working."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from object_store.ledger import Bucket, Credential
from object_store.store import Store

from pcloud.errors import Conflict, Forbidden, NotFound, Rejected

from .conftest import client, in_thread


def refused() -> Any:
    return pytest.raises(ClientError, match=r"AccessDenied|Forbidden|403|InvalidRequest")


async def test_a_bucket_belongs_to_the_app_that_made_it(store: Store) -> None:
    await store.create_bucket("app:photos", "thumbnails")
    assert await store.create_bucket("app:photos", "thumbnails") == {"bucket": "thumbnails"}
    with pytest.raises(Conflict):
        await store.create_bucket("app:other", "thumbnails")
    with pytest.raises(Forbidden):
        await store.put_object("app:other", "thumbnails", "a")
    with pytest.raises(Forbidden):
        await store.delete_object("app:other", "thumbnails", "a")
    with pytest.raises(Forbidden):
        await store.issue_credentials("app:other", "x", "thumbnails")
    with pytest.raises(Forbidden):
        await store.export("app:other", "thumbnails")
    assert (await store.usage("app:other"))["buckets"] == []
    for caller in ("person:owner", "core", "app:photos", "device:phone"):
        assert (await store.put_object(caller, "thumbnails", "a"))["url"]
    for caller in ("person:owner", "app:other", "device:phone"):  # the grant of the call allows them to read
        assert (await store.get_object(caller, "thumbnails", "a"))["url"]
        assert (await store.list_objects(caller, "thumbnails")) == {"objects": [], "next": None}
    with pytest.raises(Forbidden):
        await store.create_bucket("device:phone", "mine")
    with pytest.raises(Forbidden):
        await store.issue_credentials("device:phone", "x", "thumbnails")


async def test_missing_things_and_values_out_of_bounds_are_named(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    with pytest.raises(NotFound):
        await store.get_object("app:photos", "unknown", "a")
    with pytest.raises(NotFound):
        await store.revoke_credentials("person:owner", "PCNONE")
    for seconds in (0, -1, 604_801):
        with pytest.raises(Rejected):
            await store.get_object("app:photos", "images", "a", seconds)
    for key in (
        "",
        "/a",
        "a//b",
        "../a",
        "a/../b",
        "a\\b",
        "a\0b",
        "x" * 256,
        "é" * 128,
        "x/" * 512 + "x",
        ".uploads/a",
        "a/",
        "\ud800",
    ):
        with pytest.raises(Rejected):
            await store.put_object("app:photos", "images", key)
    for bucket in ("", "ab", "Images", "a.b.c", "-images", "images-", "../x", "x" * 64, ".system"):
        with pytest.raises(Rejected):
            await store.create_bucket("app:photos", bucket)
    for prefix in ("a*", "../b", "${aws:username}", "a//b", "?"):
        with pytest.raises(Rejected):
            await store.issue_credentials("app:photos", "phone", "images", prefix)
    for first in (0, 1001):
        with pytest.raises(Rejected):
            await store.list_objects("app:photos", "images", first=first)


async def test_credentials_reach_their_prefix_and_nothing_else(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    await store.create_bucket("app:photos", "others")
    issued = await store.issue_credentials("app:photos", "phone-1", "images", "phone-1", write=True)
    assert issued["endpoint"] == store.endpoint and issued["bucket"] == "images" and issued["prefix"] == "phone-1/"
    phone, admin = client(store, issued["access_key"], issued["secret_key"]), client(store)

    def story() -> None:
        admin.put_object(Bucket="images", Key="secret", Body=b"x")
        phone.put_object(Bucket="images", Key="phone-1/a.jpg", Body=b"hello")
        assert phone.get_object(Bucket="images", Key="phone-1/a.jpg")["Body"].read() == b"hello"
        assert phone.list_objects_v2(Bucket="images", Prefix="phone-1/")["KeyCount"] == 1
        for key in ("secret", "phone-2/a.jpg", "phone-1x/a.jpg", "phone-1/../secret"):
            with refused():
                phone.put_object(Bucket="images", Key=key, Body=b"x")
        for action in (
            lambda: phone.get_object(Bucket="images", Key="secret"),
            lambda: phone.delete_object(Bucket="images", Key="secret"),
            lambda: phone.list_objects_v2(Bucket="images"),
            lambda: phone.list_objects_v2(Bucket="images", Prefix="s"),
            lambda: phone.copy_object(Bucket="images", Key="phone-1/b", CopySource="images/secret"),
            lambda: phone.put_object(Bucket="others", Key="phone-1/a.jpg", Body=b"x"),
            lambda: phone.create_bucket(Bucket="mine"),
            lambda: phone.delete_bucket(Bucket="images"),
            lambda: phone.put_bucket_policy(Bucket="images", Policy="{}"),
            lambda: phone.put_bucket_acl(Bucket="images", ACL="public-read"),
            lambda: phone.put_object_acl(Bucket="images", Key="phone-1/a.jpg", ACL="public-read"),
        ):
            with refused():
                action()

    await in_thread(story)


async def test_read_only_credentials_do_not_write(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    issued = await store.issue_credentials("app:photos", "viewer", "images")
    viewer = client(store, issued["access_key"], issued["secret_key"])
    await in_thread(client(store).put_object, Bucket="images", Key="a", Body=b"hello")
    await in_thread(viewer.get_object, Bucket="images", Key="a")
    for action in (viewer.put_object, viewer.delete_object):
        with refused():
            await in_thread(action, Bucket="images", Key="a")


async def test_a_key_can_not_make_another_key(store: Store) -> None:
    import boto3

    await store.create_bucket("app:photos", "images")
    issued = await store.issue_credentials("app:photos", "phone", "images", write=True)
    for pair in ((issued["access_key"], issued["secret_key"]), tuple(vars_of(store))):
        iam = boto3.client(
            "iam", endpoint_url=store.endpoint, region_name="us-east-1",
            aws_access_key_id=pair[0], aws_secret_access_key=pair[1],
        )  # fmt: skip
        for action, arguments in (
            (iam.create_access_key, {}),
            (iam.create_user, {"UserName": "x"}),
            (iam.list_users, {}),
        ):
            with pytest.raises(Exception, match=r"."):
                await in_thread(action, **arguments)


def vars_of(store: Store) -> list[str]:
    return [store.server.secrets.admin.access_key, store.server.secrets.admin.secret_key]


async def test_revoked_credentials_are_refused_from_the_answer_on(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    for _ in range(5):
        issued = await store.issue_credentials("app:photos", "phone", "images", write=True)
        phone = client(store, issued["access_key"], issued["secret_key"])
        await in_thread(phone.put_object, Bucket="images", Key="a", Body=b"hello")
        with pytest.raises(Forbidden):
            await store.revoke_credentials("app:other", issued["access_key"])
        await store.revoke_credentials("person:owner", issued["access_key"])
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            await in_thread(phone.put_object, Bucket="images", Key="a", Body=b"hello")


async def test_listing_usage_and_export_name_all_objects(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    keys = sorted(["a", "a/b", "a-b", "a.txt", "z/1/2", *(f"n{number:03}" for number in range(30))])
    for key in keys:
        await in_thread(client(store).put_object, Bucket="images", Key=key, Body=b"12345")
    found, after = list[str](), ""
    while after is not None:
        page = await store.list_objects("app:other", "images", after=after, first=7)
        assert len(page["objects"]) <= 7
        found += [o["key"] for o in page["objects"]]
        after = page["next"]
    assert sorted(found) == keys
    assert [o["key"] for o in (await store.list_objects("person:owner", "images", prefix="z/"))["objects"]] == ["z/1/2"]
    assert (await store.usage("app:photos"))["buckets"] == [{"bucket": "images", "objects": 35, "bytes": 175}]
    exported = (await store.export("person:owner", "images"))["objects"]
    assert sorted(o["key"] for o in exported) == keys and all("X-Amz-Signature" in o["url"] for o in exported)
    await store.delete_object("app:photos", "images", "a")
    assert "a" not in [o["key"] for o in (await store.list_objects("person:owner", "images"))["objects"]]


async def test_one_app_takes_neither_credentials_nor_buckets_of_others(store: Store) -> None:
    await store.create_bucket("app:greedy", "greedy")
    await store.create_bucket("app:modest", "modest")
    for number in range(100):
        made = Credential(f"PC{number:018}", f"k-{number}", "greedy", "", False, "app:greedy")
        store._ledger.begin_credential(made)
    with pytest.raises(Rejected, match="app:greedy has 100 credentials already: remove some"):
        await store.issue_credentials("app:greedy", "one-more", "greedy")
    for number in range(31):
        store._ledger.add_bucket(Bucket(f"greedy-{number}", "app:greedy"))
    with pytest.raises(Rejected, match="app:greedy has 32 buckets already"):
        await store.create_bucket("app:greedy", "one-more")
    assert await store.create_bucket("app:greedy", "greedy") == {"bucket": "greedy"}, "its own are there"
    for caller in ("app:modest", "person:owner"):
        assert (await store.issue_credentials(caller, "mine", "modest"))["secret_key"]
    assert await store.create_bucket("app:modest", "another") and await store.create_bucket(
        "person:owner", "photographs"
    )
