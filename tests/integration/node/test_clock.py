"""A machine that starts without the right time: the node reads, says so, writes nothing, and goes on when the clock is right."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from core.cli.client import open_client
from core.node.bootstrap import open_node
from core.node.clock import Clock
from core.settings import NodeSettings
from pcloud.errors import PCloudError, Unavailable
from tests.waiting import PATIENCE, until

EARLY = 86_400.0 * 365 * 10
# `pcloud` on a machine whose clock stays in the year 2001.
PCLOUD_IN_2001 = """
from functools import partial
import core.node.bootstrap as bootstrap
from core.cli import main
from core.node.clock import Clock
bootstrap.Clock = partial(Clock, now=lambda: 1e9, synchronized=lambda: False)
main()
"""


class Machine:
    """Its clock, which can be set, and a node on it that runs until `stop` is set."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings, self.off, self.ready, self.stop = (
            NodeSettings(data, port=0),
            0.0,
            asyncio.Event(),
            asyncio.Event(),
        )
        monkeypatch.setattr("core.node.bootstrap.Clock", partial(Clock, now=self.now, synchronized=lambda: False))

    def now(self) -> float:
        return time.time() + self.off

    async def run(self) -> str | None:
        async with open_node(self.settings) as node:
            self.ready.set()
            await self.stop.wait()
            return node.new_owner_token

    async def status(self) -> dict[str, object]:
        return await status_of(self.settings.data)

    async def answers(self) -> bool:
        return await answers(self.settings.data)

    async def says(self, words: str) -> bool:
        """A busy machine's log may be silent for a moment, which comes first."""
        problem = str((await self.status())["problem"])
        return words in problem if words else not problem

    async def pairing_says(self, words: str) -> bool:
        try:
            async with open_client(self.settings.data) as client:
                await client.ask("POST", "/devices", json_body={"name": "phone", "scopes": ["view"]})
        except Unavailable as error:
            return words in error.message
        return words == "paired"


async def status_of(data: Path) -> dict[str, object]:
    async with open_client(data) as client:
        return await client.ask("GET", "/status")


async def answers(data: Path) -> bool:
    try:
        return bool(await status_of(data))
    except PCloudError:
        return False


@pytest.mark.parametrize("first", [True, False], ids=["first start", "later start"])
async def test_a_node_without_the_time_reads_until_it_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    machine = Machine(tmp_path / "node", monkeypatch)
    if not first:
        machine.stop.set()
        assert await machine.run()
        machine.stop.clear()
        machine.ready.clear()
    machine.off = -EARLY
    async with asyncio.TaskGroup() as group:
        running = group.create_task(machine.run())
        await until(machine.answers)
        await until(partial(machine.says, "clock says"))
        events = (await machine.status())["events"]
        assert events == 0 if first else events
        await until(partial(machine.pairing_says, "clock says"))
        assert not machine.ready.is_set() and (await machine.status())["events"] == events
        machine.off = 0.0
        await machine.ready.wait()
        await until(partial(machine.pairing_says, "paired"))
        await until(partial(machine.says, ""))
        machine.stop.set()
    assert bool(running.result()) == first


async def test_a_stop_while_the_start_waits_for_the_clock_is_orderly(tmp_path: Path) -> None:
    data, said = tmp_path / "node", tmp_path / "said"
    command = [sys.executable, "-c", PCLOUD_IN_2001, "up", "--data", str(data), "--listen", "127.0.0.1:0"]
    with said.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        await until(partial(answers, data))
        server = psutil.Process(int((data / "nats" / "nats.pid").read_text()))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # the second changes nothing
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0, said.read_text()
        assert not server.is_running() and "Traceback" not in said.read_text()
    finally:
        process.kill()
        process.wait()
