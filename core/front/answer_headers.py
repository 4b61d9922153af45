"""The headers of every HTTP answer: core's own, the apps' and a refusal by aiohttp's parser."""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web
from multidict import CIMultiDict

from core.aiohttp_private import HookedRequest
from core.front.ingress.headers import SAFE
from core.front.ingress.pages import NOTHING

__all__ = ["FrontRequest"]

ALWAYS = CIMultiDict(SAFE)  # their names are hashed already
# An answer without a policy is not a page and gets the strictest one.
UNLESS_SAID = {"Referrer-Policy": "same-origin", "Content-Security-Policy": NOTHING}


class FrontRequest(HookedRequest):
    """A request from the network. `always`: the same headers for `core.graph.api.response`."""

    always: ClassVar[bytes] = "".join(f"{name}: {value}\r\n" for name, value in (SAFE | UNLESS_SAID).items()).encode()

    def answering(self, response: web.StreamResponse) -> None:
        response.headers.update(ALWAYS)
        for name, value in UNLESS_SAID.items():
            response.headers.setdefault(name, value)
