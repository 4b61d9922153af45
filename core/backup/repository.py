"""restic, as this package uses it: a place with encrypted backups, each of which counts once it is marked as complete.

restic's messages are translated here; its text for anything unknown is passed on. The passphrase goes through a pipe.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from core.backup.place import KEY_NAMES, BackupPlace
from core.node.child import ending_with_us
from pcloud.errors import Conflict, Corrupt, Forbidden, NotFound, PCloudError, Unavailable

__all__ = ["Repository", "StoredBackup", "find_restic"]

COMPLETE, LISTED = "complete", "revocations"  # tags
MOST_ERRORS = 100
RETRYING = "returned error, retrying"
# How often restic may try again to read or write one file: on a disk that does not help; with S3, each has tried for ten seconds.
TRIES, TRIES_S3 = 1, 4
# What S3 services and the network answer, in lower case.
NO_KEY = "the specified key does not exist"
NO_BUCKET = ("bucket does not exist", "nosuchbucket")
REFUSED = (
    "signature we calculated",
    "access key id you provided",
    "invalidaccesskeyid",
    "access denied",
    "accessdenied",
    "forbidden",
)
AWAY = (
    "dial tcp",
    "no such host",
    "connection reset",
    "i/o timeout",
    "timeout awaiting",
    "no route to host",
    "eof",
    "tls:",
    "x509:",
)
INCOMPLETE = 3  # restic's exit code: a backup was stored without some of the files
_LONGEST_LINE = 16 * 2**20
_decode = msgspec.json.Decoder().decode
OnRecord = Callable[[dict[str, Any]], None]
OnLine = Callable[[bytes], None]


class StoredBackup(NamedTuple):
    """`id`: restic's. `cloud`: whose it is. `time`: as restic writes it, in the zone of then. `listed`: it is only a list of what was
    revoked and forgotten since the backup before it."""

    id: str
    cloud: str
    time: str
    complete: bool
    listed: bool = False

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.time)


def find_restic() -> str:
    if found := shutil.which("restic"):
        return found
    raise Unavailable("the program restic is missing, which stores backups: install Debian's package restic")


class Repository:
    """`keys`: the variables with the keys of an S3 service."""

    def __init__(self, place: BackupPlace, passphrase: str, keys: Mapping[str, str] | None = None):
        self.place, self._at, self.passphrase, self._keys = place.name, place, passphrase, keys or {}
        self._restic = find_restic()

    async def make(self) -> None:
        await self._run("init")

    async def exists(self) -> bool:
        """Raises `NotFound` for a bucket that does not exist, `Unavailable` for a host that does not answer."""
        if not self._at.bucket:
            return (Path(self.place) / "config").exists()
        try:
            await self._once("cat", "config")
        except _Missing:
            return False
        return True

    async def backups(self) -> list[StoredBackup]:
        """All of them, the oldest first. Raises `NotFound` if there is no repository."""
        if not await self.exists():
            raise NotFound(f"{self.place} holds no backup of PCloud: name the place that `pcloud backup` was given")
        found: list[dict[str, Any]] = _decode(await self._run("snapshots", "--json"))
        backups = [
            StoredBackup(
                one["id"],
                one["hostname"].removeprefix("pcloud-"),
                one["time"],
                COMPLETE in (one.get("tags") or ()),
                LISTED in (one.get("tags") or ()),
            )
            for one in found
        ]
        return sorted(backups, key=lambda one: one.at)

    async def newest(self, before: datetime | None = None) -> StoredBackup:
        """The newest complete one, or the newest of those `before` a time. Raises `NotFound`."""
        complete = [one for one in await self.backups() if one.complete]
        if not complete:
            raise NotFound(f"{self.place} holds no complete backup: run `pcloud backup` on it once more")
        if before is not None:
            earlier = [one for one in complete if one.at < before]
            if not earlier:
                raise NotFound(
                    f"{self.place} holds no backup from before then: the first one is from {complete[0].time[:16]}"
                )
            return earlier[-1]
        return complete[-1]

    async def store(self, root: Path, cloud: str, parent: str, progress: OnRecord) -> dict[str, Any]:
        """Store the folder's content as a complete backup, and return restic's summary of it."""
        summary: dict[str, Any] = {}

        def told(line: bytes) -> None:
            record = _record(line)
            if record.get("message_type") == "summary":
                summary.update(record)
            progress(record)

        # A hard link changes the time of a file's status, not its content.
        known = ["--parent", parent] if parent else []
        await self._run(
            "backup", ".", "--json", "--ignore-ctime", "--host", f"pcloud-{cloud}", *known, cwd=root, on_line=told
        )
        await self._run("tag", "--add", COMPLETE, summary["snapshot_id"])
        return summary

    async def store_list(self, file: Path, cloud: str) -> None:
        """Store a list of what was revoked and forgotten since the newest backup."""
        await self._run("backup", file.name, "--json", "--tag", LISTED, "--host", f"pcloud-{cloud}", cwd=file.parent)

    async def thin_out(self, cloud: str, daily: int, weekly: int, monthly: int) -> None:
        """Keep the last backup of so many days, weeks and months; remove the others, and those that were cut before the newest."""
        backups = [one for one in await self.backups() if one.cloud == cloud]
        newest = max((one.at for one in backups if one.complete), default=None)
        if cut := [one.id for one in backups if newest and not one.complete and one.at < newest]:
            await self._run("forget", *cut)
        keep = (f"--keep-daily={daily}", f"--keep-weekly={weekly}", f"--keep-monthly={monthly}", "--keep-last=1")
        await self._run(
            "forget", "--tag", COMPLETE, "--host", f"pcloud-{cloud}", "--group-by", "host", *keep, "--prune"
        )

    async def read(self, backup: StoredBackup, path: str) -> bytes:
        """Raises `NotFound` if the backup does not have it, `Corrupt` if it is damaged."""
        return await self._run("dump", backup.id, f"/{path}", damaged=True)

    async def size(self, backup: StoredBackup) -> int:
        """The bytes that its files take."""
        return int(_decode(await self._run("stats", "--json", "--mode", "restore-size", backup.id))["total_size"])

    async def fetch(self, backup: StoredBackup, target: Path, *only: str) -> None:
        """Write its files, or `only` those below these paths."""
        chosen = [word for path in only for word in ("--include", f"/{path}")]
        await self._run("restore", backup.id, "--target", str(target), *chosen, damaged=True)

    async def check(self) -> None:
        """Read and check every stored byte; raises `Corrupt`."""
        await self._run("check", "--read-data", damaged=True)

    async def _run(
        self, *arguments: str, cwd: Path | None = None, on_line: OnLine | None = None, damaged: bool = False
    ) -> bytes:
        """Return what it prints. `damaged`: an error that is not known means that the backup is damaged."""
        try:
            return await self._once(*arguments, cwd=cwd, on_line=on_line, damaged=damaged)
        except Conflict:
            # The lock may be that of a program that was killed; restic removes such a lock only.
            await self._once("unlock")
            return await self._once(*arguments, cwd=cwd, on_line=on_line, damaged=damaged)

    async def _once(
        self, *arguments: str, cwd: Path | None = None, on_line: OnLine | None = None, damaged: bool = False
    ) -> bytes:
        passphrase = _pipe(self.passphrase)
        try:
            process = await asyncio.create_subprocess_exec(
                *ending_with_us(self._restic, *arguments, "--no-cache"),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                cwd=cwd, limit=_LONGEST_LINE, pass_fds=(passphrase,), env=self._environment(passphrase),
            )  # fmt: skip
        finally:
            os.close(passphrase)
        try:
            printed, errors = await asyncio.gather(
                _printed(process.stdout, on_line),
                _errors(process.stderr, process.kill, TRIES_S3 if self._at.bucket else TRIES),
            )
            code = await process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if code:
            raise self._error(arguments[0], errors, code, damaged)
        return printed

    def _environment(self, passphrase: int) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RESTIC_", "PCLOUD_"))}
        for name in KEY_NAMES:
            kept.pop(name, "")
        return {
            **kept, **self._keys, "RESTIC_REPOSITORY": self._at.repository,
            "RESTIC_PASSWORD_FILE": f"/dev/fd/{passphrase}", "RESTIC_PROGRESS_FPS": "2",
        }  # fmt: skip

    def _error(self, command: str, lines: list[str], code: int, damaged: bool) -> PCloudError:
        said = "\n".join(lines).lower()
        lines = [line.partition(f" {RETRYING}")[0] for line in lines]
        why = next(
            (line for line in lines if "fatal" in line.lower() or "error" in line.lower()), lines[-1] if lines else ""
        )
        if "wrong password" in said:
            return Forbidden(
                f"the passphrase is not that of the backups in {self.place}: use the one that the first of them was made with"
            )
        if "no space left" in said or "disk quota exceeded" in said:
            full = "the disk that it is restored to" if command == "restore" else f"the disk of {self.place}"
            return Unavailable(f"{full} is full: make room there and run this again; what is stored already is kept")
        if "not found in snapshot" in said:
            return NotFound(f"the backup in {self.place} lacks a file: {why}")
        if "already locked" in said:
            return Conflict(f"another program works on the backups in {self.place}: wait until it is done")
        if self._at.bucket and (trouble := self._trouble_with_s3(said, why)):
            return trouble
        if not self._at.bucket and not (Path(self.place) / "config").exists():
            return NotFound(f"{self.place} holds no backups (any more): check that its disk is connected and mounted")
        if code == INCOMPLETE:
            return Unavailable(f"some files could not be read for the backup, so it does not count: {why}")
        if damaged or any(word in said for word in ("load(<", "ciphertext verification failed", "hash does not match")):
            return Corrupt(
                f"the backups in {self.place} are damaged: {why}; use another copy, and make a new one in another folder"
            )
        return Unavailable(f"restic could not {command} in {self.place}: {why}")

    def _trouble_with_s3(self, said: str, why: str) -> PCloudError | None:
        if any(word in said for word in NO_BUCKET):
            return NotFound(
                f"{self._at.host} has no bucket {self._at.bucket}: make it there, or correct its name in {self.place}"
            )
        if any(word in said for word in REFUSED):
            return Forbidden(
                f"{self._at.host} refuses these keys for the bucket {self._at.bucket}: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                f"and what they may do ({why})"
            )
        if "unable to open config file" in said and NO_KEY in said:
            return _Missing(f"{self.place} holds no backups (any more): check the address")
        if any(word in said for word in AWAY):
            return Unavailable(
                f"{self._at.host} can't be reached: check the address and the network, and run this again; what is stored "
                f"already is kept ({why})"
            )
        return None


class _Missing(NotFound):
    """The bucket is there, and holds no repository at that path."""


async def _printed(stream: asyncio.StreamReader | None, on_line: OnLine | None) -> bytes:
    assert stream is not None
    if on_line is None:
        return await stream.read()
    async for line in stream:
        on_line(line)
    return b""


async def _errors(stream: asyncio.StreamReader | None, give_up: Callable[[], None], tries: int) -> list[str]:
    """Its first lines. `give_up` is called when restic would try the same once more after so many `tries`: it does for minutes."""
    assert stream is not None
    tried = Counter[str]()
    lines: list[str] = []
    async for raw in stream:
        line = raw.decode(errors="replace").strip()
        if line and len(lines) < MOST_ERRORS:
            lines.append(line)
        what, retrying, _ = line.partition(RETRYING)
        tried[what] += bool(retrying)
        if tried[what] >= tries:
            with suppress(ProcessLookupError):
                give_up()
    return lines


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = _decode(line)
    except msgspec.MsgspecError:
        return {}
    return cast("dict[str, Any]", record) if isinstance(record, dict) else {}


def _pipe(text: str) -> int:
    """A descriptor from which `text` can be read once."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(text.encode() + b"\n")
    return reading
