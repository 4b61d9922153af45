"""An app as a separate process, as a node starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from aiohttp import ClientSession

from pcloud.web import USER_HEADER, User, sign_user
from tests.waiting import until as until_true

ROOT = Path(__file__).parents[3]
APP = """
import asyncio
from aiohttp import web
from pcloud.app import App

app = App()

digging = False

@app.action
async def is_digging() -> bool:
    return digging

@app.action
async def dig(file: str) -> str:
    global digging
    digging = True
    while not await asyncio.to_thread(__import__("os").path.exists, file):
        await asyncio.sleep(0.01)
    return app.settings["colour"]

async def page(request):
    return web.Response(text=app.user(request).actor)

async def careless(request):
    return web.Response(text="ignores its visitor")

@app.unsigned
async def open(request):
    return web.Response(text="for everybody")

app.web.router.add_get("/", page)
app.web.router.add_get("/careless", careless)
app.web.router.add_get("/open", open)

if __name__ == "__main__":
    app.run()
"""


async def start(folder: Path, variables: dict[str, str], source: str = APP) -> asyncio.subprocess.Process:
    (folder / "the_app.py").write_text(source)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
    return await asyncio.create_subprocess_exec(
        sys.executable, str(folder / "the_app.py"), env=environment, stderr=subprocess.PIPE
    )


async def until(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stderr is not None
    while text not in (line := (await process.stderr.readline()).decode()):
        assert line, "the app has ended"


async def test_sigterm_finishes_the_running_call_and_ends_with_0(variables, bus, tmp_path: Path, unused_port) -> None:
    process = await start(tmp_path, {**variables, "PORT": str(unused_port)})
    await until(process, "ready")
    call = asyncio.create_task(bus.call("dig", {"file": str(tmp_path / "bone")}))
    while not (await bus.call("is-digging", {})).body["result"]:
        pass
    process.send_signal(signal.SIGTERM)
    await until(process, "stopping")
    (tmp_path / "bone").touch()
    assert (await call).body["result"] == "brown"
    assert await process.wait() == 0


async def test_time_in_which_the_process_was_stopped_counts_for_no_call(
    variables, bus, tmp_path: Path, unused_port
) -> None:
    """As a backup stops it, for longer than the call had."""
    process = await start(tmp_path, {**variables, "PORT": str(unused_port)})
    await until(process, "ready")
    deadline = time.time() + 12
    call = asyncio.create_task(bus.call("dig", {"file": str(tmp_path / "bone")}, deadline=str(deadline)))
    while not (await bus.call("is-digging", {})).body["result"]:
        pass
    process.send_signal(signal.SIGSTOP)
    await until_true(lambda: time.time() > deadline + 1, what="the deadline to pass")
    process.send_signal(signal.SIGCONT)
    await bus.call("is-digging", {})  # it has noticed the time
    (tmp_path / "bone").touch()
    assert (await call).body.get("result") == "brown", (await call).body
    process.terminate()
    assert await process.wait() == 0


async def test_pages_know_who_asks_and_turn_strangers_away(variables, tmp_path: Path, unused_port) -> None:
    key = tmp_path / "web.key"
    key.write_bytes(b"k" * 32)
    process = await start(tmp_path, {**variables, "PORT": str(unused_port), "PCLOUD_WEB_KEY_FILE": str(key)})
    await until(process, "ready")
    async with ClientSession(f"http://127.0.0.1:{unused_port}") as browser:
        header = sign_user(b"k" * 32, User("device:phone", "puppy-counter", 2e9))
        known = await browser.get("/", headers={USER_HEADER: header})
        assert (known.status, await known.text()) == (200, "device:phone")
        for path, status in (("/", 403), ("/careless", 403), ("/nothing", 403), ("/open", 200)):
            stranger = await browser.get(path)
            assert stranger.status == status, path
            forged = await browser.get(path, headers={USER_HEADER: f"{header[:-4]}AAAA"})
            assert forged.status == status, path
    process.terminate()
    assert await process.wait() == 0


async def test_an_app_that_fails_ends_with_1_and_one_sentence(variables, tmp_path: Path) -> None:
    process = await start(tmp_path, {**variables, "NATS_NKEY_SEED_FILE": ""})
    assert process.stderr is not None
    said = (await process.stderr.read()).decode()
    assert await process.wait() == 1
    assert "the app has web pages but no PORT" in said.splitlines()[-1]
    assert "Traceback" not in said
