"""The server's folder, and the lock that keeps a second server out of it.

The lock is an open file that weed inherits: it is held as long as any process of this store lives. So the next start
finds and ends a weed that outlived its app, even if its process id is unknown.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from pcloud.errors import Conflict

__all__ = ["Folder"]


@dataclass(frozen=True, slots=True)
class Folder:
    """All of it is private (0700); `private` is also weed's home and working folder."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "weed"

    @property
    def private(self) -> Path:
        return self.root / "private"

    @property
    def log(self) -> Path:
        return self.root / "weed.log"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite3"

    @property
    def pid(self) -> Path:
        return self.private / "weed.pid"

    def prepare(self) -> None:
        for folder in (self.root, self.data, self.private):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    async def lock(self, seconds: float = 10.0) -> int:
        """The file descriptor of the held lock (inheritable). Ends a leftover weed; raises `Conflict` if it can't get
        the lock."""
        descriptor = os.open(self.private / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = asyncio.get_running_loop().time() + seconds
        while not _try_lock(descriptor):
            self._end_leftover()
            if asyncio.get_running_loop().time() > deadline:
                os.close(descriptor)
                raise Conflict(
                    f"another object store is running on {self.root}: stop it, or give this one a folder of its own"
                )
            await asyncio.sleep(0.05)
        return descriptor

    def _end_leftover(self) -> None:
        """Send SIGKILL to a weed whose app is gone; never to another process, and never to a weed whose app is
        alive."""
        try:
            weed, app = (int(part) for part in self.pid.read_text().split())
            command = Path(f"/proc/{weed}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if f"-dir={self.data}".encode() in command and not Path(f"/proc/{app}").exists():
            os.kill(weed, signal.SIGKILL)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
