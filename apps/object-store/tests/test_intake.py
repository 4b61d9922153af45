"""What a request adds to the store, and which volume is compacted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any, cast

import pytest
from object_store.compaction import next_volume
from object_store.intake import added
from object_store.room import MB, Full, Room
from object_store.weed.capacity import volume_mb
from object_store.weed.connection import Connection
from object_store.weed.volumes import Volume, Volumes


@pytest.mark.parametrize(
    ("method", "query", "headers", "size"),
    [
        ("PUT", {}, {"Content-Length": "5"}, 5),
        ("PUT", {"uploadId": "1", "partNumber": "1"}, {"Content-Length": "5"}, 5),
        ("PUT", {}, {}, 0),
        ("PUT", {}, {"Content-Length": "x"}, 0),
        ("PUT", {}, {"x-amz-copy-source": "/images/a%20b?versionId=1", "Content-Length": "0"}, 70),
        ("PUT", {}, {"x-amz-copy-source": "images/a b", "x-amz-copy-source-range": "bytes=10-19"}, 10),
        ("PUT", {}, {"x-amz-copy-source": "images/missing"}, 0),
        ("POST", {}, {"Content-Length": "5"}, 0),  # a form, whose signature comes with its body
        ("POST", {"uploads": ""}, {}, 0),
        ("POST", {"delete": ""}, {"Content-Length": "5"}, None),
        ("POST", {"uploadId": "1"}, {"Content-Length": "5"}, None),
        ("DELETE", {}, {}, None),
        ("GET", {}, {}, None),
    ],
)
def test_a_request_adds_its_body_or_what_it_copies(
    method: str, query: dict[str, str], headers: dict[str, str], size: int | None
) -> None:
    async def size_of(bucket: str, key: str) -> int:
        return 70 if (bucket, key) == ("images", "a b") else 0

    assert asyncio.run(added(method, query, headers, size_of)) == size


class Disk:
    def __init__(self, folder: Path) -> None:
        self.free = 0
        self.room = Room(folder, 0, free=lambda: self.free)


def test_uploads_in_progress_share_the_room(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.free = disk.room.reserve + 100 * MB
    with disk.room.upload(60 * MB) as first:
        with pytest.raises(Full, match="no room for this beside"), disk.room.upload(60 * MB):
            pass
        first.came(60 * MB)
        disk.free -= 60 * MB
        with disk.room.upload(30 * MB):
            pass
    disk.free += 60 * MB
    with disk.room.upload(100 * MB):
        pass


def test_an_upload_of_unknown_length_ends_when_the_disk_is_full(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.free = disk.room.reserve + MB
    with disk.room.upload(0) as upload:
        upload.came(10 * MB)
        disk.free -= 2 * MB
        with pytest.raises(Full, match="kept in reserve"):
            upload.came(10 * MB)
        assert upload.refused


def volume(id: int, size: int, garbage: int) -> Volume:
    return Volume(id, "images", size * MB, garbage * MB, size == garbage)


def test_the_volume_that_gives_most_is_compacted_if_its_copy_fits() -> None:
    volumes = [volume(1, 30, 5), volume(2, 60, 20), volume(3, 900, 400), volume(4, 30, 0)]
    assert next_volume(volumes, 100 * MB, 200 * MB, {}) == volumes[1]
    assert next_volume(volumes, 1000 * MB, 2000 * MB, {}) == volumes[2]
    assert next_volume(volumes, 40 * MB, 200 * MB, {}) == volumes[0]
    assert next_volume(volumes, 20 * MB, 200 * MB, {}) is None
    assert next_volume([*volumes, volume(5, 50, 50)], 1 * MB, 200 * MB, {}) == volume(5, 50, 50), "it needs no copy"
    assert next_volume(volumes, 100 * MB, 200 * MB, {2: volumes[1]}) == volumes[0], "the list is some seconds old"


def test_a_volume_that_a_copy_for_a_rollback_shares_is_not_compacted() -> None:
    shared, own = Volume(1, "images", 60 * MB, 50 * MB, False, True), volume(2, 60, 20)
    assert next_volume([shared, own], 100 * MB, 200 * MB, {}) == own
    assert next_volume([shared], 100 * MB, 200 * MB, {}) is None


def test_a_volume_is_shared_while_its_file_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "images_1.dat").touch()
    (tmp_path / "2.dat").touch()
    (tmp_path / "copy").hardlink_to(tmp_path / "2.dat")

    class Master:
        async def call(self, method: str, seconds: float = 0, **values: object) -> Any:
            def one(id: int, bucket: str) -> Namespace:
                return Namespace(id=id, collection=bucket, size=9, deleted_byte_count=5, file_count=2, delete_count=1)

            disk = Namespace(volume_infos=[one(1, "images"), one(2, "")])
            rack = Namespace(data_node_infos=[Namespace(diskInfos={"": disk})])
            return Namespace(topology_info=Namespace(data_center_infos=[Namespace(rack_infos=[rack])]))

    master = cast("Connection", Master())
    found = asyncio.run(Volumes(master, master, tmp_path).all())
    assert [(one.id, one.is_shared) for one in found] == [(1, False), (2, True)]


def test_the_reserve_has_room_for_the_largest_volume(tmp_path: Path) -> None:
    """Volumes of earlier versions have up to 1 GB on small disks too."""
    disk = Disk(tmp_path)
    small = disk.room.reserve
    (tmp_path / "images_1.dat").touch()
    os.truncate(tmp_path / "images_1.dat", small * 2)
    disk.room.measure()
    assert disk.room.reserve > small * 2
    assert next_volume([volume(1, small * 2 // MB, 100)], disk.room.reserve - 1, disk.room.reserve, {})
    (tmp_path / "images_1.dat").unlink()
    disk.room.measure()
    assert disk.room.reserve == small


def test_a_little_garbage_is_worth_a_copy_only_while_uploads_are_refused() -> None:
    little = [volume(1, 100, 1)]
    assert next_volume(little, 300 * MB, 200 * MB, {}) is None
    assert next_volume(little, 190 * MB, 200 * MB, {}) == little[0]


@pytest.mark.parametrize(("disk", "size"), [(2**30, 32), (64 * 2**30, 256), (2**40, 1024)])
def test_small_disks_have_small_volumes(disk: int, size: int) -> None:
    assert volume_mb(disk) == size
