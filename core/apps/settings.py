"""The settings of the app manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.apps.archive.bounds import ArchiveBounds
from core.apps.sandbox import Machine

__all__ = ["AppSettings", "Supervision"]


@dataclass(frozen=True, slots=True)
class Supervision:
    """How processes are supervised; seconds and bytes. `healthy`: running this long resets the count of failures.
    `settle`: running this long counts as started during an installation, and `start` bounds the wait for it.
    `log_lines`, `log_rate`: lines and bytes that an app may log each second, on average over ten seconds."""

    stop: float = 10.0
    back_off: float = 0.5
    longest_back_off: float = 30.0
    healthy: float = 60.0
    settle: float = 1.0
    start: float = 60.0
    log_bytes: int = 4 * 2**20
    log_line: int = 16 * 2**10
    log_lines: int = 500
    log_rate: int = 2**20


AS_ASKED = (
    "Apps run WITHOUT a sandbox, with all rights of this user, as --unconfined asks. To confine them, start without it."
)


@dataclass(frozen=True, slots=True)
class AppSettings:
    """`folder`: holds a folder per app. `runtime`: for the gateways' sockets; a short path, mode 0700. `sdk`: the
    `pcloud` package that apps get. `bundled`: the folder of the apps that come with PCloud (unmodified, they may run
    unconfined without confirmation). `files`: where files that they fetch on first use are kept. `overrides`:
    settings by app that replace those of its manifest. `init_seconds`: how long an init action is retried.
    `nats_url`: where apps find the bus. `machine`: the machine's means of sandboxing; `unconfined`: run apps without
    sandboxes."""

    folder: Path
    runtime: Path
    nats_url: str
    sdk: Path
    bundled: Path | None = None
    files: Path | None = None
    unconfined: bool = False
    cache: Path | None = None
    init_seconds: float = 120.0
    install_seconds: float = 900.0
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    bounds: ArchiveBounds = field(default=ArchiveBounds())
    supervision: Supervision = field(default=Supervision())
    machine: Machine = field(default=Machine())

    @property
    def confines(self) -> bool:
        """Return True if apps run in sandboxes."""
        return self.machine.confines and not self.unconfined

    @property
    def warning(self) -> str:
        """A one-line warning, with what to do, if apps run without a sandbox; '' if they run in one."""
        return AS_ASKED if self.unconfined else self.machine.warning

    @property
    def sandbox(self) -> str:
        """The kind of sandbox: bubblewrap+cgroup, bubblewrap+uid, bubblewrap or unconfined."""
        return self.machine.kind if self.confines else "unconfined"
