"""An app answers calls that come over a real bus."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path

import nats.errors
import pytest

from pcloud.app import App
from pcloud.bus import BusSettings
from pcloud.errors import Conflict, Unavailable


async def test_a_call_is_answered_with_the_result_and_the_newest_revision(app: App, bus, gateway, serving) -> None:
    @app.action
    async def count_puppies(litter: str, extra: int = 0) -> dict:
        found = await app.graph.query("{ puppies }")
        return {"litter": litter, "count": found["puppies"] + extra, "by": app.context().caller}

    gateway.answer({"data": {"puppies": 3}}, revision="e1.9")
    async with serving(app):
        answer = await bus.call("count-puppies", {"litter": "a"}, caller="app:photos", revision="e1.5")
    assert answer.status == "ok", answer
    assert answer.body == {"result": {"litter": "a", "count": 3, "by": "app:photos"}, "revision": "e1.9"}
    assert gateway.asked[0][1]["Pcloud-Revision"] == "e1.5"


async def test_a_plain_function_is_an_action_too(app: App, bus, serving) -> None:
    @app.action("add")
    def add(a: int, b: int) -> int:
        return a + b

    async with serving(app):
        answer = await bus.call("add", {"a": 1, "b": 2})
    assert answer.body.get("result") == 3, answer


async def test_an_error_is_answered_with_code_message_and_bounded_traceback(app: App, bus, serving) -> None:
    @app.action
    async def refuse() -> None:
        raise Conflict("somebody else was quicker")

    @app.action
    async def break_down() -> None:
        raise ValueError("x" * 100_000)

    async with serving(app):
        refused = await bus.call("refuse", {})
        broken = await bus.call("break-down", {})
    assert refused.status == "error", refused
    assert refused.body["error"]["code"] == "CONFLICT"
    assert refused.body["error"]["message"] == "somebody else was quicker"
    assert "in refuse" in refused.body["error"]["traceback"]
    assert broken.body["error"]["code"] == "INTERNAL"
    assert broken.body["error"]["message"].startswith("ValueError: xxx")
    assert len(str(broken.body)) < 20_000


async def test_wrong_arguments_never_reach_the_handler(app: App, bus, serving) -> None:
    reached = False

    @app.action
    async def rename(name: str) -> None:
        nonlocal reached
        reached = True

    async with serving(app):
        for arguments in ({}, {"name": 3}, {"name": "a", "colour": "b"}):
            answer = await bus.call("rename", arguments)
            assert answer.body["error"]["code"] == "REJECTED", answer
    assert not reached


async def test_a_long_handler_shows_that_it_is_alive(app: App, bus, serving) -> None:
    go_on = asyncio.Event()

    @app.action
    async def dig() -> str:
        await go_on.wait()
        return "bone"

    async with serving(app):
        call = asyncio.create_task(bus.call("dig", {}))
        asyncio.get_running_loop().call_later(0.4, go_on.set)
        answer = await call
    assert answer.body["result"] == "bone"
    assert answer.heartbeats >= 3


async def test_a_handler_is_cancelled_at_its_deadline(app: App, bus, serving) -> None:
    cancelled = asyncio.Event()

    @app.action
    async def sleep() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(app):
        answer = await bus.call("sleep", {}, deadline=str(time.time() + 0.3))
    assert answer.body["error"]["code"] == "UNAVAILABLE"
    assert "deadline" in answer.body["error"]["message"]
    assert cancelled.is_set()


async def test_a_handler_that_ignores_its_deadline_is_answered_for(app: App, bus, serving) -> None:
    release = asyncio.Event()

    @app.action
    async def stay() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with serving(app):
        answer = await bus.call("stay", {}, deadline=str(time.time() + 0.1))
        release.set()
    assert answer.body["error"]["code"] == "UNAVAILABLE"


async def test_no_more_handlers_run_at_once_than_allowed(app: App, bus, serving) -> None:
    running, most, two = 0, 0, asyncio.Event()

    @app.action
    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            two.set()
        await two.wait()
        await asyncio.sleep(0)
        running -= 1

    async with serving(app):
        answers = await asyncio.gather(*[bus.call("work", {}) for _ in range(8)])
    assert [answer.status for answer in answers] == ["ok"] * 8
    assert most == 2


async def test_an_answer_that_the_bus_can_not_carry_is_an_error(app: App, bus, serving) -> None:
    @app.action
    async def bark() -> str:
        return "w" * 3_000_000

    async with serving(app):
        answer = await bus.call("bark", {})
    assert answer.body["error"]["code"] == "REJECTED"
    assert "answered 3000027 bytes" in answer.body["error"]["message"]


async def test_stopping_finishes_the_running_call_and_takes_no_other(app: App, bus, serving) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    @app.action
    async def fetch() -> str:
        started.set()
        await go_on.wait()
        return "ball"

    async with serving(app) as task:
        call = asyncio.create_task(bus.call("fetch", {}))
        await started.wait()
        app.stop()
        while (await bus.call("fetch", {}, deadline=str(time.time() + 0.05))).headers.get("Status") != "503":
            pass  # until no app listens any more
        assert not task.done()
        go_on.set()
        assert (await call).body["result"] == "ball"


async def test_a_call_that_does_not_finish_in_time_is_answered_that_the_app_stops(variables, bus, serving) -> None:
    app = App(variables, grace=0.2)
    started = asyncio.Event()

    @app.action
    async def never() -> None:
        started.set()
        await asyncio.Event().wait()

    async with serving(app):
        call = asyncio.create_task(bus.call("never", {}))
        await started.wait()
        app.stop()
        answer = await call
    assert answer.body["error"] | {"traceback": ""} == {
        "code": "UNAVAILABLE",
        "message": "the app puppy-counter is stopping: try again",
        "traceback": "",
    }


async def test_a_bus_that_does_not_know_the_app_ends_it_with_a_reason(variables, tmp_path: Path, serving) -> None:
    import nkeys

    stranger = tmp_path / "stranger.nk"
    stranger.write_bytes(nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER))
    app = App({**variables, "NATS_NKEY_SEED_FILE": str(stranger)})
    app.action("bark")(lambda: None)
    with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="Authorization Violation"), flatten_subgroups=True):
        async with serving(app):
            pass


async def test_an_app_outlives_a_restart_of_the_bus(app: App, bus, serving) -> None:
    @app.action
    async def bark() -> str:
        return "woof"

    async with serving(app):
        assert (await bus.call("bark", {})).body["result"] == "woof"
        os.kill(bus.server.pid, signal.SIGKILL)
        while True:  # until both are connected again
            try:
                if (await bus.call("bark", {}, patience=0.5)).status == "ok":
                    break
            except (nats.errors.Error, TimeoutError):
                continue


async def test_an_app_that_waits_for_the_bus_can_be_stopped(variables, unused_port, serving) -> None:
    entered = asyncio.Event()
    left = asyncio.Event()
    app = App({**variables, "NATS_URL": f"nats://127.0.0.1:{unused_port}"})
    app.action("bark")(lambda: None)

    @app.lifespan
    @asynccontextmanager
    async def house():
        entered.set()
        try:
            yield
        finally:
            left.set()

    task = asyncio.create_task(app.serve())
    await entered.wait()
    app.stop()
    await task
    assert left.is_set()


async def test_a_bus_that_is_not_there_ends_the_app_after_a_while(variables, unused_port) -> None:
    app = App({**variables, "NATS_URL": f"nats://127.0.0.1:{unused_port}"}, bus=BusSettings(connect_seconds=0.3))
    app.action("bark")(lambda: None)
    with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="can't be used: no answer"), flatten_subgroups=True):
        await app.serve()


async def test_a_failing_background_task_ends_the_app_with_its_name(app: App, serving) -> None:
    fail = asyncio.Event()

    @app.background
    async def watch_the_door() -> None:
        await fail.wait()
        raise ValueError("it is gone")

    expected = pytest.RaisesExc(Unavailable, match="watch_the_door failed: ValueError: it is gone")
    with pytest.RaisesGroup(expected, flatten_subgroups=True):
        async with serving(app) as task:
            fail.set()
            await asyncio.wait({task})
