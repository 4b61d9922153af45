"""What an app says about itself reaches PCloud."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from tests.waiting import until


def told(gateway) -> list[str]:
    return [body["reason"] for path, _, body in gateway.asked if path == "/readiness"]


async def test_each_change_is_reported_once(app, gateway, serving):
    for _ in range(2):
        gateway.answer({})
    async with serving(app):
        app.ready()
        app.not_ready("the model is loading")
        app.not_ready("the model is loading")
        await until(lambda: told(gateway) == ["the model is loading"])
        app.ready()
        await until(lambda: told(gateway) == ["the model is loading", ""])


async def test_an_app_that_does_not_do_everything_says_so(app, gateway, serving):
    for _ in range(3):
        gateway.answer({})
    async with serving(app):
        app.degraded("the disk is full")
        await until(lambda: told(gateway) == ["the disk is full"])
        app.not_ready("the disk is full")
        await until(lambda: len(told(gateway)) == 2)
    bodies = [body for path, _, body in gateway.asked if path == "/readiness"]
    assert [body["serves"] for body in bodies[:2]] == [True, False]


async def test_the_newest_state_is_reported_when_pcloud_can_be_reached(app, gateway, serving):
    gateway.answer({"error": {"code": "UNAVAILABLE", "message": "starting"}}, status=503)
    gateway.answer({})
    async with serving(app):
        app.not_ready("the camera is off")
        await until(lambda: told(gateway))
        app.not_ready("the camera is broken")
        await until(lambda: told(gateway) == ["the camera is off", "the camera is broken"])


async def test_a_start_that_takes_long_is_reported_before_it_is_done(app, gateway, serving):
    go_on = asyncio.Event()
    gateway.answer({})
    gateway.answer({})

    @app.lifespan
    @asynccontextmanager
    async def model():
        app.not_ready("the model is loading")
        await go_on.wait()
        app.ready()
        yield

    started = asyncio.create_task(app.serve())
    await until(lambda: told(gateway) == ["the model is loading"])
    go_on.set()
    await until(lambda: told(gateway) == ["the model is loading", ""])
    app.stop()
    await asyncio.wait([started])
