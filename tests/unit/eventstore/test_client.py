"""The client: how it differs from its base class."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.client import Client

from eventstore.client import QuickClient


async def test_the_answer_to_a_flush_that_was_given_up_is_passed_over() -> None:
    client = QuickClient()
    given_up, waiting = (asyncio.get_running_loop().create_future() for _ in range(2))
    given_up.cancel()
    client._pongs = [given_up, waiting]
    await client._process_pong()
    assert not waiting.done()
    await client._process_pong()
    assert waiting.result() is True
    assert client._pongs == []


@pytest.mark.parametrize(
    "lines",
    ["A: 1\r\nB:2\r\n", " A : 1 \r\nno colon\r\n", "two words: 1\r\nÄ: 1\r\n", "A: x:y\r\nA: 2", ": empty\r\n\r\n"],
)
def test_headers_are_read_as_its_base_does(lines: str) -> None:
    assert QuickClient._parse_header_lines(lines.encode()) == Client._parse_header_lines(lines.encode())
