"""What a restore may not bring back: which of it a backup lacks, and that the first start does it once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.graph.command import EntityChange
from core.node.backups.revocations import Forgotten, Revocations, ToRevoke, pending, revocations
from core.node.backups.since import RevokedSince
from core.node.folder import DataFolder
from core.node.restored import finish_restore
from pcloud.event import Change, Kind, StoredEvent
from pcloud.subject import Ref
from tests.memory_log import open_memory_directory

STATES = st.sampled_from(["pending", "approved", "rejected"])
NAMES = st.sampled_from(["a", "b", "c"])
LISTS = st.builds(
    Revocations, st.just("cloud"), st.sampled_from(["one", "two"]), st.dictionaries(NAMES, STATES), st.lists(NAMES, unique=True),
    st.dictionaries(NAMES.map(lambda name: f"x/T/{name}"), st.sampled_from(["tx1", "tx2"])), st.lists(NAMES, unique=True),
)  # fmt: skip


def event(sequence: int, kind: Kind, ref: str, **set: Any) -> StoredEvent:
    return StoredEvent(sequence, 0.0, Ref.parse(ref), kind, Change(set=set), f"tx{sequence}", 1, 1, "person:owner")


@given(LISTS, st.lists(LISTS, max_size=3))
def test_decisions_are_the_last_ones_and_what_any_list_forgot_stays_so(
    mine: Revocations, newer: list[Revocations]
) -> None:
    found = pending(mine, newer)
    if not newer:
        assert found == ToRevoke()
        return
    last = newer[-1]
    assert (found.owner or mine.owner) == last.owner
    assert set(found.grants) == {
        id for id, state in last.grants.items() if (mine.grants.get(id), state) == ("approved", "rejected")
    }
    assert found.apps.keys() == set(mine.apps) - set(last.apps)
    assert {app for app, data in found.apps.items() if data} == found.apps.keys() & {
        app for one in newer for app in one.apps_forgotten
    }
    everything = {item for one in newer for item in one.forgotten.items()} - mine.forgotten.items()
    assert found.forgotten == sorted({ref for ref, _ in everything})


def test_entity_made_again_before_the_backup_is_not_forgotten_again() -> None:
    before = Forgotten()
    before.read([event(1, Kind.FORGOTTEN, "x/T/a"), event(2, Kind.CREATED, "x/T/a")])
    directory, _, _ = open_memory_directory()
    mine = revocations("cloud", directory, before)
    assert pending(mine, [mine]).forgotten == []
    before.read([event(3, Kind.FORGOTTEN, "x/T/a")])
    mine = msgspec.structs.replace(mine, forgotten={"x/T/a": "tx1"})
    assert pending(mine, [revocations("cloud", directory, before)]).forgotten == ["x/T/a"]


def test_app_installed_again_is_not_removed_with_its_data() -> None:
    found = Forgotten()
    found.read([event(1, Kind.UPDATED, "core/App/notes", forget=True), event(2, Kind.DELETED, "core/App/notes")])
    assert found.apps == {"notes"}
    found.read([event(3, Kind.CREATED, "core/App/notes", state="INSTALLING")])
    assert found.apps == set()


async def test_first_start_revokes_what_is_listed_and_can_be_repeated(tmp_path: Any) -> None:
    directory, commands, log = open_memory_directory()
    forgotten: list[Ref] = []

    async def forget(actor: str, refs: Any) -> None:
        forgotten.extend(refs)

    writes: Any = SimpleNamespace(write=commands.write, forget=forget)
    nothing: Any = SimpleNamespace(revoke_all=none_of, end_all=none_of)
    fields = {"app": "reader", "verb": "read", "target": "notes/Note", "state": "approved"}
    owner, grant = Ref("core", "Owner", "owner"), Ref("core", "Grant", "g")
    made = [EntityChange(owner, "add", set={"tokenHash": "old"}), EntityChange(grant, "add", set=fields)]
    await commands.write("person:owner", made)
    folder = DataFolder(tmp_path)
    listed = ToRevoke("new", ["g", "gone"], {"never-installed": True}, ["notes/Note/a"])
    for _ in range(2):  # as if the node had died before the file was removed
        folder.restored.write_bytes(msgspec.json.encode({"taken": 1.0, "epoch": "e", "revoked": listed}))
        await finish_restore(folder, directory, writes, nothing, nothing)
        records = directory.records
        assert records.owners["owner"].token_hash == "new" and records.grants["g"].state == "rejected"
        assert not folder.restored.exists()
    assert len(log.transactions) == 2 and set(forgotten) == {Ref("notes", "Note", "a")}
    folder.restored.write_bytes(b'{"taken": 1.0, "epoch": "e"}')  # by a restore of before there were lists
    await finish_restore(folder, directory, writes, nothing, nothing)


async def none_of() -> int:
    return 0


class Log:
    """A log in memory. `reads`: the first sequence of each read."""

    id_key = b"k" * 32

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.reads: list[int] = []

    async def last_sequence(self) -> int:
        return len(self.events)

    async def read(self, first: int, last: int) -> AsyncIterator[StoredEvent]:
        self.reads.append(first)
        for one in self.events[first - 1 : last]:
            yield one


async def test_list_of_what_came_since_reads_each_event_once() -> None:
    directory, commands, _ = open_memory_directory()
    log = Log()
    since = RevokedSince(log, directory, commands)
    log.events = [event(1, Kind.FORGOTTEN, "x/T/a"), event(2, Kind.CREATED, "x/T/b"), event(3, Kind.FORGOTTEN, "x/T/b")]
    assert (await since.list(1)).forgotten == {"x/T/b": "tx3"} and not since.changed
    log.events.append(event(4, Kind.FORGOTTEN, "x/T/c"))
    assert (await since.list(1)).forgotten == {"x/T/b": "tx3", "x/T/c": "tx4"}
    assert (await since.list(4)).forgotten == {} and log.reads == [2, 4, 5]
    await commands.write("person:owner", [EntityChange(Ref("core", "Owner", "owner"), "add", set={"tokenHash": "h"})])
    assert since.changed and (await since.list(4)).owner == "h"
