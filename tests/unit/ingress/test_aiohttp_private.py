"""What is private in aiohttp: an update that changes it fails here with a plain message."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from inspect import signature

from aiohttp import BaseConnector, web
from aiohttp.client_proto import ResponseHandler


async def test_what_is_private_in_aiohttp_is_still_there() -> None:
    changed = f"aiohttp {version('aiohttp')} has changed: see core/aiohttp_private.py about"
    assert asyncio.iscoroutinefunction(getattr(web.Request, "_prepare_hook", None)), f"{changed} _prepare_hook"
    assert list(signature(web.Application._handle).parameters) == ["self", "request"], f"{changed} _handle"
    created = getattr(BaseConnector, "_create_connection", None)
    assert created and list(signature(created).parameters)[1:] == ["req", "traces", "timeout"], (
        f"{changed} _create_connection"
    )
    async with BaseConnector() as connector:
        made = connector._factory()
        assert isinstance(made, ResponseHandler), f"{changed} _factory"
    assert list(signature(ResponseHandler.feed_data).parameters) == ["self", "data", "size"], f"{changed} feed_data"
