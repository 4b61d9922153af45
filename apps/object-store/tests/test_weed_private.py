"""What is private in SeaweedFS: a version that changes it fails here with a plain message."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path

from object_store.settings import Settings
from object_store.store import Store
from object_store.weed.server import find_weed
from object_store.weed.weed_private import ETAG, PREFIX_OBJECT, last_words, sockets

from .conftest import client, in_thread

CHANGED = "SeaweedFS has changed: see object_store/weed/weed_private.py about"


async def test_its_sockets_are_where_they_are_removed(store: Store) -> None:
    missing = [path for path in sockets(store.server.ports) if not path.exists()]
    assert len(missing) < len(asdict(store.server.ports)), f"{CHANGED} its sockets: none of {missing} exists"


async def test_marks_of_objects_are_those_of_its_entries(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    for key in ("a", "a/b"):
        await in_thread(client(store).put_object, Bucket="images", Key=key, Body=b"x")
    filer = await store._connection()
    [entry] = [one async for one in filer.entries("/buckets/images") if one.name == "a"]
    assert {ETAG, PREFIX_OBJECT} <= set(entry.extended), f"{CHANGED} attributes: {dict(entry.extended)}"


def test_the_reason_of_its_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "weed.log"
    with log.open("wb") as output:
        ended = subprocess.run(
            [find_weed(Settings(tmp_path)), "-logtostderr", "volume", "-dir", str(tmp_path / "missing")],
            stdout=output, stderr=output, timeout=120,
        )  # fmt: skip
    assert ended.returncode
    assert "missing" in last_words(log), f"{CHANGED} its log: {log.read_text()}"
