"""The headers of every HTTP answer: core's own, the apps' and a refusal by aiohttp's parser."""

from __future__ import annotations

from aiohttp import web
from multidict import CIMultiDict

from core.aiohttp_private import HookedRequest
from core.front.ingress.headers import SAFE
from core.front.ingress.pages import NOTHING

__all__ = ["TO_OURSELVES", "FrontRequest"]

# Set in a request that came over https for a name of this cloud.
TO_OURSELVES = web.RequestKey("TO_OURSELVES", bool)

ALWAYS = CIMultiDict(SAFE)  # their names are hashed already
# A month: the owner may go back to http, and a browser that was here refuses it until then.
OVER_HTTPS = {"Strict-Transport-Security": f"max-age={30 * 24 * 3600}"}
# An answer without a policy is not a page and gets the strictest one.
UNLESS_SAID = {"Referrer-Policy": "same-origin", "Content-Security-Policy": NOTHING}

LINES = {
    secure: "".join(
        f"{name}: {value}\r\n" for name, value in (SAFE | UNLESS_SAID | (OVER_HTTPS if secure else {})).items()
    ).encode()
    for secure in (False, True)
}


class FrontRequest(HookedRequest):
    """A request from the network. `always`: the same headers for `core.graph.api.response`."""

    @property
    def always(self) -> bytes:
        return LINES[bool(self.get(TO_OURSELVES))]

    def answering(self, response: web.StreamResponse) -> None:
        response.headers.update(ALWAYS)
        if self.get(TO_OURSELVES):
            response.headers.update(OVER_HTTPS)
        for name, value in UNLESS_SAID.items():
            response.headers.setdefault(name, value)
