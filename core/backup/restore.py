"""Makes a cloud from the newest backup, in an empty folder.

Everything is written below `restoring/`, in a folder that a node refuses; see `core.backup.target`. Once the files are complete
and the log folds to what was recorded, the parts are renamed to their places, and the folder's mark is removed last. A restore
that was interrupted at any point starts over.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path

import msgspec

from core.backup.folded import Progress, fold_log
from core.backup.record import RECORD, Record, parse_record
from core.backup.repository import Repository, StoredBackup
from core.backup.target import PARTS, finish_target, open_target
from core.backup.verify import check_folded
from core.node.backups.known import remember
from core.node.backups.revocations import LIST, Revocations, ToRevoke, pending
from core.node.folder import DataFolder
from eventstore import ConnectionSettings, ServerSettings, open_server, renew_epoch
from pcloud.errors import Corrupt, NotFound, Unavailable

__all__ = ["Restored", "later_lists", "restore_backup"]

# Beside the files themselves: for the graph that is folded to compare, and for the views of the first start.
SPARE = 256 * 2**20


class Restored(msgspec.Struct, frozen=True):
    """`epoch`: the new one. `taken`: when the backup was taken, seconds since 1970. `unread`: the times of newer lists that are damaged:
    what was revoked or forgotten by then may be back."""

    data: str
    cloud: str
    taken: float
    epoch: str
    sequence: int
    events: int
    entities: int
    apps: dict[str, str]
    seconds: float
    unread: list[str] = []


async def restore_backup(
    repository: Repository, data: Path, progress: Progress, *, before: datetime | None = None
) -> Restored:
    """`before`: restore the newest backup from before this time.

    Raises `Rejected` if `data` is in use, or the backup is from a newer PCloud; `NotFound` if no backup is complete; `Corrupt` if
    it is damaged; `Unavailable` if it does not fit."""
    began = time.monotonic()
    backup = await repository.newest(before)
    record = parse_record(await repository.read(backup, RECORD))
    with open_target(data) as folder:
        progress("reading", "what was revoked and forgotten since")
        later, unread = await later_lists(repository, backup)
        await _fill(repository, backup, record, folder, progress)
        epoch = await _new_epoch(folder.restoring / "nats")
        found = await fold_log(folder.restoring / "nats", progress, work=folder.restoring)
        check_folded(record, found)
        revoked = pending(found.revocations, later)
        progress("finishing", "moving the parts to their places")
        await asyncio.to_thread(_put_in_place, folder, record, revoked, repository.place)
    log = record.log
    return Restored(
        str(data), record.cloud, record.taken, epoch, log.sequence, log.events, sum(log.entities.values()), record.apps,
        time.monotonic() - began, unread,
    )  # fmt: skip


async def _fill(
    repository: Repository, backup: StoredBackup, record: Record, folder: DataFolder, progress: Progress
) -> None:
    size, free = await repository.size(backup), folder.free_bytes()
    if free < size + SPARE:
        raise Unavailable(
            f"the disk of {folder.root} is too full: the cloud takes {size // 2**20:,} MB and {SPARE // 2**20} MB for its views, "
            f"{free // 2**20:,} MB are free; make room, or name a folder on another disk with --data"
        )
    progress("restoring", f"{size / 2**20:,.0f} MB")
    await repository.fetch(backup, folder.restoring)
    for path, wanted in record.grown.items():
        file = folder.restoring / path
        inside = file.resolve().is_relative_to(folder.restoring.resolve())
        if not inside or file.is_symlink() or not file.is_file() or file.stat().st_size < wanted:
            raise Corrupt(f"the backup's file {path} is not as long as was recorded: use an earlier or another backup")
        os.truncate(file, wanted)


async def _new_epoch(nats: Path) -> str:
    async with open_server(ServerSettings(nats)) as server:
        return await renew_epoch(ConnectionSettings(server.url, server.core))


async def later_lists(repository: Repository, backup: StoredBackup) -> tuple[list[Revocations], list[str]]:
    """The lists of this cloud's later backups, the oldest first, and the times of those that are damaged. Backups of before there were
    lists have none."""
    found: list[Revocations] = []
    damaged: list[str] = []
    for one in await repository.backups():
        if one.at > backup.at and one.cloud == backup.cloud and (one.complete or one.listed):
            try:
                found.append(_list_of(await repository.read(one, LIST)))
            except NotFound:
                continue
            except Corrupt:
                damaged.append(one.time)
    return found, damaged


def _list_of(raw: bytes) -> Revocations:
    try:
        return msgspec.json.decode(raw, type=Revocations)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"the backup's {LIST} can't be read: {error}") from error


def _put_in_place(folder: DataFolder, record: Record, revoked: ToRevoke, place: str) -> None:
    for part in PARTS:
        (folder.restoring / part).rename(folder.root / part)
    # The first start revokes devices and ends sessions, and does the rest of what was revoked and forgotten since.
    folder.restored.write_bytes(msgspec.json.encode({"taken": record.taken, "epoch": record.epoch, "revoked": revoked}))
    # All that was restored has been read and compared.
    remember(folder.root, place, taken=record.taken, proven=record.taken, sequence=record.log.sequence)
    os.sync()
    finish_target(folder)
