"""Starting, starting again, stopping; and the messages when it can't start."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError
from object_store.names import PROBE
from object_store.settings import Settings
from object_store.store import Store, open_store
from object_store.weed.server import open_server

from pcloud.errors import Conflict, Corrupt, Rejected, Unavailable

from .conftest import PATIENCE, Core, Recorder, client, in_thread, running


async def test_a_restart_keeps_buckets_objects_credentials_and_address(tmp_path: Path, recorder: Recorder) -> None:
    async with running(tmp_path, recorder) as store:
        await store.create_bucket("app:photos", "images", "capability:abc")
        issued = await store.issue_credentials("app:photos", "phone", "images", write=True)
        await in_thread(
            client(store, issued["access_key"], issued["secret_key"]).put_object, Bucket="images", Key="a", Body=b"x"
        )
        await recorder.until(lambda r: r.keys == ["a"])
        endpoint = store.endpoint
    async with running(tmp_path, recorder) as store:
        assert store.endpoint == endpoint
        phone = client(store, issued["access_key"], issued["secret_key"])
        assert (await in_thread(phone.get_object, Bucket="images", Key="a"))["ETag"]
        await in_thread(phone.put_object, Bucket="images", Key="b", Body=b"x")
        await recorder.until(lambda r: r.keys == ["a", "b"])
        with pytest.raises(Conflict):
            await store.create_bucket("app:other", "images")
    assert set(recorder.times.values()) == {1}


async def test_a_weed_that_dies_is_started_again(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    assert store.server.process
    store.server.process.kill()
    async with asyncio.timeout(PATIENCE):
        while store.server.starts < 2 or not store.server.ready.is_set():
            await asyncio.sleep(0.01)
    assert (await store.list_objects("app:photos", "images"))["objects"] == []


async def test_a_missing_weed_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="weed was not found in '/nowhere/weed': install"):
        async with open_server(Settings(tmp_path, weed="/nowhere/weed")):
            pass
    assert not list(tmp_path.iterdir())


async def test_a_weed_that_does_not_start_is_reported_with_its_output(tmp_path: Path) -> None:
    broken = tmp_path / "weed"
    broken.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(Unavailable, match="no such luck"):
        async with open_server(Settings(tmp_path / "store", weed=str(broken))) as server:
            await server.start()


# It answers once the file `answers` exists, and stores an object only if `stores` does. `begun` is there once it runs, `refused`
# grows with each refusal.
STARTING = """#!{python} -I
import http.server, os, pathlib, sys, time
folder = pathlib.Path({folder!r})
class Weed(http.server.BaseHTTPRequestHandler):
    protocol_version, kept = "HTTP/1.1", {{}}
    def do_GET(self):
        path = self.path.partition("?")[0]
        self.answer(200 if path == "/healthz" or path in self.kept else 404, self.kept.get(path, b""))
    def do_PUT(self):
        path, body = self.path.partition("?")[0], self.rfile.read(int(self.headers["Content-Length"]))
        if path.count("/") == 1 or (folder / "stores").exists():
            self.kept[path] = body
            return self.answer(200)
        with (folder / "refused").open("ab") as refused:
            refused.write(b".")
        self.answer(500)
    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
(folder / "begun").touch()
while not (folder / "answers").exists():
    time.sleep(0.02)
port = next(int(word.partition("=")[2]) for word in sys.argv if word.startswith("-s3.port="))
http.server.ThreadingHTTPServer(("127.0.0.1", port), Weed).serve_forever()
"""


def starting_weed(folder: Path, *, answers: bool = True) -> str:
    if answers:
        (folder / "answers").touch()
    program = folder / "weed"
    program.write_text(STARTING.format(python=sys.executable, folder=str(folder)))
    program.chmod(0o755)
    return str(program)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def test_weed_is_ready_once_it_stores(tmp_path: Path) -> None:
    refused = tmp_path / "refused"
    async with open_server(
        Settings(tmp_path / "store", weed=starting_weed(tmp_path), store_seconds=PATIENCE)
    ) as server:
        started = asyncio.create_task(server.start())
        await until(lambda: started.done() or (refused.exists() and refused.stat().st_size > 2))
        assert not started.done() and not server.ready.is_set()
        (tmp_path / "stores").touch()
        await started
        assert server.ready.is_set()


async def test_weed_that_can_only_read_serves_reads(tmp_path: Path) -> None:
    """As on a full disk, from which an owner has to delete something."""
    async with open_server(Settings(tmp_path / "store", weed=starting_weed(tmp_path), store_seconds=3.0)) as server:
        await server.start()
        assert server.ready.is_set() and (tmp_path / "refused").exists()


async def test_weed_that_can_only_read_is_shown_so_and_gets_no_uploads(tmp_path: Path) -> None:
    told = list[tuple[str, bool]]()
    settings = Settings(tmp_path / "store", weed=starting_weed(tmp_path), store_seconds=1.0)
    async with open_store(settings, Recorder(), Core()) as store, aiohttp.ClientSession() as session:
        store.health.tell = lambda reason, serves: told.append((reason, serves))
        looking = asyncio.create_task(store.health.run())
        await until(lambda: told)
        assert "stores nothing: uploads are refused" in told[0][0] and told[0][1]
        async with session.put(f"{store.endpoint}/images/a", data=b"x") as answer:
            assert answer.status == 503 and "uploads are refused" in await answer.text()
        async with session.get(f"{store.endpoint}/images/a") as answer:
            assert answer.status == 404
        (tmp_path / "stores").touch()
        await until(lambda: told[-1] == ("", True))
        looking.cancel()
        assert not store.server.only_reads


async def test_weed_that_takes_long_to_answer_is_left_alone(tmp_path: Path) -> None:
    """As with a large store on a slow machine: one that is killed needs as long the next time."""
    weed = starting_weed(tmp_path, answers=False)
    async with open_server(Settings(tmp_path / "store", weed=weed, store_seconds=0.1)) as server:
        started = asyncio.create_task(server.start())
        await until((tmp_path / "begun").exists)
        await asyncio.wait([started], timeout=0.5)
        assert not started.done() and not server.ready.is_set()
        (tmp_path / "answers").touch()
        await started
        assert server.ready.is_set() and server.starts == 1
    assert Settings(tmp_path).start_seconds >= 300


async def test_weed_that_never_answers_is_stopped(tmp_path: Path) -> None:
    weed = starting_weed(tmp_path, answers=False)
    async with open_server(Settings(tmp_path / "store", weed=weed, start_seconds=0.5)) as server:
        with pytest.raises(Unavailable, match="not ready in time"):
            await server.start()
        assert server.process is None


async def test_no_caller_sees_the_probe(store: Store, recorder: Recorder) -> None:
    await store.create_bucket("person:owner", "images", "capability:abc")
    issued = await store.issue_credentials("person:owner", "phone", "images", write=True)
    phone = client(store, issued["access_key"], issued["secret_key"])
    await in_thread(phone.put_object, Bucket="images", Key="a", Body=b"x")
    await recorder.until(lambda r: r.keys == ["a"])
    assert [one["bucket"] for one in (await store.usage("person:owner"))["buckets"]] == ["images"]
    with pytest.raises(Rejected):
        await store.create_bucket("person:owner", PROBE)
    for ask in (
        lambda: phone.get_object(Bucket=PROBE, Key=PROBE),
        lambda: phone.list_objects_v2(Bucket=PROBE),
        lambda: phone.put_object(Bucket=PROBE, Key=PROBE, Body=b"x"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            await in_thread(ask)
    assert PROBE not in str(await in_thread(phone.list_buckets))


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Conflict, match=f"port {port} or .* is taken"):
            async with open_server(Settings(tmp_path, s3_port=port)):
                pass


async def test_a_taken_inner_port_is_replaced_and_the_data_stays(tmp_path: Path, recorder: Recorder) -> None:
    async with running(tmp_path, recorder) as store:
        await store.create_bucket("app:photos", "images")
        await in_thread(client(store).put_object, Bucket="images", Key="a", Body=bytes(100_000))
        before = store.server.ports
    with socket.socket() as other:
        other.bind(("127.0.0.1", before.master + 10000))
        other.listen()
        async with running(tmp_path, recorder) as store:
            assert store.server.ports.s3 == before.s3 and store.server.ports.master != before.master
            await in_thread(client(store).put_object, Bucket="images", Key="b", Body=bytes(100_000))
            for key in ("a", "b"):
                answer = await in_thread(client(store).get_object, Bucket="images", Key=key)
                assert await in_thread(answer["Body"].read) == bytes(100_000)


async def test_two_stores_do_not_share_a_folder(store: Store) -> None:
    folder = store.server.folder
    with pytest.raises(Conflict, match="another object store is running on"):
        await folder.lock(seconds=0.2)
    assert store.server.process and store.server.process.returncode is None


async def test_broken_files_are_reported_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    secrets = tmp_path / "private" / "secrets.json"
    secrets.write_text("{")
    with pytest.raises(Corrupt, match=r"secrets\.json"):
        async with open_server(Settings(tmp_path)):
            pass
    assert secrets.read_text() == "{"


def test_settings_are_checked(tmp_path: Path) -> None:
    assert Settings.read(tmp_path, {"s3_port": 8333}).s3_port == 8333
    for wrong in ({"s3_port": 55536}, {"s3_port": "8333"}, {"memory_mb": 1}, {"s3port": 1}, {"memory_mb": True}):
        with pytest.raises(Rejected):
            Settings.read(tmp_path, wrong)


async def test_weed_sees_nothing_of_the_apps_environment(store: Store) -> None:
    assert store.server.process
    environment = Path(f"/proc/{store.server.process.pid}/environ").read_bytes().split(b"\0")
    names = {variable.partition(b"=")[0].decode() for variable in environment if variable}
    assert names <= {"PATH", "HOME", "TMPDIR", "GOMEMLIMIT", "GOGC", "WEED_MASTER_VOLUME_GROWTH_COPY_1", "LC_CTYPE"}
    assert os.environ["PATH"].encode() in b"".join(environment)


async def test_a_large_log_is_set_aside_and_weed_goes_on_writing(store: Store) -> None:
    log, aside = store.server.folder.log, store.server.folder.log.with_name("weed.log.1")
    with log.open("ab") as stream:
        stream.write(b"x" * (9 << 20))
    task = asyncio.create_task(store.server.bound_log(seconds=0.01))
    async with asyncio.timeout(PATIENCE):
        while log.stat().st_size > 1 << 20:
            await asyncio.sleep(0.01)
    task.cancel()
    assert aside.stat().st_size > 9 << 20


async def test_nothing_is_left_in_tmp(tmp_path: Path, recorder: Recorder) -> None:
    async with running(tmp_path, recorder) as store:
        ports = store.server.ports
    assert not [path for path in Path("/tmp").glob("seaweedfs-*.sock") if str(ports.filer + 10000) in path.name]
