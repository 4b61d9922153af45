"""The demo's own node: `pcloud up` as a child process that ends with the demo."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["DemoNode", "running_node"]

START_SECONDS = 120
STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class DemoNode:
    address: str
    process: asyncio.subprocess.Process

    async def wait(self) -> None:
        """Wait until the node ends by itself, which is an error."""
        await self.process.wait()
        raise Unavailable("the demo's node has ended: run it again; if that happens again, please report it")


@asynccontextmanager
async def running_node(data: Path, files: Path, listen: str) -> AsyncGenerator[DemoNode]:
    log = data.parent / "node.log"
    program = str(Path(sys.executable).parent / "pcloud")
    command = [program, "up", "--data", str(data), "--files", str(files), "--listen", listen]
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=file)
    try:
        yield DemoNode(await address_of(process, log), process)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def address_of(process: asyncio.subprocess.Process, log: Path) -> str:
    """Return the address that the node prints. Raises `Unavailable` with the end of its log if it does not start."""
    assert process.stdout
    try:
        async with asyncio.timeout(START_SECONDS):
            async for line in process.stdout:
                if found := re.search(r"up at (\S+)", line.decode()):
                    return found[1]
    except TimeoutError:
        pass
    said = await asyncio.to_thread(log.read_text, errors="replace")
    last = "\n".join(said.splitlines()[-5:])
    raise Unavailable(f"the demo's node did not start; the end of its log:\n{last}")
