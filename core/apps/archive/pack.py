"""Packs an app's folder (`pcloud.packing`), then reads the archive back and checks it like any other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.apps.archive.archive import CheckedArchive, read_archive
from core.apps.archive.bounds import ArchiveBounds
from pcloud.errors import Rejected
from pcloud.packing import EXCLUDED, IGNORE_FILE, packed_folder

__all__ = ["EXCLUDED", "IGNORE_FILE", "Archive", "pack", "packed"]


@dataclass(frozen=True, slots=True)
class Archive:
    """The result of `pack`. `content`: the hash of the files in it (see `CheckedArchive`)."""

    path: Path
    name: str
    version: str
    sha256: str
    content: str
    size: int
    files: int


def pack(folder: Path, target: Path, bounds: ArchiveBounds = ArchiveBounds()) -> Archive:  # noqa: B008 - frozen
    """Write the archive of `folder` to `target`, whole or not at all; raises `Rejected` for content that an archive must not hold."""
    checked = packed(folder, bounds)
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(checked.data)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Rejected(f"the archive can't be written to {target}: {error.strerror}") from error
    manifest = checked.manifest
    return Archive(
        target, manifest.name, manifest.version, checked.sha256, checked.content, len(checked.data), len(checked.files)
    )


def packed(folder: Path, bounds: ArchiveBounds = ArchiveBounds()) -> CheckedArchive:  # noqa: B008 - frozen
    """Return the archive of `folder` in memory, read back and checked."""
    return read_archive(packed_folder(folder), bounds)
