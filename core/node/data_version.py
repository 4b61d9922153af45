"""Which PCloud has a data folder, and which may open it: `version.json`.

    program   the PCloud that has the folder now
    reads     the oldest PCloud that can read what is in it: an older one refuses it and changes nothing
    before    the PCloud that had it before and was up; '' for none. A newer one than `program` after a harmless return
    since     when the first program after it took over, seconds since 1970
    ready     False until `program` was up once
    returning True while `go_back` puts the data back

A newer program takes over at its first start, before any server of it starts. What an update changes on the disk: the log is only
appended to, views are built beside the ones in use, and the rest can be made again. So going back needs nothing if the program before can
read what this one writes. Otherwise a copy of the log and the keys is made first; it's complete once it has its name, and `version.json`
changes after it, so a kill at any point leaves the data of the program before, or all that going back needs.
"""

from __future__ import annotations

import logging
import os
import time
from importlib.metadata import version

import msgspec

from core.apps.tree import copy_tree, remove_tree, tree_bytes
from core.apps.tree.disk_errors import reading, writing
from core.node.folder import DataFolder
from pcloud.errors import Corrupt, Rejected

__all__ = [
    "COPIED",
    "FIRST",
    "OLDEST",
    "PROGRAM",
    "DataVersion",
    "become_ready",
    "numbers",
    "read_version",
    "take_over",
    "way_back",
    "write_version",
]

log = logging.getLogger("pcloud.node")
PROGRAM = version("pcloud-node")
# Raise it to the version of this program when what it writes can't be read by the versions before.
OLDEST = "0.2.0"
# The last version that recorded none.
FIRST = "0.1.0"
# What a program before needs, besides what it makes again.
COPIED = ("nats", "secrets")


class DataVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    program: str
    reads: str
    before: str = ""
    since: float = 0.0
    ready: bool = True
    returning: bool = False

    @property
    def readable_before(self) -> bool:
        """Return True if the program before can read the data as it is."""
        return numbers(self.before) >= numbers(self.reads)

    @property
    def went_back(self) -> bool:
        """Return True if `program` is older than the one before it."""
        return numbers(self.program) < numbers(self.before)


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version, to compare it with another."""
    parts = text.partition("+")[0].partition("-")[0].split(".")
    return tuple(int(part) if part.isdecimal() else 0 for part in parts)


def read_version(folder: DataFolder) -> DataVersion | None:
    """None if no program has recorded one. Raises `Corrupt`."""
    try:
        return msgspec.json.decode(folder.version.read_bytes(), type=DataVersion)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Corrupt(
            f"{folder.version} can't be read: {error}; see which PCloud you used last, then remove the file and start that one"
        ) from error


def write_version(folder: DataFolder, now: DataVersion) -> None:
    part = folder.version.with_suffix(".part")
    with writing("the version of the data", folder.root):
        with part.open("wb") as file:
            file.write(msgspec.json.encode(now))
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder.version)


def take_over(folder: DataFolder, program: str = "", oldest: str = "") -> DataVersion:
    """Make this program the one that has the folder; call it before anything else changes there.

    Raises `Rejected` if the data needs a newer program, or `Unavailable` without room for what going back needs; nothing has changed then.
    """
    program, oldest = program or PROGRAM, oldest or OLDEST
    found = read_version(folder)
    if found is not None:
        refuse_newer(folder, found, program)
        if found.program == program:
            if found.before and not found.ready:
                log.warning(way_back(found))
            return found
    before = found.program if found else FIRST if is_cloud(folder) else ""
    reads = max(min(oldest, program, key=numbers), found.reads if found else "", key=numbers)
    if found is not None and not found.ready and numbers(found.before) < numbers(program):
        now = after_failed_update(folder, found, program, reads)
    elif numbers(program) < numbers(before):
        now = DataVersion(program, reads, before, time.time())  # it can read the data as it is
    else:
        now = DataVersion(program, reads, before, time.time() if before else 0.0, ready=not before)
        if before and not now.readable_before:
            keep_copy(folder, found or DataVersion(before, before))
    write_version(folder, now)
    if before:
        log.warning("PCloud %s from %s to %s", "went back" if now.went_back else "was updated", now.before, program)
    return now


def after_failed_update(folder: DataFolder, found: DataVersion, program: str, reads: str) -> DataVersion:
    """The way back stays the one to the last program that was up, with the copy of its log; what failed since may have harmed the log."""
    now = msgspec.structs.replace(found, program=program, reads=reads)
    if found.readable_before and not now.readable_before:  # only the second update needs a copy
        keep_copy(folder, DataVersion(found.before, found.reads))
        return msgspec.structs.replace(now, since=time.time())
    return now


def become_ready(folder: DataFolder, now: DataVersion) -> None:
    """The program is up."""
    if not now.ready:
        write_version(folder, msgspec.structs.replace(now, ready=True))


def way_back(now: DataVersion) -> str:
    """What to do if an update does not work; '' if the program was up once."""
    if now.ready or not now.before:
        return ""
    return (
        f"PCloud {now.program} was not up since the update from {now.before}. If it does not start, this command goes back: "
        "`pcloud go-back`"
    )


def refuse_newer(folder: DataFolder, found: DataVersion, program: str) -> None:
    if found.returning:
        raise Rejected(f"going back to an earlier PCloud was interrupted in {folder.root}: run `pcloud go-back` again")
    if numbers(program) < numbers(found.reads):
        raise Rejected(
            f"the data in {folder.root} was written by PCloud {found.program}, and this is {program}: use PCloud {found.reads} or newer. "
            "Nothing was changed"
        )


def is_cloud(folder: DataFolder) -> bool:
    """Return True if a program has used the folder; one that was restored just now has no program before."""
    return (folder.nats / "jetstream").is_dir() and not folder.restored.exists()


def keep_copy(folder: DataFolder, before: DataVersion) -> None:
    """Copy what going back needs; an earlier copy is replaced."""
    sources = [folder.root / name for name in COPIED]
    with reading("the log", folder.nats):
        needed = tree_bytes(sources)
    folder.disk_space.check(f"a copy of the log, which going back to PCloud {before.program} needs", needed)
    copy, part = folder.before_update, folder.before_update.with_suffix(".part")
    log.warning(
        "keeping a copy of the log (%s MB), which going back to PCloud %s needs", needed // 2**20, before.program
    )
    with writing("a copy of the log", folder.root):
        remove_tree(part)
        part.mkdir(mode=0o700)
        for source in sources:
            copy_tree(source, part / source.name)
        (part / folder.version.name).write_bytes(msgspec.json.encode(before))
        os.sync()
        remove_tree(copy)
        part.rename(copy)
