"""Ports that apps have for each other."""

from __future__ import annotations

import asyncio
import socket

import pytest

from core.sandbox import Ports
from pcloud.errors import Corrupt, Unavailable
from tests.integration.app.conftest import until

# Answers with a line upper-cased, on the port that is its own.
ECHO = """
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


def ask(port, text):
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(text.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read().decode().strip()
    except OSError:
        return ""


@pytest.fixture
async def echo(imprison, tmp_path):
    """An app with a port, and its number."""
    number = Ports(tmp_path / "apps").number("echo", "line")
    import os
    import sys

    command = (os.path.realpath(sys.executable), "app.py", str(number))
    prisoner = await imprison("echo", ECHO, command=command, ports=(number,))

    async with asyncio.timeout(10):
        while not await asyncio.to_thread(ask, number, "x"):
            await asyncio.sleep(0.02)
    return prisoner, number


async def test_another_apps_port_is_reached_by_whom_it_was_granted_and_by_the_host_alone(imprison, echo):
    _, number = echo
    friend = await imprison("friend", reaches=(("echo", number),))
    stranger = await imprison("stranger")
    assert await asyncio.to_thread(ask, number, "host") == "HOST"
    assert await friend.do(ask, number, "friend") == "FRIEND"
    assert await stranger.do(ask, number, "stranger") == ""


async def test_a_grant_that_is_withdrawn_closes_the_port_at_the_next_connection(imprison, echo):
    _, number = echo
    friend = await imprison("friend", reaches=(("echo", number),))
    assert await friend.do(ask, number, "friend") == "FRIEND"
    friend.allowed = False
    assert await friend.do(ask, number, "friend") == ""


async def test_much_goes_through_and_half_closed_ends_stay_usable(imprison, echo):
    _, number = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    line = b"x" * 60_000 + b"\n"

    async def send():
        for _ in range(200):
            writer.write(line)
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    got = 0
    while piece := await reader.read(2**16):
        got += len(piece)
    await sending
    writer.close()
    assert got == 200 * len(line)


async def test_the_same_number_holds_after_a_start_anew_and_waits_for_the_app(imprison, echo):
    import os
    import signal

    prisoner, number = echo
    friend = await imprison("friend", reaches=(("echo", number),))
    os.kill(prisoner.supervisor.pid, signal.SIGKILL)
    await until(lambda: prisoner.supervisor.starts == 2 and prisoner.runs)
    async with asyncio.timeout(10):
        while await friend.do(ask, number, "again") != "AGAIN":
            await asyncio.sleep(0.02)


async def test_a_port_that_another_program_has_is_told(imprison, tmp_path):
    number = Ports(tmp_path / "apps").number("echo", "line")
    with (
        socket.create_server(("127.0.0.1", number)),
        pytest.raises(Unavailable, match=f"port {number} of echo is taken"),
    ):
        await imprison("echo", ECHO, command=("python3", "app.py", str(number)), ports=(number,))


def test_a_number_is_kept_and_no_other_apps(tmp_path):
    ports = Ports(tmp_path)
    numbers = {(app, name): ports.number(app, name) for app in ("one", "other") for name in ("s3", "admin")}
    assert len(set(numbers.values())) == 4
    assert {key: Ports(tmp_path).number(*key) for key in numbers} == numbers


def test_a_file_of_ports_that_is_none_is_told(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "ports.json").write_text("{")
    with pytest.raises(Corrupt, match=r"ports\.json can't be read"):
        Ports(tmp_path).number("one", "s3")


async def test_an_app_that_does_not_run_is_not_reached(tmp_path):
    with pytest.raises(Unavailable, match="does not run"):
        await Ports(tmp_path).connect("one", 1)
