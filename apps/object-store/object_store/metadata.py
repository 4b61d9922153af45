"""What a message of the filer means for buckets: an object was stored or deleted. Pure.

Left out are folders, parts of incomplete uploads (`.uploads`), the store's own folders and bucket, and everything
outside buckets.
An object whose key is also a folder (`a` beside `a/b`) is a folder entry with an object's marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from object_store.names import PROBE
from object_store.weed.weed_private import ETAG, PREFIX_OBJECT

__all__ = ["Change", "Created", "Deleted", "changes", "listed", "misplaced", "stored"]

_ROOT = "/buckets/"


@dataclass(frozen=True, slots=True)
class Created:
    """`etag` without quotes, `modified` in unix seconds, `at` (time of the change) in unix nanoseconds."""

    bucket: str
    key: str
    etag: str
    size: int
    modified: int
    at: int


@dataclass(frozen=True, slots=True)
class Deleted:
    bucket: str
    key: str
    at: int


Change = Created | Deleted


def stored(response: Any, at: int) -> Created | None:
    """The object in one `filer_pb.TraverseBfsMetadataResponse` of a walk, or None."""
    place = _place(response.directory, response.entry.name)
    return _created(place, response.entry, at) if place else None


def listed(folder: str, entry: Any) -> Created | None:
    """The object of a folder's entry, or None."""
    place = _place(folder, entry.name)
    return _created(place, entry, 0) if place else None


def misplaced(folder: str, entry: Any) -> Created | None:
    """The object that the body in a folder's own entry was meant to be, or None."""
    place = _place(f"{folder}/{entry.name}", entry.name)
    if place is None or not entry.is_directory or not entry.content or _is_object(entry):
        return None
    return Created(*place, _etag(entry), len(entry.content), entry.attributes.mtime, 0)


def changes(response: Any) -> list[Change]:
    """The changes in one `filer_pb.SubscribeMetadataResponse`. A rename is two."""
    event, found = response.event_notification, list[Change]()
    folder = event.new_parent_path or response.directory
    old = _place(response.directory, event.old_entry.name)
    new = _place(folder, event.new_entry.name)
    created = _created(new, event.new_entry, response.ts_ns) if new else None
    if old and old != new and not event.old_entry.is_directory:
        found.append(Deleted(old[0], old[1], response.ts_ns))
    if created:
        found.append(created)
    elif old and old == new and _is_object(event.old_entry):  # its folder stays, the object is deleted
        found.append(Deleted(old[0], old[1], response.ts_ns))
    return found


def _created(place: tuple[str, str], entry: Any, at: int) -> Created | None:
    if not _is_object(entry):
        return None
    return Created(*place, _etag(entry), entry.attributes.file_size, entry.attributes.mtime, at)


def _etag(entry: Any) -> str:
    etag = entry.extended[ETAG].decode() if ETAG in entry.extended else entry.attributes.md5.hex()
    return etag.strip('"')


def _is_object(entry: Any) -> bool:
    return bool(entry.name) and (not entry.is_directory or PREFIX_OBJECT in entry.extended)


def _place(directory: str, name: str) -> tuple[str, str] | None:
    """(bucket, key), or None for a path that is not an object's."""
    if not name or not directory.startswith(_ROOT):
        return None
    bucket, _, folder = directory[len(_ROOT) :].partition("/")
    key = f"{folder}/{name}" if folder else name
    if bucket.startswith(".") or bucket == PROBE or key.split("/", 1)[0] == ".uploads":
        return None
    return bucket, key
