"""The server as a browser sees it, and as the node that starts it does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from random_puppy.server import PuppyServer

FOLDER = Path(__file__).parents[1]


@pytest.fixture
def port() -> Iterator[int]:
    with PuppyServer(0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def get(port: int, path: str, method: str = "GET") -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body


def test_each_visit_has_a_new_puppy_with_an_address_of_its_own(port: int) -> None:
    first, page = get(port, "/")
    _, other = get(port, "/")
    assert first.status == 200
    assert first.headers["Cache-Control"] == "no-store"
    assert page != other
    address = page.partition('id="share" href="')[2].partition('"')[0]
    assert get(port, address)[1] == page


def test_a_puppys_picture_can_be_had_alone(port: int) -> None:
    response, picture = get(port, "/p/brave-mango-1.svg")
    assert response.headers["Content-Type"] == "image/svg+xml"
    assert picture in get(port, "/p/brave-mango-1")[1]


@pytest.mark.parametrize(
    "path", ["/p/", "/p/A", "/p/-a", "/p/a%3Cb", "/p/" + "a" * 41, "/../etc/passwd", "/p/a.svg.svg", "/x?y=/"]
)
def test_other_addresses_have_no_puppy(port: int, path: str) -> None:
    response, page = get(port, path)
    assert response.status == 404
    assert "No puppy here" in page
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_only_reading_is_answered(port: int) -> None:
    assert get(port, "/", "POST")[0].status == 501
    response, body = get(port, "/", "HEAD")
    assert (response.status, body) == (200, "")


def start(port: int) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
    return subprocess.Popen([sys.executable, "-m", "random_puppy"], cwd=FOLDER, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def test_the_program_serves_until_sigterm_and_ends_with_0() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with start(port) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == f"puppies at http://127.0.0.1:{port}\n"
        assert get(port, "/")[0].status == 200
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0


def test_a_taken_port_is_one_sentence(port: int) -> None:
    with start(port) as program:
        _, said = program.communicate(timeout=10)
        assert program.returncode == 1
        assert said == f"can't listen on 127.0.0.1:{port}: Address already in use; choose another PORT\n"
