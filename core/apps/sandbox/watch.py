"""Limits that the kernel does not enforce for us, checked every few seconds: the data folder's size, and memory without
a control group.

It also reports the limits that the kernel enforces: how often it killed one of the app's processes, or refused a new
one.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from core.apps.sandbox.cgroup import Cgroup
from core.apps.sandbox.limits import Limits
from core.apps.tree import tree_bytes

__all__ = ["Watch"]

EVERY = 1.0
MOST_CALM = 10.0
# Bytes per second that an app may write; as much as a good disk takes.
FASTEST = 500 * 2**20
# Share of the time that is spent on measuring a folder, though it is measured at least every `MOST_CALM` seconds.
SHARE = 0.05
BLOCK = 512


class Watch:
    """`run` it beside the process. `folders`: those that the app may fill, its data first. `members`: the ids of its processes."""

    def __init__(
        self, limits: Limits, folders: Sequence[Path], cgroup: Cgroup | None, members: Callable[[], Iterable[int]],
        on_limit: Callable[[str, str], None], on_over: Callable[[str, str], None],
    ):  # fmt: skip
        self._limits, self._folders, self._cgroup, self._members = limits, folders, cgroup, members
        self._on_limit, self._on_over = on_limit, on_over
        self._killed = self._refused = 0
        self._measure_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._cgroup is not None:
                self.look()
            else:
                await self._memory()
            await self._disk()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """Report what the kernel has counted since the last call; called once more after the process has ended."""
        if self._cgroup is None:
            return
        killed, refused = self._cgroup.killed(), self._cgroup.refused()
        if killed > self._killed and self._cgroup.has_filled():
            self._on_limit("memory", f"it needed more than its {_mib(self._limits.memory)} of memory")
        elif killed > self._killed:
            self._on_limit(
                "memory", "the machine had no memory left, and the kernel ended it: it was within its own limit"
            )
        if refused > self._refused:
            self._on_limit("processes", f"it wanted more than its {self._limits.processes} processes and threads")
        self._killed, self._refused = killed, refused

    async def _memory(self) -> None:
        used = await asyncio.to_thread(_resident, list(self._members()))
        if used > self._limits.bytes:
            self._on_over("memory", f"it needed {_mib(used)}, more than its {_mib(self._limits.memory)} of memory")

    async def _disk(self) -> None:
        quota, began = self._limits.disk, time.monotonic()
        if not quota or began < self._measure_at:
            return
        try:
            used = await asyncio.to_thread(self._measure)
        except OSError as error:
            self._on_over("disk", f"its data folder can't be counted against its quota of {_mib(quota)}: {error}")
            return
        if used > quota:
            self._on_over("disk", f"its data folder holds more than its quota of {_mib(quota)}")
        now = time.monotonic()
        # The emptier the folder, the later the next check: the rest of a quota can't be filled sooner than it is
        # noticed. An app that slows measuring down, by very many files or by keeping the disk busy, must not gain time.
        self._measure_at = now + min(MOST_CALM, max((now - began) / SHARE, (quota - used) / FASTEST))

    def _measure(self) -> int:
        """Return the bytes used; counting stops once they exceed the quota."""
        named = tree_bytes(self._folders, most=self._limits.disk)
        return named if named > self._limits.disk else named + _deleted_bytes(list(self._members()), self._folders[0])


def _deleted_bytes(pids: list[int], data: Path) -> int:
    """Bytes of deleted files that are still open, or only in memory: they take room as well."""
    sizes: dict[int, int] = {}
    device = data.stat().st_dev
    for pid in pids:
        for inode, size in _mapped(pid, device):
            sizes[inode] = max(size, sizes.get(inode, 0))
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    status = descriptor.stat()
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0 and status.st_dev == device:
                        sizes[status.st_ino] = status.st_blocks * BLOCK
    return sum(sizes.values())


def _mapped(pid: int, device: int) -> Iterable[tuple[int, int]]:
    """Number and size of each such file that a process has in its address space; if the kernel does not let us look at
    the file itself, the mapped size."""
    with suppress(OSError), Path(f"/proc/{pid}/maps").open("rb") as maps:
        for line in maps:
            if not line.endswith(b" (deleted)\n"):
                continue
            place, _, offset, numbers, inode, *_ = line.split(maxsplit=5)
            first, end = (int(address, 16) for address in place.split(b"-"))
            try:
                status = Path(f"/proc/{pid}/map_files/{first:x}-{end:x}").stat()
                on, size = status.st_dev, status.st_blocks * BLOCK
            except OSError:
                on = os.makedev(*(int(number, 16) for number in numbers.split(b":")))
                size = int(offset, 16) + end - first
            if on == device:
                yield int(inode), size


def _resident(pids: list[int]) -> int:
    """Bytes in memory; shared memory counts once (proportional set size, see proc(5))."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
    return total


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
