"""The real other side: an app made with the SDK, in a separate process, with its own user on the bus."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import nkeys
import pytest

from pcloud.errors import Rejected, Unavailable
from tests.integration.processor.small_core import OWNER, SHELF, Core
from tests.waiting import until

SOURCE = """
import asyncio, os, pathlib
from pcloud.app import App
from pcloud.errors import Rejected

app = App()
begun = pathlib.Path(os.environ["PCLOUD_DATA"], "begun")

@app.action
async def greet(name: str) -> str:
    if not name:
        raise Rejected("a name is missing")
    return f"Hello, {name}"

@app.action
async def read(book: str) -> str:
    first = not begun.exists()
    begun.touch()
    if first:
        await asyncio.sleep(3600)
    return f"attempt {app.context().attempt}"

app.run()
"""
MANIFEST = {
    "name": "reader", "version": "1.0.0",
    "actions": [{"name": "greet", "args": {"name": "String!"}}, {"name": "read", "args": {"book": "ID!"}}],
    "triggers": [{"name": "new-books", "on": {"type": "shelf/Book"}, "action": "read", "args": {"book": "{{ event.id }}"}}],
}  # fmt: skip


@asynccontextmanager
async def process(core: Core, folder: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """One life of the app."""
    if "reader" not in core.seeds:
        core.seeds["reader"] = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    seed = core.seeds["reader"]
    await core.server.set_app_users({"reader": nkeys.from_seed(bytearray(seed)).public_key.decode()})
    (folder / "app.nk").write_bytes(seed)
    (folder / "app.py").write_text(SOURCE)
    environment = {
        "PCLOUD_APP": "reader", "PCLOUD_URL": f"unix://{folder}/gateway.sock", "NATS_URL": core.server.url, "PCLOUD_SETTINGS": "{}",
        "NATS_NKEY_SEED_FILE": str(folder / "app.nk"), "PCLOUD_DATA": str(folder), "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }  # fmt: skip
    running = await asyncio.create_subprocess_exec(sys.executable, str(folder / "app.py"), env=environment)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def test_an_sdk_app_answers_calls_and_its_errors_keep_their_codes(core: Core, tmp_path: Path) -> None:
    await core.install(MANIFEST)
    async with process(core, tmp_path):
        await until(lambda: _greeted(core))
        with pytest.raises(Rejected, match="a name is missing"):
            await core.calls.call(OWNER, "reader/greet", {"name": ""})


async def test_a_killed_sdk_app_s_run_is_found_and_made_again(core: Core, tmp_path: Path) -> None:
    await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
    await core.install(MANIFEST, granted=(("read", "shelf/Book"),))
    async with process(core, tmp_path) as first:
        await core.add("b1", title="Emma")
        await until(lambda: (tmp_path / "begun").exists())
        first.send_signal(signal.SIGKILL)
        await first.wait()
    async with process(core, tmp_path):
        (run,) = await core.run_of("DONE")
    assert run.attempt == 2


async def _greeted(core: Core) -> bool:
    try:
        return (await core.calls.call(OWNER, "reader/greet", {"name": "Ada"})).result == "Hello, Ada"
    except Unavailable:
        return False  # it takes its time to start
