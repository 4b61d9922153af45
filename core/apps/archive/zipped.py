"""Reads the members of a `.zip` without trusting its headers."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO

from core.apps.archive.bounds import ArchiveBounds
from core.apps.archive.member import Member, member_path
from pcloud.errors import Rejected

__all__ = ["open_zip"]

ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@contextmanager
def open_zip(file: IO[bytes], length: int, bounds: ArchiveBounds) -> Generator[Iterator[Member | str]]:
    """Yield the members in order: a `Member` for a file, a path for a folder. `length`: bytes of the whole archive.
    Raises `Rejected` at the first member that is not allowed."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            if len(infos) > 2 * bounds.files:
                raise Rejected(
                    f"the archive holds more than {bounds.files} files: leave out files that the app does not need"
                )
            claimed = sum(info.file_size for info in infos)
            if claimed > max(bounds.ratio_from, length * bounds.ratio):
                raise Rejected(
                    f"the archive claims to hold {claimed} bytes in {length}: that looks like a decompression bomb; "
                    "nothing was unpacked"
                )
            yield _members(archive, infos, bounds)
    except (zipfile.BadZipFile, zlib.error, UnicodeError, NotImplementedError, ValueError, EOFError) as error:
        raise Rejected(f"the archive's zip can't be read: {error}; pack it again with `pcloud app pack`") from error


def _members(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], bounds: ArchiveBounds) -> Iterator[Member | str]:
    for info in infos:
        path = member_path(info.orig_filename, bounds)
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
            raise Rejected(
                f"the archive's member {info.filename!r} is {kind}: only plain files and folders are allowed"
            )
        if info.flag_bits & ENCRYPTED or info.compress_type not in METHODS:
            raise Rejected(
                f"the archive's member {info.filename!r} is encrypted or packed in an unusual way: use plain deflate"
            )
        if info.is_dir():
            yield path
        else:
            yield Member(path, info.file_size, bool(mode & 0o100), lambda info=info: archive.open(info))
