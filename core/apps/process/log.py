"""The captured output of one app: lines with the time they were read at, in a file that is rotated when it is full.

`app.log` is the newest, `app.log.1` the one before; together they never hold more than twice the limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["TAIL", "WINDOW", "AppLog", "LogRate", "last_lines", "tail", "turned_over"]

# Bytes of a file that are searched for its newest lines.
TAIL = 256 * 2**10
WINDOW = 10.0


class LogRate:
    """How much an app may log: `lines` and `bytes` each second, on average over a window of ten seconds. Pure."""

    def __init__(self, lines: int, size: int):
        self._lines, self._bytes = lines * WINDOW, size * WINDOW
        self._began = 0.0
        self._said = self._size = self.dropped = 0

    def admits(self, size: int, now: float) -> bool:
        if now - self._began >= WINDOW:
            self._began, self._said, self._size = now, 0, 0
        if self._said + 1 > self._lines or self._size + size > self._bytes:
            self.dropped += 1
            return False
        self._said, self._size = self._said + 1, self._size + size
        return True

    def take_dropped(self) -> int:
        """Return the number of lines dropped since the last call."""
        dropped, self.dropped = self.dropped, 0
        return dropped


class AppLog:
    """`limit`: bytes after which the file is rotated. `longest`: bytes of one line, the rest continues on the next."""

    def __init__(self, path: Path, *, limit: int, longest: int):
        self.path = path
        self._limit = limit
        self._longest = longest
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def close(self) -> None:
        self._file.close()

    def note(self, text: str) -> None:
        """Add a line from the supervisor itself."""
        self.write(f"pcloud: {text}".encode())

    def write(self, line: bytes) -> None:
        """Add one line, given without its newline."""
        for start in range(0, max(len(line), 1), self._longest):
            stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._append(stamp.encode() + b" " + line[start : start + self._longest] + b"\n")

    def tail(self, lines: int) -> list[str]:
        """Return the newest lines, oldest first."""
        return tail(self.path, lines)

    def _append(self, entry: bytes) -> None:
        """While the disk is full lines are lost, but output is still read: an app whose output is not read would hang."""
        with suppress(OSError):
            if self._size + len(entry) > self._limit:
                self._turn_over()
            self._size += self._file.write(entry) or 0

    def _turn_over(self) -> None:
        with suppress(FileNotFoundError):  # rotated already, but the disk was too full for the new file
            self.path.replace(turned_over(self.path))
        before, self._file = self._file, self.path.open("ab", buffering=0)
        before.close()
        self._size = 0


def tail(path: Path, lines: int) -> list[str]:
    """Return the newest lines of a log and of the one before it, oldest first; empty if the log does not exist."""
    found: list[str] = []
    for file in (path, turned_over(path)):
        if len(found) < lines:
            found = [*last_lines(file, lines - len(found)), *found]
    return found


def turned_over(path: Path) -> Path:
    """Return the path of the previous, rotated file."""
    return path.with_name(f"{path.name}.1")


def last_lines(path: Path, lines: int) -> Iterable[str]:
    """Return the newest lines of one file."""
    if lines <= 0 or not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        text = file.read().decode(errors="replace").splitlines()
    return (text[1:] if size > TAIL else text)[-lines:]
