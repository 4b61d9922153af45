"""A store on a disk of 200 MB, a file system in memory: uploads stop at the reserve, and deleting gives the room back."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from .conftest import APP, PATIENCE, in_thread

ROOT = APP.parents[1]
MB = 2**20
RESERVE = 64 * MB  # 8 of PCloud, room for a volume of 32 MB that is half as large again, and 8 for the last uploads
BODY = os.urandom(MB)


class SmallDisk:
    """`folder`: beside the disk, for the records of the test. `s3`: a client as people have it, with its own retries."""

    def __init__(self, disk: Path, folder: Path, facts: dict[str, Any]) -> None:
        self.disk, self.folder, self.facts = disk, folder, facts
        self.s3 = boto3.client(
            "s3", endpoint_url=facts["endpoint"], region_name="us-east-1",
            aws_access_key_id=facts["access_key"], aws_secret_access_key=facts["secret_key"],
            config=Config(retries={"mode": "standard"}, connect_timeout=PATIENCE, read_timeout=PATIENCE),
        )  # fmt: skip

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.disk).free

    @property
    def stored(self) -> int:
        """Bytes of the volumes."""
        return sum(file.stat().st_size for file in (self.disk / "store/weed").glob("*.dat"))

    @property
    def told(self) -> str:
        """What the store last said of itself."""
        file = self.folder / "told"
        return file.read_text() if file.exists() else ""

    def put(self, key: str, body: bytes = BODY) -> None:
        self.s3.put_object(Bucket="images", Key=key, Body=body)

    def fill(self) -> list[str]:
        """Upload until there is no room; the keys."""
        keys = list[str]()
        with pytest.raises(ClientError) as refused:
            while len(keys) < 200:
                self.put(f"{len(keys):03}")
                keys.append(f"{len(keys):03}")
        assert is_full(refused.value), refused.value
        return keys

    def delete(self, keys: list[str]) -> None:
        objects = {"Objects": [{"Key": key} for key in keys]}
        assert not self.s3.delete_objects(Bucket="images", Delete=objects).get("Errors")

    def there(self) -> list[str]:
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket="images").get("Contents", [])]

    def body(self, key: str) -> bytes:
        return self.s3.get_object(Bucket="images", Key=key)["Body"].read()


def is_full(error: ClientError) -> bool:
    """A refusal that says so, after the first attempt."""
    facts = error.response["ResponseMetadata"]
    told = error.response["Error"]
    return (facts["HTTPStatusCode"], told["Code"], facts["RetryAttempts"]) == (507, "InsufficientStorage", 0) and (
        "kept in reserve" in told["Message"]
    )


@asynccontextmanager
async def small_disk(folder: Path) -> AsyncIterator[SmallDisk]:
    disk = folder / "disk"
    disk.mkdir()
    process = await asyncio.create_subprocess_exec(
        "bwrap", "--dev-bind", "/", "/", "--die-with-parent", "--size", str(200 * MB), "--tmpfs", str(disk),
        sys.executable, str(Path(__file__).with_name("recording_app.py")), str(disk / "store"), str(folder / "runs"),
        json.dumps({"reserve_mb": 8}),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": f"{APP}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    try:
        assert process.stdout
        async with asyncio.timeout(PATIENCE):
            facts = json.loads(await process.stdout.readline())
        yield SmallDisk(Path(f"/proc/{facts['weed']}/root{disk}"), folder, facts)
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[SmallDisk]:
    async with small_disk(tmp_path) as small:
        yield small


async def until(condition: Callable[[], Awaitable[Any]], what: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not await condition():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(what()) from None


async def rclone(small: SmallDisk, folder: Path) -> int:
    facts = small.facts
    process = await asyncio.create_subprocess_exec(
        "rclone", "copy", str(folder), ":s3:images/rclone", "--config", "",
        env={
            **os.environ, "RCLONE_S3_PROVIDER": "SeaweedFS", "RCLONE_S3_ENDPOINT": facts["endpoint"],
            "RCLONE_S3_ACCESS_KEY_ID": facts["access_key"], "RCLONE_S3_SECRET_ACCESS_KEY": facts["secret_key"],
        },
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, told = await process.communicate()
    assert b"kept in reserve" in told, told
    return process.returncode or 0


async def test_uploads_stop_at_the_reserve_and_deleting_gives_the_room_back(small: SmallDisk, tmp_path: Path) -> None:
    s3, images = small.s3, {"Bucket": "images"}
    begun = (await in_thread(s3.create_multipart_upload, **images, Key="parts"))["UploadId"]
    form = await in_thread(s3.generate_presigned_post, "images", "form")
    keys = await in_thread(small.fill)
    assert len(keys) > 50 and small.free > RESERVE - 10 * MB
    with pytest.raises(ClientError, match="kept in reserve"):
        await in_thread(small.put, "large", bytes(40 * MB))
    for adds in (
        lambda: s3.upload_part(**images, Key="parts", UploadId=begun, PartNumber=1, Body=BODY * 5),
        lambda: s3.copy_object(**images, Key="copy", CopySource={**images, "Key": keys[0]}),
        lambda: s3.put_object(**images, Key="small", Body=b"x" * MB),
    ):
        with pytest.raises(ClientError) as refused:
            await in_thread(adds)
        assert is_full(refused.value), refused.value
    posted = await in_thread(
        lambda: requests.post(form["url"], data=form["fields"], files={"file": ("x", BODY)}, timeout=PATIENCE)
    )
    assert posted.status_code == 507 and "kept in reserve" in posted.text
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(BODY)
    assert await rclone(small, tmp_path / "photos") != 0
    await in_thread(s3.abort_multipart_upload, **images, Key="parts", UploadId=begun)
    assert await in_thread(small.there) == keys and await in_thread(small.body, keys[-1]) == BODY

    await until(
        lambda: in_thread(lambda: small.told.startswith("True the disk has less than")), lambda: f"told: {small.told}"
    )
    kept, gone = keys[::4], [key for key in keys if key not in keys[::4]]
    await in_thread(small.delete, gone)

    async def is_given_back() -> bool:
        return small.free > 2 * RESERVE - 8 * MB  # from there on, weed compacts in its own time

    await until(is_given_back, lambda: f"{small.free // MB} MB are free after {len(gone)} MB were deleted")
    await until(lambda: in_thread(lambda: small.told == "True "), lambda: f"told: {small.told}")
    await in_thread(small.put, "new")
    for key in [*kept, "new"]:
        assert await in_thread(small.body, key) == BODY


async def test_a_disk_without_any_room_gives_back_what_is_deleted(small: SmallDisk) -> None:
    """Another program has filled it, so nothing can be copied; a volume of which all is deleted needs no copy."""
    keys = await in_thread(small.fill)
    with (small.disk / "another program's").open("ab") as other:
        os.posix_fallocate(other.fileno(), 0, small.free - 2 * MB)
    await in_thread(small.delete, keys)
    assert await in_thread(small.there) == []

    async def is_given_back() -> bool:
        return small.free > RESERVE + 8 * MB

    await until(
        is_given_back, lambda: f"the volumes still have {small.stored // MB} MB, {small.free // MB} MB are free"
    )
    await in_thread(small.put, "new")
    assert await in_thread(small.body, "new") == BODY


async def test_store_that_met_a_full_disk_stores_again_once_there_is_room(small: SmallDisk) -> None:
    """SeaweedFS's index of names fails for good once it could not be written."""
    for number in range(8):
        await in_thread(small.put, f"kept/{number}")
    other = small.disk / "another program's"
    with other.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    kept = [f"kept/{number}" for number in range(8)]
    for key in kept[4:] * 40:
        with suppress(ClientError):
            await in_thread(lambda key=key: small.s3.delete_object(Bucket="images", Key=key))
    other.unlink()

    async def stores() -> bool:
        with suppress(ClientError):
            await in_thread(small.put, "new")
            return True
        return False

    await until(stores, lambda: f"nothing is stored with {small.free // MB} MB free; told: {small.told}")
    for key in [*kept[:4], "new"]:
        assert await in_thread(small.body, key) == BODY
