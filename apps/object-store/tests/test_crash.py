"""kill -9 of weed and of the app while objects are being stored: every acknowledged object is stored and announced,
with one effect."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from .conftest import APP, PATIENCE

ROOT = APP.parents[1]


@dataclass
class Application:
    process: asyncio.subprocess.Process
    facts: dict[str, Any]

    @property
    def bucket(self) -> S3Store:
        return S3Store(
            "images", endpoint=self.facts["endpoint"], region="us-east-1", access_key_id=self.facts["access_key"],
            secret_access_key=self.facts["secret_key"], virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": timedelta(seconds=5)}, retry_config={"max_retries": 0},
        )  # fmt: skip


@asynccontextmanager
async def application(folder: Path) -> AsyncIterator[Application]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("recording_app.py")), str(folder / "store"), str(folder / "runs"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{APP}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    try:
        assert process.stdout
        async with asyncio.timeout(PATIENCE):
            yield Application(process, json.loads(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass
class Load:
    """Stores objects as fast as it can, and records those that were acknowledged."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    number: int = 0

    async def store(self, bucket: S3Store) -> None:
        while True:
            self.number += 1
            key, body = f"{self.number % 7}/{self.number:05}.jpg", os.urandom(2000)
            try:
                await obstore.put_async(bucket, key, body)
                self.acknowledged[key] = hashlib.md5(body).hexdigest()
            except BaseError:
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def on(self, bucket: S3Store) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.store(bucket)) for _ in range(8)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.acknowledged) < count:
                await asyncio.sleep(0.005)


async def assert_all_there_and_told(load: Load, bucket: S3Store, folder: Path) -> None:
    there = {o["path"]: str(o["e_tag"]).strip('"') async for page in obstore.list(bucket) for o in page}
    assert load.acknowledged.items() <= there.items()
    runs = sqlite3.connect(folder / "runs", isolation_level=None)
    async with asyncio.timeout(PATIENCE):
        while there.keys() - {row[0] for row in runs.execute("SELECT object FROM run")}:
            await asyncio.sleep(0.02)
    doubles = runs.execute("SELECT object, count(*) FROM run GROUP BY object HAVING count(*) > 1").fetchall()
    assert not doubles
    runs.close()


async def test_kill_9_of_weed_loses_no_object_and_no_notification(tmp_path: Path) -> None:
    async with application(tmp_path) as app:
        load, weed = Load(), int(app.facts["weed"])
        async with load.on(app.bucket):
            for round_ in range(1, 4):
                await load.until(round_ * 150)
                os.kill(weed, signal.SIGKILL)
                weed = await next_weed(tmp_path, weed)
            await load.until(550)
        await assert_all_there_and_told(load, app.bucket, tmp_path)


async def test_kill_9_of_the_app_loses_no_object_and_leaves_no_weed(tmp_path: Path) -> None:
    load = Load()
    for round_ in range(1, 4):
        async with application(tmp_path) as app:
            async with load.on(app.bucket):
                await load.until(round_ * 150)
                app.process.kill()
                await app.process.wait()
            await gone(int(app.facts["weed"]))
    async with application(tmp_path) as app:
        await assert_all_there_and_told(load, app.bucket, tmp_path)


async def next_weed(folder: Path, before: int) -> int:
    async with asyncio.timeout(PATIENCE):
        while (now := int((folder / "store/private/weed.pid").read_text().split()[0] or before)) == before:
            await asyncio.sleep(0.02)
    return now


async def gone(pid: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            await asyncio.sleep(0.01)
