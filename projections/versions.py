"""Which version of a view is in use: several may lie beside each other, and one small file names the one that answers.

The file is replaced as a whole, so whatever dies, one version is named: the old one until the very moment of the switch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

__all__ = ["Chosen", "VersionFile", "VersionStore", "kind_of", "next_name"]

V_co = TypeVar("V_co", covariant=True)


class Chosen(msgspec.Struct, frozen=True):
    """Names of versions, such as `sqlite-2`: the one in use, the one before it, and the one that is being built ('': none).
    `traces`: those whose files may still have what was forgotten since they were begun."""

    current: str
    previous: str = ""
    building: str = ""
    traces: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.current, self.previous, self.building} - {""})


class VersionStore(Protocol[V_co]):
    """Keeps versions of one view, of one kind of store: files in a folder, say, or labels in a database."""

    @property
    def version(self) -> int:
        """Of the fold in this program; a view that another one made is built anew."""
        ...

    @property
    def keeps_deleted(self) -> bool:
        """Whether what is deleted stays in its files for an unknown time."""
        ...

    async def open(self, name: str) -> V_co:
        """Open the version or make an empty one. Raises `Corrupt` for one that is damaged or can't be read by this program."""
        ...

    async def begin(self, view: Any, epoch: str) -> None:
        """Make an empty version, or one whose building goes on, ready to be filled with a long stretch of the log; or give it its
        start, where there is a quicker one than the log's first event."""
        ...

    async def finish(self, view: Any) -> None:
        """It has nearly all of the log: whatever was put off meanwhile is done, and what it holds is safe on the disk."""
        ...

    def size(self, name: str) -> int:
        """Bytes that it takes on this node's disk."""
        ...

    async def drop(self, name: str) -> None:
        """Remove what there is of it, unless other nodes use it; it is not open."""
        ...

    async def names(self) -> list[str]:
        """Of all versions that lie here, whole or not, also of those that other nodes use."""
        ...

    async def first(self) -> str:
        """What a node that has chosen none begins with: it is there already, or begins empty."""
        ...


def kind_of(name: str) -> str:
    """The kind of store that a version is in: `sqlite` of `sqlite-2`."""
    return name.rpartition("-")[0]


async def next_name(kind: str, stores: Mapping[str, VersionStore[Any]], chosen: Chosen) -> str:
    """A name that none has, nor had since the oldest that is still there."""
    taken = [name for store in stores.values() for name in await store.names()] + list(chosen.names)
    return f"{kind}-{1 + max((int(name.rpartition('-')[2]) for name in taken), default=0)}"


class VersionFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, first: str) -> Chosen:
        """What is chosen; `first` where nothing was, or where the file can't be read (views are made again from the log)."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Chosen)
        except (OSError, msgspec.MsgspecError):
            return Chosen(first)

    def write(self, chosen: Chosen) -> None:
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(msgspec.json.encode(chosen))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
