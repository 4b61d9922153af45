"""The app as a node starts it: called over a real bus, sending through a gateway, ended by SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import nats
import yaml
from aiohttp import web

from pcloud.manifest import Manifest

from .conftest import APP, PATIENCE, in_thread

ROOT = APP.parents[1]


class Node:
    """The bus and the gateway, as far as this app uses them."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.sent: asyncio.Queue[tuple[str, dict[str, Any], str]] = asyncio.Queue()
        self.readiness: asyncio.Queue[str] = asyncio.Queue()
        self.bus: nats.NATS = nats.NATS()

    async def gateway(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self.sent.put((request.match_info["target"], body["args"], body.get("key", "")))
        return web.json_response({"id": "1", "revision": ""}, status=202)

    async def ready(self, request: web.Request) -> web.Response:
        await self.readiness.put((await request.json())["reason"])
        return web.json_response({})

    async def callers(self, _: web.Request) -> web.Response:
        rights = {"issue-credentials": 1, "get-object": 1, "put-object": 1}
        return web.json_response({"callers": {"app:photos": rights, "person:owner": rights}})

    async def call(self, action: str, caller: str, **arguments: Any) -> Any:
        """Core's side of one call; the result, or the error's code."""
        reply = f"_INBOX.core.object-store.{secrets.token_hex(16)}"
        answers = await self.bus.subscribe(reply)
        headers = {"Pcloud-Call": "c", "Pcloud-Caller": caller, "Pcloud-Deadline": str(time.time() + 20)}
        body = json.dumps({"args": arguments}).encode()
        await self.bus.publish(f"call.object-store.{action}", body, reply=reply, headers=headers)
        while True:
            message = await answers.next_msg(timeout=20)
            if "Pcloud-Heartbeat" not in (message.headers or {}):
                await answers.unsubscribe()
                answer = json.loads(message.data)
                return answer["error"]["code"] if "error" in answer else answer["result"]

    def variables(self) -> dict[str, str]:
        return {
            "PCLOUD_APP": "object-store", "PCLOUD_URL": f"unix://{self.folder}/gateway.sock",
            "NATS_URL": f"nats://127.0.0.1:{self.port}", "PCLOUD_DATA": str(self.folder / "data"),
            "PATH": os.environ["PATH"], "HOME": str(self.folder / "data"), "PYTHONPATH": str(ROOT),
            "PCLOUD_SETTINGS": json.dumps(yaml.safe_load((APP / "app.yaml").read_text())["settings"]),
        }  # fmt: skip


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[Node]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "data").mkdir(mode=0o700)
    made = Node(folder, port)
    server = await asyncio.create_subprocess_exec(
        "nats-server", "-a", "127.0.0.1", "-p", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    gateway = web.Application()
    gateway.router.add_post("/send/{target}", made.gateway)
    gateway.router.add_post("/callers", made.callers)
    gateway.router.add_post("/readiness", made.ready)
    runner = web.AppRunner(gateway)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "gateway.sock")).start()
    try:
        await made.bus.connect(f"nats://127.0.0.1:{port}", max_reconnect_attempts=50, reconnect_time_wait=0.05)
        yield made
    finally:
        await made.bus.close()
        await runner.cleanup()
        server.kill()
        await server.wait()


@asynccontextmanager
async def app(node: Node, files: int = 0) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The process once it takes calls, and the S3 address that it printed. `files`: its limit of open ones."""
    limited = ("bash", "-c", f'ulimit -n {files} && exec "$@"', "limited") if files else ()
    process = await asyncio.create_subprocess_exec(
        *limited, sys.executable, "-m", "object_store", cwd=APP, env=node.variables(), stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process, await printed_address(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def printed_address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr
    endpoint, lines = "", list[str]()
    while b" ready" not in (line := await process.stderr.readline()):
        assert line, "".join(lines)
        lines.append(line.decode())
        endpoint = line.decode().partition("S3 is at ")[2].strip() or endpoint
    return endpoint


async def test_the_app_serves_its_role_over_the_bus_and_calls_the_webhook(tmp_path: Path) -> None:
    import boto3

    async with node(tmp_path) as core, app(core) as (process, endpoint):
        webhook = "capability:abc"
        assert await core.call("create-bucket-with-webhook", "app:photos", bucket="images", webhook=webhook) == {
            "bucket": "images"
        }
        assert await core.call("put-object", "app:other", bucket="images", key="a") == "FORBIDDEN"
        assert await core.call("get-object", "app:other", bucket="unknown", key="a") == "NOT_FOUND"
        assert await core.call("get-object", "app:photos", bucket="images", key="a", seconds=0) == "REJECTED"
        issued = await core.call(
            "issue-credentials", "person:owner", name="phone", bucket="images", prefix="p", write=True
        )
        assert issued["endpoint"] == endpoint
        s3 = boto3.client(
            "s3", endpoint_url=endpoint, region_name=issued["region"],
            aws_access_key_id=issued["access_key"], aws_secret_access_key=issued["secret_key"],
        )  # fmt: skip
        etag = (await in_thread(s3.put_object, Bucket="images", Key="p/a.jpg", Body=b"hello"))["ETag"].strip('"')
        async with asyncio.timeout(PATIENCE):
            target, told, key = await core.sent.get()
        assert target == webhook and key.startswith(f"images/p/a.jpg/{etag}")
        assert told | {"modified": ""} == {
            "bucket": "images",
            "key": "p/a.jpg",
            "etag": etag,
            "size": 5,
            "modified": "",
        }
        assert await core.call("revoke-credentials", "person:owner", access_key=issued["access_key"]) == {}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0


async def test_the_app_is_not_ready_while_weed_starts_again(tmp_path: Path) -> None:
    async with node(tmp_path) as core, app(core):
        weed = int((tmp_path / "data/private/weed.pid").read_text().split()[0])
        os.kill(weed, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            assert "SeaweedFS ended with -9" in await core.readiness.get()
            while await core.readiness.get():
                pass


async def test_a_store_with_too_few_open_files_is_not_ready_and_says_why(tmp_path: Path) -> None:
    async with node(tmp_path) as core:
        volumes = tmp_path / "data/weed"
        volumes.mkdir()
        for number in range(20):
            (volumes / f"images_{number}.dat").touch()
        async with app(core, files=160) as (process, _), asyncio.timeout(PATIENCE):
            reason = await core.readiness.get()
            assert "has 20 volumes and may open only 160 files: nothing is lost" in reason
            assert "pcloud app limits object-store --files" in reason
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0


async def test_the_app_answers_what_its_manifest_says() -> None:
    from object_store.__main__ import build

    from pcloud.app import App

    manifest = msgspec.convert(yaml.safe_load((APP / "app.yaml").read_text()), Manifest)
    made = build(App({}))
    assert {action.name for action in manifest.actions} == set(made._actions)
    assert manifest.provides == ["object-storage"]


async def test_it_is_small_when_idle(tmp_path: Path) -> None:
    """The limits are this app's share of the node's idle budget of 700 MB."""
    async with node(tmp_path) as core, app(core) as (process, _):
        await core.call("create-bucket-with-webhook", "app:photos", bucket="images", webhook="capability:abc")
        weed = int((tmp_path / "data/private/weed.pid").read_text().split()[0])
        python, server = memory(process.pid), memory(weed)
        print(f"python {python} MB, weed {server} MB")
        assert python < 90 and server < 190


def memory(pid: int) -> int:
    """Proportional set size in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) // 1024
