"""Makes a node short of memory: it runs in a control group whose limit is set to little more than it needs at that moment."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from core.apps.sandbox.cgroup import find_cgroups

__all__ = ["MemoryGroup"]

MB = 2**20
SPARE = 16 * MB  # for programs' own text and all files together, of which the node alone uses some 300 MB
STEP = 8 * MB


class MemoryGroup:
    """Raises `OSError` if this process may not make groups. `joining`: a command that joins it and runs the rest of its arguments."""

    def __init__(self) -> None:
        if (found := find_cgroups()) is None:
            raise OSError("control groups for memory can't be made here")
        self._limit, self._none = ("memory.limit_in_bytes", "-1") if found.version == 1 else ("memory.max", "max")
        self._rss = "total_rss" if found.version == 1 else "anon"
        self.folder = found.memory / f"pcloud-soak-{os.getpid()}"
        self.folder.mkdir()
        join = 'echo $$ > "$1" && shift && exec "$@"'
        self.joining = ("sh", "-c", join, "sh", str(self.folder / "cgroup.procs"))

    def tighten(self) -> int:
        """Set the limit as low as the kernel accepts it; gives it in bytes."""
        limit = self.in_use() + SPARE
        while True:
            try:
                (self.folder / self._limit).write_text(str(limit))
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                limit += STEP  # it can't free as much at once
            else:
                return limit

    def loosen(self) -> None:
        (self.folder / self._limit).write_text(self._none)

    def in_use(self) -> int:
        """Bytes that can't be read again from a file."""
        lines = (self.folder / "memory.stat").read_text().splitlines()
        return next(int(value) for name, value in map(str.split, lines) if name == self._rss)

    def killed(self) -> int:
        """Processes that the kernel killed for lack of memory, in this group and in those below that exist."""
        files = [file for name in ("memory.oom_control", "memory.events") for file in self.folder.rglob(name)]
        count = 0
        for file in files:
            with suppress(OSError):
                words = file.read_text().split()
                count += int(words[words.index("oom_kill") + 1])
        return count

    def remove(self) -> None:
        """Once its processes have ended."""
        for folder in (*sorted(self.folder.rglob("*/"), reverse=True), self.folder):
            with suppress(OSError):
                folder.rmdir()
