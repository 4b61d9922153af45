"""Ports that apps publish for each other."""

from __future__ import annotations

import asyncio
import socket

import pytest

from core.apps.sandbox import Ports
from pcloud.errors import Corrupt, Unavailable
from tests.waiting import PATIENCE, until

# Answers with a line upper-cased, on the port that is its own.
ECHO = """
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


def ask(place, text):
    import socket

    try:
        with socket.create_connection(tuple(place), timeout=5) as connection:
            connection.sendall(text.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read().decode().strip()
    except OSError:
        return ""


@pytest.fixture
async def echo(imprison, tmp_path):
    """An app with a port, and the connections to it."""
    port = Ports(tmp_path / "apps").published("echo", "line")
    import os
    import sys

    command = (os.path.realpath(sys.executable), "app.py", str(port.port))
    prisoner = await imprison("echo", ECHO, command=command, ports=(port,))

    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(ask, port[1:], "x"):
            await asyncio.sleep(0.02)
    return prisoner, port


async def test_another_apps_port_is_reached_by_whom_it_was_granted_and_by_the_host_alone(imprison, echo):
    _, port = echo
    friend = await imprison("friend", reaches=(port,))
    stranger = await imprison("stranger")
    assert await asyncio.to_thread(ask, port[1:], "host") == "HOST"
    assert await friend.do(ask, port[1:], "friend") == "FRIEND"
    assert await stranger.do(ask, port[1:], "stranger") == ""


async def test_a_grant_that_is_withdrawn_closes_the_port_at_the_next_connection(imprison, echo):
    _, port = echo
    friend = await imprison("friend", reaches=(port,))
    assert await friend.do(ask, port[1:], "friend") == "FRIEND"
    friend.allowed = False
    assert await friend.do(ask, port[1:], "friend") == ""


async def test_much_goes_through_and_half_closed_ends_stay_usable(imprison, echo):
    _, port = echo
    reader, writer = await asyncio.open_connection(port.address, port.port)
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


async def test_the_same_number_holds_after_a_restart_and_waits_for_the_app(imprison, echo):
    import os
    import signal

    prisoner, port = echo
    friend = await imprison("friend", reaches=(port,))
    os.kill(prisoner.supervisor.pid, signal.SIGKILL)
    await until(lambda: prisoner.supervisor.starts == 2 and prisoner.runs)
    async with asyncio.timeout(PATIENCE):
        while await friend.do(ask, port[1:], "again") != "AGAIN":
            await asyncio.sleep(0.02)


async def test_a_port_of_another_program_is_reported(imprison, tmp_path):
    port = Ports(tmp_path / "apps").published("echo", "line")
    with (
        socket.create_server(port[1:]),
        pytest.raises(Unavailable, match=f"{port.address}:{port.port} of echo is taken"),
    ):
        await imprison("echo", ECHO, command=("python3", "app.py", str(port.port)), ports=(port,))


async def test_a_published_port_is_not_on_any_address_of_cores(imprison, echo):
    """Browsers send what they keep for `localhost` to each of its ports."""
    _, port = echo
    assert await asyncio.to_thread(ask, port[1:], "host") == "HOST"
    for address in ("127.0.0.1", "::1"):
        assert await asyncio.to_thread(ask, (address, port.port), "host") == ""


def test_an_address_and_a_number_are_kept_and_no_other_apps(tmp_path):
    ports = Ports(tmp_path)
    chosen = {(app, name): ports.published(app, name) for app in ("one", "other") for name in ("s3", "admin")}
    assert len({one.port for one in chosen.values()}) == 4
    assert len({one.address for one in chosen.values()}) == 2
    assert {key: Ports(tmp_path).published(*key) for key in chosen} == chosen


def test_a_number_from_before_addresses_is_kept(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "ports.json").write_text('{"s3": 17000}')
    port = Ports(tmp_path).published("one", "s3")
    assert port.port == 17000 and port.address.startswith("127.") and port.address != "127.0.0.1"


def test_a_damaged_file_of_ports_is_reported(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "ports.json").write_text("{")
    with pytest.raises(Corrupt, match=r"ports\.json can't be read"):
        Ports(tmp_path).published("one", "s3")


async def test_an_app_that_does_not_run_is_not_reached(tmp_path):
    with pytest.raises(Unavailable, match="does not run"):
        await Ports(tmp_path).connect("one", 1)


def test_port_that_an_app_chose_itself_keeps_its_number(tmp_path):
    """As an object storage did before ports were published: its clients know that number."""
    data = tmp_path / "store" / "data"
    data.mkdir(parents=True)
    (data / "ports.json").write_text('{"s3": 17706, "master": 21985}')
    for _ in range(2):
        port = Ports(tmp_path).published("store", "s3")
        assert port.port == 17706 and port.address != "127.0.0.1"
        (data / "ports.json").write_text("{}")
    assert (tmp_path / "store" / "earlier_ports.json").read_text() == '{"s3":17706}'


def test_attack_port_in_an_apps_data_is_no_number_of_another(tmp_path):
    taken = Ports(tmp_path).published("other", "line").port
    for app, text in (("low", '{"s3": 22}'), ("other-s", f'{{"s3": {taken}}}'), ("broken", "[1]")):
        (tmp_path / app / "data").mkdir(parents=True)
        (tmp_path / app / "data" / "ports.json").write_text(text)
        assert Ports(tmp_path).published(app, "s3").port not in (22, taken)
    (tmp_path / "link" / "data").mkdir(parents=True)
    (tmp_path / "secret.json").write_text('{"s3": 17706}')
    (tmp_path / "link" / "data" / "ports.json").symlink_to(tmp_path / "secret.json")
    assert Ports(tmp_path).published("link", "s3").port != 17706
    assert not list(tmp_path.glob("*/earlier_ports.json"))


@pytest.mark.parametrize("taken", [False, True])
async def test_program_reaches_the_port_at_its_earlier_address(tmp_path, taken):
    """If another program has taken that one, the port's own address is still open."""
    number = Ports(tmp_path / "free").published("any", "s3").port
    (tmp_path / "store" / "data").mkdir(parents=True)
    (tmp_path / "store" / "data" / "ports.json").write_text(f'{{"s3": {number}}}')
    ports = Ports(tmp_path)
    port = ports.published("store", "s3")

    async def answer(_):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        theirs.shutdown(socket.SHUT_WR)
        answered.append(theirs)
        return ours

    def request(address, host, more=""):
        with socket.create_connection((address, number), timeout=PATIENCE) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{number}\r\n{more}\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(100)

    answered = []
    with socket.socket() as other:
        if taken:
            other.bind(("127.0.0.1", number))
            other.listen()
        await ports.open("store", [port], answer)
        assert b"204" in await asyncio.to_thread(request, port.address, "127.0.0.1")
        if not taken:
            assert b"204" in await asyncio.to_thread(request, "127.0.0.1", "127.0.0.1")
            assert await asyncio.to_thread(request, "127.0.0.1", "localhost") == b""
            assert await asyncio.to_thread(request, "127.0.0.1", "127.0.0.1", "Cookie: a=b\r\n") == b""
        await ports.close("store")
    for one in answered:
        one.close()
