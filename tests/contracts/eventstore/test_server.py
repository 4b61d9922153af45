"""The contract of the embedded server: private files, one port, one node per folder, users without interruptions, clear
refusals."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from pathlib import Path

import nkeys
import psutil
import pytest
from nats.aio.client import Client

from eventstore import ConnectionSettings, Credentials, ServerSettings, open_server, open_store
from pcloud.errors import Corrupt, Rejected, Unavailable


def new_nkey() -> tuple[str, str]:
    """Seed and public half of a user's nkey."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode(), nkeys.from_seed(seed).public_key.decode()


async def connect(url: str, seed: str, **options) -> Client:
    client = Client()
    await client.connect(url, nkeys_seed_str=seed, allow_reconnect=False, **options)
    return client


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_its_user_can_read_its_folder_and_secrets(server, tmp_path):
    folder = tmp_path / "nats"
    assert mode(folder) == 0o700
    assert mode(folder / "nats.conf") == mode(folder / "server.json") == 0o600
    config = json.loads((folder / "nats.conf").read_text())
    assert config["host"] == "127.0.0.1"
    assert config["jetstream"]["sync_interval"] == "always"
    assert config["log_file"] == str(server.log_path) and server.log_path.exists()


async def test_port_credentials_and_log_stay_over_restarts(tmp_path, make):
    settings = ServerSettings(tmp_path)
    async with open_server(settings) as server:
        before = (server.url, server.core, server.dispatcher)
        async with open_store(ConnectionSettings(server.url, server.core)) as store:
            epoch = store.epoch
            await store.append(make.tx(make.event("a")))
        pid = server.pid
    assert not psutil.pid_exists(pid)
    async with open_server(settings) as server:
        assert (server.url, server.core, server.dispatcher) == before
        async with open_store(ConnectionSettings(server.url, server.core)) as store:
            assert (store.epoch, await store.last_sequence()) == (epoch, 1)


async def test_a_named_port_is_used_and_a_taken_one_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port} on 127.0.0.1 is taken"):
            async with open_server(ServerSettings(tmp_path, port=port)):
                pass
    async with open_server(ServerSettings(tmp_path, port=port)) as server:
        assert server.url == f"nats://127.0.0.1:{port}"


async def test_a_second_node_on_the_same_folder_is_refused_and_the_first_lives_on(server, store, make, tmp_path):
    with pytest.raises(Unavailable, match="another node is running on"):
        async with open_server(ServerSettings(tmp_path / "nats")):
            pass
    await store.append(make.tx(make.event("a")))


async def test_a_missing_binary_is_named(tmp_path, monkeypatch):
    with pytest.raises(Unavailable, match="the program '/nowhere/nats-server' does not exist"):
        async with open_server(ServerSettings(tmp_path, binary="/nowhere/nats-server")):
            pass
    monkeypatch.setattr("eventstore.server.binary.shutil.which", lambda *_, **__: None)
    with pytest.raises(Unavailable, match="nats-server is missing: install the package"):
        async with open_server(ServerSettings(tmp_path)):
            pass


async def test_a_server_that_can_not_start_is_quoted(tmp_path):
    (tmp_path / "jetstream").write_text("a file where its folder should be")
    with pytest.raises(Unavailable, match=r"nats-server does not start: it ended.*storage directory"):
        async with open_server(ServerSettings(tmp_path)):
            pass
    assert not [child for child in psutil.Process().children() if child.name() == "nats-server"]


async def test_a_broken_identity_is_corrupt(tmp_path):
    (tmp_path / "server.json").write_text("{")
    with pytest.raises(Corrupt, match=r"server\.json can't be read"):
        async with open_server(ServerSettings(tmp_path)):
            pass


async def test_connections_without_credentials_are_refused(server):
    for credentials in (Credentials(), Credentials("core", "wrong"), Credentials("core", "")):
        with pytest.raises(Unavailable, match="can't be used"):
            async with open_store(ConnectionSettings(server.url, credentials, connect_timeout=0.5)):
                pass


async def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Unavailable, match=r"nats://127\.0\.0\.1:1 can't be used"):
        async with open_store(ConnectionSettings("nats://127.0.0.1:1", connect_timeout=0.5)):
            pass


async def test_credentials_do_not_show_in_messages(server):
    assert server.core.password and server.core.password not in repr(server.core)
    assert server.core.password not in repr(ConnectionSettings(server.url, server.core))


async def test_users_come_and_go_without_disturbing_others(server, store, make):
    (photos_seed, photos), (faces_seed, faces) = new_nkey(), new_nkey()
    await server.set_app_users({"photos": photos})
    closed = asyncio.Event()

    async def on_close() -> None:
        closed.set()

    photos_client = await connect(server.url, photos_seed, closed_cb=on_close)
    with pytest.raises(Exception, match="uthorization"):
        await connect(server.url, faces_seed)

    await server.set_app_users({"photos": photos, "face-detector": faces})
    faces_client = await connect(server.url, faces_seed)
    await photos_client.flush()

    await server.set_app_users({"face-detector": faces})
    async with asyncio.timeout(5):
        await closed.wait()
    await faces_client.flush()
    assert store.nats.stats["reconnects"] == 0
    await store.append(make.tx(make.event("a")))
    await faces_client.close()


async def test_the_same_users_again_change_nothing(server, tmp_path):
    _, photos = new_nkey()
    await server.set_app_users({"photos": photos})
    before = (tmp_path / "nats" / "nats.conf").stat()
    await server.set_app_users({"photos": photos})
    after = (tmp_path / "nats" / "nats.conf").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


async def test_users_that_the_server_refuses_change_nothing(server):
    seed, photos = new_nkey()
    await server.set_app_users({"photos": photos})
    with pytest.raises(Unavailable, match="did not accept its new users"):
        await server.set_app_users({"photos": photos, "broken": "no-nkey"})
    with pytest.raises(Rejected):
        await server.set_app_users({"bad.name": photos})
    await server.set_app_users({"photos": photos})
    await (await connect(server.url, seed)).close()


async def test_users_stay_when_the_server_is_started_again(server, until):
    seed, photos = new_nkey()
    await server.set_app_users({"photos": photos})
    pid = server.pid
    psutil.Process(pid).kill()

    async def back() -> bool:
        return server.pid not in (None, pid)

    await until(back)
    await (await connect(server.url, seed)).close()
