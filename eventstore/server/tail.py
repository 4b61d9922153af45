"""A log file's lines as they are written, across its rotations (the file is renamed, and a new one takes its place).

All log followers use it: for nats-server's log and for each app's output.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

__all__ = ["Tail"]


class Tail:
    """`most`: bytes read at one look, and the longest unfinished line. The rest waits for the next look, unless
    `newest`: then only the newest bytes are read, and older ones are left out. Blocking; one thread at a time. A file
    that was rotated twice between two looks is never read."""

    def __init__(self, path: Path, *, most: int, newest: bool = False):
        self._path = path
        self._most = most
        self._newest = newest
        self._file: BinaryIO | None = None
        self._rest = b""

    def open(self, back: int = 0) -> None:
        """Begin at the file's end, or at the first line within that many bytes before it. A file that appears later is
        read from its start."""
        self._open()
        if self._file is not None:
            self._go_to(max(0, self._end() - back))

    def lines(self) -> list[str]:
        """The lines written since the last look; whole lines only."""
        if self._file is None:
            self._open()
        # Checked before reading: once another file exists, this one is no longer written, so what is read now is the
        # last of it.
        rotated = self._rotated()
        data = self._read()
        data = self._rest + data
        if rotated and self._file is not None and self._file.tell() >= self._end():
            self.close()
            self._open()
            cut = data and not data.endswith(b"\n")  # the disk was full
            data += b"\n" * bool(cut) + self._read()
        *whole, rest = data.split(b"\n")
        self._rest = rest[-self._most :]
        return [line.decode(errors="replace") for line in whole]

    def reads(self, path: Path) -> bool:
        """Return True if this is the file being read, even after a rename."""
        there = status(path)
        return self._file is not None and there is not None and os.path.samestat(os.fstat(self._file.fileno()), there)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:  # between two files
            self._file = None

    def _end(self) -> int:
        assert self._file is not None
        return os.fstat(self._file.fileno()).st_size

    def _rotated(self) -> bool:
        there = status(self._path)
        if self._file is None or there is None:  # between two files, the old one may still be written
            return False
        return not os.path.samestat(os.fstat(self._file.fileno()), there)

    def _go_to(self, place: int) -> None:
        """Go to this offset, or to the first line after it."""
        assert self._file is not None
        self._file.seek(max(0, place - 1))
        if place:
            self._file.readline(self._most)

    def _read(self) -> bytes:
        if self._file is None:
            return b""
        newest = self._end() - self._most
        if self._newest and newest > self._file.tell():
            self._go_to(newest)
            self._rest = b""
        return self._file.read(self._most)


def status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
