"""Stores an instant copy of a running node as a backup."""

from __future__ import annotations

import asyncio
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from core.backup.folded import Progress, fold_log
from core.backup.record import FORMAT, Record, write_record
from core.backup.repository import Repository, StoredBackup
from core.node.backups.known import known_places, remember
from core.node.backups.revocations import LIST
from pcloud.errors import NotFound, Rejected

__all__ = ["Keep", "Taken", "check_cloud", "prepare", "take_backup"]

JETSTREAM = "jetstream"


class Keep(NamedTuple):
    """Of so many days, weeks and months the last backup is kept."""

    daily: int
    weekly: int
    monthly: int


class Taken(msgspec.Struct, frozen=True):
    """`paused`: seconds that the node stood still; `seconds`: all of it. `size`: bytes of the cloud; `added`: bytes that were new,
    before compression."""

    place: str
    cloud: str
    epoch: str
    sequence: int
    events: int
    entities: int
    apps: dict[str, str]
    files: int
    size: int
    added: int
    paused: float
    seconds: float


async def prepare(repository: Repository, data: Path, *, new: bool = False) -> list[StoredBackup] | None:
    """Return the backups that are there, or None where the first one would begin. Raises `NotFound` if there were some and
    the place is empty now, unless a `new` beginning is wanted; `Forbidden` for another passphrase."""
    if await repository.exists():
        return await repository.backups()
    if repository.place in known_places(data) and not new:
        raise NotFound(
            f"{repository.place} held backups of this cloud, and holds none now: check that its disk is connected and "
            "mounted, or begin there again with --new"
        )
    return None


async def take_backup(
    repository: Repository, before: list[StoredBackup] | None, root: Path, grown: dict[str, int], apps: dict[str, str], data: Path,
    progress: Progress, *, paused: float = 0.0, keep: Keep | None = None,
) -> Taken:  # fmt: skip
    """`root`: the instant copy; `grown`: its append-only files, as `InstantCopy` has them. `before`: from `prepare`. `keep`: which
    backups to keep besides this one; None: all.

    Raises `Rejected` if the place holds backups of another cloud, `Unavailable` if it can't be written."""
    began, taken = time.monotonic(), time.time()
    folded = await fold_log(root / "nats", progress, work=root.parent)
    await asyncio.to_thread(_keep_only_the_log, root / "nats")
    check_cloud(repository.place, before or [], folded.cloud)
    write_record(
        Record(FORMAT, version("pcloud-node"), folded.cloud, taken, folded.epoch, folded.log, apps, grown), root
    )
    (root / LIST).write_bytes(msgspec.json.encode(folded.revocations))
    if before is None:
        await repository.make()
    complete = [one.id for one in before or [] if one.complete]

    def told(record: dict[str, Any]) -> None:
        if record.get("message_type") == "status":
            done, total = record.get("bytes_done", 0), record.get("total_bytes", 0)
            progress("storing", f"{done / 2**20:,.0f} of {total / 2**20:,.0f} MB")

    summary = await repository.store(root, folded.cloud, complete[-1] if complete else "", told)
    listed = msgspec.structs.replace(folded.revocations, forgotten={}, apps_forgotten=[]).digest
    remember(data, repository.place, taken=taken, sequence=folded.log.sequence, listed=listed)
    if keep is not None:
        progress("thinning out", "the older backups")
        await repository.thin_out(folded.cloud, *keep)
    return Taken(
        repository.place, folded.cloud, folded.epoch, folded.log.sequence, folded.log.events, sum(folded.log.entities.values()), apps,
        summary["total_files_processed"], summary["total_bytes_processed"], summary["data_added"], paused,
        time.monotonic() - began,
    )  # fmt: skip


def check_cloud(place: str, before: list[StoredBackup], cloud: str) -> None:
    """Raises `Rejected` if the place has backups of another cloud."""
    if others := {one.cloud for one in before} - {cloud}:
        raise Rejected(
            f"{place} holds backups of another cloud ({sorted(others)[0]}, this one is {cloud}): choose another folder"
        )


def _keep_only_the_log(nats: Path) -> None:
    """Remove what the server that folded it has written beside: its configuration and passwords."""
    for entry in nats.iterdir():
        if entry.name != JETSTREAM:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
