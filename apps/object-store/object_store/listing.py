"""Lists a bucket's objects in the filer's order, folder by folder (`a/b` comes before `a-b`), from any key on.

Over S3 a listing is XML, which can't hold every key that S3 accepts, and one such key would break the listing of all
others.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from object_store.metadata import Created, listed
from object_store.weed.filer import Filer

__all__ = ["objects"]


@dataclass(frozen=True, slots=True)
class _Open:
    """A folder on the way. `after`: the remaining parts of a key; the listing begins after it."""

    folder: str
    after: list[str]
    entries: AsyncGenerator[Any, None]


async def objects(filer: Filer, bucket: str, prefix: str = "", after: str = "") -> AsyncGenerator[Created, None]:
    """All objects after the key `after`. `prefix`: a folder, '' for the whole bucket."""
    root = f"/buckets/{bucket}" + (f"/{prefix}" if prefix else "")
    inside = after.removeprefix(f"{prefix}/") if prefix else after
    # No recursion: a key of 1,024 bytes may be 500 folders deep.
    way = [_open(filer, root, inside.split("/") if inside else [])]
    try:
        while way:
            here = way[-1]
            entry = await anext(here.entries, None)
            if entry is None:
                way.pop()
                continue
            begun = bool(here.after) and entry.name == here.after[0]  # the key itself, or a folder on the way to it
            found = listed(here.folder, entry)
            if entry.is_directory:
                way.append(_open(filer, f"{here.folder}/{entry.name}", here.after[1:] if begun else []))
            if found and not begun:
                yield found
    finally:
        for left in way:
            await left.entries.aclose()


def _open(filer: Filer, folder: str, after: list[str]) -> _Open:
    return _Open(folder, after, filer.entries(folder, after[0] if after else ""))
