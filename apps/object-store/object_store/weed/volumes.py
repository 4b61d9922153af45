"""weed's volumes: what they hold, and their compaction, over gRPC to its master and its volume server.

The master compacts one volume at a time, and passes over read-only ones. weed also has a worker that compacts by itself; a
second commit of one compaction makes the volume unreadable until weed starts again, so a volume that is being copied is
left alone.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from object_store.weed.certificate import Certificate
from object_store.weed.connection import Connection, open_connection
from object_store.weed.ports import GRPC_OFFSET, Ports

__all__ = ["Volume", "Volumes", "open_volumes"]

_MASTER, _SERVER = "master_pb.Seaweed", "volume_server_pb.VolumeServer"
_LONGEST = 3600.0  # seconds for a volume on a slow disk
_SILENCE = 60.0  # seconds after which a copy that does not grow is one that was interrupted


@dataclass(frozen=True, slots=True)
class Volume:
    """`size` and `garbage` (the deleted objects) in bytes. `is_empty`: nothing in it is left. `is_shared`: its file has
    another name, in a copy for a rollback or a backup, so its bytes stay until that copy is dropped."""

    id: int
    bucket: str
    size: int
    garbage: int
    is_empty: bool
    is_shared: bool = False


class Volumes:
    """`data`: the folder with their files."""

    def __init__(self, master: Connection, server: Connection, data: Path) -> None:
        self._master, self._server, self._data = master, server, data

    async def all(self) -> list[Volume]:
        """As the volume server reported them, some seconds ago, without those that are being compacted."""
        copied = {copy.stem for copy in self._data.glob("*.cpd") if _is_growing(copy)}
        answer = await self._master.call(f"{_MASTER}/VolumeList")
        nodes = [
            node
            for center in answer.topology_info.data_center_infos
            for rack in center.rack_infos
            for node in rack.data_node_infos
        ]
        return [
            Volume(
                one.id, one.collection, one.size, one.deleted_byte_count,
                0 < one.file_count == one.delete_count, _is_shared(self._data / f"{_name(one)}.dat"),
            )
            for node in nodes for disk in node.diskInfos.values() for one in disk.volume_infos
            if _name(one) not in copied
        ]  # fmt: skip

    async def compact(self, volume: Volume, *, copying: bool) -> None:
        """Give the room of the deleted objects back; does nothing if weed finds no garbage or no room. `copying`: there
        is room for a copy; without one, only a volume in which nothing is left can be removed. weed refuses that if
        something was stored in it meanwhile."""
        if volume.is_empty and not copying:
            await self._server.call(f"{_SERVER}/VolumeDelete", volume_id=volume.id, only_garbage=True)
        else:
            share = volume.garbage / volume.size / 2
            await self._master.call(
                f"{_MASTER}/VacuumVolume", seconds=_LONGEST, volume_id=volume.id, garbage_threshold=share
            )


def _name(volume: Any) -> str:
    """Its files' name, without the ending."""
    return f"{volume.collection}_{volume.id}" if volume.collection else str(volume.id)


def _is_shared(file: Path) -> bool:
    with suppress(FileNotFoundError):  # it was removed meanwhile
        return file.stat().st_nlink > 1
    return False


def _is_growing(copy: Path) -> bool:
    with suppress(FileNotFoundError):  # it has become the volume
        return time.time() - copy.stat().st_mtime < _SILENCE
    return False


@asynccontextmanager
async def open_volumes(ports: Ports, certificate: Certificate, data: Path) -> AsyncIterator[Volumes]:
    async with (
        open_connection(ports.master + GRPC_OFFSET, certificate, (_MASTER,)) as master,
        open_connection(ports.volume + GRPC_OFFSET, certificate, (_SERVER,)) as server,
    ):
        yield Volumes(master, server, data)
