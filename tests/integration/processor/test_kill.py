"""kill -9 of core in the middle of runs and durable calls: after a restart all of them continue, none is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from eventstore import EmbeddedServer
from tests.integration.processor.core_process import connection_of
from tests.integration.processor.small_core import OWNER, SHELF, Call, Installed, start_core
from tests.waiting import until

READER = {
    "name": "reader", "version": "1.0.0",
    "actions": [{"name": "read", "args": {"book": "ID!"}}, {"name": "note", "args": {"text": "String!"}}],
    "triggers": [{"name": "new-books", "on": {"type": "shelf/Book"}, "action": "read", "args": {"book": "{{ event.id }}"}}],
}  # fmt: skip
EACH = 40


async def test_every_run_and_durable_call_survives_kill_9(server: EmbeddedServer, tmp_path: Path) -> None:
    seeds: dict[str, bytes] = {}
    async with start_core(server, tmp_path, seeds) as core:
        await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
        await core.install(READER, granted=(("read", "shelf/Book"),))
        for number in range(EACH):
            await core.add(f"b{number}", title="Emma")
            await core.calls.send(OWNER, "reader/note", {"text": f"t{number}"}, key=f"{number}")
        assert (await core.runs.counts())["DONE"] == 0

    async def work(call: Call) -> Any:
        await asyncio.sleep(0.02)

    async with start_core(server, tmp_path, seeds) as core:
        app = await core.start_app("reader", read=work, note=work)
        core.apps.clear()  # it outlives this core
    for _ in range(4):
        process = await _core_process(server, tmp_path)
        before = len(app.calls)
        await until(lambda: len(app.calls) > before + 5 or process.returncode is not None)  # noqa: B023
        process.kill()
        await process.wait()
    process = await _core_process(server, tmp_path)
    done = {"book": {f"b{number}" for number in range(EACH)}, "text": {f"t{number}" for number in range(EACH)}}
    await until(lambda: all({call.args.get(name) for call in app.calls} >= wanted for name, wanted in done.items()))
    process.kill()
    await process.wait()
    async with start_core(server, tmp_path, seeds) as core:
        for name, found in core.directory.records.apps.items():
            await core.processor.attach(Installed(name, found.manifest))
        await until(lambda: _all_done(core))
    await app.die()
    # A death in the middle costs at most what was under way: four runs of the trigger and four durable calls.
    assert len(app.calls) <= 2 * EACH + 6 * 8


async def _all_done(core: Any) -> bool:
    return await core.runs.counts() == {"NEW": 0, "IN_PROGRESS": 0, "DONE": 2 * EACH, "FAILED": 0}


async def _core_process(server: EmbeddedServer, folder: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.processor.core_process", str(folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(connection_of(server) + b"\n")
    assert (await asyncio.wait_for(process.stdout.readline(), 30)).strip() == b"ready"
    return process


async def test_runs_go_on_after_the_log_s_server_was_killed(server: EmbeddedServer, tmp_path: Path) -> None:
    async def work(call: Call) -> Any:
        await asyncio.sleep(0.05)

    async with start_core(server, tmp_path, {}) as core:
        await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
        await core.install(READER, granted=(("read", "shelf/Book"),))
        app = await core.start_app("reader", read=work, note=work)
        for number in range(EACH):
            await core.add(f"b{number}", title="Emma")
            await core.calls.send(OWNER, "reader/note", {"text": f"t{number}"}, key=f"{number}")
        await until(lambda: len(app.calls) > 10)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: _all_done(core))
