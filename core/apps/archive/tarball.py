"""Reads the members of a `.tar.gz` without trusting its headers.

The gzip stream is first inflated into a temporary file under the bounds, because a tar header may itself claim to be
a gigabyte long; only then is the tar read, in pieces.
"""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO

from core.apps.archive.bounds import ArchiveBounds
from core.apps.archive.member import Member, member_path
from pcloud.errors import Rejected

__all__ = ["open_tarball"]

PIECE = 2**20
IN_MEMORY = 16 * 2**20
KINDS = {
    tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a named pipe", tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.CONTTYPE: "a contiguous file",
}  # fmt: skip


@contextmanager
def open_tarball(file: IO[bytes], length: int, bounds: ArchiveBounds) -> Generator[Iterator[Member | str]]:
    """Yield the members in order: a `Member` for a file, a path for a folder. `length`: bytes of the whole archive.
    Raises `Rejected` at the first member that is not allowed."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as inflated:
        _inflate(file, length, inflated, bounds)  # type: ignore[arg-type]
        inflated.seek(0)
        try:
            with tarfile.open(fileobj=_Pieces(inflated), mode="r:", errorlevel=2) as tar:  # type: ignore[arg-type]
                yield _members(tar, inflated, bounds)  # type: ignore[arg-type]
        except (tarfile.TarError, UnicodeError, ValueError, OverflowError, EOFError) as error:
            raise Rejected(f"the archive's tar can't be read: {error}; pack it again with `pcloud app pack`") from error


def _inflate(file: IO[bytes], length: int, target: IO[bytes], bounds: ArchiveBounds) -> None:
    most = min(bounds.unpacked, max(bounds.ratio_from, length * bounds.ratio))
    # A tar adds at most a header and padding to each file.
    most += 1024 * bounds.files
    total = 0
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            while piece := stream.read(PIECE):
                total += len(piece)
                if total > most:
                    raise Rejected(
                        f"the archive inflates to more than {most // 2**20} MB from {length} bytes: "
                        "that looks like a decompression bomb; nothing was unpacked"
                    )
                target.write(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise Rejected(f"the archive's gzip is broken: {error}; pack it again with `pcloud app pack`") from error


def _members(tar: tarfile.TarFile, inflated: IO[bytes], bounds: ArchiveBounds) -> Iterator[Member | str]:
    count = 0
    while (info := tar.next()) is not None:
        count += 1
        # TarFile keeps every header that it has read; this bound limits that memory.
        if count > 2 * bounds.files:
            raise Rejected(
                f"the archive holds more than {bounds.files} files: leave out files that the app does not need"
            )
        path = member_path(info.name, bounds)
        if info.sparse is not None or info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
            kind = (
                "a sparse file"
                if info.sparse is not None
                else KINDS.get(info.type, f"of the unknown type {info.type!r}")
            )
            aim = f" to {info.linkname!r}" if info.linkname else ""
            raise Rejected(
                f"the archive's member {info.name!r} is {kind}{aim}: only plain files and folders are allowed"
            )
        if info.isdir():
            yield path
        else:
            yield Member(path, info.size, bool(info.mode & 0o100), lambda info=info: _content(tar, info))
    _check_end(inflated, tar.offset)


def _check_end(inflated: IO[bytes], offset: int) -> None:
    """tarfile treats a damaged header as the end; after a real end only zeros follow."""
    inflated.seek(offset)
    while piece := inflated.read(PIECE):
        if piece.strip(b"\0"):
            raise Rejected(f"the archive's tar is damaged at byte {offset}: pack it again with `pcloud app pack`")


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(info)
    assert content is not None  # only plain files get here
    return content


class _Pieces:
    """A file that refuses large reads: tarfile reads a whole extended header, however long it claims to be."""

    def __init__(self, file: tempfile.SpooledTemporaryFile[bytes]):
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > PIECE:
            raise Rejected(f"the archive's tar has a header of {size} bytes: that is not an app's archive")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()
