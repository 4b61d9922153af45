"""The node is killed, or its server keeps dying: nothing is left behind or blocks the next start."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from eventstore import ConnectionSettings, ServerSettings, StoreSettings, open_server, open_store
from eventstore.server.binary import find_binary
from eventstore.server.ended import wait_ended
from pcloud.errors import Unavailable
from tests.waiting import until

NODE = """
import asyncio, sys
from pathlib import Path
from eventstore import ServerSettings, open_server

async def main():
    async with open_server(ServerSettings(Path(sys.argv[1]))) as server:
        print(server.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def start_node(folder: Path) -> tuple[asyncio.subprocess.Process, psutil.Process]:
    """Return another process that runs the server, and the server's own process."""
    node = await asyncio.create_subprocess_exec(
        sys.executable, "-c", NODE, str(folder), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert node.stdout is not None
    return node, psutil.Process(int(await node.stdout.readline()))


async def gone(process: psutil.Process) -> bool:
    return not await asyncio.to_thread(wait_ended, [process], 20)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_the_server_goes_with_a_killed_node(tmp_path):
    node, server = await start_node(tmp_path)
    node.kill()
    await node.wait()
    assert await gone(server)


async def test_server_that_outlived_its_node_does_not_block_the_next(tmp_path):
    """As on systems that let it live, or if it hangs: it holds the port and the files."""
    async with open_server(ServerSettings(tmp_path)) as server:
        url = server.url
    left = await asyncio.create_subprocess_exec(str(find_binary(None)), "-c", str(tmp_path / "nats.conf"))
    while not (tmp_path / "nats.pid").exists() or (tmp_path / "nats.pid").read_text().strip() != str(left.pid):
        await asyncio.sleep(0.01)
    async with open_server(ServerSettings(tmp_path)) as server:
        assert server.url == url and server.pid != left.pid
        await left.wait()
        async with open_store(ConnectionSettings(server.url, server.core)) as store:
            assert await store.last_sequence() == 0


async def test_server_that_ends_during_the_check_does_not_block(tmp_path, monkeypatch):
    """The kernel ends it, since its node is gone."""
    left = await asyncio.create_subprocess_exec("sleep", "60")
    process = psutil.Process(left.pid)
    left.kill()
    await left.wait()
    monkeypatch.setattr("eventstore.server.folder._server_of", lambda *_: process)
    async with open_server(ServerSettings(tmp_path)) as server:
        assert server.pid


async def test_a_pid_that_belongs_to_another_program_now_is_left_alone(tmp_path):
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    (tmp_path / "nats.pid").write_text(str(bystander.pid))
    async with open_server(ServerSettings(tmp_path)):
        assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_sigterm_of_the_server_alone_is_mended_too(server, store, make):
    pid = server.pid
    os.kill(pid, signal.SIGTERM)
    while server.pid in (None, pid):
        await asyncio.sleep(0.01)
    assert (await store.append(make.tx(make.event("a")))).sequences == (1,)


async def test_a_server_that_keeps_dying_is_started_until_it_lives(tmp_path):
    program = tmp_path / "broken-nats-server"
    program.write_text(
        textwrap.dedent(
            f"""\
            #!/bin/sh
            if [ -e {tmp_path}/broken ]; then echo "[FTL] the disk is gone"; exit 1; fi
            exec {find_binary(None)} "$@"
            """
        )
    )
    program.chmod(0o755)
    async with open_server(ServerSettings(tmp_path / "nats", binary=str(program))) as server:
        (tmp_path / "broken").touch()
        psutil.Process(server.pid).kill()
        await until(lambda: "the disk is gone" in server.problem)
        assert "keeps starting it" in server.problem and server.pid is None
        (tmp_path / "broken").unlink()
        await until(lambda: server.pid)
        assert server.problem == "" and server.failed.reason is None


async def test_an_append_without_a_server_says_that_it_is_unknown(tmp_path, make):
    async with open_server(ServerSettings(tmp_path)) as server:
        settings = StoreSettings(append_timeout=0.3, ack_timeout=0.1)
        async with open_store(ConnectionSettings(server.url, server.core), settings=settings) as store:
            os.kill(server.pid, signal.SIGSTOP)
            while psutil.Process(server.pid).status() != psutil.STATUS_STOPPED:
                await asyncio.sleep(0.01)
            try:
                with pytest.raises(Unavailable, match=r"unknown.*same idempotency key"):
                    await store.append(make.tx(make.event("a")))
            finally:
                os.kill(server.pid, signal.SIGCONT)
