"""How much of the machine one app may use."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

# bubblewrap itself, its reaper, the dialer, and one to spare.
OVERHEAD = 4
# The starter is Python, bubblewrap and the dialer stay beside the app.
OVERHEAD_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory`: bytes of everything that the app has in memory, its /tmp included. `processes`: processes and threads
    at once. `disk`: bytes of its data folder, 0 for no quota. `files`: open at once in each process, 0 for as many as the
    machine allows."""

    memory: int = 512 * 2**20
    processes: int = 64
    disk: int = 2**30
    files: int = 4096

    @property
    def tasks(self) -> int:
        """What the kernel counts: the app's processes and the sandbox's own."""
        return self.processes + OVERHEAD

    @property
    def bytes(self) -> int:
        return self.memory + OVERHEAD_BYTES

    @property
    def temporary(self) -> int:
        """Bytes of /tmp, and the same again for /dev/shm."""
        return max(self.memory // 4, 2**20)
