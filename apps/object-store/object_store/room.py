"""The room on the disk: how much an upload may take, and when uploads stop.

Uploads stop while there is still room: for PCloud's log, which stops at its own reserve of 256 MB, for the copy of a
volume that gives the room of deleted objects back, and for weed, whose volumes become read-only below 1 % of the disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from object_store.weed.capacity import largest_volume, volume_mb
from pcloud.errors import Unavailable

__all__ = ["MB", "Full", "Room", "Upload"]

MB = 2**20
_WEED = 90  # weed's own bound is a hundredth of the disk
_LAST = 8 * MB  # for the last uploads: below the reserve every upload is refused, not only the large ones
_EACH = 8 * MB  # bytes of an upload after which the disk is looked at again


class Full(Unavailable):
    """The disk has no room for an upload."""


class Room:
    """`volumes`: the folder of weed's volumes. `reserve`: bytes of the disk that PCloud keeps free, to which the store
    adds its own. `free`: bytes that are free, for tests."""

    def __init__(self, volumes: Path, reserve: int, free: Callable[[], int] | None = None) -> None:
        self._folder, self._of_pcloud, self._look = volumes, reserve, free
        self.measure()
        self._coming = 0  # bytes that uploads in progress still bring

    def measure(self) -> None:
        """Set `reserve`, so that there is room for the copy of each volume; to be repeated when they have changed."""
        total = shutil.disk_usage(self._folder).total
        # A volume may become half as large again before weed notices; those of earlier versions are larger than new ones.
        volume = max(volume_mb(total) * MB * 3 // 2, largest_volume(self._folder))
        self.reserve = max(self._of_pcloud + volume, total // _WEED) + _LAST

    @property
    def free(self) -> int:
        return self._look() if self._look else shutil.disk_usage(self._folder).free

    @property
    def problem(self) -> str:
        """Why uploads are refused; '' if they are not."""
        if self.free >= self.reserve:
            return ""
        return (
            f"the disk has less than {self.reserve // MB} MB free, which is kept in reserve: uploads are refused until something is "
            "deleted; reading and deleting work"
        )

    @contextmanager
    def upload(self, size: int) -> Iterator[Upload]:
        """In this block, an upload of `size` bytes, 0 if that is unknown, takes its room. Raises `Full`."""
        upload = Upload(self, size)
        self.check()
        if self.free - self._coming - size < self.reserve - _LAST:
            raise Full(
                "the disk has no room for this beside the uploads in progress and what is kept in reserve: delete something, or upload less"
            )
        self._coming += size
        try:
            yield upload
        finally:
            self._coming -= upload.left

    def check(self) -> None:
        if problem := self.problem:
            raise Full(problem)

    def arrived(self, size: int) -> None:
        self._coming -= size


class Upload:
    """One upload in progress. `left`: its bytes that are still to come."""

    def __init__(self, room: Room, size: int) -> None:
        self._room, self.left = room, size
        self._unseen = 0
        self.refused: Full | None = None

    def came(self, size: int) -> None:
        """Count bytes that were passed on. Raises `Full` if the disk has become full meanwhile."""
        announced = min(size, self.left)
        self.left -= announced
        self._room.arrived(announced)
        self._unseen += size
        if self._unseen >= _EACH:
            self._unseen = 0
            try:
                self._room.check()
            except Full as full:
                self.refused = full
                raise
