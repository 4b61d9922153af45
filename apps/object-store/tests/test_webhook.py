"""Every new object is sent to its bucket's webhook once, and nothing else is."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from object_store.names import addressable
from object_store.store import Store

from pcloud.errors import Forbidden, Rejected, Unavailable

from .conftest import Recorder, client, in_thread


async def put(store: Store, key: str, body: bytes = b"hello", bucket: str = "images") -> str:
    answer = await in_thread(client(store).put_object, Bucket=bucket, Key=key, Body=body)
    return answer["ETag"].strip('"')


async def test_a_put_is_sent_with_its_facts(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    etag = await put(store, "2024/ä b.jpg")
    await recorder.until(lambda r: bool(r.runs))
    ((key, (target, told)),) = recorder.runs.items()
    facts = {"bucket": "images", "key": "2024/ä b.jpg", "etag": etag, "size": 5}
    assert target == "capability:abc" and {**told, "modified": ""} == {**facts, "modified": ""}
    assert told["modified"].endswith("Z") and key.startswith(f"images/2024/ä b.jpg/{etag}")


async def test_a_multipart_upload_is_sent_once_when_complete(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    s3, place = client(store), {"Bucket": "images", "Key": "film.mp4"}
    upload = {**place, "UploadId": (await in_thread(s3.create_multipart_upload, **place))["UploadId"]}
    parts = list[dict[str, Any]]()
    for number in (1, 2):
        answer = await in_thread(s3.upload_part, **upload, PartNumber=number, Body=bytes(5 << 20))
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    await put(store, "before")
    await recorder.until(lambda r: "before" in r.keys)
    assert recorder.keys == ["before"]
    done = await in_thread(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
    await put(store, "behind")
    await recorder.until(lambda r: len(r.runs) == 3)
    (told,) = [arguments for _, arguments in recorder.runs.values() if arguments["key"] == "film.mp4"]
    assert told["etag"] == done["ETag"].strip('"') and told["size"] == 10 << 20


async def test_folders_deletes_and_other_buckets_are_not_sent(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    await store.create_bucket("app:photos", "thumbnails")
    s3 = client(store)
    await in_thread(s3.put_object, Bucket="images", Key="folder/")
    await put(store, "t.jpg", bucket="thumbnails")
    await put(store, "folder/a")
    await in_thread(s3.delete_object, Bucket="images", Key="folder/a")
    await put(store, "last")
    await recorder.until(lambda r: "last" in r.keys)
    assert set(recorder.keys) <= {"folder/a", "last"}


async def test_the_same_bytes_again_are_sent_only_after_a_delete(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    for key in ("a", "a", "mark-1"):
        await put(store, key)
    await recorder.until(lambda r: "mark-1" in r.keys)
    assert sorted(recorder.keys) == ["a", "mark-1"]
    first = {key for key, (_, told) in recorder.runs.items() if told["key"] == "a"}
    await in_thread(client(store).delete_object, Bucket="images", Key="a")
    while (etag := await put(store, "a")) and not len(
        {k for k in recorder.runs if k.startswith(f"images/a/{etag}")}
    ) > 1:
        # Its key contains the second of the upload: within the same second it is the same upload to core.
        await in_thread(client(store).delete_object, Bucket="images", Key="a")
    assert first < set(recorder.runs)


async def test_other_bytes_under_a_key_are_sent(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    first = await put(store, "a", b"one")
    await recorder.until(lambda r: len(r.runs) == 1)
    second = await put(store, "a", b"two")
    await recorder.until(lambda r: len(r.runs) == 2)
    assert [told["etag"] for _, told in recorder.runs.values()] == [first, second]


async def test_a_key_that_is_also_a_folder_is_sent(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    for key in ("a/b", "a", "a/c/d"):
        await put(store, key)
    await recorder.until(lambda r: len(r.runs) == 3)
    assert sorted(recorder.keys) == ["a", "a/b", "a/c/d"]


async def test_objects_from_before_the_webhook_are_sent(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images")
    for number in range(3):
        await put(store, f"old-{number}")
    await store.create_bucket("app:photos", "images", "capability:abc")
    await put(store, "new")
    await recorder.until(lambda r: len(r.runs) == 4)
    assert set(recorder.times.values()) == {1}


async def test_while_core_is_away_nothing_is_lost(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    recorder.failure = Unavailable("the node is starting")
    keys = {f"{number}.jpg" for number in range(40)}
    for key in keys:
        await put(store, key)
    await recorder.until(lambda r: r.attempts > 2)
    recorder.failure = None
    await recorder.until(lambda r: set(r.keys) == keys)


async def test_a_webhook_that_is_refused_does_not_hold_another(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:a", "bucket-a", "capability:gone")
    await store.create_bucket("app:b", "bucket-b", "capability:good")
    recorder.failure = Forbidden("this capability has been revoked")
    await put(store, "x", bucket="bucket-a")
    await recorder.until(lambda r: r.attempts == 1)
    recorder.failure = None
    await put(store, "y", bucket="bucket-b")
    await recorder.until(lambda r: r.keys == ["y"])
    assert not [run for run in recorder.runs.values() if run[0] == "capability:gone"]


@pytest.mark.parametrize("failure", [Rejected("no"), Forbidden("no"), Unavailable("no"), ValueError("a fault of ours")])
async def test_a_failing_object_holds_up_no_other_and_comes_again(
    store: Store, recorder: Recorder, failure: Exception
) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    recorder.failures["a-bad"] = failure
    await put(store, "a-bad")
    await recorder.until(lambda r: r.attempts >= 1)
    keys = {f"{number}.jpg" for number in range(40)}
    for key in keys:
        await put(store, key)
    await recorder.until(lambda r: set(r.keys) == keys)
    recorder.failures.clear()
    await recorder.until(lambda r: "a-bad" in r.keys)


@pytest.mark.parametrize(
    "key",
    [
        "a\nb",
        "\x01",
        "\x7f",
        "\r\n",
        "tab\t/x",
        "\ufffe",
        "../".replace("..", "…") + "p" * 250,
        "/".join(["p" * 200] * 5) + "/tail",
    ],
)
async def test_an_unusual_key_is_sent_listed_read_and_deleted(store: Store, recorder: Recorder, key: str) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    await put(store, key)
    await recorder.until(lambda r: r.keys == [key])
    assert all(len(run) <= 1024 for run in recorder.runs)
    assert [o["key"] for o in (await store.list_objects("app:photos", "images"))["objects"]] == [key]
    assert (await store.usage("app:photos", "images"))["buckets"] == [{"bucket": "images", "objects": 1, "bytes": 5}]
    (exported,) = (await store.export("app:photos", "images"))["objects"]
    if addressable(key):
        for url in (exported["url"], (await store.get_object("app:photos", "images", key))["url"]):
            assert await fetched(url) == b"hello"
    else:
        assert exported["url"] is None
        with pytest.raises(Rejected, match="line feed"):
            await store.get_object("app:photos", "images", key)
    assert await store.issue_credentials("app:photos", "phone", "images")
    await store.delete_object("app:photos", "images", key)
    assert (await store.list_objects("app:photos", "images"))["objects"] == []


@pytest.mark.parametrize("size", [5, 5000])
async def test_a_body_under_a_trailing_slash_is_sent_and_read(store: Store, recorder: Recorder, size: int) -> None:
    """weed stores a small one inside the folder, and makes a larger one the object folder/folder."""
    await store.create_bucket("app:photos", "images", "capability:abc")
    await put(store, "folder/", b"x" * size)
    await recorder.until(lambda r: r.keys == ["folder/folder"])
    assert [told["size"] for _, told in recorder.runs.values()] == [size]
    assert await fetched((await store.get_object("app:photos", "images", "folder/folder"))["url"]) == b"x" * size


async def test_a_body_under_a_trailing_slash_replaces_no_other_object(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("app:photos", "images", "capability:abc")
    await put(store, "folder/folder", b"mine")
    await put(store, "folder/", b"other")
    await put(store, "last")
    await recorder.until(lambda r: "last" in r.keys)
    assert await fetched((await store.get_object("app:photos", "images", "folder/folder"))["url"]) == b"mine"


async def fetched(url: str) -> bytes:
    """As an app fetches it, which leaves the encoding to its client."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.read()
