"""The directory: a pure fold of core's own events into records, the same however it is cut and from wherever it begins."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph.schema import builtin_catalog
from pcloud.errors import Corrupt, NotFound
from pcloud.event import Change, Kind, StoredEvent
from pcloud.manifest import Action, Manifest
from pcloud.subject import Ref
from projections.directory import Changed, Directory, open_directory
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from tests.full_disk import full_disk

EPOCH = "epoch1"
MANIFEST = Manifest(name="notes", version="1.0.0", provides=["pens"], actions=[Action(name="keep")])
NOTES = Catalog({"notes/Note": TypeDef("notes/Note", {"text": FieldDef("text", "String")})})


def event(sequence: int, ref: Ref, kind: Kind = Kind.CREATED, tx: str = "", **values: Any) -> StoredEvent:
    change = Change(set={name: value for name, value in values.items() if value is not None})
    return StoredEvent(
        sequence, 1.0 + sequence, ref, kind, change, tx or f"t{sequence}", 1, 1, "owner", digest=sequence
    )


def app(sequence: int, name: str = "notes", kind: Kind = Kind.CREATED, **values: Any) -> StoredEvent:
    manifest = msgspec.json.encode(msgspec.structs.replace(MANIFEST, name=name)).decode()
    fields = {"name": name, "version": "1.0.0", "state": "RUNNING", "manifest": manifest, "archive": "a"}
    return event(sequence, Ref("core", "App", name), kind, **(fields | values))


def grant(sequence: int, id: str, state: str, kind: Kind = Kind.CREATED, **values: Any) -> StoredEvent:
    fields = {"app": "notes", "verb": "call", "target": "pens/draw", "optional": False, "state": state}
    return event(sequence, Ref("core", "Grant", id), kind, **(fields | values))


class Log:
    """The part of the event store that opening a directory needs."""

    epoch = EPOCH

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        self.events = events

    async def last_sequence(self) -> int:
        return self.events[-1].sequence if self.events else 0

    async def read(self, first: int, last: int, *, subjects: Sequence[str] = ()) -> AsyncGenerator[StoredEvent, None]:
        for one in self.events:
            if first <= one.sequence <= last and (not subjects or one.ref.app == "core"):
                yield one


def folded(events: Sequence[StoredEvent], cuts: Sequence[int] = ()) -> Directory:
    directory = Directory(builtin_catalog())

    async def fold() -> None:
        begin = 0
        for end in (*sorted(cuts), len(events)):
            await directory.apply(EPOCH, events[begin:end])
            begin = end

    asyncio.run(fold())
    return directory


STATES = st.sampled_from(["pending", "approved", "rejected"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.sampled_from("abc"), STATES),
        st.tuples(st.just("app"), st.sampled_from(["notes", "desk"]), st.sampled_from(["RUNNING", "PAUSED", "gone"])),
        st.tuples(st.just("note"), st.sampled_from("xy"), st.just("")),
    ),
    max_size=12,
)


def log_of(steps: Sequence[tuple[str, str, str]]) -> list[StoredEvent]:
    events: list[StoredEvent] = []
    there: set[tuple[str, str]] = set()
    for sequence, (what, id, state) in enumerate(steps, 1):
        kind = Kind.UPDATED if (what, id) in there else Kind.CREATED
        if state == "gone":
            kind = Kind.DELETED
            there.discard((what, id))
        else:
            there.add((what, id))
        if what == "grant":
            events.append(grant(sequence, id, state, kind, app="notes" if id == "a" else "desk"))
        elif what == "app":
            more = (
                {} if kind is Kind.DELETED else {"state": state, "catalog": NOTES.to_json() if id == "notes" else None}
            )
            events.append(app(sequence, id, kind, **more) if more else event(sequence, Ref("core", "App", id), kind))
        else:
            events.append(event(sequence, Ref("notes", "Note", id), kind, text="hello"))
    return events


@settings(max_examples=150)
@given(STEPS, st.lists(st.integers(0, 12)))
def test_any_cut_of_the_log_folds_to_the_same_records(steps: Any, cuts: list[int]) -> None:
    events = log_of(steps)
    whole, parts = folded(events), folded(events, [cut for cut in cuts if cut <= len(events)])
    assert parts.records == whole.records and parts.catalog == whole.catalog
    assert parts.checkpoint == whole.checkpoint and parts.declared == whole.declared


@settings(max_examples=100)
@given(STEPS, st.integers(0, 12))
def test_a_start_from_a_snapshot_is_the_same_as_the_whole_fold(tmp_path_factory: Any, steps: Any, at: int) -> None:
    events = log_of(steps)
    path: Path = tmp_path_factory.mktemp("directory") / "directory.json"
    whole = folded(events)

    async def stop_and_start() -> Directory:
        before = await open_directory(Log(events[:at]), builtin_catalog(), path)
        await before.apply(EPOCH, events[:at])
        await before.save(always=True)
        return await open_directory(Log(events), builtin_catalog(), path)

    again = asyncio.run(stop_and_start())
    assert again.records == whole.records and again.catalog == whole.catalog
    assert again.checkpoint.sequence == whole.checkpoint.sequence and again.declared == whole.declared


async def test_a_damaged_snapshot_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    log = Log([app(1), grant(2, "a", "approved")])
    first = await open_directory(log, builtin_catalog(), path)
    await first.save(always=True)
    assert path.stat().st_mode & 0o077 == 0
    raw = bytearray(path.read_bytes())
    raw[-20] ^= 1
    path.write_bytes(raw)
    assert (await open_directory(log, builtin_catalog(), path)).records == first.records


async def test_snapshot_that_a_full_disk_refuses_is_saved_later(tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    log = Log([app(1), grant(2, "a", "approved")])
    first = await open_directory(log, builtin_catalog(), path)
    with full_disk():
        await first.save(always=True)
    assert not path.exists()
    await first.save(always=True)
    assert (await open_directory(log, builtin_catalog(), path)).records == first.records and path.exists()


async def test_a_snapshot_of_another_log_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    await (await open_directory(Log([app(1), app(2, "desk")]), builtin_catalog(), path)).save(always=True)
    other = Log([app(1)])
    assert set((await open_directory(other, builtin_catalog(), path)).records.apps) == {"notes"}
    other = copy.copy(Log([app(1, "desk"), app(2, "desk", Kind.UPDATED), app(3, "else")]))
    other.epoch = "epoch2"
    assert set((await open_directory(other, builtin_catalog(), path)).records.apps) == {"desk", "else"}


async def test_an_event_of_another_epoch_is_refused() -> None:
    directory = Directory(builtin_catalog())
    await directory.apply(EPOCH, [app(1)])
    with pytest.raises(Corrupt):
        await directory.apply("epoch2", [app(2, "desk")])


async def test_listeners_are_called_after_the_change() -> None:
    directory, heard = Directory(builtin_catalog()), []

    def listen(changed: Changed) -> None:
        heard.append((sorted(ref.type for ref in changed.refs), changed.catalog, sorted(directory.records.apps)))

    stop = directory.on_changed(listen)
    await directory.apply(EPOCH, [app(1, catalog=NOTES.to_json()), grant(2, "a", "approved")])
    await directory.apply(EPOCH, [event(3, Ref("notes", "Note", "x"), text="hello")])
    await directory.apply(EPOCH, [grant(4, "a", "rejected", Kind.UPDATED)])
    stop()
    await directory.apply(EPOCH, [app(5, "desk")])
    assert heard == [(["App", "Grant"], True, ["notes"]), (["Grant"], False, ["notes"])]
    assert directory.declared == 1 and directory.checkpoint.sequence == 5


async def test_only_approved_grants_allow_a_call() -> None:
    directory = Directory(builtin_catalog())
    await directory.apply(EPOCH, [app(1), grant(2, "a", "pending")])
    assert not directory.may_call("notes", "pens/draw") and directory.may_call("notes", "notes/keep")
    await directory.apply(EPOCH, [grant(3, "a", "approved", Kind.UPDATED)])
    assert directory.may_call("notes", "pens/draw") and not directory.may_call("desk", "pens/draw")
    assert not directory.may_call("notes", "role:pens/draw")
    await directory.apply(EPOCH, [app(4, "notes", Kind.UPDATED, state="REMOVING")])
    assert not directory.may_call("notes", "pens/draw")
    await directory.apply(EPOCH, [app(5, "notes", Kind.UPDATED)])
    assert directory.may_call("notes", "pens/draw")
    await directory.apply(EPOCH, [event(6, Ref("core", "Grant", "a"), Kind.DELETED)])
    assert not directory.may_call("notes", "pens/draw")


async def test_an_app_on_its_way_out_answers_no_calls() -> None:
    directory = Directory(builtin_catalog())
    await directory.apply(EPOCH, [app(1)])
    assert directory.action("notes", "keep").name == "keep" and directory.holder("pens") == "notes"
    with pytest.raises(NotFound, match="no action 'burn'; it has keep"):
        directory.action("notes", "burn")
    await directory.apply(EPOCH, [app(2, "notes", Kind.UPDATED, state="REMOVING")])
    for ask in (lambda: directory.action("notes", "keep"), lambda: directory.holder("pens")):
        with pytest.raises(NotFound):
            ask()


async def test_a_record_that_cannot_be_read_leaves_the_others() -> None:
    directory = Directory(builtin_catalog())
    await directory.apply(EPOCH, [app(1, "desk", manifest="{"), app(2)])
    assert set(directory.records.apps) == {"notes"}


async def test_a_revoked_device_is_found_by_no_token() -> None:
    directory, ref = Directory(builtin_catalog()), Ref("core", "Device", "d")
    await directory.apply(EPOCH, [event(1, ref, name="Phone", state="active", tokenHash="h")])
    found = directory.device_with("h")
    assert found is not None and found.name == "Phone" and directory.device_with("") is None
    await directory.apply(EPOCH, [event(2, ref, Kind.UPDATED, state="revoked")])
    assert directory.device_with("h") is None
