"""A durable call waits for its app, and is authorized again when it is made: each test keeps one until its right has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.access.caller import OWNER, Caller, Scope
from core.access.grant import grant_id
from core.graph.command import EntityChange
from eventstore import EmbeddedServer
from pcloud.subject import Ref
from projections.runs import Run
from tests.attacks.conftest import Cloud
from tests.attacks.test_calls import ask
from tests.integration.processor.conftest import core, server
from tests.integration.processor.small_core import Call, Core, FakeApp, start_core
from tests.node_process import wait_until
from tests.waiting import until

__all__ = ["core", "server"]  # fixtures

ROLE = "role:object-storage"
EVIL = Caller("app", "evil")
THROUGH_EVIL = Caller("person", "owner", through="evil")
ACTIONS = [{"name": name, "args": {"key": "String"}} for name in ("get-object", "delete-object")]
WATCH = {"name": "watch", "args": {"webhook": "Action"}}


def storage(name: str) -> dict[str, Any]:
    return {"name": name, "version": "1.0.0", "provides": ["object-storage"], "actions": [*ACTIONS, WATCH]}


def plain(name: str) -> dict[str, Any]:
    return {"name": name, "version": "1.0.0", "actions": [{"name": "told", "args": {"key": "String"}}, WATCH]}


async def ok(call: Call) -> Any:
    return "done"


async def opened(core: Core, *granted: str) -> None:
    """The store, which does not run, and `evil` with these grants."""
    await core.install(storage("store"))
    await core.install(plain("evil"), granted=tuple(("call", target) for target in granted))


async def come_up(core: Core, name: str = "store") -> FakeApp:
    return await core.start_app(name, get_object=ok, delete_object=ok, watch=ok, told=ok)


async def write(core: Core, type: str, id: str, kind: Any = "upsert", **fields: Any) -> None:
    await core.commands.write("owner", [EntityChange(Ref("core", type, id), kind, set=fields)])


async def decide(core: Core, state: str, target: str, app: str = "evil") -> None:
    await write(core, "Grant", grant_id(app, "call", target), app=app, verb="call", target=target, state=state)


async def refused(core: Core, id: str, message: str) -> Run:
    """Return the run, once it has ended; the store, which is up by then, was not called."""
    (run,) = await core.run_of("FAILED")
    assert (run.id, run.attempt) == (id, 1) and run.error is not None and run.error.code == "FORBIDDEN"
    assert message in run.error.message
    assert all(app.calls == [] for app in core.apps)
    return run


def named(caller: Caller) -> str:
    return f"{caller.actor} through {caller.through}" if caller.through else caller.actor


async def pair(core: Core, *scopes: Scope) -> None:
    await write(core, "Device", "phone", name="phone", state="active", scopes=list(scopes))


def scoped(caller: Caller, *scopes: Scope) -> Caller:
    return Caller(caller.kind, caller.name, caller.through, scopes=frozenset(scopes if caller.kind == "device" else ()))


SENDERS = [EVIL, THROUGH_EVIL, Caller("device", "phone", through="evil")]


@pytest.mark.parametrize("target", ["store/delete-object", f"{ROLE}/delete-object"])
@pytest.mark.parametrize("caller", SENDERS, ids=named)
async def test_attack_send_kept_until_its_grant_is_withdrawn_is_refused(
    core: Core, target: str, caller: Caller
) -> None:
    await opened(core, target)
    await pair(core, "manage")
    id = await core.calls.send(scoped(caller, "manage"), target, {"key": "a.jpg"})
    await core.run_of("NEW")
    await decide(core, "rejected", target)
    await come_up(core)
    await refused(core, id, f"evil has no grant to call {target}")


@pytest.mark.parametrize("target", ["store/delete-object", f"{ROLE}/delete-object"])
async def test_attack_send_kept_over_a_restart_of_core_is_refused(
    server: EmbeddedServer, tmp_path: Path, target: str
) -> None:
    seeds: dict[str, bytes] = {}
    async with start_core(server, tmp_path, seeds) as core:
        await opened(core, target)
        await core.processor.suspend("store")
        id = await core.calls.send(THROUGH_EVIL, target, {"key": "a.jpg"})
        await decide(core, "rejected", target)
    async with start_core(server, tmp_path, seeds) as core:
        await come_up(core)
        await attach(core, "store")
        await refused(core, id, f"evil has no grant to call {target}")


async def attach(core: Core, name: str) -> None:
    await core.processor.attach(core.directory.app(name))


@pytest.mark.parametrize("target", ["store/delete-object", f"{ROLE}/delete-object"])
async def test_a_grant_given_back_before_the_call_is_made_lets_it_run(core: Core, target: str) -> None:
    await opened(core, target)
    await core.processor.suspend("store")
    await core.calls.send(EVIL, target, {"key": "a.jpg"})
    await decide(core, "rejected", target)
    await decide(core, "approved", target)
    app = await come_up(core)
    await attach(core, "store")
    await core.run_of("DONE")
    assert [call.args for call in app.calls] == [{"key": "a.jpg"}]


async def test_attack_retry_of_what_was_refused_is_decided_again(core: Core) -> None:
    target = f"{ROLE}/delete-object"
    await opened(core, target)
    id = await core.calls.send(EVIL, target, {"key": "a.jpg"})
    await decide(core, "rejected", target)
    app = await come_up(core)
    first = await refused(core, id, "evil has no grant")
    await core.processor.retry(id)
    await until(lambda: _ended_again(core, first))
    assert app.calls == []
    await decide(core, "approved", target)
    await core.processor.retry(id)
    await core.run_of("DONE")
    assert len(app.calls) == 1


async def _ended_again(core: Core, first: Run) -> bool:
    run = await core.runs.get(first.id)
    return run is not None and run.state == "FAILED" and run.ended != first.ended


@pytest.mark.parametrize("caller", [EVIL, THROUGH_EVIL], ids=named)
async def test_attack_send_of_a_removed_app_is_refused(core: Core, caller: Caller) -> None:
    await opened(core, "store/delete-object")
    id = await core.calls.send(caller, "store/delete-object", {"key": "a.jpg"})
    await write(core, "App", "evil", "delete")
    await come_up(core)
    await refused(core, id, "evil")


# --- roles --------------------------------------------------------------------------------------------------------------------------


async def test_attack_send_to_a_role_reaches_no_app_that_holds_it_no_more(core: Core) -> None:
    """It goes to the current holder, as its grant says."""
    await opened(core, f"{ROLE}/get-object")
    id = await core.calls.send(EVIL, f"{ROLE}/get-object", {"key": "a.jpg"})
    await core.run_of("NEW")
    await core.install(storage("another"))
    former, holder = await come_up(core), await come_up(core, "another")
    (run,) = await core.run_of("DONE")
    assert former.calls == [] and len(holder.calls) == 1
    assert (run.id, run.target) == (id, f"{ROLE}/get-object")


async def test_send_to_a_role_whose_holder_is_removed_is_shown_and_retried_at_the_next(core: Core) -> None:
    await opened(core, f"{ROLE}/get-object", "store/get-object")
    for target in (f"{ROLE}/get-object", "store/get-object"):
        await core.calls.send(EVIL, target, {"key": target})
    await core.run_of("NEW", 2)
    await core.install(storage("taking-over"))
    await write(core, "App", "store", "update", state="REMOVING")
    await core.processor.detach("store")
    await write(core, "App", "store", "delete")
    runs = await core.run_of("FAILED", 2)
    assert {run.error and run.error.code for run in runs} == {"NOT_FOUND"}
    holder = await come_up(core, "taking-over")
    await core.processor.retry(next(run.id for run in runs if run.target == f"{ROLE}/get-object"))
    await core.run_of("DONE")
    assert [call.args for call in holder.calls] == [{"key": f"{ROLE}/get-object"}]


# --- capabilities -------------------------------------------------------------------------------------------------------------------


async def handed(core: Core, giver: Caller, action: str) -> str:
    """The capability that `giver` hands to the store."""
    tokens: list[str] = []

    async def watch(call: Call) -> Any:
        tokens.append(call.args["webhook"])

    app = await core.start_app("store", watch=watch)
    await core.calls.call(giver, "store/watch", {}, actions={"webhook": action})
    await app.die()
    core.apps.remove(app)
    return tokens[0]


@pytest.mark.parametrize("way", ["taken back", "giver lost it", "giver removed"])
async def test_attack_send_by_a_capability_that_has_ended_is_refused(core: Core, way: str) -> None:
    await opened(core, "store/watch", "other/told")
    await core.install(plain("other"))
    token = await handed(core, EVIL, "other/told")
    id = await core.calls.send(Caller("app", "store"), token, {"key": "a.jpg"})
    await core.run_of("NEW")
    if way == "taken back":
        (record,) = core.directory.records.capabilities
        await write(core, "Capability", record, "delete")
    elif way == "giver lost it":
        await decide(core, "rejected", "other/told")
    else:
        await write(core, "App", "evil", "delete")
    await come_up(core, "other")
    await refused(core, id, "do not hold" if way == "taken back" else "evil has no grant to call other/told")


async def test_a_send_by_a_capability_keeps_its_token_nowhere(core: Core) -> None:
    await opened(core, "store/watch")
    token = (await handed(core, EVIL, "evil/told")).removeprefix("capability:")
    id = await core.calls.send(Caller("app", "store"), f"capability:{token}", {"key": "a.jpg"})
    stored = await core.store.js.get_msg("WORK", subject=f"work.evil.told.{id}")
    assert stored.data and token.encode() not in stored.data
    await core.run_of("NEW")
    body = await core.store.runs.last("evil", "told", id)
    assert body and token.encode() not in body
    app = await come_up(core, "evil")
    await core.run_of("DONE")
    assert app.calls[0].headers["Pcloud-Caller"] == "app:store"


async def test_attack_a_record_of_a_capability_calls_nothing_without_its_token(core: Core) -> None:
    await opened(core, "store/watch")
    await handed(core, EVIL, "evil/told")
    (record,) = core.directory.records.capabilities
    for text in (record, f"capability:{record}", f"handed:{record}"):
        for way in (core.calls.call, core.calls.send):
            with pytest.raises(Exception, match=r"do not hold|not a target|not an app name"):
                await way(Caller("app", "store"), text, {})


async def test_attack_send_that_hands_over_what_was_withdrawn_is_refused(core: Core) -> None:
    await opened(core, "store/watch", "other/told")
    await core.install(plain("other"))
    id = await core.calls.send(EVIL, "store/watch", {}, actions={"webhook": "other/told"})
    await core.run_of("NEW")
    await decide(core, "rejected", "other/told")
    await come_up(core)
    await refused(core, id, "evil has no grant to call other/told")


# --- devices ------------------------------------------------------------------------------------------------------------------------


ENDED: dict[str, tuple[str, dict[str, Any]]] = {
    "revoked": ("update", {"state": "revoked"}),
    "deleted": ("delete", {}),
    "for the metrics": ("update", {"rights": "metrics"}),
    "view": ("update", {"scopes": ["view"]}),
}


@pytest.mark.parametrize("through", ["", "evil"])
@pytest.mark.parametrize("way", ENDED)
async def test_attack_send_of_a_device_that_may_no_more_is_refused(core: Core, through: str, way: str) -> None:
    target, (kind, values) = f"{ROLE}/delete-object", ENDED[way]
    await opened(core, target)
    await pair(core, "manage")
    id = await core.calls.send(scoped(Caller("device", "phone", through), "manage"), target, {"key": "a.jpg"})
    await core.run_of("NEW")
    await write(core, "Device", "phone", kind, **values)
    await come_up(core)
    await refused(core, id, "needs the scope 'manage'" if way == "view" else "is no longer paired")


async def test_a_send_of_a_device_is_made_for_what_it_may_still(core: Core) -> None:
    await opened(core)
    await pair(core, "manage")
    await core.calls.send(scoped(Caller("device", "phone"), "manage"), f"{ROLE}/get-object", {"key": "a.jpg"})
    await pair(core, "view")
    app = await come_up(core)
    await core.run_of("DONE")
    assert app.calls[0].headers["Pcloud-Caller"] == "device:phone"


# --- stored by an earlier PCloud, which did not store what the caller had named -----------------------------------------------


def old_job(caller: Caller, action: str) -> bytes:
    job = {"id": "old", "kind": "send", "app": "store", "action": action, "args": {"key": "a.jpg"}, "created": 1.0}
    return json.dumps({**job, "actor": caller.actor, "through": caller.through}).encode()


@pytest.mark.parametrize("granted", ["store/get-object", f"{ROLE}/get-object"])
@pytest.mark.parametrize("caller", SENDERS, ids=named)
async def test_an_old_send_is_made_while_its_caller_may_call_in_any_way(
    core: Core, granted: str, caller: Caller
) -> None:
    await opened(core, granted)
    await pair(core, "view")
    await core.store.work.put("store", "get-object", "old", old_job(caller, "get-object"))
    app = await come_up(core)
    await core.run_of("DONE")
    assert len(app.calls) == 1


async def test_an_old_send_by_a_capability_is_made_while_that_holds(core: Core) -> None:
    await opened(core, "store/watch")
    await core.install(storage("asking"))
    await handed(core, EVIL, "evil/told")
    job = {
        "id": "old",
        "kind": "send",
        "app": "evil",
        "action": "told",
        "args": {},
        "actor": "app:store",
        "created": 1.0,
    }
    await core.store.work.put("evil", "told", "old", json.dumps(job).encode())
    app = await come_up(core, "evil")
    await core.run_of("DONE")
    assert len(app.calls) == 1


@pytest.mark.parametrize(
    "caller", [OWNER, Caller("app", "store"), Caller("person", "owner", through="store")], ids=named
)
async def test_an_old_send_of_the_owner_or_to_ones_own_action_is_made(core: Core, caller: Caller) -> None:
    await opened(core)
    await core.store.work.put("store", "delete-object", "old", old_job(caller, "delete-object"))
    app = await come_up(core)
    await core.run_of("DONE")
    assert len(app.calls) == 1


@pytest.mark.parametrize("caller", [*SENDERS, Caller("device", "phone")], ids=named)
async def test_attack_old_send_without_any_right_is_refused(core: Core, caller: Caller) -> None:
    await opened(core, "store/get-object", f"{ROLE}/get-object")
    await pair(core, "view", "upload")
    await core.store.work.put("store", "delete-object", "old", old_job(caller, "delete-object"))
    await come_up(core)
    await refused(core, "old", "store/delete-object")


# --- on a running node --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(cloud: Cloud) -> Iterator[Cloud]:
    """A node with `sender`, which runs without the grants that it asks for."""
    cloud.install_archive(
        cloud.installed("sender", **{"  - call: other/greet": "  - call: other/greet\n    optional: true"})
    )
    yield cloud


def greeted(cloud: Cloud) -> list[str]:
    lines = cloud.cli("app", "logs", "other", "--lines", "500").stdout.splitlines()
    calls = [json.loads(line[line.index("{") :]) for line in lines if '"called":' in line]
    return [call["args"]["name"] for call in calls if call["called"] == "greet"]


@pytest.mark.parametrize("killed", [False, True])
def test_attack_send_to_a_paused_app_ends_with_its_grant(house: Cloud, killed: bool) -> None:
    house.cli("app", "pause", "other")
    kept, ours = f"kept {killed}", f"of the owner {killed}"
    status, body = house.attack(ask, "POST", "/send/other/greet", {"args": {"name": kept}}, {}, app="sender")
    assert status == 202, body
    house.cli("app", "revoke", "sender", "other/greet")
    if killed:
        house.kill()
        house.start()
    house.cli("app", "resume", "other")
    [run] = wait_until(lambda: failed(house, body["id"]), what="the end of the run")
    assert (run["error"]["code"], run["args"]) == ("FORBIDDEN", {"name": kept})
    house.call("other/greet", name=ours)
    assert ours in greeted(house) and kept not in greeted(house)
    assert house.audited(app="sender", kind="send", outcome="FORBIDDEN", target="other/greet")["actor"] == "app:sender"
    house.cli("app", "grant", "sender", "other/greet")


def failed(cloud: Cloud, id: str) -> list[dict[str, Any]]:
    runs = cloud.graphql('{ runs(app: "other", state: "FAILED", first: 100) }')["runs"]
    return [run for run in runs if run["id"] == id]
