"""Which version of a projection is in use: several may lie beside each other, and one small file names the one that answers.

The file is replaced as a whole, so at every moment it names one version: the old one until the switch itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from pcloud.errors import Corrupt

__all__ = ["Chosen", "OtherVersion", "VersionFile", "VersionStore", "kind_of", "next_name"]

V = TypeVar("V")


class OtherVersion(Corrupt):
    """A whole view that an older or newer program made, and that this one can't read. `made`, `mine`: versions of the fold."""

    def __init__(self, view: str, made: int, mine: int) -> None:
        age = "a newer" if made > mine else "an older"
        super().__init__(
            f"{view} was made by {age} PCloud (version {made} of its layout, this program's is {mine}): it is built again beside it, from "
            "the log"
        )


class Chosen(msgspec.Struct, frozen=True):
    """Names of versions, such as `sqlite-2`: the one in use, the one before it, and the one that is being built, or ''.
    `traces`: those whose files may still hold data that was forgotten since they were begun."""

    current: str
    previous: str = ""
    building: str = ""
    traces: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.current, self.previous, self.building} - {""})


class VersionStore(Protocol[V]):
    """Keeps versions of one projection in one kind of store: files in a folder, for example, or labels in a database."""

    @property
    def version(self) -> int:
        """The version of this program's fold; a projection that another one made is rebuilt."""
        ...

    @property
    def keeps_deleted(self) -> bool:
        """Return True if deleted data stays in its files for an unknown time."""
        ...

    async def open(self, name: str) -> V:
        """Open the version or create an empty one. Raises `OtherVersion` if this program can't read it, `Corrupt` if it is
        damaged."""
        ...

    async def begin(self, projection: V, epoch: str) -> None:
        """Make an empty version, or one whose building continues, ready for a long stretch of the log; or give it a
        faster start than the log's first event."""
        ...

    async def finish(self, projection: V) -> None:
        """Called when it has nearly all of the log: do what was postponed, and write everything safely to the disk."""
        ...

    def size(self, name: str) -> int:
        """The bytes that it takes on this node's disk."""
        ...

    async def drop(self, name: str) -> None:
        """Remove its data, unless other nodes use it; it is not open."""
        ...

    async def names(self) -> list[str]:
        """The names of all versions that exist here, complete or not, including those of other nodes."""
        ...

    async def first(self) -> str:
        """The version for a node that has not chosen one: it exists already, or begins empty."""
        ...


def kind_of(name: str) -> str:
    """The kind of store that a version is in: `sqlite` of `sqlite-2`."""
    return name.rpartition("-")[0]


async def next_name(kind: str, stores: Mapping[str, VersionStore[Any]], chosen: Chosen) -> str:
    """A name that no version has, nor has had since the oldest one that still exists."""
    taken = [name for store in stores.values() for name in await store.names()] + list(chosen.names)
    return f"{kind}-{1 + max((int(name.rpartition('-')[2]) for name in taken), default=0)}"


class VersionFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, first: str) -> Chosen:
        """The choice; `first` if none was made, or if the file can't be read (projections are made again from the log)."""
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
