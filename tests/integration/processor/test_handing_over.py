"""Actions that are passed on by durable calls, triggers and init actions, and texts that once meant actions."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from core.access.caller import Caller
from core.work.call import parse_target
from pcloud.errors import Rejected, Unavailable
from projections.runs import Run, encode_run
from tests.integration.processor.small_core import SHELF, Call, Core

STORE = {
    "name": "store",
    "version": "1.0.0",
    "actions": [{"name": "watch", "args": {"webhook": "Action!", "name": "String"}}],
}
KEEPER = {"name": "keeper", "version": "1.0.0", "actions": [{"name": "told", "args": {"key": "String!"}}]}
GRANTED = (("call", "store/watch"), ("read", "shelf/Book"))
APP = Caller("app", "keeper")
TOLD = {"webhook": "keeper/told"}
HANDED = {"webhook": {"action": "keeper/told"}}
AS_TEXT = {"webhook": "action:keeper/told"}


class Store:
    """The app `store`, which records its calls, and fails as long as it is set to."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []
        self.failing = 0

    async def watch(self, call: Call) -> Any:
        if self.failing:
            self.failing -= 1
            raise Unavailable("not yet")
        self.given.append(call.args)


async def start(core: Core, **keeper: Any) -> Store:
    await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
    await core.install(STORE)
    await core.install({**KEEPER, **keeper}, granted=GRANTED)
    store = Store()
    await core.start_app("store", watch=store.watch)
    return store


async def assert_works(store: Store, core: Core) -> None:
    """The capability leads to keeper's action, and its token is in no stored run."""
    [args] = store.given
    name = core.calls.authorization.resolve(Caller("app", "store"), parse_target(args["webhook"]))
    assert str(name) == TOLD["webhook"]
    for run in (await core.runs.list()).runs:
        assert args["webhook"].removeprefix("capability:") not in encode_run(run).decode()


async def test_a_durable_call_hands_over_after_any_number_of_tries_and_stores_no_token(core: Core) -> None:
    store = await start(core)
    store.failing = 2
    await core.calls.send(APP, "store/watch", {"name": "action:keeper/told"}, actions=TOLD)
    (run,) = await core.run_of("DONE")
    assert (run.args, run.actions) == ({"name": "action:keeper/told"}, TOLD)
    await assert_works(store, core)


async def test_a_failed_run_that_is_retried_hands_over_what_it_did(core: Core) -> None:
    trigger = {
        "name": "t",
        "on": {"type": "shelf/Book"},
        "action": "store/watch",
        "args": {"name": "{{ node.title }}", **HANDED},
    }
    store = await start(core, triggers=[{**trigger, "attempts": 1}])
    store.failing = 1
    await core.add("b1", title="action:keeper/told")
    (run,) = await core.run_of("FAILED")
    await core.processor.retry(run.id)
    (run,) = await core.run_of("DONE")
    assert (run.args, run.actions) == ({"name": "action:keeper/told"}, TOLD)
    await assert_works(store, core)


async def test_an_init_action_hands_over_also_where_an_older_core_left_its_run(core: Core) -> None:
    store = await start(core)
    store.failing = 10**6

    async def run_init(seconds: float) -> Run:
        return await core.processor.run_init("keeper", 0, "store/watch", HANDED, installation="monday", seconds=seconds)

    with pytest.raises(Unavailable):
        await run_init(0.5)
    (run,) = await core.run_of("FAILED")
    left = Run(
        id=run.id, app="store", action="watch", state="IN_PROGRESS", kind="init", target="store/watch", attempt=1, attempts=9,
        args=AS_TEXT, actor="app:keeper", created=time.time(),
    )  # fmt: skip
    await core.store.runs.put("store", "watch", run.id, encode_run(left))
    store.failing = 0
    assert (await run_init(10)).args == {}
    await assert_works(store, core)


async def test_a_durable_call_of_before_hands_over_nothing(core: Core) -> None:
    """Text there that reads like an action may be any user's data."""
    store = await start(core)
    for number, args in enumerate((AS_TEXT, {"webhook": "action:store/watch"})):
        job = {
            "id": f"old{number}",
            "kind": "send",
            "app": "store",
            "action": "watch",
            "args": args,
            "actor": "app:keeper",
            "created": 1.0,
        }
        await core.store.work.put("store", "watch", f"old{number}", json.dumps(job).encode())
    for run in await core.run_of("FAILED", 2):
        assert run.error is not None and "name it beside `args`" in run.error.message
    assert store.given == []


async def test_an_action_is_not_taken_where_none_is_declared(core: Core) -> None:
    await start(core)
    for send in (core.calls.call, core.calls.send):
        with pytest.raises(Rejected, match="name: String takes no action"):
            await send(APP, "store/watch", {}, actions={**TOLD, "name": "keeper/told"})
        with pytest.raises(Rejected, match="colour is unknown"):
            await send(APP, "store/watch", {}, actions={**TOLD, "colour": "keeper/told"})
