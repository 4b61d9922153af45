"""The GraphQL API behind `/graphql` of core's own origin and `/_pcloud/graphql` of each app's."""

from __future__ import annotations

from aiohttp import web

from core.access.caller import Caller
from core.front.authentication import Authentication
from core.front.ingress.lasting import Lasting
from core.graph.api import Api

__all__ = ["GraphEndpoint"]


class GraphEndpoint:
    def __init__(self, api: Api, authentication: Authentication, lasting: Lasting) -> None:
        self._api, self._authentication, self._lasting = api, authentication, lasting

    async def answer(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """A GraphQL answer is short; a websocket lasts as long as its caller may be here."""
        if "Upgrade" not in request.headers:
            return await self._api.http(request, caller)
        with self._lasting.request(lambda: self._authentication.still(request, caller)):
            return await self._api.http(request, caller)
