"""restic, as this package uses it: a place with encrypted backups, each of which counts once it is marked as complete.

restic's messages are translated here; its text for anything unknown is passed on. The passphrase goes through a pipe.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from pcloud.errors import Conflict, Corrupt, Forbidden, NotFound, PCloudError, Unavailable

__all__ = ["Repository", "StoredBackup", "find_restic"]

COMPLETE = "complete"
MOST_ERRORS = 100
RETRYING = "returned error, retrying"
INCOMPLETE = 3  # restic's exit code: a backup was stored without some of the files
# Ends restic with this process, also if that is killed: its files are gone then, and what it stored would lack them.
_LAUNCHER = """
import ctypes, os, signal, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the command is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""
_LONGEST_LINE = 16 * 2**20
_decode = msgspec.json.Decoder().decode
OnRecord = Callable[[dict[str, Any]], None]
OnLine = Callable[[bytes], None]


class StoredBackup(NamedTuple):
    """`id`: restic's. `cloud`: whose it is. `time`: as restic writes it; later ones are greater."""

    id: str
    cloud: str
    time: str
    complete: bool


def find_restic() -> str:
    if found := shutil.which("restic"):
        return found
    raise Unavailable("the program restic is missing, which stores backups: install Debian's package restic")


class Repository:
    """`place`: an absolute path of a folder."""

    def __init__(self, place: str, passphrase: str):
        self.place, self._passphrase = place, passphrase
        self._config = Path(place) / "config"
        self._restic = find_restic()

    async def make(self) -> None:
        await self._run("init")

    async def backups(self) -> list[StoredBackup]:
        """All of them, the oldest first. Raises `NotFound` if there is no repository."""
        if not self._config.exists():
            raise NotFound(f"{self.place} holds no backup of PCloud: name the folder that `pcloud backup` was given")
        found: list[dict[str, Any]] = _decode(await self._run("snapshots", "--json"))
        backups = [
            StoredBackup(
                one["id"], one["hostname"].removeprefix("pcloud-"), one["time"], COMPLETE in (one.get("tags") or ())
            )
            for one in found
        ]
        return sorted(backups, key=lambda one: one.time)

    async def newest(self) -> StoredBackup:
        """The newest complete one. Raises `NotFound`."""
        complete = [one for one in await self.backups() if one.complete]
        if not complete:
            raise NotFound(f"{self.place} holds no complete backup: run `pcloud backup` on it once more")
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

    async def read(self, backup: StoredBackup, path: str) -> bytes:
        return await self._run("dump", backup.id, f"/{path}")

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
        passphrase = _pipe(self._passphrase)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), self._restic, *arguments, "--no-cache",
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                cwd=cwd, limit=_LONGEST_LINE, pass_fds=(passphrase,), env=self._environment(passphrase),
            )  # fmt: skip
        finally:
            os.close(passphrase)
        try:
            printed, errors = await asyncio.gather(
                _printed(process.stdout, on_line), _errors(process.stderr, process.kill)
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
        return {
            **kept, "RESTIC_REPOSITORY": self.place, "RESTIC_PASSWORD_FILE": f"/dev/fd/{passphrase}", "RESTIC_PROGRESS_FPS": "2",
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
        if "already locked" in said:
            return Conflict(f"another program works on the backups in {self.place}: wait until it is done")
        if not self._config.exists():
            return NotFound(f"{self.place} holds no backups (any more): check that its disk is connected and mounted")
        if code == INCOMPLETE:
            return Unavailable(f"some files could not be read for the backup, so it does not count: {why}")
        if damaged or any(word in said for word in ("load(<", "ciphertext verification failed", "hash does not match")):
            return Corrupt(
                f"the backups in {self.place} are damaged: {why}; use another copy, and make a new one in another folder"
            )
        return Unavailable(f"restic could not {command} in {self.place}: {why}")


async def _printed(stream: asyncio.StreamReader | None, on_line: OnLine | None) -> bytes:
    assert stream is not None
    if on_line is None:
        return await stream.read()
    async for line in stream:
        on_line(line)
    return b""


async def _errors(stream: asyncio.StreamReader | None, give_up: Callable[[], None]) -> list[str]:
    """Its first lines. `give_up` is called when restic would try again: for minutes, which does not help on a disk."""
    assert stream is not None
    lines: list[str] = []
    async for raw in stream:
        line = raw.decode(errors="replace").strip()
        if line and len(lines) < MOST_ERRORS:
            lines.append(line)
        if RETRYING in line:
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
