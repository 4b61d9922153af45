"""The gate before a real weed: no write is answered before it is on the disk, and everything else passes as it came."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from object_store.gate import open_gate
from object_store.intake import Intake
from object_store.room import Room
from object_store.settings import Settings
from object_store.weed.server import Server, open_server

from .conftest import PATIENCE, in_thread

BUCKET = "images"


class Disk:
    """A disk whose flushes a test ends. `held`: those that wait; `waits` is False for one that flushes at once."""

    def __init__(self) -> None:
        self.held = list[asyncio.Future[None]]()
        self.waits = False

    async def durable(self) -> None:
        if self.waits:
            self.held.append(asyncio.get_running_loop().create_future())
            await self.held[-1]

    def flush(self) -> None:
        while self.held:
            self.held.pop().set_result(None)


class Door:
    """The gate at `port`, before `server`."""

    def __init__(self, server: Server, disk: Disk, port: int) -> None:
        self.server, self.disk, self.port = server, disk, port
        self.s3, self.weed = self.client(f"http://127.0.0.1:{port}"), self.client(server.endpoint)

    def client(self, endpoint: str, secret: str = "") -> Any:
        admin = self.server.secrets.admin
        config = Config(retries={"max_attempts": 1}, connect_timeout=PATIENCE, read_timeout=PATIENCE)
        return boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", config=config,
            aws_access_key_id=admin.access_key, aws_secret_access_key=secret or admin.secret_key,
        )  # fmt: skip

    def there(self) -> dict[str, str]:
        """What weed holds: ETag by key."""
        return {o["Key"]: o["ETag"] for o in self.weed.list_objects_v2(Bucket=BUCKET).get("Contents", [])}

    def address(self, method: str, key: str) -> str:
        return self.s3.generate_presigned_url(f"{method}_object", {"Bucket": BUCKET, "Key": key})


def boundless(folder: Path) -> Intake:
    async def unknown(bucket: str, key: str) -> int:
        return 0

    return Intake(Room(folder, 0, free=lambda: 2**60), unknown, lambda: "", lambda: None)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Door]:
    disk = Disk()
    async with open_server(Settings(folder, store_seconds=PATIENCE)) as server:
        await server.start()
        async with open_gate(server.ports.s3, server.endpoint, disk, server.ready, boundless(folder)):
            door = Door(server, disk, server.ports.s3)
            await in_thread(door.weed.create_bucket, Bucket=BUCKET)
            yield door


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with opened(tmp_path / "store") as door:
        yield door


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := condition()):
            await asyncio.sleep(0.01)
    return found


def form(door: Door, key: str) -> Any:
    import requests

    post = door.s3.generate_presigned_post(BUCKET, key)
    return requests.post(post["url"], data=post["fields"], files={"file": ("x", b"from a form")}, timeout=PATIENCE)


async def test_no_write_is_answered_before_a_flush_that_began_after_it(door: Door) -> None:
    s3, upload = door.s3, {"Bucket": BUCKET, "Key": "parts"}
    await in_thread(s3.put_object, Bucket=BUCKET, Key="kept", Body=b"kept")
    id = (await in_thread(s3.create_multipart_upload, **upload))["UploadId"]
    part = await in_thread(s3.upload_part, **upload, UploadId=id, PartNumber=1, Body=bytes(5 << 20))
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    source = {"Bucket": BUCKET, "Key": "kept"}
    writes: list[tuple[Callable[[], Any], Callable[[dict[str, str]], bool]]] = [
        (lambda: s3.put_object(Bucket=BUCKET, Key="new", Body=b"x"), lambda there: "new" in there),
        (lambda: s3.put_object(Bucket=BUCKET, Key="new", Body=b"y"), lambda there: "415290769594460e" in there["new"]),
        (lambda: s3.put_object(Bucket=BUCKET, Key="stream", Body=io.BytesIO(bytes(2 << 20))), lambda there: "stream" in there),
        (lambda: s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source), lambda there: "copy" in there),
        (lambda: s3.complete_multipart_upload(**upload, UploadId=id, MultipartUpload=parts), lambda there: "parts" in there),
        (lambda: form(door, "form").raise_for_status(), lambda there: "form" in there),
        (lambda: s3.delete_object(Bucket=BUCKET, Key="new"), lambda there: "new" not in there),
        (
            lambda: s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "copy"}, {"Key": "form"}]}),
            lambda there: not {"copy", "form"} & there.keys(),
        ),
    ]  # fmt: skip
    door.disk.waits = True
    for write, done in writes:
        writing = asyncio.create_task(in_thread(write))
        await until(lambda w=writing: w.done() or door.disk.held)
        assert not writing.done(), "it was answered before the flush"
        assert done(await in_thread(door.there)), "the flush began before weed had answered"
        door.disk.flush()
        await writing
    assert (await in_thread(door.there)).keys() == {"kept", "stream", "parts"}


async def test_one_flush_serves_all_that_wait_and_reads_and_refusals_do_not(door: Door) -> None:
    s3, wrong = door.s3, door.client(f"http://127.0.0.1:{door.port}", "wrong")
    await in_thread(s3.put_object, Bucket=BUCKET, Key="a", Body=b"0123456789", Metadata={"mood": "polite"})
    door.disk.waits = True
    writing = [asyncio.create_task(in_thread(s3.put_object, Bucket=BUCKET, Key=f"w{n}", Body=b"x")) for n in range(5)]
    await until(lambda: len(door.disk.held) == 5)
    read = await in_thread(s3.get_object, Bucket=BUCKET, Key="a")
    assert (
        read["Body"].read() == b"0123456789" and read["Metadata"] == {"mood": "polite"} and read["ContentLength"] == 10
    )
    assert (await in_thread(s3.get_object, Bucket=BUCKET, Key="a", Range="bytes=2-4"))["Body"].read() == b"234"
    assert (await in_thread(s3.head_object, Bucket=BUCKET, Key="a"))["ContentLength"] == 10
    assert (await in_thread(s3.list_objects_v2, Bucket=BUCKET))["KeyCount"] == 6
    for refused in (
        lambda: wrong.put_object(Bucket=BUCKET, Key="a", Body=b"x"),
        lambda: s3.get_object(Bucket=BUCKET, Key="nothing"),
        lambda: s3.head_object(Bucket=BUCKET, Key="nothing"),
        lambda: s3.put_object(Bucket="nowhere", Key="a", Body=b"x"),
    ):
        with pytest.raises(ClientError):
            await in_thread(refused)
    assert len(door.disk.held) == 5 and not any(task.done() for task in writing)
    door.disk.flush()
    await asyncio.gather(*writing)


async def test_large_bodies_and_odd_keys_pass_unchanged(door: Door, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(48 << 20))
    whole = TransferConfig(multipart_threshold=1 << 30)
    for key in ("large", "a b+c#%.txt", "Ä/ö?&=x", "zip.gz"):
        await in_thread(door.s3.upload_file, str(large), BUCKET, key, {"ContentEncoding": "gzip"}, Config=whole)
        read = await in_thread(door.s3.get_object, Bucket=BUCKET, Key=key)
        assert read["ContentEncoding"] == "gzip"
        got = await in_thread(lambda body=read["Body"]: hashlib.file_digest(Reading(body), "sha256").digest())
        assert got == hashlib.sha256(large.read_bytes()).digest()
        large.write_bytes(large.read_bytes()[: 1 << 20])


class Reading(io.RawIOBase):
    """A body of boto3's as a file."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._body.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class Wire:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, text: str | bytes) -> None:
        self.writer.write(text if isinstance(text, bytes) else text.encode().replace(b"\n", b"\r\n"))
        await self.writer.drain()

    async def head(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()


@asynccontextmanager
async def wire(door: Door) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def lines(door: Door, method: str, key: str, *headers: str) -> str:
    """The head of a signed request."""
    url = urlsplit(door.address(method.lower(), key))
    return "\n".join((f"{method} {url.path}?{url.query} HTTP/1.1", f"Host: {url.netloc}", *headers, "", ""))


async def test_a_client_that_waits_hears_that_its_body_is_wanted(door: Door) -> None:
    async with wire(door) as client:
        await client.say(lines(door, "PUT", "a", "Content-Length: 5", "Expect: 100-continue"))
        assert (await client.head()).startswith("HTTP/1.1 100 ")
        await client.say(b"hello")
        assert (await client.head()).startswith("HTTP/1.1 200 ")
        # The connection goes on.
        await client.say(lines(door, "GET", "a"))
        assert (await client.head()).startswith("HTTP/1.1 200 ") and await client.reader.readexactly(5) == b"hello"
        assert (await in_thread(door.there)).keys() == {"a"}


async def test_a_refused_upload_gets_the_refusal(door: Door) -> None:
    size = 4 << 20
    async with wire(door) as client:
        signed = lines(door, "PUT", "b", f"Content-Length: {size}")
        await client.say(signed.replace("Signature=", "Signature=0"))
        await client.say(bytes(size))
        assert (await client.head()).startswith("HTTP/1.1 403 ")
    assert not await in_thread(door.there)


async def test_chunks_and_several_requests_at_once_pass(door: Door) -> None:
    async with wire(door) as client:
        put = lines(door, "PUT", "a", "Transfer-Encoding: chunked")
        await client.say(
            put.replace("\n", "\r\n").encode()
            + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
            + lines(door, "GET", "a").replace("\n", "\r\n").encode()
        )
        assert (await client.head()).startswith("HTTP/1.1 200 ")
        assert (await client.head()).startswith("HTTP/1.1 200 ")


SMUGGLED = [
    "Content-Length: 5\nTransfer-Encoding: chunked\n", "Content-Length: 5\nContent-Length: 6\n", "Content-Length: +5\n",
    "Content-Length : 5\n", "Transfer-Encoding: chunked, identity\n", "Transfer-Encoding: xchunked\n", "Content-Length: 5, 5\n",
    "Transfer-Encoding:\n chunked\n", "Host: other\n",
]  # fmt: skip


async def test_a_request_with_two_meanings_has_no_effect(door: Door) -> None:
    inner = lines(door, "PUT", "smuggled", "Content-Length: 1") + "x"
    for smuggled in SMUGGLED:
        async with wire(door) as client:
            head = lines(door, "PUT", "outer").rstrip("\n") + "\n" + smuggled + "\n"
            await client.say(head + "0\n\n" + inner)
            answer = await client.head()
        assert answer.split()[1].startswith("4"), (smuggled, answer)
    assert not await in_thread(door.there)


async def test_an_upload_that_breaks_off_stores_nothing(door: Door) -> None:
    async with wire(door) as client:
        await client.say(lines(door, "PUT", "half", f"Content-Length: {8 << 20}"))
        await client.say(bytes(6 << 20))
    await in_thread(door.s3.put_object, Bucket=BUCKET, Key="whole", Body=b"x")
    assert (await in_thread(door.there)).keys() == {"whole"}


async def test_a_request_waits_for_a_weed_that_is_starting(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.server.ready.clear()
    writing = asyncio.create_task(in_thread(door.s3.put_object, Bucket=BUCKET, Key="a", Body=b"x"))
    await asyncio.wait([writing], timeout=0.3)
    assert not writing.done()
    door.server.ready.set()
    await writing
    door.server.ready.clear()
    monkeypatch.setattr("object_store.gate._PATIENCE", 0.1)
    with pytest.raises(ClientError, match=r"ServiceUnavailable.*try again"):
        await in_thread(door.s3.put_object, Bucket=BUCKET, Key="a", Body=b"x")


@asynccontextmanager
async def before(weed: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[int]:
    """The port of a gate before this stand-in."""
    ready = asyncio.Event()
    ready.set()
    async with await asyncio.start_server(weed, "127.0.0.1", 0, limit=1024) as upstream:
        number = upstream.sockets[0].getsockname()[1]
        async with open_gate(0, f"http://127.0.0.1:{number}", Disk(), ready, boundless(Path("/"))) as port:
            yield port


async def test_an_answer_that_comes_before_the_body_was_sent_is_passed_on() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 4\r\n\r\nfull")
        await writer.drain()
        await reader.read(-1)
        writer.close()

    async with before(refuse) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n" + bytes(1 << 20))
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readuntil(b"full")).startswith(b"HTTP/1.1 507 ")
        writer.close()


async def test_a_body_is_not_gathered_in_memory() -> None:
    """From a client that sends faster than weed takes, no more is taken than the buffers on the way hold."""
    done = asyncio.Event()

    async def take_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with before(take_nothing) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            client.sendall(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
            sent, turns, piece = 0, 0, bytes(1 << 20)
            while sent < 128 << 20 and turns < 3000:  # turns of the gate's own loop in which it took nothing
                try:
                    sent, turns = sent + client.send(piece), 0
                except BlockingIOError:
                    turns += 1
                await asyncio.sleep(0)
        done.set()
    assert 0 < sent < 64 << 20


async def test_what_is_not_http_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async with before(lambda _, writer: writer.close()) as port:
        for said in (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
            b"\x16\x03\x01\r\n\r\n",
            b"GET / HTTP/9.9.9\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(PATIENCE):
                assert (await reader.readline()).split()[1] == b"400"
            writer.close()
    assert caplog.text == ""
