"""Hosts that an app was granted by name: any protocol, TLS checked end to end, and nothing else."""

from __future__ import annotations

import asyncio
import socket

from tests.integration.egress.world import PUBLIC, certificates
from tests.waiting import until


async def greet(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    await writer.drain()


def fetch(url, authority=""):
    import ssl
    import urllib.request

    context = ssl.create_default_context(cafile="/app/ca.pem" if authority else None)
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return answer.read().decode()
    except OSError as error:
        return str(error)


async def test_a_named_host_is_reached_over_tls_that_the_app_checks_itself(world, travel, tmp_path):
    world.names = {"api.example.test": [[PUBLIC]], "other.example.test": [[PUBLIC]]}
    port = await world.serve(greet, tls=certificates(tmp_path, "api.example.test"))
    one = await travel(f"api.example.test:{port}", f"other.example.test:{port}")
    (one.prisoner.plan.folder / "code" / "ca.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    assert await one.do(fetch, f"https://api.example.test:{port}/", "ours") == "hello"
    assert "CERTIFICATE_VERIFY_FAILED" in await one.do(fetch, f"https://api.example.test:{port}/")
    assert "Hostname mismatch" in await one.do(fetch, f"https://other.example.test:{port}/", "ours"), "end to end"
    assert world.asked == ["api.example.test", "api.example.test", "other.example.test"], "once for each connection"


async def post_office(reader, writer):
    """As much of SMTP as is needed to accept a letter (RFC 5321)."""
    writer.write(b"220 smtp.example.test ready\r\n")
    while line := await reader.readline():
        word = line[:4].upper()
        if word == b"DATA":
            writer.write(b"354 go on\r\n")
            letter = await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 kept %d bytes\r\n" % len(letter))
        else:
            writer.write({b"EHLO": b"250 smtp.example.test\r\n", b"QUIT": b"221 bye\r\n"}.get(word, b"250 fine\r\n"))
        if word == b"QUIT":
            break
    await writer.drain()


def send(port):
    import smtplib
    import ssl

    context = ssl.create_default_context(cafile="/app/ca.pem")
    with smtplib.SMTP_SSL("smtp.example.test", port, context=context, timeout=10) as post:
        return post.sendmail("app@example.test", ["ada@example.test"], "Subject: hello\r\n\r\nhello")


async def test_mail_is_sent_over_tls_on_the_port_that_mail_has(world, travel, tmp_path):
    """Only an administrator of a network may open port 465; the listeners for it exist anyway."""
    world.names = {"smtp.example.test": [[PUBLIC]]}
    await world.serve(post_office, port=465, tls=certificates(tmp_path, "smtp.example.test"))
    one = await travel("smtp.example.test:465")
    (one.prisoner.plan.folder / "code" / "ca.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    assert await one.do(send, 465) == {}


def look():
    import os
    import socket
    from pathlib import Path

    hosts = Path("/etc/hosts").read_text()
    return {
        "hosts": hosts,
        "cards": [name for _, name in socket.if_nameindex()],
        "proxy": os.environ.get("HTTPS_PROXY", ""),
    }


async def test_each_name_has_an_address_of_its_own_and_nothing_else_is_there(world, travel):
    one = await travel("a.example.test:443", "a.example.test:80", "b.example.test:5432", "nas.local:445")
    seen = await one.do(look)
    assert seen["hosts"].splitlines()[2:] == [
        "127.1.0.1 a.example.test",
        "127.1.0.2 b.example.test",
        "127.1.0.3 nas.local",
    ]
    assert seen["cards"] == ["lo"] and seen["proxy"] == ""


async def test_what_passed_is_counted_and_written_down(world, travel):
    async def echo(reader, writer):
        writer.write(await reader.readexactly(5))
        await writer.drain()

    world.names = {"api.example.test": [[PUBLIC]]}
    port = await world.serve(echo)
    one = await travel(f"api.example.test:{port}")

    def ask(port):
        import socket

        with socket.create_connection(("api.example.test", port), timeout=5) as connection:
            connection.sendall(b"hello")
            return connection.makefile("rb").read().decode()

    assert [await one.do(ask, port) for _ in range(2)] == ["hello", "hello"]
    assert str(one.egress.total("tiny")) == "2 connections, 10 bytes sent, 10 received"
    one.egress.close()
    [record] = world.book.records
    assert (record["kind"], record["actor"], record["target"]) == ("network", "app:tiny", f"api.example.test:{port}")
    assert record["what"] == "2 connections, 10 bytes sent, 10 received" and record["outcome"] == "OK"


async def test_a_silent_host_ends_the_connection_with_the_reason_in_the_audit(world, travel):
    with socket.create_server((PUBLIC, 0)) as closed:
        port = closed.getsockname()[1]
    world.names = {"down.example.test": [[PUBLIC]]}
    one = await travel(f"down.example.test:{port}", f"gone.example.test:{port}")
    for name in ("down", "gone"):
        assert "closed" in (said := await one.do(fetch, f"http://{name}.example.test:{port}/")) or "reset" in said
    await until(lambda: len(world.book.refusals()) == 2)
    whys = dict(world.book.refusals())
    assert (
        "Connection refused" in whys[f"down.example.test:{port}"]
        and "has no address here" in whys[f"gone.example.test:{port}"]
    )


async def test_an_idle_connection_is_closed(world, travel, monkeypatch):
    monkeypatch.setattr("core.apps.egress.egress.IDLE_SECONDS", 0.3)
    ended = asyncio.Event()

    async def wait(reader, writer):
        await reader.read()
        ended.set()

    world.names = {"api.example.test": [[PUBLIC]]}
    port = await world.serve(wait)
    one = await travel(f"api.example.test:{port}")

    def hold(port):
        import socket

        with socket.create_connection(("api.example.test", port), timeout=10) as connection:
            return connection.recv(1).decode()

    assert await one.do(hold, port) == ""
    await asyncio.wait_for(ended.wait(), 5)


async def test_an_app_has_so_many_connections_and_no_more(world, travel, monkeypatch):
    monkeypatch.setattr("core.apps.egress.flows.MOST_FLOWS", 3)

    async def wait(reader, writer):
        writer.write(b"x")
        await reader.read()

    world.names = {"api.example.test": [[PUBLIC]]}
    port = await world.serve(wait)
    one = await travel(f"api.example.test:{port}")

    def open_many(port):
        import socket

        held = [socket.create_connection(("api.example.test", port), timeout=5) for _ in range(5)]
        said = []
        for connection in held:
            try:
                said.append(connection.recv(1).decode())
            except OSError:
                said.append("")
        return sorted(said)

    assert await one.do(open_many, port) == ["", "", "x", "x", "x"]
    assert any("has 3 outside connections open already" in why for _, why in world.book.refusals())
