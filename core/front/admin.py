"""The administration socket: the CLI's access to the node beyond GraphQL.

It is a unix socket in the node's private folder (mode 0700): only the owner can open it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from aiohttp import web

from core.access.caller import OWNER
from core.front.administered import AdministeredNode
from core.front.app_routes import app_routes
from core.front.http import client_closed, error_response, hung_up
from core.front.lines import as_lines, as_records, dumps
from pcloud.errors import NotFound, PCloudError, Rejected

__all__ = ["admin_application"]

log = logging.getLogger("pcloud.admin")
# Archives are excepted: they are streamed to the disk.
LARGEST_BODY = 64 * 2**20

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return an error in the form of the API's own errors."""
    try:
        return await handler(request)
    except PCloudError as error:
        return error_response(error)
    except (ConnectionError, web.RequestPayloadError):
        if not hung_up(request):
            raise
        return client_closed()


def admin_application(node: AdministeredNode) -> web.Application:
    """The routes of the socket."""
    routes = web.RouteTableDef()

    @routes.get("/graphql")  # a websocket, for subscriptions
    @routes.post("/graphql")
    async def graphql(request: web.Request) -> web.StreamResponse:
        return await node.api.http(request, OWNER)

    @routes.post("/graphql/{app}")
    async def graphql_as_app(request: web.Request) -> web.StreamResponse:
        return await node.api.http(request, replace(OWNER, through=request.match_info["app"]))

    @routes.get("/status")
    async def status(_: web.Request) -> web.StreamResponse:
        return web.json_response(await node.status())

    @routes.get("/metrics")
    async def metrics(request: web.Request) -> web.StreamResponse:
        return await node.metrics.answer(request)

    @routes.post("/devices")
    async def pair(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body.get("metrics") is True:
            return web.json_response(await node.devices.pair_watcher(body.get("name", ""), f"{node.address}/metrics"))
        scopes = body.get("scopes") or ["manage"]
        return web.json_response(
            await node.devices.pair(body.get("name", ""), f"{node.address}/graphql", scopes, s3=node.s3)
        )

    @routes.get("/devices")
    async def devices(_: web.Request) -> web.StreamResponse:
        return web.json_response(node.devices.list())

    @routes.delete("/devices/{id}")
    async def revoke(request: web.Request) -> web.StreamResponse:
        await node.devices.revoke(request.match_info["id"])
        return web.json_response({"revoked": request.match_info["id"]})

    @routes.post("/call")
    async def call(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        answer = await node.calls.call(OWNER, body["target"], body.get("args", {}), actions=body.get("actions", {}))
        return web.json_response({"result": answer.result, "revision": str(answer.revision)}, dumps=dumps)

    @routes.post("/replay")
    async def replay(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        answer = await node.processor.replay(
            body["trigger"], body.get("from", "start"), type=body.get("type", ""), id=body.get("id", ""),
            dry_run=bool(body.get("dry_run")), actor=OWNER.actor,
        )  # fmt: skip
        return web.json_response(answer, dumps=dumps)

    @routes.post("/runs/{id}/{what}")
    async def run(request: web.Request) -> web.StreamResponse:
        command = {"retry": node.processor.retry, "dismiss": node.processor.dismiss}.get(request.match_info["what"])
        if command is None:
            raise NotFound("unknown action: a run can be retried or dismissed")
        await command(request.match_info["id"])
        return web.json_response({"id": request.match_info["id"]})

    @routes.get("/nats")
    async def nats(request: web.Request) -> web.StreamResponse:
        """Environment variables for the nats CLI; they only travel over this private socket. Core's own credentials
        with `?write=true`, else read-only ones."""
        user = node.server.core if request.query.get("write") == "true" else node.server.inspector
        return web.json_response({"NATS_URL": node.server.url, "NATS_USER": user.user, "NATS_PASSWORD": user.password})

    @routes.post("/signin-link")
    async def link(request: web.Request) -> web.StreamResponse:
        """With `?private=true`, the link has the address that other programs on this machine can't guess."""
        private = request.query.get("private") == "true"
        if private and not node.private_address:
            raise Rejected(
                "this node has no address besides its own: start it without --domain, --listen and --public-url, or name a domain "
                "that can't be guessed"
            )
        return web.json_response({"link": node.sign_in_link(node.private_address if private else node.address)})

    @routes.post("/owner/reset")
    async def reset(request: web.Request) -> web.StreamResponse:
        """Make a new credential without the present one, which ends all sessions; `?devices=true` revokes the devices
        as well. `kept`: why a device's storage keys could not be revoked, by the device's id."""
        credential = await node.change_credential()
        active = [one["id"] for one in node.devices.list() if one["state"] == "active"]
        kept: dict[str, str] = {}
        revoked = active if request.query.get("devices") == "true" else []
        for id in revoked:
            try:
                await node.devices.revoke(id)
            except PCloudError as error:  # the token is revoked anyway, and the new credential must be returned
                kept[id] = error.message
        return web.json_response(
            {"credential": credential, "devices": len(active), "revoked": len(revoked), "kept": kept}
        )

    @routes.post("/graph/verify")
    async def verify(request: web.Request) -> web.StreamResponse:
        return await as_lines(request, node.verify)

    @routes.post("/graph/rebuild")
    async def rebuild(request: web.Request) -> web.StreamResponse:
        wanted = request.query
        back = wanted.get("back", "") == "true"
        return await as_lines(request, partial(node.rebuild, wanted.get("view", "graph"), wanted.get("to", ""), back))

    @routes.get("/graph/all")
    async def whole_graph(request: web.Request) -> web.StreamResponse:
        return await as_records(request, node.whole_graph())

    @routes.get("/backup")
    async def backup(request: web.Request) -> web.StreamResponse:
        """A websocket: the copy, as one message, exists as long as the connection."""
        # Its close is answered once the copy is removed, so that the next backup can begin.
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        try:
            async with node.instant_copy() as copy:
                await socket.send_json(copy)
                await socket.receive()  # the client sends nothing: this is its end
        except PCloudError as error:
            await socket.send_json({"error": {"code": error.code, "message": error.message}})
        await socket.close()
        return socket

    application = web.Application(middlewares=[errors_as_json], client_max_size=LARGEST_BODY)
    application.add_routes(routes)
    application.add_routes(app_routes(node))
    return application
