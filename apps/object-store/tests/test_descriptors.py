"""weed under a small limit of open files: it never runs out of them, and says what to do before it would."""

from __future__ import annotations

import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from object_store.store import Store
from object_store.weed.capacity import files_needed, most_buckets, most_volumes

from pcloud.errors import Rejected, Unavailable

from .conftest import Recorder, client, in_thread, running

FILES = 192
BODY = b"x" * 1000


def limited(folder: Path, files: int = FILES, **settings: Any) -> AbstractAsyncContextManager[Store]:
    """A store whose weed may really open no more than this."""
    return running(folder / "store", Recorder(), weed=program(folder, f"ulimit -n {files}"), files=files, **settings)


def program(folder: Path, first: str, arguments: str = '"$@"') -> str:
    file = folder / "weed"
    file.write_text(f"#!/bin/bash\n{first}\nexec {shutil.which('weed')} {arguments}\n")
    file.chmod(0o755)
    return str(file)


async def put(store: Store, bucket: str, key: str = "a") -> None:
    await in_thread(client(store).put_object, Bucket=bucket, Key=key, Body=BODY)


async def body(store: Store, bucket: str, key: str = "a") -> bytes:
    return await in_thread(lambda: client(store).get_object(Bucket=bucket, Key=key)["Body"].read())


async def test_new_buckets_are_refused_before_weed_runs_out_of_descriptors(tmp_path: Path) -> None:
    made = list[str]()
    async with limited(tmp_path) as store:
        with pytest.raises(
            Rejected, match=r"too few for another bucket.*--forget.*pcloud app limits object-store --files"
        ):
            while len(made) < FILES:
                await store.create_bucket("person:owner", bucket := f"bucket-{len(made)}")
                await put(store, bucket)
                made.append(bucket)
        assert len(made) > 20
        for bucket in made:
            await put(store, bucket, "b")
        assert store.server.process
        assert len(list(Path(f"/proc/{store.server.process.pid}/fd").iterdir())) < FILES
    with pytest.raises(Unavailable, match=r"volumes and may open only 130 files: nothing is lost; .*--files \d+"):
        async with limited(tmp_path, 130):
            pass
    async with limited(tmp_path) as store:
        assert [await body(store, bucket, "b") for bucket in made] == [BODY] * len(made)
        await put(store, made[0], "c")


async def test_an_earlier_versions_store_opens_with_its_data_and_fewer_descriptors(tmp_path: Path) -> None:
    earlier = program(tmp_path, "export WEED_MASTER_VOLUME_GROWTH_COPY_1=2", '"${@/index=memory/index=leveldb}"')
    async with running(tmp_path / "store", Recorder(), weed=earlier) as store:
        for number in range(10):
            await store.create_bucket("person:owner", f"bucket-{number}")
            await put(store, f"bucket-{number}")
        assert list(store.server.folder.data.glob("*.ldb"))
    async with limited(tmp_path) as store:
        for number in range(10):
            assert await body(store, f"bucket-{number}") == BODY
        await put(store, "bucket-0", "b")
        assert not list(store.server.folder.data.glob("*.ldb"))


def test_the_suggested_limit_suffices_for_the_volumes_and_a_new_bucket() -> None:
    for volumes in (1, 20, 300, 5000, 50_000):
        files = files_needed(volumes)
        assert volumes <= most_volumes(files) and volumes <= most_buckets(files), volumes
    assert most_volumes(4096) >= 1500
