"""Attacks on what surrounds a node, by apps in real sandboxes with a grant for outside hosts: names that lead back in, and ways around."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import psutil
import pytest

from core.access.grant import grant_id, grant_ref, grant_values
from core.apps import AppState
from core.apps.egress import Outside
from core.apps.sandbox.inside import Inside
from core.graph.command import EntityChange
from pcloud.errors import Rejected
from pcloud.manifest import Manifest
from pcloud.subject import Ref
from projections.directory import Grant
from tests.integration.app.conftest import make_app
from tests.integration.app.platform import Platform, approve_all, open_platform
from tests.integration.egress.conftest import imprison, machine, travel, world
from tests.integration.egress.world import PUBLIC, World
from tests.integration.sandbox.prisoner import SERVE, source
from tests.waiting import until

__all__ = ["imprison", "machine", "make_app", "travel", "world"]

BACK_IN = [
    "127.0.0.1", "127.64.1.1", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "10.0.0.1", "172.17.0.1", "192.168.1.1", "100.64.0.1",
    "fd00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "2001:0:7f00:1::1",
    "224.0.0.1", "ff02::1", "255.255.255.255",
]  # fmt: skip


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    await writer.drain()


def own_addresses() -> list[str]:
    """Those addresses of this machine at which something answers."""
    found = [one.address for card in psutil.net_if_addrs().values() for one in card if one.family == socket.AF_INET]
    return sorted(set(found))


def read(name: str, port: int) -> str:
    """Return the answer of a host that the app knows by name."""
    import socket

    try:
        with socket.create_connection((name, port), timeout=10) as connection:
            return connection.makefile().read()
    except OSError as error:
        return type(error).__name__


def connect(target: str) -> str:
    """Return the status that the proxy answers to CONNECT, and what follows."""
    import os
    import socket
    from urllib.parse import urlsplit

    proxy = urlsplit(os.environ["HTTPS_PROXY"])
    with socket.create_connection((proxy.hostname, proxy.port), timeout=10) as connection:
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        said = connection.makefile(newline="").read()
    return said.split(" ")[1] + (" hello" if said.endswith("hello") else "")


def socks(command: int, kind: int, address: list[int], port: int) -> int:
    """Return the code that the proxy answers to a request of SOCKS5."""
    import os
    import socket
    from urllib.parse import urlsplit

    proxy = urlsplit(os.environ["ALL_PROXY"])
    with socket.create_connection((proxy.hostname, proxy.port), timeout=10) as connection:
        connection.sendall(b"\x05\x01\x00")
        assert connection.recv(2) == b"\x05\x00"
        connection.sendall(bytes([5, command, 0, kind, *address]) + port.to_bytes(2, "big"))
        return connection.recv(10)[1]


# --- names that lead back in ---------------------------------------------------------------------------------------------------


async def test_attack_name_that_resolves_back_inside_is_not_dialled(world: World, travel: Callable[..., Any]) -> None:
    """By each address that is this machine's or beside it; real servers listen on those that it has."""
    port = await world.serve(hello, "0.0.0.0")
    addresses = list(dict.fromkeys([*BACK_IN, *own_addresses()]))
    names = {f"n{number}.example.test": [[address]] for number, address in enumerate(addresses)}
    world.names = names
    wide = await travel("internet")
    assert [await wide.do(connect, f"{name}:{port}") for name in names] == ["403"] * len(names)
    await wide.prisoner.supervisor.stop()
    exact = await travel(*(f"{name}:{port}" for name in names))
    for name in names:
        assert await exact.do(read, name, port) in ("", "ConnectionResetError")
    assert world.heard == [], "no server of the machine was asked"
    whys = {target.partition(":")[0]: why for target, why in world.book.refusals()}
    assert "169.254.169.254 is link-local" in whys["n5.example.test"], "the reason is written down"


async def test_attack_rebinding_name_is_resolved_once_and_that_is_dialled(
    world: World, travel: Callable[..., Any]
) -> None:
    port = await world.serve(hello)
    inside = await world.serve(hello, "127.0.0.1", port)
    assert inside == port
    world.names = {
        "turns.example.test": [[PUBLIC], ["127.0.0.1"]],
        "both.example.test": [["127.0.0.1", "10.0.0.1", PUBLIC]],
    }
    one = await travel(f"turns.example.test:{port}", f"both.example.test:{port}")
    assert await one.do(read, "turns.example.test", port) == "hello"
    assert world.asked == ["turns.example.test"], "a second answer is never asked for"
    assert await one.do(read, "turns.example.test", port) in ("", "ConnectionResetError"), "and refused when it comes"
    assert await one.do(read, "both.example.test", port) == "hello"
    assert set(world.heard) == {PUBLIC}


async def test_attack_wide_grant_reaches_no_machine_of_the_home(world: World, travel: Callable[..., Any]) -> None:
    """Only a grant that names the machine allows it, and no name that a stranger can register."""
    home = "10.77.0.1"  # nothing answers there
    world.names = {name: [[home]] for name in ("nas.local", "nas", "api.example.test")}
    wide = await travel("internet", "*.example.test:445")
    assert [await wide.do(connect, f"{name}:445") for name in ("nas.local", "nas", "api.example.test")] == ["403"] * 3
    assert world.asked == ["api.example.test"], "names of the home are not even looked up"


# --- ways around names -----------------------------------------------------------------------------------------------------------


async def test_attack_address_in_place_of_a_name_is_refused(world: World, travel: Callable[..., Any]) -> None:
    port = await world.serve(hello, "0.0.0.0")
    one = await travel("internet")
    spellings = [
        PUBLIC, "127.0.0.1", "[::1]", "::1", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "localhost",
        "LOCALHOST.", "x.localhost", "localhost.localdomain", "127.0.0.1.", "", "..", "api.example.test@127.0.0.1",
        "127.0.0.1%00.example.test",
    ]  # fmt: skip
    assert {await one.do(connect, f"{name}:{port}") for name in spellings} <= {"403", "400"}
    assert [await one.do(socks, 1, 1, [127, 0, 0, 1], port), await one.do(socks, 1, 4, [0] * 15 + [1], port)] == [2, 2]
    for text in ("127.0.0.1", "::1", "localhost"):
        assert await one.do(socks, 1, 3, [len(text), *text.encode()], port) == 2
    assert world.heard == [] and world.asked == []


async def test_attack_name_beside_the_granted_one_is_refused(world: World, travel: Callable[..., Any]) -> None:
    port = await world.serve(hello)
    other = await world.serve(hello)
    near = [
        "evil-example.test",
        "example.test.evil",
        "example.test",
        "evilexample.test",
        "a.example.test.evil.test",
        "xn--example.test",
    ]
    world.names = {name: [[PUBLIC]] for name in [*near, "a.example.test"]}
    one = await travel(f"*.example.test:{port}")
    assert {await one.do(connect, f"{name}:{port}") for name in near} == {"403"}
    assert await one.do(connect, f"a.example.test:{other}") == "403", "the port was not granted"
    assert world.asked == [] and world.heard == []
    same = ["a.example.test", "A.EXAMPLE.TEST", "a.example.test."]
    assert [await one.do(connect, f"{name}:{port}") for name in same] == ["200 hello"] * 3
    assert world.asked == ["a.example.test"] * 3


async def test_attack_by_udp_leaves_no_sandbox(world: World, travel: Callable[..., Any]) -> None:
    heard: list[bytes] = []

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            heard.append(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Ear, ("0.0.0.0", 0))
    port = transport.get_extra_info("sockname")[1]

    def shout(addresses: list[str], port: int) -> list[str]:
        import socket

        said = []
        for address in addresses:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                try:
                    one.sendto(b"out", (address, port))
                    said.append("sent" if not address.startswith("127.") else "to itself")
                except OSError:
                    said.append("refused")
        return said

    one = await travel("internet")
    addresses = [address for address in own_addresses() if not address.startswith("127.")]
    assert set(await one.do(shout, [*addresses, "8.8.8.8", "127.0.0.1"], port)) <= {"refused", "to itself"}
    assert [await one.do(socks, 3, 1, [0, 0, 0, 0], 0), await one.do(socks, 2, 1, [0, 0, 0, 0], 0)] == [7, 7]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.sendto(b"the test itself", ("127.0.0.1", port))
    await until(lambda: heard)
    assert heard == [b"the test itself"]
    transport.close()


async def test_attack_by_connections_without_a_question_is_bounded(
    world: World, travel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that send nothing, or a head without end, lose their connection."""
    monkeypatch.setattr("core.apps.egress.proxy_request.READ_SECONDS", 0.5)
    one = await travel("internet")

    def bother(what: str, times: int) -> str:
        import os
        import socket
        from urllib.parse import urlsplit

        proxy = urlsplit(os.environ["HTTPS_PROXY"])
        with socket.create_connection((proxy.hostname, proxy.port), timeout=10) as connection:
            try:
                for _ in range(times):
                    connection.sendall(what.encode())
                return connection.makefile(newline="").read()[:12]
            except OSError:
                return ""

    assert await one.do(bother, "", 1) == ""
    assert await one.do(bother, "CONNECT a.example.test:443 HTTP/1.1\r\nX: " + "x" * 1000, 100) in ("", "HTTP/1.1 400")
    assert await one.do(bother, "GET / HTTP/1.1\r\n\r\n", 1) == "HTTP/1.1 400"


# --- withdrawn grants ----------------------------------------------------------------------------------------------------------


async def test_attack_withdrawn_grant_cuts_an_open_connection(world: World, travel: Callable[..., Any]) -> None:
    ended = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        try:
            await reader.read()
        finally:
            ended.set()

    port = await world.serve(wait)
    world.names = {"api.example.test": [[PUBLIC]]}
    one = await travel(f"api.example.test:{port}")

    def hold(port: int) -> str:
        import socket

        with socket.create_connection(("api.example.test", port), timeout=20) as connection:
            try:
                return connection.makefile().read()
            except OSError:
                return "cut"

    holding = asyncio.create_task(one.do(hold, port))
    await until(lambda: world.heard)
    one.withdraw()
    assert await asyncio.wait_for(holding, 5) in ("", "x", "cut")
    await asyncio.wait_for(ended.wait(), 5)
    assert await one.do(read, "api.example.test", port) in ("", "ConnectionResetError"), "and no new one is made"
    assert len(world.heard) == 1


async def test_attack_grant_withdrawn_while_the_name_is_resolved_is_not_dialled(
    world: World, travel: Callable[..., Any]
) -> None:
    port, asked, go = await world.serve(hello), asyncio.Event(), asyncio.Event()

    async def slowly(name: str) -> list[str]:
        asked.set()
        await go.wait()
        return [PUBLIC]

    one = await travel(f"api.example.test:{port}")
    one.egress._outside = Outside(slowly, lambda address, home: "")
    reading = asyncio.create_task(one.do(read, "api.example.test", port))
    await asked.wait()
    one.withdraw()
    go.set()
    assert await reading in ("", "ConnectionResetError")
    assert world.heard == []


# --- a whole node's apps ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def platform(world: World, tmp_path: Any, machine: Any) -> AsyncIterator[Platform]:
    async with open_platform(tmp_path / "node", unconfined=False, machine=machine, egress=world.egress) as platform:
        yield platform


async def inside(platform: Platform, action: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a function in the app `tiny`."""
    address = platform.apps.web_address("tiny")
    assert isinstance(address, Inside)
    reader, writer = await asyncio.open_connection(sock=await address.connect())
    writer.write(msgspec.json.encode(source(action, args)) + b"\n")
    said = msgspec.json.decode(await reader.readline())
    writer.close()
    assert "error" not in said, said
    return said["answer"]


@pytest.mark.parametrize(
    "network", ["host", "peers", "[127.0.0.1:22]", "['[::1]:22']", "['localhost:8080']", "['*.local:445']"]
)
async def test_attack_app_that_asks_for_the_machine_is_refused(
    platform: Platform, make_app: Callable[..., bytes], network: str
) -> None:
    with pytest.raises(Rejected, match=r"network|address|computer|nodes|wide"):
        await platform.apps.install(make_app(f"uses: [{{network: {network}}}]\n"), approve=approve_all)
    assert await platform.apps.list() == []


async def test_attack_grant_of_the_machines_network_from_before_gives_nothing(
    platform: Platform, make_app: Callable[..., bytes]
) -> None:
    """An app of an older version, whose manifest and approved grant still say `host`."""
    await platform.apps.install(make_app(web=True, script=SERVE), approve=approve_all)
    manifest = msgspec.json.decode(msgspec.json.encode((await platform.apps.get("tiny")).manifest))
    manifest["uses"] = [{"network": "host"}]
    old = msgspec.json.encode(msgspec.convert(manifest, Manifest)).decode()
    grant = Grant("tiny", "network", "host", state="approved", id=grant_id("tiny", "network", "host"))
    changes = [
        EntityChange(Ref("core", "App", "tiny"), "update", set={"manifest": old}),
        EntityChange(grant_ref(grant), "upsert", set=grant_values(grant)),
    ]
    await platform.commands.write("owner", changes)
    assert (await platform.apps.restart("tiny")).state is AppState.RUNNING

    def look(addresses: list[str], port: int) -> list[Any]:
        import os
        import socket

        reached = []
        for address in addresses:
            try:
                with socket.create_connection((address, port), timeout=3):
                    reached.append(address)
            except OSError:
                pass
        return [[name for _, name in socket.if_nameindex()], reached, os.environ["PCLOUD_URL"]]

    with socket.create_server(("0.0.0.0", 0)) as server:
        seen = await inside(platform, look, own_addresses(), server.getsockname()[1])
    assert seen == [["lo"], [], "http://127.0.0.1:4280"]


async def test_attack_owner_who_withdraws_ends_what_is_open_at_once(
    platform: Platform, world: World, make_app: Callable[..., bytes]
) -> None:
    """Before the app, which may be slow to end, is started with the current grants."""
    ended = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            ended.set()

    port = await world.serve(wait)
    world.names = {"api.example.test": [[PUBLIC]]}
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE
    asks = f"uses: [{{network: ['api.example.test:{port}'], optional: true}}]\n"
    await platform.apps.install(make_app(asks, web=True, script=stubborn), approve=approve_all)

    def hold(port: int) -> str:
        import socket
        import threading

        connection = socket.create_connection(("api.example.test", port), timeout=20)
        threading.Thread(target=connection.recv, args=(1,)).start()
        return "held"

    assert await inside(platform, hold, port) == "held"
    await until(lambda: world.heard)
    withdrawing = asyncio.create_task(
        platform.apps.set_grant("tiny", grant_id("tiny", "network", f"api.example.test:{port}"), False)
    )
    await asyncio.wait_for(ended.wait(), 2)
    assert not withdrawing.done(), "the app has not ended yet"
    assert (await withdrawing).state is AppState.RUNNING
    assert await inside(platform, read, "api.example.test", port) == "gaierror", "its name is gone as well"
