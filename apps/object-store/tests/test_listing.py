"""Listings, page by page, in the store's order."""

from __future__ import annotations

import asyncio
from typing import Any

from object_store.store import Store

from .conftest import client, in_thread

KEYS = ["a", "a-b", "a/b", "a/c/d", "a/c/e", "a\tb", "b", "c/" + "d/" * 400 + "e", "ä", "z/y/x"]


async def pages(store: Store, first: int, **more: Any) -> list[str]:
    keys, after = list[str](), ""
    while True:
        page = await store.list_objects("person:owner", "images", after=after, first=first, **more)
        keys += [o["key"] for o in page["objects"]]
        if page["next"] is None:
            return keys
        after = page["next"]


async def test_every_object_is_on_one_page_in_the_order_of_s3(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    s3 = client(store)
    await asyncio.gather(*(in_thread(s3.put_object, Bucket="images", Key=key, Body=b"x") for key in KEYS))
    theirs = await in_thread(s3.list_objects_v2, Bucket="images")
    expected = [o["Key"] for o in theirs["Contents"]]
    assert sorted(expected) == sorted(KEYS)
    for first in (1, 2, 3, 1000):
        assert await pages(store, first) == expected
    assert await pages(store, 1, prefix="a") == ["a/b", "a/c/d", "a/c/e"]
    assert await pages(store, 2, prefix="a/c/") == ["a/c/d", "a/c/e"]
    assert (await store.list_objects("person:owner", "images", after="b"))["objects"][0]["key"] == expected[
        expected.index("b") + 1
    ]


async def test_a_folder_of_many_is_listed_whole(store: Store) -> None:
    """A folder with more objects than the filer returns at once."""
    await store.create_bucket("app:photos", "images")
    s3 = client(store)
    names = [f"many/{number:05}" for number in range(1005)]
    for at in range(0, len(names), 50):
        await asyncio.gather(
            *(in_thread(s3.put_object, Bucket="images", Key=key, Body=b"") for key in names[at : at + 50])
        )
    assert await pages(store, 700) == names
    assert (await store.usage("person:owner", "images"))["buckets"][0]["objects"] == 1005
