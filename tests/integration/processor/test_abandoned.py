"""Runs that nothing will continue: none stays unfinished, and those that were begun say why they ended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from core.graph.command import EntityChange
from eventstore import EmbeddedServer
from pcloud.subject import Ref
from tests.integration.processor.small_core import SHELF, Call, Core, Installed, start_core
from tests.integration.processor.test_replays import KEY, half_done, shown
from tests.integration.processor.test_triggers import READS, SHELF_APP, ok, reader
from tests.waiting import until


async def never(call: Call) -> Any:
    await asyncio.Event().wait()


async def in_hand(core: Core, books: int = 6) -> None:
    """A reader that never answers: two runs in progress, the others wait."""
    await core.install(SHELF_APP, SHELF)
    await core.install(reader(concurrency=2), granted=READS)
    await core.start_app("reader", read=never)
    for number in range(books):
        await core.add(f"b{number}", title="Emma")
    await core.run_of("IN_PROGRESS", 2)
    await core.run_of("NEW", books - 2)


async def removed(core: Core, app: str = "reader") -> None:
    await core.commands.write("owner", [EntityChange(Ref("core", "App", app), "delete")])


async def unfinished(core: Core) -> int:
    counts = await core.runs.counts()
    return counts["NEW"] + counts["IN_PROGRESS"]


async def none_unfinished(core: Core) -> bool:
    return await unfinished(core) == 0


async def test_runs_of_a_removed_app_end_and_can_be_dismissed(core: Core) -> None:
    await in_hand(core)
    await removed(core)
    await core.processor.detach("reader")
    await until(lambda: none_unfinished(core), what="the end of all runs")
    failed = await core.run_of("FAILED", 2)
    assert {run.error.message for run in failed if run.error} == {"the app reader was removed before this run ended"}
    assert await core.processor.dismiss_all() == len(failed) == 2
    await until(lambda: no_runs(core), what="the dismissal")


async def no_runs(core: Core) -> bool:
    return not sum((await core.runs.counts()).values())


async def test_runs_of_an_app_removed_by_an_older_version_end_at_the_start(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with start_core(server, tmp_path, {}) as core:
        await in_hand(core)
        await removed(core)  # and dies before, or without, seeing to its runs
    async with start_core(server, tmp_path, {}) as core:
        await until(lambda: none_unfinished(core), what="the end of all runs")
        assert len(await core.run_of("FAILED", 2)) == 2


async def test_runs_of_a_trigger_that_an_upgrade_drops_end(core: Core) -> None:
    await in_hand(core)
    await core.processor.suspend("reader")
    await core.processor.retire("reader", ["new-books"])
    await until(lambda: none_unfinished(core), what="the end of all runs")
    (run, *_) = await core.run_of("FAILED", 2)
    assert run.error and run.error.message == "the trigger reader/new-books was removed before this run ended"


async def test_runs_of_paused_app_continue_when_it_is_resumed(core: Core) -> None:
    await in_hand(core)
    await core.processor.suspend("reader")
    await core.processor._abandoned.end(core.processor._abandoned._of_what_is_gone)  # pyright: ignore[reportPrivateUsage]
    await core.apps[-1].die()
    core.apps.clear()
    await core.start_app("reader", read=ok)
    await core.processor.attach(Installed("reader", core.directory.app("reader").manifest))
    await core.run_of("DONE", 6)
    assert (await core.runs.counts())["FAILED"] == 0


async def test_cancelled_replay_leaves_no_run_and_keeps_its_place(core: Core) -> None:
    await half_done(core)
    await until(lambda: held(core), what="the next run")
    answer = await core.processor.cancel_replay(KEY)
    assert (answer["state"], answer["events"], answer["remaining"]) == ("CANCELLED", 10, 5)
    await until(lambda: none_unfinished(core), what="the end of its runs")
    assert ((await shown(core))["events"], (await shown(core))["remaining"]) == (10, 5)


async def held(core: Core) -> bool:
    return (await core.runs.counts())["IN_PROGRESS"] == 1


async def test_replay_progress_is_of_one_whole_that_stays(core: Core) -> None:
    """Of 30 events of the type from there on, ten match: the answer, the progress and the end speak of these ten."""
    wholes: set[int] = set()
    passed: list[int] = []
    gate = asyncio.Semaphore(0)

    async def read(call: Call) -> Any:
        if "Pcloud-Replay" in call.headers:
            await gate.acquire()

    await core.install(SHELF_APP, SHELF)
    await core.install(reader(concurrency=1, on={"where": {"title": {"eq": "Emma"}}}, replay="new"), granted=READS)
    await core.start_app("reader", read=read)
    first = 0
    for number in range(30):
        sequence = await core.add(f"b{number}", title="Emma" if number % 3 == 0 else "Persuasion")
        first = first or sequence
    await core.run_of("DONE", 10)
    answer = await core.processor.replay(KEY, str(first))

    async def over() -> bool:
        trigger = await shown(core)
        wholes.add(trigger["events"])
        passed.append(trigger["events"] - trigger["remaining"])
        gate.release()
        return trigger["state"] == "DONE"

    await until(over)
    trigger = await shown(core)
    assert wholes == {10} and answer["events"] == 10
    assert (trigger["events"], trigger["remaining"]) == (10, 0)
    assert passed == sorted(passed) and len(set(passed)) > 3
