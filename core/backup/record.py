"""`record.json` of a backup: of which cloud and instant it is, and what its log folds to."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pcloud.errors import Corrupt, Rejected

__all__ = ["FORMAT", "RECORD", "Folded", "Record", "first_difference", "parse_record"]

FORMAT = 1
RECORD = "record.json"


class Folded(msgspec.Struct, frozen=True):
    """What a log folds to. `sequence`: of its last event; `events`: their number; `hash`: the running hash over them.
    `entities`: their number by type, of those that exist; `graph`: hash over all of them, deleted ones and transactions. `fold`:
    the version of the fold; another one may fold the same events to another graph."""

    sequence: int
    events: int
    hash: str
    entities: dict[str, int]
    graph: str
    fold: str


class Record(msgspec.Struct, frozen=True):
    """`cloud` identifies the cloud, over all its epochs. `pcloud`: the version that wrote it. `taken`: seconds since 1970.
    `grown`: sizes of append-only files; what lies behind was written later. `apps`: their versions."""

    format: int
    pcloud: str
    cloud: str
    taken: float
    epoch: str
    log: Folded
    apps: dict[str, str]
    grown: dict[str, int]


class _Head(msgspec.Struct, frozen=True):
    """The part that every format has."""

    format: int
    pcloud: str


def parse_record(raw: bytes) -> Record:
    """Raises `Rejected` for a newer format, `Corrupt` for what is not a record."""
    try:
        head = msgspec.json.decode(raw, type=_Head)
        if head.format > FORMAT:
            raise Rejected(
                f"this backup was made by PCloud {head.pcloud}, in a form that this version can't read: install that version or a newer one"
            )
        return msgspec.json.decode(raw, type=Record)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"the backup's {RECORD} can't be read: {error}") from error


def write_record(record: Record, folder: Path) -> None:
    (folder / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))


def first_difference(recorded: Folded, found: Folded) -> str:
    """The first thing in which the two differ, as a sentence; '' if they are equal."""
    for name in ("events", "sequence", "hash"):
        if (one := getattr(recorded, name)) != (other := getattr(found, name)):
            return f"the log's {name} was recorded as {one}, and is {other}"
    if recorded.fold != found.fold:
        return ""
    for name in sorted({*recorded.entities, *found.entities}):
        if (one := recorded.entities.get(name, 0)) != (other := found.entities.get(name, 0)):
            return f"{one} {name} were recorded, and {other} are there"
    return "" if recorded.graph == found.graph else "the graph that the log folds to is another one"
