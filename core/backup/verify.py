"""Proves the newest backup without restoring it: every stored byte is read and checked, and its log is folded again."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import msgspec

from core.backup.folded import FoldedLog, Progress, fold_log
from core.backup.record import RECORD, Record, first_difference, parse_record
from core.backup.repository import Repository
from core.node.backups.known import remember
from core.node.folder import DataFolder
from pcloud.errors import Corrupt

__all__ = ["Proven", "check_folded", "verify_backup"]


class Proven(msgspec.Struct, frozen=True):
    """`taken`: when the backup was taken, seconds since 1970."""

    place: str
    cloud: str
    taken: float
    sequence: int
    events: int
    entities: int
    seconds: float


async def verify_backup(repository: Repository, data: Path, progress: Progress) -> Proven:
    """Raises `Corrupt` if anything is damaged, `NotFound` if no backup is complete. `data`: where the proof is remembered, if
    that folder exists; the log is fetched below it, or into the folder for temporary files."""
    began = time.monotonic()
    backup = await repository.newest()
    progress("reading", "every stored byte")
    await repository.check()
    record = parse_record(await repository.read(backup, RECORD))
    work = data if data.is_dir() else None  # noqa: ASYNC240 - one look
    with DataFolder(work).proof() if work else tempfile.TemporaryDirectory() as scratch:
        progress("fetching", "the log")
        await repository.fetch(backup, Path(scratch), "nats")
        check_folded(record, await fold_log(Path(scratch) / "nats", progress, work=Path(scratch)))
    if work is not None:
        # A backup that a wrong clock dated into the future is the newest for long, and is not proven again and again.
        remember(work, repository.place, proven=min(record.taken, time.time()))
    log = record.log
    return Proven(
        repository.place, record.cloud, record.taken, log.sequence, log.events, sum(log.entities.values()),
        time.monotonic() - began,
    )  # fmt: skip


def check_folded(record: Record, found: FoldedLog) -> None:
    """Raises `Corrupt` if the log does not fold to what was recorded."""
    difference = "it is of another cloud" if found.cloud != record.cloud else first_difference(record.log, found.log)
    if difference:
        raise Corrupt(
            f"the backup's log is not the one that was backed up: {difference}; use an earlier or another backup"
        )
