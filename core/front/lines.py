"""Answers with one JSON object per line, so that a terminal or a page can show each step as it happens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from aiohttp import web

from pcloud.errors import PCloudError

__all__ = ["as_lines", "as_records", "dumps", "prepared"]

log = logging.getLogger("pcloud.admin")
LINES = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}


async def as_lines(
    request: web.Request, work: Callable[[Callable[[str, str], None]], Awaitable[Any]]
) -> web.StreamResponse:
    """Answer with a line for each step that `work` reports, and last its result or error. The work continues if the client disconnects."""
    response = await prepared(request)
    steps: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def run() -> None:
        try:
            result = await work(lambda step, detail: steps.put_nowait({"step": step, "detail": detail}))
            steps.put_nowait({"result": result})
        except PCloudError as error:
            steps.put_nowait({"error": {"code": error.code, "message": error.message}})
        except Exception:
            log.exception("an administration request failed")
            steps.put_nowait(
                {"error": {"code": "INTERNAL", "message": "this failed inside PCloud: the node's log has the details"}}
            )
        finally:
            steps.put_nowait(None)

    task = asyncio.create_task(run())
    try:
        while (record := await steps.get()) is not None:
            await response.write(dumps(record).encode() + b"\n")
        await response.write_eof()
    finally:
        await asyncio.shield(task)
    return response


async def as_records(request: web.Request, records: AsyncGenerator[dict[str, Any]]) -> web.StreamResponse:
    """Answer with a line for each record, at the client's speed, and an error as the last line. Disconnecting ends the reading."""
    response = await prepared(request)
    try:
        async with aclosing(records):
            async for record in records:
                await response.write(dumps(record).encode() + b"\n")
    except PCloudError as error:
        await response.write(dumps({"error": {"code": error.code, "message": error.message}}).encode() + b"\n")
    await response.write_eof()
    return response


def dumps(value: Any) -> str:
    return json.dumps(value, default=str)


async def prepared(request: web.Request) -> web.StreamResponse:
    """Return the started answer, before its first line."""
    response = web.StreamResponse(headers=LINES)
    await response.prepare(request)
    return response
