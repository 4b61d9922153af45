"""Control groups: the kernel limits an app's memory and processes as a whole, and reports when it enforced a limit.

Groups are made below the one that core itself is in, so whatever limits core limits its apps as well. Both version 1
(one hierarchy for memory, one for processes) and version 2 (one, delegated to core) are used as found; only one of
the two limits is not enough.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.apps.sandbox.limits import Limits

__all__ = ["Cgroup", "Cgroups", "find_cgroups"]

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "pids")
REMOVAL_SECONDS = 3.0
POLL = 0.02


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Where groups can be made: `memory` and `pids` are the same folder in version 2."""

    memory: Path
    pids: Path
    version: int

    def group(self, node: str, app: str) -> Cgroup:
        name = f"pcloud-{node}-{app}"
        return Cgroup(self.memory / name, self.pids / name, self.version)

    def clean(self, node: str) -> None:
        """End and remove the groups that a killed core of this node left."""
        for parent in {self.memory, self.pids}:
            for folder in parent.glob(f"pcloud-{node}-*"):
                _end(folder)
                _remove(folder)


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One app's group. Call `make` before its start and `remove` after its end; both can be repeated."""

    memory: Path
    pids: Path
    version: int

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.memory, self.pids)))

    @property
    def entries(self) -> tuple[Path, ...]:
        """Files of the group; a process that writes 0 to them joins it."""
        return tuple(folder / "cgroup.procs" for folder in self.folders)

    def make(self, limits: Limits) -> None:
        """Raises `OSError`."""
        self.remove()
        for folder in self.folders:
            folder.mkdir()
        for file, value in self._settings(limits).items():
            file.write_text(str(value))
        with suppress(OSError):  # if swap is not counted
            if self.version == 1:
                (self.memory / "memory.memsw.limit_in_bytes").write_text(str(limits.bytes))
            else:
                (self.memory / "memory.swap.max").write_text("0")

    def _settings(self, limits: Limits) -> Mapping[Path, int]:
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        return {self.memory / name: limits.bytes, self.pids / "pids.max": limits.tasks}

    def remove(self) -> None:
        for folder in self.folders:
            if folder.exists():
                _end(folder)
                _remove(folder)

    def killed(self) -> int:
        """Number of its processes that the kernel killed for lack of memory."""
        return _value(self.memory / ("memory.oom_control" if self.version == 1 else "memory.events"), "oom_kill")

    def has_filled(self) -> bool:
        """Return True if it has reached its own limit of memory; without that, a kill was for the memory of the whole
        machine, or of a group above."""
        if self.version == 2:
            return _value(self.memory / "memory.events", "oom") > 0
        return any(
            0 < _number(self.memory / f"{kind}.limit_in_bytes") <= _number(self.memory / f"{kind}.max_usage_in_bytes")
            for kind in ("memory", "memory.memsw")
        )

    def refused(self) -> int:
        """Number of times that the kernel refused a new process."""
        return _value(self.pids / "pids.events", "max")

    def members(self) -> list[int]:
        return _members(self.pids)


def find_cgroups(mount: Path = MOUNT, membership: str | None = None) -> Cgroups | None:
    """Find where core may make groups for memory and processes; None if it can't."""
    text = Path("/proc/self/cgroup").read_text() if membership is None else membership
    own: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    if all(controller in own for controller in CONTROLLERS):
        memory, pids = (mount / controller / own[controller].lstrip("/") for controller in CONTROLLERS)
        return Cgroups(memory, pids, 1) if _usable(memory) and _usable(pids) else None
    if "" in own:
        return _delegated(mount / own[""].lstrip("/"))
    return None


def _delegated(folder: Path) -> Cgroups | None:
    """Version 2: a group with processes can't delegate controllers, so core moves into a group beside those of its
    apps. Done only if the group contains nothing but core and what it started."""
    try:
        if not set(CONTROLLERS) <= set((folder / "cgroup.controllers").read_text().split()):
            return None
        if folder.name == "pcloud-core":
            folder = folder.parent
        else:
            ours = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
            members = _members(folder)
            if not set(members) <= ours:
                return None
            core = folder / "pcloud-core"
            core.mkdir(exist_ok=True)
            for pid in members:
                (core / "cgroup.procs").write_text(str(pid))
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))
    except OSError:
        return None
    return Cgroups(folder, folder, 2)


def _usable(folder: Path) -> bool:
    trial = folder / f"pcloud-trial-{os.getpid()}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True


def _members(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _end(folder: Path) -> None:
    for pid in _members(folder):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _remove(folder: Path) -> None:
    """Remove the group; the kernel refuses for a moment after the last process has ended."""
    deadline = time.monotonic() + REMOVAL_SECONDS
    while True:
        try:
            return folder.rmdir()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                return None
        _end(folder)
        time.sleep(POLL)


def _value(file: Path, name: str) -> int:
    try:
        return next((int(value) for key, value in _pairs(file.read_text()) if key == name), 0)
    except OSError:
        return 0


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    return ((key, value) for key, _, value in (line.partition(" ") for line in text.splitlines()))
