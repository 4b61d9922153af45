"""Who may call an app, and that an app with `callers-changed` learns of each lost right, even after failures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.access.caller import CORE, OWNER, Caller
from core.graph.schema import builtin_catalog
from core.work.call import notices
from core.work.call.callers import CALLERS_CHANGED, Rights, callers_of, demand_any
from core.work.call.notices import Notices
from core.work.call.target import ActionName
from pcloud.errors import Forbidden, NotFound, Unavailable
from pcloud.event import Change, Kind, StoredEvent
from pcloud.manifest import Action, Manifest
from pcloud.subject import Ref
from projections.directory import Directory

EPOCH = "epoch1"
STORE = Manifest(
    name="store", version="1.0.0", provides=["storage"],
    actions=[Action(name="get"), Action(name="put"), Action(name=CALLERS_CHANGED, internal=True)],
)  # fmt: skip


class Log:
    """Core's events as they are made, folded one by one."""

    def __init__(self) -> None:
        self.directory = Directory(builtin_catalog())
        self.sequence = 0

    async def write(self, type: str, id: str, kind: Kind = Kind.CREATED, **values: Any) -> None:
        self.sequence += 1
        ref, change = Ref("core", type, id), Change(set=values)
        event = StoredEvent(self.sequence, 1.0, ref, kind, change, f"t{self.sequence}", 1, 1, "person:owner", digest=1)
        await self.directory.apply(EPOCH, [event])

    async def app(self, manifest: Manifest, kind: Kind = Kind.CREATED, state: str = "RUNNING") -> None:
        fields = {"name": manifest.name, "version": "1.0.0", "manifest": msgspec.json.encode(manifest).decode()}
        await self.write("App", manifest.name, kind, state=state, archive="a", **fields)

    async def grant(self, target: str, state: str, kind: Kind = Kind.UPDATED, app: str = "photos") -> None:
        fields = {"app": app, "verb": "call", "target": target, "optional": True, "state": state}
        await self.write("Grant", f"{app}{target}".replace("/", "_").replace(":", "_"), kind, **fields)


@pytest.fixture
async def log() -> Log:
    log = Log()
    await log.app(STORE)
    await log.app(Manifest(name="photos", version="1.0.0"))
    return log


def others(rights: Rights) -> Rights:
    return {caller: actions for caller, actions in rights.items() if caller != "person:owner"}


async def test_internal_actions_are_no_ones_to_call(log: Log) -> None:
    assert callers_of(log.directory, "store") == {"person:owner": {"get": 0, "put": 0}}
    with pytest.raises(NotFound):
        callers_of(log.directory, "nothing")


async def test_an_apps_right_has_a_beginning_that_a_break_moves(log: Log) -> None:
    await log.grant("role:storage/get", "pending", Kind.CREATED)
    assert not others(callers_of(log.directory, "store"))
    await log.grant("role:storage/get", "approved")
    first = log.sequence
    assert others(callers_of(log.directory, "store")) == {"app:photos": {"get": first}}
    await log.grant("store/get", "approved", Kind.CREATED)  # the same right in another form: the earlier one counts
    await log.grant("store/put", "approved", Kind.CREATED)
    assert others(callers_of(log.directory, "store")) == {"app:photos": {"get": first, "put": log.sequence}}
    await log.grant("role:storage/get", "rejected")
    await log.grant("role:storage/get", "approved")
    assert callers_of(log.directory, "store")["app:photos"]["get"] > first


async def test_an_app_on_its_way_out_and_grants_for_others_give_no_right(log: Log) -> None:
    for target in ("role:storage/get", "role:other/put", "other/put", "store/unknown", f"store/{CALLERS_CHANGED}"):
        await log.grant(target, "approved", Kind.CREATED)
    assert set(callers_of(log.directory, "store")["app:photos"]) == {"get"}
    await log.app(Manifest(name="photos", version="1.0.0"), Kind.UPDATED, "REMOVING")
    assert not others(callers_of(log.directory, "store"))


async def test_a_role_that_another_app_holds_gives_no_right(log: Log) -> None:
    await log.grant("role:storage/get", "approved", Kind.CREATED)
    await log.app(msgspec.structs.replace(STORE, name="archive"))  # the first by name holds it
    assert not others(callers_of(log.directory, "store"))
    assert set(callers_of(log.directory, "archive")) == {"person:owner", "app:photos"}


async def test_revoked_and_limited_devices_have_no_right(log: Log) -> None:
    for id, rights in (("phone", None), ("watcher", "metrics")):
        await log.write("Device", id, name=id, state="active", **({"rights": rights} if rights else {}))
    assert others(callers_of(log.directory, "store")) == {"device:phone": {"get": 0, "put": 0}}
    await log.write("Device", "phone", Kind.UPDATED, state="revoked")
    assert not others(callers_of(log.directory, "store"))


async def test_a_device_has_the_rights_of_its_scopes(log: Log) -> None:
    actions = [Action(name="get-object"), Action(name="put-object"), Action(name="delete-object")]
    await log.app(Manifest(name="bytes", version="1.0.0", provides=["object-storage"], actions=actions))
    for scope in ("view", "upload", "manage"):
        await log.write("Device", scope, name=scope, state="active", scopes=[scope])
    assert others(callers_of(log.directory, "bytes")) == {
        "device:view": {"get-object": 0},
        "device:upload": {"put-object": 0},
        "device:manage": {"get-object": 0, "put-object": 0, "delete-object": 0},
    }
    await log.write("Device", "manage", Kind.UPDATED, scopes=["view"])
    assert callers_of(log.directory, "bytes")["device:manage"] == {"get-object": 0}


async def test_handed_over_action_is_a_right_while_its_giver_has_it(log: Log) -> None:
    await log.app(Manifest(name="importer", version="1.0.0"))
    await log.write("Capability", "c1", giver="photos", receiver="importer", action="store/get")
    assert not others(callers_of(log.directory, "store"))
    await log.grant("store/get", "approved", Kind.CREATED)
    assert callers_of(log.directory, "store")["app:importer"] == {"get": log.sequence}
    await log.grant("store/get", "rejected")
    assert not others(callers_of(log.directory, "store"))
    await log.write("Capability", "c2", giver="owner", receiver="importer", action="store/put")
    assert callers_of(log.directory, "store")["app:importer"] == {"put": log.sequence}


async def test_a_right_that_was_handed_over_ends_with_its_givers_removal(log: Log) -> None:
    await log.app(Manifest(name="importer", version="1.0.0"))
    await log.write("Capability", "c1", giver="photos", receiver="importer", action="store/get")
    await log.grant("store/get", "approved", Kind.CREATED)
    await log.write("App", "photos", Kind.DELETED)
    assert not others(callers_of(log.directory, "store"))


async def test_any_current_right_allows_a_call_for_each_limit(log: Log) -> None:
    get, internal = ActionName("store", "get"), ActionName("store", CALLERS_CHANGED)

    def may(caller: Caller, name: ActionName = get) -> bool:
        try:
            demand_any(log.directory, caller, name)
        except Forbidden as error:
            assert str(name) in error.message
            return False
        return True

    app, page = Caller("app", "photos"), Caller("person", "owner", "photos")
    device, its_page = Caller("device", "phone"), Caller("device", "phone", "photos")
    assert [may(one) for one in (OWNER, app, page, device, its_page)] == [True, False, False, False, False]
    await log.write("Device", "phone", name="phone", state="active", scopes=["manage"])
    assert may(device) and not may(its_page)
    await log.grant("role:storage/get", "approved", Kind.CREATED)
    assert all(may(one) for one in (OWNER, app, page, device, its_page))
    await log.write("Device", "phone", Kind.UPDATED, scopes=["view"])
    assert may(app) and not may(device) and not may(its_page)
    own = (Caller("app", "store"), Caller("person", "owner", "store"))
    assert all(may(one) for one in own) and not any(may(one, internal) for one in (*own, OWNER, app))


class App:
    """The store as core sees it: it asks when it is notified, after `delays` of the loop; it fails `failures` times."""

    def __init__(self, log: Log, delays: Sequence[int] = (), failures: int = 0) -> None:
        self.log, self.delays, self.failures = log, list(delays), failures
        self.told = 0
        self.believed = Rights()

    def ask(self) -> None:
        self.believed = callers_of(self.log.directory, "store")

    async def call(self, caller: Caller, target: str, args: Any) -> None:
        assert (caller, target, args) == (CORE, f"store/{CALLERS_CHANGED}", {})
        self.told += 1
        await self._pass()
        if self.failures:
            self.failures -= 1
            raise Unavailable("the app is not running")
        self.ask()
        await self._pass()

    async def _pass(self) -> None:
        for _ in range(self.delays.pop() if self.delays else 0):
            await asyncio.sleep(0)


STEPS = st.lists(st.tuples(st.sampled_from(["get", "put"]), st.booleans(), st.integers(0, 6)), max_size=20)


@given(STEPS, st.lists(st.integers(0, 30), max_size=12), st.integers(0, 3))
@settings(max_examples=300)
def test_every_lost_right_is_eventually_notified(steps: list[Any], delays: list[int], failures: int) -> None:
    """With any decisions while the app asks, any number of failures, and any questions that it asks by itself."""

    async def story() -> None:
        log = Log()
        await log.app(STORE)
        await log.app(Manifest(name="photos", version="1.0.0"))
        states = dict.fromkeys(("get", "put"), "pending")
        for action, state in states.items():
            await log.grant(f"store/{action}", state, Kind.CREATED)
        app = App(log, delays, failures)
        made = Notices(log.directory, app.call)
        task = asyncio.create_task(made.run())
        await made.settled()
        for action, asks, pause in steps:
            states[action] = "rejected" if states[action] == "approved" else "approved"
            await log.grant(f"store/{action}", states[action])
            if asks:
                app.ask()
            for _ in range(pause):
                await asyncio.sleep(0)
        await made.settled()
        task.cancel()
        now = callers_of(log.directory, "store")
        for caller, rights in app.believed.items():
            assert rights.items() <= now.get(caller, {}).items()

    first, notices.FIRST = notices.FIRST, 0.0
    try:
        asyncio.run(story())
    finally:
        notices.FIRST = first


async def test_app_is_not_notified_of_gained_rights(log: Log) -> None:
    app = App(log)
    made = Notices(log.directory, app.call)
    task = asyncio.create_task(made.run())
    await log.grant("store/get", "approved", Kind.CREATED)
    await log.write("Device", "phone", name="phone", state="active")
    await made.settled()
    assert app.told == 0
    await log.write("Device", "phone", Kind.UPDATED, state="revoked")
    await made.settled()
    assert app.told == 1 and set(app.believed) == {"person:owner", "app:photos"}
    task.cancel()


async def test_an_app_that_stands_still_is_not_waited_for(log: Log) -> None:
    app = App(log, failures=99)
    made = Notices(log.directory, app.call)
    task = asyncio.create_task(made.run())
    await log.grant("store/get", "approved", Kind.CREATED)
    await made.settled()
    await log.app(STORE, Kind.UPDATED, "PAUSED")
    await log.grant("store/get", "rejected")
    await made.settled()
    assert app.told == 0
    task.cancel()
