"""A node whose data folder is a file system of its own, seen by its processes alone, to be filled, freed, or cut off in the middle.

The file system is mounted in the node's mount namespace, so it goes with the last of its processes, however they end. Its path is
long, so the node's sockets are in /tmp, where commands find them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.node_process import NodeProcess
from tests.waiting import PATIENCE, wait_until

__all__ = ["MB", "ImageDisk", "MemoryDisk"]

MB = 2**20
# Linux, fs/ext4/ext4.h; xfstests cut the power with it too.
_SHUTDOWN, _WITHOUT_THE_JOURNAL = 0x8004587D, 2
_MOUNT = 'mount -t ext4 -o loop,commit=300 "$1" "$2" && shift 2 && exec "$@"'


class OnOwnDisk(NodeProcess):
    """`mounting`: the command that mounts the file system in its own namespace and runs the rest of its arguments."""

    def __init__(self, folder: Path, mounting: Sequence[str], *arguments: str) -> None:
        self.mounted = folder / ("own-disk-" * 10)
        self.mounted.mkdir(exist_ok=True)
        super().__init__(self.mounted / "node", *arguments)
        self.log = folder / "node.log"
        self.before = (*mounting,)

    @property
    def inside(self) -> int:
        """A process that sees the file system."""
        return self.process.pid

    @property
    def disk(self) -> Path:
        """The file system, as its processes see it."""
        return Path(f"/proc/{self.inside}/root{self.mounted}")

    def leave_free(self, size: int) -> None:
        """Fill it until so few bytes are free."""

        def filled() -> bool:
            file = self.disk / "another program's"
            with file.open("ab") as other:
                try:
                    os.posix_fallocate(
                        other.fileno(), 0, file.stat().st_size + shutil.disk_usage(self.disk).free - size
                    )
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return False  # the node has just written
            return True

        wait_until(filled, what=f"a disk with {size} free bytes")

    def free(self) -> None:
        """Take back what `leave_free` has filled."""
        (self.disk / "another program's").unlink(missing_ok=True)


class MemoryDisk(OnOwnDisk):
    """In memory; needs no rights."""

    def __init__(self, folder: Path, size: int) -> None:
        mounted = folder / ("own-disk-" * 10)
        super().__init__(
            folder,
            ("bwrap", "--dev-bind", "/", "/", "--die-with-parent", "--size", str(size), "--tmpfs", str(mounted)),
        )

    @property
    def inside(self) -> int:
        return self.children()[0]

    def stop(self) -> None:
        psutil.Process(self.inside).terminate()  # bwrap itself passes no signal on
        self.process.wait(PATIENCE)
        self._close()


class ImageDisk(OnOwnDisk):
    """ext4 in a file, through a loop device, which needs root: it stays when the node ends, and its power can be cut."""

    def __init__(self, folder: Path, size: int, *arguments: str) -> None:
        assert os.geteuid() == 0, "mounting a file system needs root: run this as root"
        self.image = folder / "disk.img"
        with self.image.open("wb") as file:
            file.truncate(size)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-m", "0", str(self.image)], check=True)
        mounting = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNT, "sh", str(self.image))
        super().__init__(folder, (*mounting, str(folder / ("own-disk-" * 10))), *arguments)

    def cut_power(self) -> None:
        """Drop what is not on the disk at this moment, and end all processes."""
        self.drop_unsynced()
        self.kill()

    def drop_unsynced(self) -> None:
        """From now on ext4 writes nothing: neither data that was written but not synced, nor what its journal had not committed,
        and each write or sync fails. The next start mounts what is left, which replays the journal."""
        descriptor = os.open(self.disk, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_THE_JOURNAL))
        finally:
            os.close(descriptor)

    def start_and_cut(self, seconds: float) -> None:
        """Cut the power so long after the start of a start."""
        self.process = self.launch(["up", "--data", str(self.data), "--listen", "127.0.0.1:0", *self.arguments])
        wait_until(lambda: (self.disk / "node").exists(), what="the mounted disk")
        time.sleep(seconds)
        self.cut_power()

    def kill(self) -> None:
        """Kill the node with all below it, and wait until the kernel has let go of the file system."""
        self._end()
        self.wait_unmounted()

    def _end(self) -> None:
        below: list[int] = []
        with suppress(psutil.NoSuchProcess):  # it has ended by itself
            below = self.children()
        for pid in (self.process.pid, *below):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def stop(self) -> None:
        super().stop()
        self.wait_unmounted()

    def wait_unmounted(self) -> None:
        wait_until(lambda: not self._devices(), what=f"the end of the loop device of {self.image}")

    def _devices(self) -> list[str]:
        found: list[str] = []
        for file in Path("/sys/block").glob("loop*/loop/backing_file"):
            with suppress(OSError):  # it was let go just now
                found += [file.parts[3]] if file.read_text().startswith(str(self.image)) else []
        return found
