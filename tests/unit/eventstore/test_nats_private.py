"""What is private in nats-py: an update that changes it fails here with a plain message."""

from __future__ import annotations

import asyncio
import inspect
import socket
from importlib.metadata import version

import nats.errors
import pytest
from nats.aio.client import Client

from eventstore.nats_private import QuickClient, reconnect_wait

CHANGED = f"nats-py {version('nats-py')} has changed: see eventstore/nats_private.py about"


async def test_the_answer_to_a_flush_that_was_given_up_is_passed_over() -> None:
    assert inspect.iscoroutinefunction(getattr(Client, "_process_pong", None)), f"{CHANGED} _process_pong"
    assert Client()._pongs == [], f"{CHANGED} _pongs"
    client = QuickClient()
    given_up, waiting = (asyncio.get_running_loop().create_future() for _ in range(2))
    given_up.cancel()
    client._pongs = [given_up, waiting]
    await client._process_pong()
    assert not waiting.done()
    await client._process_pong()
    assert waiting.done() and waiting.result() is True, f"{CHANGED} _pongs"
    assert client._pongs == []


@pytest.mark.parametrize(
    "lines",
    ["A: 1\r\nB:2\r\n", " A : 1 \r\nno colon\r\n", "two words: 1\r\nÄ: 1\r\n", "A: x:y\r\nA: 2", ": empty\r\n\r\n"],
)
def test_headers_are_read_as_its_base_does(lines: str) -> None:
    assert hasattr(Client, "_parse_header_lines"), f"{CHANGED} _parse_header_lines"
    base = Client._parse_header_lines(lines.encode())
    assert QuickClient._parse_header_lines(lines.encode()) == base, f"{CHANGED} _parse_header_lines"


async def test_headers_of_a_message_are_read_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuickClient, "_parse_header_lines", staticmethod(lambda raw: {"seen": raw.decode()}))
    found = await QuickClient()._process_headers(b"NATS/1.0\r\nA: 1\r\n\r\n")
    assert found and "A: 1" in found["seen"], f"{CHANGED} _parse_header_lines: it is not called any more"


async def test_pauses_between_attempts_may_be_fractions() -> None:
    with socket.socket() as taken:  # it does not listen
        taken.bind(("127.0.0.1", 0))
        server = f"nats://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(nats.errors.NoServersError):
            await Client().connect(server, reconnect_time_wait=reconnect_wait(0.02), max_reconnect_attempts=2)
