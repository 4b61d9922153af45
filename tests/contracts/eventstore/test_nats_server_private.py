"""What PCloud reads in nats-server's log: a version that writes its lines in another form fails here with a plain message."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import nats.errors
import nkeys
import pytest
from nats.aio.client import Client

from eventstore import EmbeddedServer, ServerSettings, open_server
from eventstore.server.binary import find_binary
from eventstore.server.config import SUBSCRIPTIONS
from eventstore.server.nats_server_private import Denial, last_words, parse_denial, tells_of_full_disk
from tests.waiting import until

VERSION = subprocess.run([find_binary(None), "--version"], capture_output=True, text=True).stdout.strip()
CHANGED = f"{VERSION} writes its log in another form: see eventstore/server/nats_server_private.py about"


class App:
    """An app that is signed in to the server, and what the server's log says about it."""

    def __init__(self, server: EmbeddedServer, client: Client, nkey: str) -> None:
        self.server, self.client, self.nkey = server, client, nkey

    async def denied(self, what: str) -> Denial:
        """The denial of this kind, once the log has it."""

        def found() -> Denial | None:
            denials = [parse_denial(line) for line in self.server.log_path.read_text().splitlines()]
            return next((one for one in denials if one and one.what == what), None)

        said = await until(found, what=f"a line about {what}: {CHANGED} denials")
        assert isinstance(said, Denial)
        return said


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    async with open_server(ServerSettings(tmp_path / "nats")) as server:
        await server.set_app_users({"puppy": public})
        client = Client()

        async def ignore(error: Exception) -> None: ...

        await client.connect(server.url, nkeys_seed_str=seed.decode(), allow_reconnect=False, error_cb=ignore)
        yield App(server, client, public)
        await client.close()


async def test_each_denial_is_read_with_its_app(app: App) -> None:
    await app.client.publish("graph.a.b.c", b"")
    await app.client.publish("_INBOX.core.puppy.x", b"", reply="_R_.a.b")
    await app.client.subscribe(">")
    await app.client.flush()
    for what, subject in (("publish", "graph.a.b.c"), ("reply", "_R_.a.b"), ("subscribe", ">")):
        said = await app.denied(what)
        assert (said.nkey, said.subject) == (app.nkey, subject), f"{CHANGED} denials"


async def test_too_many_subscriptions_are_read(app: App) -> None:
    for number in range(SUBSCRIPTIONS + 1):
        await app.client.subscribe(f"call.puppy.a{number}", queue="puppy")
    assert (await app.denied("number")).nkey == app.nkey, f"{CHANGED} denials"


async def test_a_refused_sign_in_is_read(app: App) -> None:
    stranger = Client()
    with pytest.raises(nats.errors.Error):
        await stranger.connect(app.server.url, user="core", password="wrong", allow_reconnect=False)
    assert (await app.denied("signin")).user == "", f"{CHANGED} denials"


@pytest.mark.parametrize("words", [b"PUB " + b"x" * 10_000, b"PUB call.a.b 9999999\r\n"])
async def test_a_message_that_is_too_large_is_read(app: App, words: bytes) -> None:
    user = app.server.dispatcher
    host, _, port = app.server.url.removeprefix("nats://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    connect = json.dumps({"user": user.user, "pass": user.password, "verbose": False, "pedantic": False})
    writer.write(b"CONNECT " + connect.encode() + b"\r\nPING\r\n")
    assert await reader.readline() == b"PONG\r\n"
    writer.write(words)
    assert (await app.denied("size")).user == user.user, f"{CHANGED} denials"
    writer.close()


def test_the_reason_of_a_server_that_ends_is_read(tmp_path: Path) -> None:
    """Its data folder is a file."""
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [find_binary(None), "-p", "-1", "-js", "-sd", str(tmp_path / "file")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    words = last_words(ended.stderr.splitlines())
    assert ended.returncode and "[FTL]" in words and "not a directory" in words, (
        f"{CHANGED} the reason of an end: {ended.stderr}"
    )


def test_line_about_a_full_disk_is_known() -> None:
    """A real server meets a full disk in tests/integration/node/test_small_disk.py."""
    said = (
        "[6559] 2026/11/30 20:59:56.867948 [ERR] JetStream failed to store a msg on stream 'CORE > RUNS': "
        "write /data/nats/jetstream/jetstream/CORE/streams/RUNS/msgs/1.blk: no space left on device"
    )
    assert tells_of_full_disk(said)
    assert not tells_of_full_disk(said.replace("no space left on device", "input/output error"))
    faked = f'[6559] 2026/11/30 20:59:56.867948 [ERR] 127.0.0.1:1 - cid:5 - "{said}" - authentication error'
    assert not tells_of_full_disk(faked)
