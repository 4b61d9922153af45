"""The administration's routes for apps, which the command line and the console use.

Long operations answer with a line for each step, `{"step", "detail"}`, and a last line `{"result"}` or `{"error"}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from msgspec import to_builtins

from core.access.audit import archive_audited
from core.front.administered import AdministeredNode
from core.front.lines import as_lines, dumps, prepared
from pcloud.errors import NotFound, Rejected
from projections.directory import Grant

__all__ = ["app_routes"]

MOST_LINES = 100_000
PIECE = 2**20
Progress = Callable[[str, str], None]


def app_routes(node: AdministeredNode) -> web.RouteTableDef:
    """The routes about apps."""
    routes = web.RouteTableDef()

    @routes.get("/apps")
    async def apps(request: web.Request) -> web.StreamResponse:
        """With `?bundled=true`: the apps that come with PCloud, installed or not."""
        if request.query.get("bundled") == "true":
            return web.json_response(await node.apps.list_bundled())
        return web.json_response([asdict(status) for status in await node.apps.list()], dumps=dumps)

    @routes.get("/apps/{name}")
    async def detail(request: web.Request) -> web.StreamResponse:
        return web.json_response(await node.apps.detail(request.match_info["name"]), dumps=dumps)

    @routes.post("/apps/review")
    async def review(request: web.Request) -> web.StreamResponse:
        """Review the archive in the body, or `?bundled=NAME`; it is then staged under the answer's `archive`."""
        archive = await archive_of(node, request)
        async with archive_audited(node.audit, archive.name):
            return web.json_response((await node.apps.review(archive)).as_dict(), dumps=dumps)

    @routes.post("/apps")
    async def install(request: web.Request) -> web.StreamResponse:
        """Install a reviewed archive with `?archive=SHA256` and `approve`: all, or ids of grants, which are approved
        for these bytes alone; or install the archive in the body with `approve` all or none. `hand-over=true`: it
        gets the data that another author's app of its name has stored."""
        approved = request.query.get("approve", "")
        if approved not in ("", "all") and "archive" not in request.query:
            raise Rejected("grants are approved for one archive: name the reviewed one with ?archive=SHA256")
        archive = await archive_of(node, request)
        approve = approver(approved)
        unconfined, hand_over = (request.query.get(name) == "true" for name in ("unconfined", "hand-over"))

        async def work(progress: Progress) -> Any:
            try:
                async with archive_audited(node.audit, archive.name):
                    app = await node.apps.install(
                        archive, approve=approve, unconfined=unconfined, hand_over=hand_over, progress=progress
                    )
            finally:
                # A reviewed archive stays staged for another attempt.
                if "archive" not in request.query:
                    node.apps.staged.drop(archive)
            return {"app": app.name, "version": app.version, "state": app.state.value}

        return await as_lines(request, work)

    @routes.post("/apps/{name}/rollback")
    async def rollback(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]

        async def work(progress: Progress) -> Any:
            before = await node.apps.detail(name)
            app = await node.apps.rollback(name, progress=progress)
            previous: dict[str, Any] = before["previous"] or dict[str, Any]()
            lost = previous.get("lost", [])
            return {"app": name, "version": app.version, "state": app.state.value, "lost": lost}

        return await as_lines(request, work)

    @routes.post("/apps/{name}/{what:pause|resume|restart}")
    async def command(request: web.Request) -> web.StreamResponse:
        commands = {"pause": node.apps.pause, "resume": node.apps.resume, "restart": node.apps.restart}
        app = await commands[request.match_info["what"]](request.match_info["name"])
        return web.json_response({"app": app.name, "state": app.state.value, "error": app.error})

    @routes.post("/apps/{name}/grants/{id}")
    async def grant(request: web.Request) -> web.StreamResponse:
        approved = (await request.json()).get("approved")
        if not isinstance(approved, bool):
            raise Rejected('say {"approved": true} or {"approved": false}')
        app = await node.apps.set_grant(request.match_info["name"], request.match_info["id"], approved)
        return web.json_response({"app": app.name, "state": app.state.value, "error": app.error})

    @routes.post("/apps/{name}/limits")
    async def limits(request: web.Request) -> web.StreamResponse:
        """`{"memory", "processes", "disk", "graph", "files"}`: the limits that change, in bytes or as a count; null restores
        the manifest's value."""
        changes = await request.json()
        if not isinstance(changes, dict):
            raise Rejected('say which limits change: {"memory": 1073741824}')
        app = await node.apps.set_limits(request.match_info["name"], cast("dict[str, Any]", changes))
        state = {"app": app.name, "state": app.state.value, "error": app.error}
        return web.json_response({**state, "limits": to_builtins(app.resources)})

    @routes.delete("/apps/{name}")
    async def remove(request: web.Request) -> web.StreamResponse:
        name, forget = request.match_info["name"], request.query.get("forget") == "true"
        if not forget:  # an app that was removed earlier may have left data
            await node.apps.get(name)  # raises NotFound before the answer begins

        async def work(progress: Progress) -> Any:
            await node.apps.remove(name, forget=forget, progress=progress)
            return {"removed": name, "forgotten": forget}

        return await as_lines(request, work)

    @routes.get("/apps/{name}/logs")
    async def logs(request: web.Request) -> web.StreamResponse:
        name, lines = request.match_info["name"], number(request.query.get("lines", "200"))
        if request.query.get("follow") == "true":
            await node.apps.get(name)
            return await follow(request, node.apps.follow(name, lines))
        return web.json_response(await node.apps.logs(name, lines))

    return routes


async def archive_of(node: AdministeredNode, request: web.Request) -> Path:
    """Return the file of an archive that is staged, bundled, or in the body; its name is its sha256."""
    staged = node.apps.staged
    if sha256 := request.query.get("archive", ""):
        return await asyncio.to_thread(staged.place, sha256)
    if bundled := request.query.get("bundled", ""):
        return await asyncio.to_thread(staged.put, await node.apps.bundled(bundled))
    if not request.body_exists:
        raise NotFound("the request has no archive: send one as the body, or name a reviewed one with ?archive=SHA256")
    return await staged.receive(request.content.iter_chunked(PIECE))


async def follow(request: web.Request, lines: AsyncIterator[str | None]) -> web.StreamResponse:
    """Send `{"line"}` for each line until the client disconnects."""
    response = await prepared(request)
    with suppress(ConnectionError):
        async for line in lines:
            if line is not None:
                await response.write(dumps({"line": line}).encode() + b"\n")
            elif request.transport is None or request.transport.is_closing():
                break
    return response


def number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MOST_LINES:
        raise Rejected(f"`lines` is {text!r}: use 1 to {MOST_LINES}")
    return int(text)


def approver(approved: str) -> Callable[[Sequence[Grant]], Awaitable[Mapping[str, bool]]]:
    """Return the owner's answer to each grant, by its id. `approved`: 'all', or the approved ids, separated by commas."""
    ids = set(approved.split(","))

    async def approve(grants: Sequence[Grant]) -> Mapping[str, bool]:
        return {grant.id: approved == "all" or grant.id in ids for grant in grants}

    return approve
