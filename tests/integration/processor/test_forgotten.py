"""What happens to runs if an entity is forgotten, and to new ones if there is no room."""

from __future__ import annotations

from typing import Any

import pytest

from core.work.processor.forget import forget_entities
from pcloud.errors import Unavailable
from pcloud.subject import Ref
from tests.integration.processor.small_core import SHELF, Call, Core
from tests.integration.processor.test_triggers import READS, SHELF_APP, ok, reader
from tests.waiting import until

BOOK = Ref("shelf", "Book", "b1")


async def test_runs_of_a_forgotten_entity_go_with_it(core: Core) -> None:
    await core.install(SHELF_APP, SHELF)
    await core.install(reader(args={"book": "{{ event.id }}", "title": "{{ node.title }}"}), granted=READS)
    await core.start_app("reader", read=ok)
    await core.add("b1", title="a secret")
    await core.add("b2", title="Emma")
    await until(lambda: _done(core, 2))

    async def hook(refs: Any) -> None:
        await forget_entities(core.store, core.runs, refs)

    core.commands.on_forgotten(hook)
    await core.commands.forget("owner", [BOOK])
    await core.runs_loop.wait_for(await core.store.runs.last_sequence())
    assert [run.entity for run in (await core.runs.list()).runs] == ["shelf/Book/b2"]
    assert "secret" not in "".join(str(run.args) for run in (await core.runs.list()).runs)


async def test_who_waits_for_deleted_ones_hears_of_forgotten_ones(core: Core) -> None:
    heard: list[str] = []

    async def read(call: Call) -> Any:
        heard.append(call.args["book"])

    await core.install(SHELF_APP, SHELF)
    await core.install(reader(on={"event": "deleted"}), granted=READS)
    await core.start_app("reader", read=read)
    await core.add("b1", title="Emma")
    await core.commands.forget("owner", [BOOK])
    await until(lambda: _done(core, 1))
    assert heard == ["b1"]


async def test_where_nothing_new_is_stored_no_new_run_begins_until_there_is_room(core: Core) -> None:
    def full(removes: bool) -> None:
        raise Unavailable("the disk is full: make room")

    core.store.admit_when(full)
    await core.processor.fullness.look()
    assert "the disk is full" in core.processor.journal.problem
    with pytest.raises(Unavailable, match="make room"):
        await core.store.work.put("reader", "read", "r1", b"{}")
    core.store.admit_when(lambda removes: None)
    await core.processor.fullness.look()
    assert core.processor.journal.problem == ""


async def _done(core: Core, count: int) -> bool:
    return (await core.runs.counts())["DONE"] == count
