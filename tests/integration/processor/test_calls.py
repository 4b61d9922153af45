"""Calls on the real bus: permissions, arguments, and what happens if the other side is slow, silent or absent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.access.caller import CORE, Caller
from pcloud.errors import Forbidden, NotFound, PCloudError, Rejected, Unavailable
from tests.integration.processor.small_core import OWNER, Call, Core
from tests.waiting import until

LIBRARY = {
    "name": "library", "version": "1.0.0", "provides": ["lending"],
    "actions": [
        {"name": "lend", "args": {"book": "ID!", "days": "Int"}},
        {"name": "wait", "seconds": 3.0},
        {"name": "watch", "args": {"webhook": "Action!"}},
    ],
}  # fmt: skip
READER = {"name": "reader", "version": "1.0.0", "actions": [{"name": "told", "args": {"book": "String"}}]}
APP = Caller("app", "reader")


async def lend(call: Call) -> Any:
    return {"lent": call.args["book"]}


async def test_a_call_reaches_the_action_and_its_answer_comes_back(core: Core) -> None:
    await core.install(LIBRARY)
    app = await core.start_app("library", lend=lend)
    answer = await core.calls.call(OWNER, "library/lend", {"book": "b1", "days": 3})
    assert answer.result == {"lent": "b1"}
    assert app.calls[0].args == {"book": "b1", "days": 3}
    assert app.calls[0].headers["Pcloud-Caller"] == "person:owner"
    assert len(app.calls[0].headers["Pcloud-Run"]) == 32


async def test_without_a_grant_a_call_is_forbidden_and_reaches_no_app(core: Core) -> None:
    await core.install(LIBRARY)
    await core.install(READER)
    app = await core.start_app("library", lend=lend)
    for target in ("library/lend", "role:lending/lend", "library/nothing", "missing/nothing"):
        with pytest.raises(Forbidden):
            await core.calls.call(APP, target, {"book": "b1"})
    with pytest.raises(Forbidden):
        await core.calls.call(Caller("person", "owner", through="reader"), "library/lend", {"book": "b1"})
    assert app.calls == []


async def test_a_grant_for_a_role_reaches_its_holder(core: Core) -> None:
    await core.install(LIBRARY)
    await core.install(READER, granted=(("call", "role:lending/lend"),))
    await core.start_app("library", lend=lend)
    assert (await core.calls.call(APP, "role:lending/lend", {"book": "b1"})).result == {"lent": "b1"}
    with pytest.raises(Forbidden):
        await core.calls.call(APP, "library/lend", {"book": "b1"})


@pytest.mark.parametrize(
    ("target", "args", "error", "named"),
    [
        ("library/nothing", {}, NotFound, "nothing"),
        ("missing/lend", {}, NotFound, "missing"),
        ("role:cooking/lend", {}, NotFound, "cooking"),
        ("library/lend", {}, Rejected, "book: ID! is missing"),
        ("library/lend", {"book": "b1", "colour": 1}, Rejected, "colour is unknown"),
        ("library/lend", {"book": "b1", "days": "three"}, Rejected, "days must be Int"),
        ("library/Lend", {}, Rejected, "not an action name"),
        ("library/watch", {}, Rejected, "webhook: Action! is missing: name it beside `args`"),
        ("library/watch", {"webhook": "action:reader/told"}, Rejected, "can't be a value: name it beside `args`"),
        ("library/watch", {"webhook": {"action": "reader/told"}}, Rejected, "can't be a value"),
    ],
)
async def test_what_does_not_fit_the_manifest_is_refused_by_name(
    core: Core, target: str, args: dict[str, Any], error: type[PCloudError], named: str
) -> None:
    await core.install(LIBRARY)
    with pytest.raises(error, match=named):
        await core.calls.call(OWNER, target, args)


async def test_a_handlers_error_keeps_its_code_for_the_caller(core: Core) -> None:
    async def refuse(call: Call) -> Any:
        raise Rejected("no such book")

    await core.install(LIBRARY)
    await core.start_app("library", lend=refuse)
    with pytest.raises(Rejected, match="library/lend: no such book"):
        await core.calls.call(OWNER, "library/lend", {"book": "b1"})


async def test_heartbeats_keep_a_long_call_alive_beyond_the_silence(core: Core) -> None:
    async def slow(call: Call) -> Any:
        await asyncio.sleep(1.6)  # the silence that counts as death is 1.0 s here
        return "done"

    await core.install(LIBRARY)
    await core.start_app("library", wait=slow)
    assert (await core.calls.call(OWNER, "library/wait", {})).result == "done"


async def test_a_silent_handler_counts_as_dead(core: Core) -> None:
    async def silent(call: Call) -> Any:
        await asyncio.Event().wait()

    await core.install(LIBRARY)
    app = await core.start_app("library", wait=silent)
    app.heartbeat = 0
    with pytest.raises(Unavailable, match="no sign of life"):  # not the limit of 3 s, which comes later
        await core.calls.call(OWNER, "library/wait", {})


async def test_the_time_limit_ends_a_call_that_still_beats(core: Core) -> None:
    async def endless(call: Call) -> Any:
        await asyncio.Event().wait()

    await core.install(LIBRARY)
    await core.start_app("library", wait=endless)
    with pytest.raises(Unavailable, match="limit of 3 s"):
        await core.calls.call(OWNER, "library/wait", {})
    with pytest.raises(Unavailable, match=r"limit of 0\.2 s"):
        await core.calls.call(OWNER, "library/wait", {}, timeout=0.2)


async def test_a_call_waits_for_an_app_that_is_starting(core: Core) -> None:
    await core.install(LIBRARY)
    call = asyncio.create_task(core.calls.call(OWNER, "library/lend", {"book": "b1"}))
    await core.start_app("library", lend=lend)
    assert (await call).result == {"lent": "b1"}


async def test_a_call_to_an_app_that_does_not_come_up_is_unavailable(core: Core) -> None:
    await core.install(LIBRARY)
    with pytest.raises(Unavailable, match="not running"):
        await core.calls.call(OWNER, "library/lend", {"book": "b1"})


async def test_a_call_waits_for_an_app_that_is_not_ready(core: Core) -> None:
    await core.install(LIBRARY)
    app = await core.start_app("library", lend=lend)
    core.calls.not_ready("library", "it counts its books")
    with pytest.raises(Unavailable, match="not ready: it counts its books"):
        await core.calls.call(OWNER, "library/lend", {"book": "b1"})
    call = asyncio.create_task(core.calls.call(OWNER, "library/lend", {"book": "b2"}))
    await asyncio.wait([call], timeout=0.1)
    assert not call.done() and not app.calls
    core.calls.not_ready("library", "")
    assert (await call).result == {"lent": "b2"}


async def test_the_end_of_a_right_reaches_an_app_that_is_not_ready(core: Core) -> None:
    async def heard(call: Call) -> Any:
        return "heard"

    await core.install({**LIBRARY, "actions": [{"name": "callers-changed", "internal": True}]})
    await core.start_app("library", callers_changed=heard)
    core.calls.not_ready("library", "it counts its books")
    assert (await core.calls.call(CORE, "library/callers-changed", {})).result == "heard"


async def test_a_process_that_is_known_to_be_gone_ends_its_calls_at_once(core: Core) -> None:
    async def silent(call: Call) -> Any:
        await asyncio.Event().wait()

    await core.install(LIBRARY)
    app = await core.start_app("library", wait=silent)
    call = asyncio.create_task(core.calls.call(OWNER, "library/wait", {}))
    await until(lambda: app.calls)
    core.calls.lost("library")
    with pytest.raises(Unavailable, match="stopped during the call"):
        await asyncio.wait_for(call, 0.5)


async def test_an_action_as_an_argument_becomes_a_capability_for_the_receiver_alone(core: Core) -> None:
    given: list[str] = []

    async def watch(call: Call) -> Any:
        given.append(call.args["webhook"])

    async def told(call: Call) -> Any:
        return f"read {call.args['book']}"

    await core.install(LIBRARY)
    await core.install(READER, granted=(("call", "library/watch"),))
    await core.start_app("library", watch=watch)
    await core.start_app("reader", told=told)
    for _ in range(2):
        await core.calls.call(APP, "library/watch", {}, actions={"webhook": "reader/told"})
    assert given[0].startswith("capability:")
    assert given[0] == given[1]
    assert "reader/told" not in given[0]
    receiver = Caller("app", "library")
    assert (await core.calls.call(receiver, given[0], {"book": "b1"})).result == "read b1"
    for other in (APP, OWNER, Caller("app", "stranger")):
        with pytest.raises(Forbidden):
            await core.calls.call(other, given[0], {"book": "b1"})
    with pytest.raises(Forbidden):
        await core.calls.call(receiver, "capability:" + "x" * 43, {})


async def test_an_app_can_only_give_what_it_may_call_itself(core: Core) -> None:
    await core.install(LIBRARY)
    await core.install(READER, granted=(("call", "library/watch"),))
    for send in (core.calls.call, core.calls.send):
        with pytest.raises(Forbidden):
            await send(APP, "library/watch", {}, actions={"webhook": "library/lend"})


async def test_a_run_token_is_good_for_its_own_app_and_until_the_answer(core: Core) -> None:
    tokens: list[str] = []

    async def look(call: Call) -> Any:
        token = call.headers["Pcloud-Run"]
        tokens.append(token)
        assert core.calls.run(token, "library").id
        with pytest.raises(Forbidden):
            core.calls.run(token, "reader")
        return "ok"

    await core.install(LIBRARY)
    await core.start_app("library", lend=look)
    assert (await core.calls.call(OWNER, "library/lend", {"book": "b1"})).result == "ok"
    with pytest.raises(Forbidden):
        core.calls.run(tokens[0], "library")


async def test_calls_in_a_circle_are_stopped(core: Core) -> None:
    async def again(call: Call) -> Any:
        caller = Caller("app", "library")
        answer = await core.calls.call(caller, "library/lend", {"book": "b1"}, run_token=call.headers["Pcloud-Run"])
        return answer.result

    await core.install(LIBRARY)
    app = await core.start_app("library", lend=again)
    with pytest.raises(Rejected, match="loop"):
        await core.calls.call(OWNER, "library/lend", {"book": "b1"})
    assert len(app.calls) < 20


async def test_every_call_is_audited_without_its_arguments(core: Core) -> None:
    await core.install(LIBRARY)
    await core.install(READER)
    await core.start_app("library", lend=lend)
    await core.calls.call(OWNER, "library/lend", {"book": "a-secret"})
    with pytest.raises(Forbidden):
        await core.calls.call(APP, "library/lend", {"book": "a-secret"})

    async def written() -> bool:
        return (await core.store.js.stream_info("AUDIT")).state.messages >= 2

    await until(written)
    subscription = await core.store.js.subscribe("audit.>", ordered_consumer=True)
    records = [await subscription.next_msg(5) for _ in range(2)]
    text = b" ".join(record.data for record in records)
    assert b'"outcome":"OK"' in text
    assert b'"outcome":"FORBIDDEN"' in text
    assert b"a-secret" not in text
