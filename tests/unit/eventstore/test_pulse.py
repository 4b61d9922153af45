"""When the log's server counts as silent, and which requests wait then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context

import pytest

from eventstore.connection import Connection
from eventstore.pulse import Pulse
from pcloud.errors import Unavailable
from tests.waiting import until


@asynccontextmanager
async def watched(pulse: Pulse) -> AsyncIterator[None]:
    watch = asyncio.create_task(pulse.watch())
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def test_unexpected_error_in_the_question_counts_as_no_answer() -> None:
    broken = True

    async def ask(seconds: float) -> bool:
        if broken:
            raise ValueError("not JSON")
        return True

    pulse = Pulse(ask, lambda: None, 0.01)
    async with watched(pulse):
        await until(lambda: "has not answered" in pulse.problem)
        broken = False
        await until(lambda: pulse.problem == "")


async def test_planned_standstill_has_its_reason_and_is_no_silence() -> None:
    answers = True

    async def ask(seconds: float) -> bool:
        if not answers:
            await asyncio.sleep(seconds)
        return answers

    pulse = Pulse(ask, lambda: None, 0.02)
    async with watched(pulse):
        async with pulse.stopped("it is copied"):
            assert pulse.problem == "", "a short one is not noticed"
            answers = False
            await until(lambda: pulse.problem == "it is copied")
            answers = True
        assert (pulse.problem, pulse.standstill, pulse.silences) == ("", "", 0)
        async with pulse.stopped("it is copied"):
            answers = False
            await until(lambda: pulse.problem)
        assert "has not answered" in pulse.problem and pulse.silences == 1, "it did not come back"


async def test_standstill_lasts_until_the_server_has_answered_after_it() -> None:
    """Also if its silence was not noticed within the block."""
    questions = asyncio.Queue[asyncio.Future[bool]]()

    async def ask(seconds: float) -> bool:
        questions.put_nowait(answer := asyncio.get_running_loop().create_future())
        return await answer

    async def stand_still() -> None:
        async with pulse.stopped("it is copied"):
            pass

    pulse = Pulse(ask, lambda: None, 60.0)
    async with watched(pulse):
        question = await questions.get()
        block = asyncio.create_task(stand_still())
        for _ in range(2):
            question.set_result(False)
            question = await questions.get()
        assert (pulse.problem, pulse.silences) == ("it is copied", 0)
        question.set_result(True)
        await block
        assert (pulse.problem, pulse.standstill, pulse.silences) == ("", "", 0)


async def test_silence_before_a_standstill_keeps_its_reason_and_counts_once() -> None:
    async def ask(seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return False

    pulse = Pulse(ask, lambda: None, 0.01)
    async with watched(pulse):
        await until(lambda: pulse.problem)
        async with pulse.stopped("it is copied"):
            assert "has not answered" in pulse.problem and pulse.standstill == ""
        assert "has not answered" in pulse.problem and pulse.silences == 1


async def test_only_the_task_that_starts_and_those_it_makes_wait_until_it_has_started() -> None:
    connection, started = Connection(), asyncio.Event()

    async def ask(seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return False

    async def check() -> None:
        connection.check_writes()

    async def check_later() -> None:
        await started.wait()
        connection.check_writes()

    connection.pulse = Pulse(ask, lambda: None, 0.01)
    async with watched(connection.pulse):
        await until(lambda: connection.pulse.problem)
        with connection.starting():
            await check()
            await asyncio.create_task(check())
            with pytest.raises(Unavailable, match="has not answered"):
                await asyncio.create_task(check(), context=Context())
            outlives = asyncio.create_task(check_later())
        started.set()
        with pytest.raises(Unavailable, match="has not answered"):
            await outlives
