"""The origin `s3.DOMAIN`: the object store's S3 interface, for clients on other machines.

A request is passed on as the client signed it: target, `Host`, `Authorization`. The object store decides by that signature who may do what;
a browser's session counts for nothing here. Bodies are passed on in both directions as they arrive.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from core.aiohttp_private import DiallingConnector
from core.front.ingress.headers import passing_headers, returning_headers
from core.front.ingress.pages import NOTHING
from core.front.ingress.proxy import answered, new_client
from pcloud.errors import PCloudError

__all__ = ["S3", "S3Origin"]

S3 = "s3"
AT_ONCE = 256  # connections to the object store; further requests wait for one
SIGNED = ("Authorization", "Host")
ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # by aiohttp, if they are missing
ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>'


class S3Origin:
    """Use it with `async with`. `dial`: connects to the object store; raises `Unavailable` while it does not run."""

    def __init__(self, dial: Callable[[], Awaitable[socket.socket]]) -> None:
        self._dial = dial

    async def __aenter__(self) -> S3Origin:
        self._client = new_client(DiallingConnector(self._dial, limit=AT_ONCE))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request to this origin, errors in S3's own form."""
        if not request.raw_path.startswith("/"):
            return refused(400, "InvalidRequest", "the request is not one of S3")
        headers = passing_headers(request.headers)
        for name in SIGNED:
            headers.extend((name, value) for value in request.headers.getall(name, ()))
        try:
            async with self._client.request(
                request.method, URL(f"http://{S3}{request.raw_path}", encoded=True), headers=headers,
                data=request.content if request.body_exists else None, allow_redirects=False, skip_auto_headers=ADDED,
            ) as answer:  # fmt: skip
                return await answered(request, answer, inert(answer.headers))
        except (OSError, aiohttp.ClientError, PCloudError) as error:
            why = error.message if isinstance(error, PCloudError) else "it does not answer"
            return refused(
                503, "ServiceUnavailable", f"the object store can't be used now ({why}): try again in a moment"
            )


def inert(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return an answer's headers with a policy by which a browser runs nothing, whatever the object is."""
    returning = returning_headers(headers)
    returning["Content-Security-Policy"] = f"sandbox; {NOTHING}"
    return returning


def refused(status: int, code: str, message: str) -> web.Response:
    # Its body was not read, so the connection can't take another request.
    response = web.Response(status=status, text=ERROR.format(code, message), content_type="application/xml")
    response.headers["Retry-After"] = "1"
    response.force_close()
    return response
