"""The node's data folder: where each part is stored, and the lock that lets only one node use it.

    nats/      the embedded nats-server: configuration, credentials, streams
    graph/     the SQLite graph projection, and how much each app has written
    search/    the tantivy index           runs/   the runs projection
    directory/ the directory's snapshot
    apps/      a folder for each app: its archive unpacked, environment, data, logs, credentials
    secrets/   keys that never leave this machine (mode 0600)
    backup/    a copy for a backup, while that runs    backups.json  where backups are
    proof-*/   the log of a backup, while it is proven
    export/    a copy of the graph for an export, while that runs   verify-*/  one to check the graph against
    import.json  how far an import of an export is
    backup-schedule.json  when backups are made, with the passphrase (mode 0600)
    restoring/ a restore that is not complete          pcloud-restore.json  its mark
    restored.json  a restore that waits for the first start
    version.json  which PCloud has the folder       before-update/  what going back to the one before needs
    after-update-*/  what was put aside by going back
    node.lock  held while a node runs

Everything but `nats/`, `apps/*/data`, `apps/*/snapshots`, `apps/.staged` and `secrets/` can be made again from the log.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pcloud.errors import Rejected, Unavailable
from projections.disk_space import DiskSpace

__all__ = ["LEAST_FREE", "LOCK", "DataFolder", "open_folder", "runtime_folder"]

LOCK = "node.lock"
PROOF, LOCK_OF_PROOF = "proof-", "proof.lock"

# sun_path of a unix socket holds 108 bytes; this leaves room for a socket's own name.
LONGEST_SOCKET_FOLDER = 60
# Bytes: enough for the servers to start and for what is deleted to be recorded, which makes room.
LEAST_FREE = 32 * 2**20


class DataFolder:
    def __init__(self, root: Path, reserve: int = 0):
        """`reserve`: bytes that must stay free on its disk."""
        self.root, self.reserve = root, reserve
        self.nats = root / "nats"
        self.graph = root / "graph" / "graph.sqlite"
        self.directory = root / "directory" / "snapshot.json"
        self.written = root / "graph" / "written.json"
        self.search = root / "search"
        self.runs = root / "runs" / "runs.sqlite"
        self.apps = root / "apps"
        self.secrets = root / "secrets"
        self.runtime = runtime_folder(root)

    @property
    def admin_socket(self) -> Path:
        return self.runtime / "admin.sock"

    @property
    def backup(self) -> Path:
        """A copy of everything else for a backup; see `core.node.instant`."""
        return self.root / "backup"

    @property
    def export(self) -> Path:
        """A second graph, for an export; see `core.node.whole_graph`."""
        return self.root / "export"

    def remove_second_graphs(self) -> None:
        """Remove those that a killed node left: they have what may have been forgotten since. So may a killed proof's log."""
        for left in (self.export, *self.root.glob("verify-*")):
            shutil.rmtree(left, ignore_errors=True)
        self._remove_left_proofs()

    @contextmanager
    def proof(self) -> Generator[Path]:
        """A folder for the proof of a backup. A node that starts meanwhile leaves it alone: that proof holds its lock."""
        self._remove_left_proofs()
        with tempfile.TemporaryDirectory(dir=self.root, prefix=PROOF) as made, FileLock(Path(made) / LOCK_OF_PROOF):
            yield Path(made)

    def _remove_left_proofs(self) -> None:
        for lock in self.root.glob(f"{PROOF}*/{LOCK_OF_PROOF}"):
            with suppress(Timeout, OSError), FileLock(lock, blocking=False):
                shutil.rmtree(lock.parent, ignore_errors=True)

    @property
    def version(self) -> Path:
        """Which PCloud has the folder; see `core.node.data_version`."""
        return self.root / "version.json"

    @property
    def before_update(self) -> Path:
        """What going back to the PCloud before needs, if that can't read what this one writes."""
        return self.root / "before-update"

    @property
    def restoring(self) -> Path:
        """Where a restore writes."""
        return self.root / "restoring"

    @property
    def restore_mark(self) -> Path:
        """Exists from before anything else that a restore writes to its end; meanwhile the folder is not a cloud."""
        return self.root / "pcloud-restore.json"

    @property
    def restored(self) -> Path:
        """Exists from the end of a restore to the first start."""
        return self.root / "restored.json"

    def key(self, name: str) -> bytes:
        """Return the 32 random bytes called `name`, made at first use; a half-written key never exists."""
        path = self.secrets / name
        if not path.exists():
            part = path.with_suffix(".part")
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        return path.read_bytes()

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free

    @property
    def disk_space(self) -> DiskSpace:
        """Check the space for files written beside those in use."""
        return DiskSpace(self.free_bytes, self.reserve)

    def usage(self) -> tuple[int, int]:
        """Return the free bytes and all bytes of the disk."""
        usage = shutil.disk_usage(self.root)
        return usage.free, usage.total


def runtime_folder(root: Path) -> Path:
    """Return the folder of the node's sockets: `run/` in the data folder, or, if that path is too long for a socket, a private one in /tmp.

    TMPDIR is not used: it can be too long as well, and the node and a command that looks for it may have different ones.
    """
    inside = root.absolute() / "run"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER:
        return inside
    name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    return Path("/tmp") / f"pcloud-{os.getuid()}-{name}"  # noqa: S108 - `open_folder` checks whose it is


@contextmanager
def open_folder(root: Path, *, reserve: int) -> Generator[DataFolder]:
    """Make the folder if it is missing, and hold its lock.

    Raises `Rejected` if another node uses it or it can't be written, `Unavailable` if the disk is too full to start.
    """
    folder = DataFolder(root, reserve)
    _refuse_restoring(folder)
    try:
        for part in (
            root,
            folder.secrets,
            folder.directory.parent,
            folder.graph.parent,
            folder.search,
            folder.runs.parent,
            folder.apps,
            folder.runtime,
        ):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.chmod(0o700)
    except OSError as error:
        raise Rejected(
            f"the data folder {root} can't be used: {error.strerror or error}; name another one with --data"
        ) from error
    made = folder.runtime.lstat()
    if not stat.S_ISDIR(made.st_mode) or made.st_uid != os.getuid() or made.st_mode & 0o077:
        raise Rejected(
            f"the folder {folder.runtime} for this node's sockets is open to others or a link: remove it, or use a shorter --data path"
        )
    lock = FileLock(root / LOCK, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise Rejected(
            f"another node runs on the data folder {root}: stop it first, or name another folder with --data"
        ) from error
    try:
        _refuse_restoring(folder)  # one that began meanwhile
        folder.remove_second_graphs()
        if (free := folder.free_bytes()) < min(reserve, LEAST_FREE):
            raise Unavailable(
                f"the disk of {root} has {free // 2**20} MB free, and a node needs {LEAST_FREE // 2**20} MB to start: "
                "delete files of other programs on it, then start again"
            )
        yield folder
    finally:
        if folder.runtime.parent != root.absolute():
            shutil.rmtree(folder.runtime, ignore_errors=True)
        lock.release()


def _refuse_restoring(folder: DataFolder) -> None:
    if folder.restore_mark.exists():
        raise Rejected(
            f"a restore into {folder.root} was interrupted: run `pcloud restore` again, which starts over, or remove the folder"
        )
