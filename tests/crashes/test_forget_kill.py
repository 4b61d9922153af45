"""kill -9 of a process that has appended `forgotten` and not purged: the next start finishes it.

Run as a program, `python -m tests.crashes.test_forget_kill FOLDER`, it is that process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from core.graph.command import EntityChange
from eventstore.erasure import Erasure
from pcloud.event import Kind
from pcloud.subject import Ref
from tests.integration.api.conftest import IMPORTER, open_cloud

ROOT = Path(__file__).parent.parent.parent
IDS = [f"a{number}" for number in range(30)]


def album(id: str) -> Ref:
    return Ref("image-importer", "Album", id)


async def test_a_killed_forgetting_is_finished_at_the_next_start(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.crashes.test_forget_kill", str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    assert await process.wait() == -signal.SIGKILL
    async with open_cloud(tmp_path) as cloud:
        await cloud.loop.wait_for(await cloud.last())
        left = [await cloud.store.erasure.events(album(id)) for id in IDS]
        kinds = [[event.kind for event in events] for events in left]
        assert [Kind.CREATED, Kind.FORGOTTEN] in kinds, "it was killed too late to prove anything"
        before = await cloud.graph.dump()
        await cloud.commands.finish_forgetting()
        for id in IDS:
            assert [event.kind for event in await cloud.store.erasure.events(album(id))] == [Kind.FORGOTTEN]
        assert await cloud.store.erasure.pending() == []
        assert await cloud.graph.dump() == before


async def die(folder: Path) -> None:
    purged = 0

    class Killed(Erasure):
        async def purge(self, ref: Ref, below: int) -> int:
            nonlocal purged
            if purged == len(IDS) // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            purged += 1
            return await super().purge(ref, below)

    async with open_cloud(folder) as cloud:
        await cloud.install("image-importer", IMPORTER)
        await cloud.commands.write("owner", [EntityChange(album(id), "add", set={"name": id}) for id in IDS])
        cloud.store.erasure.__class__ = Killed
        await cloud.commands.forget("owner", [album(id) for id in IDS])


if __name__ == "__main__":
    asyncio.run(die(Path(sys.argv[1])))
