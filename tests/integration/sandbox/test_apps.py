"""Apps installed on a node with sandboxes: their environment, their limits, and what grants open."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from core.apps import AppState
from core.apps.process.folders import AppFolders
from core.apps.sandbox import watch
from core.apps.sandbox.inside import Inside, InsideConnector
from tests.integration.app.conftest import make_app
from tests.integration.app.platform import Platform, approve_all, open_platform
from tests.waiting import PATIENCE, until

__all__ = ["make_app"]


@pytest.fixture
async def platform(tmp_path: Path, machine) -> AsyncIterator[Platform]:
    async with open_platform(tmp_path / "node", unconfined=False, machine=machine) as platform:
        yield platform


async def environment(platform: Platform, name: str = "tiny") -> dict[str, str]:
    address = platform.apps.web_address(name)
    assert isinstance(address, Inside)
    async with (
        aiohttp.ClientSession(connector=InsideConnector(address)) as client,
        client.get("http://tiny/") as answer,
    ):
        return json.loads(await answer.text())


async def test_an_app_is_given_addresses_and_folders_of_its_sandbox(platform, make_app, machine):
    assert (await platform.apps.install(make_app(web=True), approve=approve_all)).state is AppState.RUNNING
    seen = await environment(platform)
    assert seen["PCLOUD_URL"] == "http://127.0.0.1:4280" and seen["NATS_URL"] == "nats://127.0.0.1:4222"
    assert seen["PCLOUD_DATA"] == seen["HOME"] == "/data" and seen["PORT"] == "8080"
    assert seen["NATS_NKEY_SEED_FILE"] == "/run/pcloud/keys/bus.seed"
    [status] = await platform.apps.list()
    assert status.sandbox == machine.kind != "unconfined" and status.process == "running"
    assert not any("UNCONFINED" in line for line in await platform.apps.logs("tiny"))


ASK = """
    import json, os, time, urllib.request
    request = urllib.request.Request(os.environ["PCLOUD_URL"] + "/graphql", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        print("core says", json.load(answer)["actor"], flush=True)
    time.sleep(600)
"""


async def test_any_program_reaches_core_from_within_and_core_knows_who_asks(platform, make_app):
    await platform.apps.install(make_app(script=ASK), approve=approve_all)
    folders = AppFolders.of(platform.settings.folder, "tiny")
    await until(lambda: "core says app:tiny" in folders.log.read_text())


async def test_a_strangers_app_needs_no_permission_where_there_is_a_sandbox(platform, make_app, machine):
    assert machine.confines_strangers
    app = await platform.apps.install(make_app(), approve=approve_all, unconfined=False)
    assert app.state is AppState.RUNNING


FILL = """
    import os, time
    for number in range(40):
        with open(f"/data/{number}", "wb") as file:
            file.write(bytes(2**20))
    print("full", flush=True)
    time.sleep(600)
"""


async def test_a_full_quota_pauses_the_app_and_says_why(platform, make_app, monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.05)
    monkeypatch.setattr(watch, "MOST_CALM", 0.05)
    await platform.apps.install(make_app("resources: {disk: 8388608}\n", script=FILL), approve=approve_all)

    async def state() -> str:
        return (await platform.apps.list())[0].state

    seen = []
    async for _ in _moments():
        seen = [await state()]
        if seen == ["PAUSED"]:
            break
    [status] = await platform.apps.list()
    assert status.state == "PAUSED" and "more than its quota of 8 MiB" in status.error


async def _moments():
    import asyncio

    async with asyncio.timeout(PATIENCE):
        while True:
            yield
            await asyncio.sleep(0.02)


ASK_PORT = """
    import os, socket, time
    def ask():
        try:
            with socket.create_connection(("HOST", PORT), timeout=5) as connection:
                return connection.makefile("rb").read().decode()
        except OSError as error:
            return "refused"
    while True:
        open("/data/said.part", "w").write(ask())
        os.replace("/data/said.part", "/data/said")
        time.sleep(0.05)
"""
OFFER = """
    import os, socket, socketserver
    bus = socket.create_connection(("127.0.0.1", 4222))
    class Say(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"the store")
    socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT_S3"])), Say).serve_forever()
"""


async def test_a_port_is_open_to_apps_with_a_granted_call_and_to_no_others(platform, make_app):
    from core.apps.sandbox import Ports

    port = Ports(platform.settings.folder).published("store", "s3")
    script = ASK_PORT.replace("HOST", port.address).replace("PORT", str(port.port))
    offer = "provides: [keeping]\nactions: [{name: get}]\n"
    archive = make_app(offer, name="store", script=OFFER, ports="s3")
    await platform.apps.install(archive, approve=approve_all)
    use = "uses: [{call: 'role:keeping/get'}]\n"
    for name, more in (("friend", use), ("stranger", "")):
        archive = make_app(more, name=name, script=script)
        await platform.apps.install(archive, approve=approve_all)
    said = {name: AppFolders.of(platform.settings.folder, name).data / "said" for name in ("friend", "stranger")}
    await until(lambda: said["friend"].exists() and said["friend"].read_text() == "the store")
    await until(lambda: said["stranger"].exists())
    assert said["stranger"].read_text() == "refused"
