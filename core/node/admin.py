"""The administration socket: what the CLI asks of the node beyond GraphQL.

It is a unix socket in the node's private folder (mode 0700): who can open it is the owner. Installing answers with one JSON object a
line, so that a terminal can show each step as it happens.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from core.caller import Caller, Grant
from core.node.http import errors_as_json
from pcloud.errors import NotFound, PCloudError

__all__ = ["admin_application"]

log = logging.getLogger("pcloud.admin")
LARGEST_ARCHIVE = 512 * 2**20


def admin_application(node: Any) -> web.Application:
    """Routes over a `core.bootstrap.Node`."""
    routes = web.RouteTableDef()

    @routes.get("/graphql")  # a websocket, for subscriptions
    @routes.post("/graphql")
    async def graphql(request: web.Request) -> web.StreamResponse:
        return await node.api.http(request, Caller("owner"))

    @routes.post("/graphql/{app}")
    async def graphql_as_app(request: web.Request) -> web.StreamResponse:
        return await node.api.http(request, Caller("owner", eyes=request.match_info["app"]))

    @routes.get("/status")
    async def status(_: web.Request) -> web.StreamResponse:
        return web.json_response(await node.status())

    @routes.get("/apps")
    async def apps(_: web.Request) -> web.StreamResponse:
        return web.json_response([asdict(status) for status in await node.apps.list()], dumps=dumps)

    @routes.post("/apps/review")
    async def review(request: web.Request) -> web.StreamResponse:
        review = await node.apps.review(await request.read())
        grants = [{**asdict(grant), "text": text} for grant, text in review.sentences()]
        return web.json_response({**asdict(review), "grants": grants}, dumps=dumps)

    @routes.post("/apps")
    async def install(request: web.Request) -> web.StreamResponse:
        archive = await request.read()
        approved = request.query.get("approve", "")
        unconfined = request.query.get("unconfined") == "true"

        async def work(progress: Callable[[str, str], None]) -> Any:
            app = await node.apps.install(archive, approve=approver(approved), unconfined=unconfined, progress=progress)
            return {"app": app.name}

        return await as_lines(request, work)

    @routes.delete("/apps/{name}")
    async def remove(request: web.Request) -> web.StreamResponse:
        await node.apps.remove(request.match_info["name"])
        return web.json_response({"removed": request.match_info["name"]})

    @routes.get("/apps/{name}/logs")
    async def logs(request: web.Request) -> web.StreamResponse:
        return web.json_response(
            await node.apps.logs(request.match_info["name"], int(request.query.get("lines", "200")))
        )

    @routes.post("/devices")
    async def pair(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        return web.json_response(await node.devices.pair(body.get("name", ""), f"{node.address}/graphql"))

    @routes.get("/devices")
    async def devices(_: web.Request) -> web.StreamResponse:
        return web.json_response(await node.devices.list())

    @routes.delete("/devices/{id}")
    async def revoke(request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        try:
            await node.devices.revoke(id)
        finally:  # also where the store did not answer: the token is gone by then
            await node.api.disconnect(lambda caller: caller.kind == "device" and caller.name == id)
        return web.json_response({"revoked": id})

    @routes.post("/call")
    async def call(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        answer = await node.calls.call(Caller("owner"), body["target"], body.get("args", {}))
        return web.json_response({"result": answer.result, "revision": str(answer.revision)}, dumps=dumps)

    @routes.post("/replay")
    async def replay(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        answer = await node.processor.replay(
            body["trigger"], body.get("from", "start"), type=body.get("type", ""), id=body.get("id", ""),
            dry_run=bool(body.get("dry_run")), actor="owner",
        )  # fmt: skip
        return web.json_response(answer, dumps=dumps)

    @routes.post("/runs/{id}/{what}")
    async def run(request: web.Request) -> web.StreamResponse:
        command = {"retry": node.processor.retry, "dismiss": node.processor.dismiss}.get(request.match_info["what"])
        if command is None:
            raise NotFound("a run can be retried or dismissed")
        await command(request.match_info["id"])
        return web.json_response({"id": request.match_info["id"]})

    @routes.get("/nats")
    async def nats(_: web.Request) -> web.StreamResponse:
        """Environment variables for the nats CLI; they travel over the private socket only."""
        core = node.server.core
        return web.json_response({"NATS_URL": node.server.url, "NATS_USER": core.user, "NATS_PASSWORD": core.password})

    @routes.post("/signin-link")
    async def link(_: web.Request) -> web.StreamResponse:
        return web.json_response({"link": node.sign_in_link()})

    @routes.post("/graph/verify")
    async def verify(request: web.Request) -> web.StreamResponse:
        return await as_lines(request, node.verify)

    application = web.Application(middlewares=[errors_as_json], client_max_size=LARGEST_ARCHIVE)
    application.add_routes(routes)
    return application


def approver(approved: str) -> Callable[[Sequence[Grant]], Awaitable[Mapping[str, bool]]]:
    """The owner's answer to each grant, by the grant's id: 'all', or the ids that were approved, with commas."""
    ids = set(approved.split(","))

    async def approve(grants: Sequence[Grant]) -> Mapping[str, bool]:
        return {grant.id: approved == "all" or grant.id in ids for grant in grants}

    return approve


async def as_lines(
    request: web.Request, work: Callable[[Callable[[str, str], None]], Awaitable[Any]]
) -> web.StreamResponse:
    """Answer with a line for each step that `work` reports, and last its result or error. The work goes on if the client leaves."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
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


def dumps(value: Any) -> str:
    return json.dumps(value, default=str)
