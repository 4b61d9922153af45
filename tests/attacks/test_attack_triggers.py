"""A trigger acts on what its app may see, and on nothing else: each test is an app that waits for what it was not granted."""

from __future__ import annotations

from typing import Any

import pytest

from core.access.grant import grant_id
from core.graph.command import EntityChange
from pcloud.errors import Forbidden, Rejected
from pcloud.subject import Ref
from tests.integration.processor.conftest import core, server
from tests.integration.processor.small_core import SHELF, Call, Core, FakeApp
from tests.waiting import until

__all__ = ["core", "server"]  # fixtures

READS = (("read", "shelf/Book"),)
STARS = 'extend type Book @from(app: "shelf") { stars: Int }'


def spy(type: str = "shelf/Book", **on: Any) -> dict[str, Any]:
    """An app whose trigger passes on the id and the names of changed fields: it needs no field of the entity."""
    args = {"book": "{{ event.id }}", "changed": "{{ event.changed }}"}
    trigger = {"name": "watch", "on": {"type": type, **on}, "action": "read", "args": args}
    action = {"name": "read", "args": {"book": "ID", "changed": "JSON"}, "seconds": 5.0}
    return {"name": "spy", "version": "1.0.0", "actions": [action], "triggers": [trigger]}


async def ok(call: Call) -> Any:
    return "read"


def seen(app: FakeApp) -> list[str]:
    return [call.args["book"] for call in app.calls]


async def decide(core: Core, state: str, *fields: str, app: str = "spy") -> None:
    grant = {"app": app, "verb": "read", "target": "shelf/Book", "state": state, "fields": list(fields) or None}
    ref = Ref("core", "Grant", grant_id(app, "read", "shelf/Book"))
    await core.commands.write("owner", [EntityChange(ref, "upsert", set=grant)])


async def passed_by(core: Core, app: FakeApp, spied: list[str]) -> None:
    """Wait until a trigger of an app that may see the books has had all of them, then return what the spy has had."""
    last = await core.store.last_sequence()
    await until(lambda: core.loop.checkpoint.sequence >= last)
    honest = next(one for one in core.apps if one.name == "honest")
    books = [event.ref.id async for event in core.store.read(1, last, subjects=["graph.shelf.Book.*"])]
    await until(lambda: len(honest.calls) >= len(books))
    assert seen(app) == spied


async def opened(core: Core, **on: Any) -> FakeApp:
    """The shelf, an honest app that reads all of it, and the spy without any grant."""
    await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
    honest = {**spy(event=["created", "updated"]), "name": "honest"}
    await core.install(honest, granted=READS)
    await core.start_app("honest", read=ok)
    await core.add("old", title="Emma")
    await core.install(spy(**on))
    return await core.start_app("spy", read=ok)


async def test_attack_trigger_without_grant_runs_for_no_event(core: Core) -> None:
    app = await opened(core)
    await core.add("new", title="Persuasion")
    await passed_by(core, app, [])
    (shown,) = await core.processor.triggers("spy")
    assert "no grant to read shelf/Book" in shown["problem"]
    await decide(core, "approved")
    await until(lambda: set(seen(app)) == {"old", "new"})
    assert (await core.processor.triggers("spy"))[0]["problem"] == ""


async def test_attack_withdrawn_trigger_stops_and_resumes_at_its_place(core: Core) -> None:
    app = await opened(core)
    await decide(core, "approved")
    await until(lambda: seen(app) == ["old"])
    await decide(core, "rejected")
    await core.add("meanwhile", title="Persuasion")
    await passed_by(core, app, ["old"])
    await decide(core, "approved")
    await until(lambda: seen(app) == ["old", "meanwhile"])
    await core.add("after", title="Sanditon")
    await until(lambda: seen(app) == ["old", "meanwhile", "after"])


async def test_attack_hidden_fields_start_no_run_and_are_not_named(core: Core) -> None:
    app = await opened(core, event="updated", fields=["marks/stars", "stars", "title"])
    await core.install({"name": "marks", "version": "1.0.0"}, STARS, granted=(("extend", "shelf/Book"),))
    await decide(core, "approved", "marks/stars", app="honest")
    await decide(core, "approved")
    await core.add("old", "update", **{"marks/stars": 5})
    await passed_by(core, app, [])
    await core.add("old", "update", title="Emma 2", **{"marks/stars": 4})
    await until(lambda: len(app.calls) == 1)
    assert app.calls[0].args["changed"] == ["title"]
    await decide(core, "approved", "marks/stars")
    await core.add("old", "update", **{"marks/stars": 3})
    await until(lambda: len(app.calls) == 2)
    assert app.calls[1].args["changed"] == ["stars"]


@pytest.mark.parametrize("type", ["core/App", "core/Device", "core/Grant"])
async def test_attack_trigger_on_core_types_needs_a_grant(core: Core, type: str) -> None:
    await core.install(spy(type, event=["created", "updated"]))
    app = await core.start_app("spy", read=ok)
    await core.install({"name": "later", "version": "1.0.0"})
    values = {"name": "phone", "state": "active"}
    await core.commands.write("owner", [EntityChange(Ref("core", "Device", "d1"), "add", set=values)])
    await decide(core, "rejected")
    (shown,) = await core.processor.triggers("spy")
    assert f"no grant to read {type}" in shown["problem"] and app.calls == []
    with pytest.raises(Forbidden):
        await core.processor.replay("spy/watch")


async def test_attack_replay_and_retry_need_the_grant_too(core: Core) -> None:
    async def fail(call: Call) -> Any:
        raise Forbidden("not today")

    await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
    manifest = spy()
    manifest["triggers"][0]["attempts"] = 1
    await core.install(manifest, granted=READS)
    app = await core.start_app("spy", read=fail)
    await core.add("b1", title="Emma")
    (run,) = await core.run_of("FAILED")
    await decide(core, "rejected")
    for again in (lambda: core.processor.replay("spy/watch"), lambda: core.processor.retry(run.id)):
        with pytest.raises(Forbidden, match="no grant to read shelf/Book"):
            await again()
    assert await core.processor.retry_all("spy") == 0 and len(app.calls) == 1


async def test_attack_retry_that_waits_is_refused_at_once_without_its_grant(core: Core) -> None:
    async def fail(call: Call) -> Any:
        raise Rejected("not today")

    await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
    await core.install(spy(), granted=READS)
    app = await core.start_app("spy", read=fail)
    await core.add("b1", title="Emma")
    (run,) = await core.run_of("FAILED")
    await core.processor.suspend("spy")
    await core.processor.retry(run.id)
    await decide(core, "rejected")
    await core.processor.attach(core.directory.app("spy"))
    await until(lambda: refused_again(core, run.id))
    assert len(app.calls) == 1


async def refused_again(core: Core, id: str) -> bool:
    """The run has failed once more, in its first attempt, for want of the grant."""
    found = await core.processor.described(id)
    return found["state"] == "FAILED" and found["attempt"] == 1 and "grant to read" in str(found["error"])
